package config

import (
	"reflect"
	"strings"
	"testing"

	"rollcall/internal/secret"
	"rollcall/provider/all"
	"rollcall/source/ldap"
)

// TestFilesHaveTypes checks that each key that ends in _file tells by its type whether the file is secret, so that
// none misses its check.
func TestFilesHaveTypes(t *testing.T) {
	t.Parallel()
	configs := []reflect.Type{reflect.TypeFor[ldap.Config]()}
	for _, typ := range all.Types() {
		configs = append(configs, reflect.TypeOf(typ.New()).Elem())
	}
	for _, cfg := range configs {
		for key, f := range fields(cfg) {
			typed := f.typ == reflect.TypeFor[secret.File]() || f.typ == reflect.TypeFor[secret.PublicFile]()
			if typed != strings.HasSuffix(key, "_file") {
				t.Errorf("%s: %s has type %v: want secret.File or secret.PublicFile for files, and for nothing else", cfg, key,
					f.typ)
			}
		}
	}
}
