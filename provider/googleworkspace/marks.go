package googleworkspace

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/directory"
	"rollcall/plan"
)

// Our marks; see the package comment.
const (
	anchorType     = "rollcall"
	suspendedType  = "rollcall_suspended"
	fieldsType     = "rollcall_fields"
	groupNamespace = "system/external"
	groupPrefix    = "rollcall:"
)

// elements returns the objects of an array from decoded JSON.
func elements(array any) []map[string]any {
	list, _ := array.([]any)
	out := make([]map[string]any, 0, len(list))
	for _, e := range list {
		if o, ok := e.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

func text(element map[string]any, name string) string {
	s, _ := element[name].(string)
	return s
}

// marks are our elements of a user's externalIds.
type marks struct {
	anchors   []string
	suspended string            // RFC 3339, or ""
	owned     map[string]string // digest of our value by field name
}

func isMark(e map[string]any) bool {
	if text(e, "type") != "custom" {
		return false
	}
	t := text(e, "customType")
	return t == anchorType || t == suspendedType || t == fieldsType
}

func marksOf(u *admin.User) marks {
	m := marks{owned: map[string]string{}}
	for _, e := range elements(u.ExternalIds) {
		if !isMark(e) {
			continue
		}
		value := strings.TrimSpace(text(e, "value"))
		switch text(e, "customType") {
		case anchorType:
			if value != "" && !slices.Contains(m.anchors, value) {
				m.anchors = append(m.anchors, value)
			}
		case suspendedType:
			m.suspended = value
		case fieldsType:
			for pair := range strings.SplitSeq(value, ",") {
				if name, digest, ok := strings.Cut(pair, "="); ok {
					m.owned[name] = digest
				}
			}
		}
	}
	return m
}

// elements returns the marks as elements of externalIds.
func (m marks) elements() []any {
	var out []any
	add := func(customType, value string) {
		if value != "" {
			out = append(out, map[string]any{"type": "custom", "customType": customType, "value": value})
		}
	}
	for _, a := range m.anchors {
		add(anchorType, a)
	}
	add(suspendedType, m.suspended)
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(m.owned)) {
		pairs = append(pairs, name+"="+m.owned[name])
	}
	add(fieldsType, strings.Join(pairs, ","))
	return out
}

// digest returns a short name of a value for rollcall_fields. It distinguishes our value from an edited one. It is
// short because externalIds are limited to 2 KB.
func digest(value string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(value))))
	return hex.EncodeToString(sum[:4])
}

// groupAnchors returns the anchors of a group, and the external ids that are not ours.
func groupAnchors(g *admin.Group) (anchors []string, foreign []*admin.ExternalId) {
	for _, e := range g.ExternalIds {
		if e == nil {
			continue
		}
		id, ours := strings.CutPrefix(e.Id, groupPrefix)
		if !ours || e.Namespace != groupNamespace || id == "" {
			foreign = append(foreign, e)
		} else if !slices.Contains(anchors, id) {
			anchors = append(anchors, id)
		}
	}
	return anchors, foreign
}

func groupAnchor(id directory.ID) *admin.ExternalId {
	return &admin.ExternalId{Namespace: groupNamespace, Id: groupPrefix + string(id)}
}

// one returns the anchor of an object. Several anchors count as none, because Rollcall does not guess the right one.
func one(anchors []string) (id directory.ID, problem string) {
	switch len(anchors) {
	case 0:
		return "", ""
	case 1:
		return directory.ID(anchors[0]), ""
	}
	return "", fmt.Sprintf("it carries several Rollcall anchors (%s); remove all but one", strings.Join(anchors, ", "))
}

// suspendedTogether is the largest delay of Google's suspensionTime after our mark that still means one suspension.
// It allows for different clocks and slow writes.
const suspendedTogether = 15 * time.Minute

// suspender returns who suspended an account. An active account with our mark was activated by hand. The mark has to
// be removed, because otherwise a later foreign suspension would be taken for ours.
func suspender(u *admin.User, m marks) plan.Suspender {
	switch {
	case u.Archived:
		return plan.Else
	case !u.Suspended && m.suspended == "":
		return plan.Nobody
	case !u.Suspended:
		return plan.Us
	case m.suspended == "":
		return plan.Else
	}
	ours, err1 := time.Parse(time.RFC3339, m.suspended)
	theirs, err2 := time.Parse(time.RFC3339, u.SuspensionTime)
	if err1 == nil && err2 == nil && theirs.Sub(ours) > suspendedTogether {
		return plan.Else
	}
	return plan.Us
}
