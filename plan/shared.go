package plan

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"rollcall/directory"
)

// Given has the values of Shared fields that we gave to an object, each as a digest of markSize characters.
type Given string

const markSize = 12

func mark(field, value string) string {
	sum := sha256.Sum256([]byte(field + "\x00" + value))
	return base64.RawURLEncoding.EncodeToString(sum[:markSize*3/4])
}

// has reports whether we gave the value.
func (g Given) has(field, value string) bool {
	return slices.Contains(slices.Collect(g.marks), mark(field, value))
}

// marks yields each digest.
func (g Given) marks(yield func(string) bool) {
	for i := 0; i+markSize <= len(g); i += markSize {
		if !yield(string(g[i : i+markSize])) {
			return
		}
	}
}

func given(marks []string) Given {
	slices.Sort(marks)
	return Given(strings.Join(slices.Compact(marks), ""))
}

// Shares reports whether a field is Shared.
func (c *Capabilities) Shares() bool {
	for _, n := range c.Normal {
		if n&Shared != 0 {
			return true
		}
	}
	return false
}

// After returns what is ours after a change of fields.
func (c *Capabilities) After(g Given, fields []FieldChange) Given {
	marks := slices.Collect(g.marks)
	for _, f := range fields {
		if c.Normal[f.Name]&Shared == 0 {
			continue
		}
		for _, v := range c.Normal[f.Name].list(f.Before) {
			marks = slices.DeleteFunc(marks, func(m string) bool { return m == mark(f.Name, v) })
		}
		for _, v := range c.Normal[f.Name].list(f.After) {
			marks = append(marks, mark(f.Name, v))
		}
	}
	return given(marks)
}

// Seen returns what is ours of an object that was read. Values that are wanted and there are ours, so that the loss of
// the ledger is forgotten with the next full run. A value that is neither there nor wanted any more is not.
func (c *Capabilities) Seen(g Given, want, have directory.Attributes) Given {
	var marks []string
	for name, n := range c.Normal {
		if n&Shared == 0 {
			continue
		}
		wanted, there := n.list(want.Values(name)), n.list(have.Values(name))
		for _, v := range there {
			if slices.Contains(wanted, v) || g.has(name, v) {
				marks = append(marks, mark(name, v))
			}
		}
		for _, v := range wanted {
			if g.has(name, v) {
				marks = append(marks, mark(name, v)) // This run added it.
			}
		}
	}
	return given(marks)
}

// shared returns our values of a Shared field now and after the change, in a fixed order. What others added is in
// neither, also where it is wanted.
func (n Normal) shared(field string, g Given, have, want []string) (before, after []string) {
	there, ours := n.byKept(have), map[string]string{}
	for kept, v := range there {
		if g.has(field, kept) {
			ours[kept] = v
		}
	}
	next := n.byKept(want)
	maps.DeleteFunc(next, func(kept, _ string) bool { return there[kept] != "" && ours[kept] == "" })
	return inOrder(ours), inOrder(next)
}

// byKept returns values by the form in which the provider stores them.
func (n Normal) byKept(values []string) map[string]string {
	out := map[string]string{}
	for _, v := range values {
		for _, kept := range n.list([]string{v}) {
			out[kept] = v
		}
	}
	return out
}

func inOrder(byKept map[string]string) (out []string) {
	for _, kept := range slices.Sorted(maps.Keys(byKept)) {
		out = append(out, byKept[kept])
	}
	return out
}
