package store

import "rollcall/internal/redisfault"

func redisFault(op string, err error) error { return redisfault.Of("local directory: "+op, err) }
