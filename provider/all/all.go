// Package all has the list of the types of provider. A new type is one line here.
package all

import (
	"rollcall/provider"
	"rollcall/provider/entra"
	"rollcall/provider/googleworkspace"
	"rollcall/provider/scim"
)

// Types returns every type of provider, in the order in which they are shown.
func Types() []provider.Type {
	return []provider.Type{
		googleworkspace.Type(),
		entra.Type(),
		scim.Type(),
	}
}
