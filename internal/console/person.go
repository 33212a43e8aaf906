package console

import "fmt"

// personPath returns the path of one person or group.
func personPath(kind, id any) string {
	return "/people/entry/" + query("kind", fmt.Sprint(kind), "id", fmt.Sprint(id))
}
