package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Digest returns a short text that is equal for equal scopes and mappings. It changes with the configuration of what
// a provider should have.
func (m *Mapping) Digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q\n", m.domain, m.filterGroup, m.exclude, m.nested)
	if m.noAddress != "" || len(m.noAddressOf) > 0 {
		fmt.Fprintf(h, "%q %q\n", m.noAddress, m.noAddressOf)
	}
	for _, s := range []*side{&m.user, &m.group} {
		for _, e := range s.expressions() {
			fmt.Fprintf(h, "%s %q %q\n", s.kind, e.path, e.source)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}
