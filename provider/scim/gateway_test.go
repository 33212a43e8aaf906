package scim_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/scim"
)

// TestPagesOfAGateway checks that only an answer of the server makes an account gone, because a suspension would be
// forgotten. A 404 that is not SCIM's counts where the server repeats it after a list of the same kind.
func TestPagesOfAGateway(t *testing.T) {
	t.Parallel()
	const plain, object = "404 page not found\n", `{"timestamp":"2026-03-01","status":404,"error":"Not Found"}`
	for name, tc := range map[string]struct {
		body, lists string
		want        fault.Kind
	}{
		"a page":                      {"<!DOCTYPE html>Not found", "/Users", fault.Unavailable},
		"XML":                         {"\n <html>", "/Users", fault.Unavailable},
		"text":                        {plain, "", fault.Unavailable},
		"text, and users":             {plain, "/Users", fault.NotFound},
		"text, and groups":            {plain, "/Groups", fault.Unavailable},
		"JSON":                        {object, "", fault.Unavailable},
		"JSON, and users":             {object, "/Users", fault.NotFound},
		"nothing":                     {"", "", fault.Unavailable},
		"nothing, and users":          {"", "/Users", fault.NotFound},
		"SCIM":                        {`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"]}`, "", fault.NotFound},
		"an earlier version's":        {`{"schemas":["urn:scim:schemas:core:1.0"],"Errors":[]}`, "", fault.NotFound},
		"schemas that are no list":    {`{"schemas":"urn:ietf:params:scim"}`, "", fault.Unavailable},
		"an empty object, and users":  {`{}`, "/Users", fault.NotFound},
		"SCIM in an object, and none": {`{"response":{"schemas":["urn:scim:Error"]}}`, "", fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var filled atomic.Bool
			w := rewritten(t, func(r *reply) {
				lists := tc.lists != "" && strings.HasSuffix(r.URL.Path, tc.lists)
				if filled.Load() && r.Method != http.MethodDelete && !lists {
					r.status, r.body = http.StatusNotFound, tc.body
				}
			})
			users, _ := w.populate()
			w.clock.Advance(24 * time.Hour) // The account is not new.
			filled.Store(true)
			var err error
			if w.Provider, err = scim.New(w.cfg, scim.Options{Now: w.clock.Now}); err != nil {
				t.Fatal(err)
			}
			_ = w.refused(change(plan.Suspend, userRef("u0"), users[0]), tc.want)
		})
	}
}

// TestReadsGoOnPastAnAccountThatIsGone checks that a full read of a server whose 404s are not SCIM's finds that one
// account is gone. An answer that proves nothing leaves the account as it is, and the rest is read.
func TestReadsGoOnPastAnAccountThatIsGone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		gone bool
	}{
		"text": {"404 page not found\n", true}, "JSON": {`{"message":"Not Found"}`, true}, "nothing": {"", true},
		"a page": {"<html>", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := rewritten(t, func(r *reply) {
				if r.status == http.StatusNotFound {
					r.body = tc.body
				}
			})
			users, _ := w.populate()
			w.clock.Advance(24 * time.Hour)
			w.again() // It repeats no call.
			if done := w.apply(change(plan.Delete, userRef("u0"), users[0]))[0]; (done.Err == nil) != tc.gone {
				t.Errorf("the deletion: %v, want it done: %v", done.Err, tc.gone)
			}
			known := map[directory.Ref]plan.Link{}
			for i, id := range users {
				known[userRef(directory.ID(fmt.Sprint("u", i)))] = plan.Link{RemoteID: id}
			}
			state := w.read(provider.Query{Known: known})
			read := map[directory.Ref]plan.Object{}
			for _, o := range state.Objects {
				read[o.Ref] = o
			}
			o, there := read[userRef("u0")]
			if there == tc.gone || there && !o.Unreadable {
				t.Errorf("the account that is gone: %+v, %v, want it absent: %v", o, there, tc.gone)
			}
			if !read[userRef("u1")].Active {
				t.Errorf("the other account: %+v, want it as it is", read[userRef("u1")])
			}
		})
	}
}
