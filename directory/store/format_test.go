package store_test

import (
	"encoding/json"
	"strings"
	"testing"

	"rollcall/directory"
)

// inFormat1 stores entries as builds of format 1 did. The tokens are as they were.
func inFormat1(d *dir, entries ...directory.Entry) {
	d.Helper()
	const prefix = "rollcall:{ldap:corp}:dir:"
	for _, e := range entries {
		token := strings.Fields(d.rdb.HGet(d.Context(), prefix+"digest", e.Ref().String()).Val())
		if len(token) != 4 {
			d.Fatalf("the token of %s is %q", e.Ref(), token)
		}
		record := map[string]any{"digest": token[0], "read_at": json.Number(token[2]), "active": e.Active}
		if e.DN != "" {
			record["dn"] = e.DN
		}
		var attributes [][]string
		for _, a := range e.Attributes {
			attributes = append(attributes, append([]string{a.Name}, a.Values...))
		}
		record["attributes"] = attributes
		put := func(key string) {
			text, err := json.Marshal(record)
			d.must(err)
			d.must(d.rdb.HSet(d.Context(), prefix+key, string(e.ID), text).Err())
		}
		if e.Kind == directory.Group {
			put("head")
		}
		for _, m := range e.Members {
			list, _ := record[m.Kind.String()+"s"].([]directory.ID)
			record[m.Kind.String()+"s"] = append(list, m.ID)
		}
		put(e.Kind.String())
	}
}

// What a build of format 1 stored is read, is not written again without a change, and can be changed.
func TestEntriesOfFormat1(t *testing.T) {
	each(t, func(d *dir) {
		ada, bob, all := user("ada"), user("bob"), group("all", userRef("ada"), userRef("bob"), groupRef("staff"))
		ada.Attributes = ada.Attributes.Set("ldap.title", "Countess")
		bob.Active = false
		s := snapshot(ada, bob, all, group("staff", userRef("ada")))
		d.sync("corp", "one", noon, s)
		inFormat1(d, s.Entries...)
		d.equal("Entries", d.read(d.reader()).Entries, s.Entries)
		around, err := d.reader().Around(t.Context(), directory.Neighbourhood{Refs: []directory.Ref{ada.Ref()}})
		d.must(err)
		if len(around.Entries) != 3 {
			d.Errorf("Around(ada) = %v, want ada and both groups", around.Entries)
		}
		if n, _ := d.sync("corp", "two", at(1), s); n != 0 {
			d.Errorf("%d changes, want none", n)
		}
		ada.Attributes = ada.Attributes.Clone().Set(directory.GivenName, "Augusta")
		s = snapshot(ada, bob, group("all", userRef("ada"), groupRef("staff")), group("staff", userRef("ada")))
		if n, _ := d.sync("corp", "three", at(2), s); n != 2 {
			d.Errorf("%d changes, want a field and a member", n)
		}
		d.equal("Entries after a change", d.read(d.reader()).Entries, s.Entries)
	})
}
