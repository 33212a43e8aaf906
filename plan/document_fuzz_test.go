package plan_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"rollcall/plan"
)

// FuzzRow reads the rows of a stored plan. A row that is read is written in one form, and its table shows no control
// character.
func FuzzRow(f *testing.F) {
	f.Add([]byte(`{"row":"change","op":"create","kind":"user","id":"ann","address":"ann@example.com",` +
		`"fields":[{"name":"x","after":["1"]}]}`))
	f.Add([]byte(`{"row":"held","op":"suspend","kind":"user","id":"ann","guard":"limit",` +
		`"held":"\u001b[2J","label":"\u202eann"}`))
	f.Add([]byte(`{"row":"conflict","kind":"group","id":"staff","detail":"two\nlines"}`))
	f.Add([]byte(`{"row":"note","kind":"user","id":"a\u0000"}`))
	f.Add([]byte(`{"row":"change","op":"add_member","kind":"group","member":{"kind":"user","id":"\u2028"},"fields":null}`))
	f.Add([]byte(`{"row":"change","ROW":"note","fields":[null,{"name":"userPassword","before":["s"],"after":null}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var row, again plan.Row
		if json.Unmarshal(text, &row) != nil || row.Change.Kind == 0 && row.Entry.Kind == 0 {
			return
		}
		first, err := json.Marshal(row)
		if err != nil {
			return // An operation without a name was never stored.
		}
		if err := json.Unmarshal(first, &again); err != nil {
			t.Fatalf("%s of %q cannot be read: %v", first, text, err)
		}
		if second, err := json.Marshal(again); err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s is written again as %s, %v", first, second, err)
		}
		var table strings.Builder
		apply, held := plan.Collect([]plan.Row{row})
		if err := plan.WriteTable(&table, apply, held); err != nil {
			t.Fatal(err)
		}
		shown := strings.ReplaceAll(table.String(), "\n", "")
		if i := strings.IndexFunc(shown, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
		}); i >= 0 {
			t.Errorf("the table of %s has the character %q", first, shown[i:min(len(shown), i+4)])
		}
		if n := strings.Count(table.String(), "\n"); n > 8 {
			t.Errorf("the table of one row has %d lines: %q", n, table.String())
		}
	})
}
