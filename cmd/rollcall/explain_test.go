package main

import (
	"strings"
	"testing"
	"time"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/fault"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/source"
)

var ada = directory.Entry{
	Kind: directory.User, ID: "u-1", Source: "corp", DN: "uid=ada,ou=people,dc=example,dc=com", Active: true,
	Attributes: directory.Attributes{{Name: directory.UserName, Values: []string{"ada"}}},
}

// explanation has an entry that matches one provider and waits for a person at the other.
func explanation(s *service) explain.Input {
	object := plan.Object{Ref: ada.Ref(), RemoteID: "r-1", Address: "ada@example.com", Active: true}
	desired := plan.Desired{Ref: ada.Ref(), Label: "ada", Address: "ada@example.com", Active: true}
	values := []mapping.Value{{Field: "address", Expression: "mail", Values: []string{"ada@example.com"}}}
	return explain.Input{
		Ref: ada.Ref(),
		Sources: []explain.SourceInput{{
			Container: corp, Enabled: true, Copy: explain.Copy{Completed: true, ReadAt: s.clock(), CompletedAt: s.clock()},
			Stored: &ada,
			Location: &source.Location{Server: "ldap://ldap", Searched: []string{"ou=people,dc=example,dc=com"},
				Sightings: []source.Sighting{{
					Ref: ada.Ref(), DN: ada.DN, Entry: &ada, Rules: []source.Rule{{Key: "user_object_filter",
						Setting: "(objectClass=person)", Met: true}},
				}}},
		}},
		Providers: []explain.ProviderInput{
			{
				Container: google, Mapping: values, Attempts: []decisions.Attempt{{At: s.clock(), RunID: "run-1", Op: "create",
					Fields: []string{"name.givenName"}, RemoteID: "r-1"}},
				Hop: reconcile.Explanation{Entry: &ada, Desired: &desired, Link: plan.Link{RemoteID: "r-1"},
					Objects: []plan.Object{object}},
			},
			{
				Container: entra, Mapping: values, Attempts: []decisions.Attempt{{
					At: s.clock(), RunID: "run-2", Op: "create", FailKind: "conflict", FailText: "409: somebody has it",
					RequestID: "req-9",
				}},
				Hop: reconcile.Explanation{
					Entry: &ada, Desired: &desired, Objects: []plan.Object{{Ref: directory.Ref{Kind: directory.User}, RemoteID: "r-9",
						Address: "ada@example.com", Active: true}},
					Apply: plan.Plan{Held: []plan.Held{{Ref: ada.Ref(), Label: "ada", Reason: plan.AddressTaken,
						Detail: "user ada@example.com (r-9) has the address and is not ours"}}},
				},
			},
		},
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	s := newService(t)
	in := explanation(s)
	s.knows = map[explain.Query]explain.Input{
		{By: explain.ByEmail, Value: "ada@example.com"}: in, {By: explain.ByID, Value: "u-1"}: in,
	}
	s.do("explain", "ada@example.com").want(t, codeHeld).golden(t, "explain")
	s.as(person{env: map[string]string{varToken: readToken}}, "explain", "u-1").want(t, codeHeld, "In step")
	if r := s.do("explain", "--by", "id", "u-1", "--json").want(t, codeHeld); !strings.HasPrefix(r.stdout,
		`{"query":{"by":"id","value":"u-1"}`) {
		t.Errorf("as JSON: %s", r.stdout)
	}
	s.do("explain", "nobody@example.com").want(t, codeFailure,
		`No entry of the local directory has the email "nobody@example.com"`)
	s.do("explain", "ada", "--by", "name").want(t, codeUsage, "want id, email or username")
	s.do("explain").want(t, codeUsage)
}

// The exit code is that of the gravest thing.
func TestExplainExitCodes(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ok, deaf := explanation(s), explanation(s)
	ok.Providers = ok.Providers[:1]
	ok.Providers[0].Receipt = &decisions.Receipt{Op: "suspend", Seen: s.clock(), Decided: s.clock(),
		Confirmed: s.clock().Add(2 * time.Second), Sessions: decisions.SessionsEnded}
	deaf.Providers = []explain.ProviderInput{{Container: google, Hop: reconcile.Explanation{
		Entry: &ada, Link: plan.Link{RemoteID: "r-1"}, RemoteErr: fault.Errorf(fault.Unavailable, "no answer"),
	}}}
	s.knows = map[explain.Query]explain.Input{
		{By: explain.ByUserName, Value: "ok"}: ok, {By: explain.ByUserName, Value: "deaf"}: deaf,
		{By: explain.ByUserName, Value: "two"}: {Candidates: []explain.Candidate{{Ref: ada.Ref(), Label: "ada"},
			{Ref: ada.Ref(), Label: "ada2"}}},
	}
	s.do("explain", "ok").want(t, 0, "in step", "receipt: seen 2026-", "(2s), sessions ended")
	s.do("explain", "deaf").want(t, codeFailure, "could not be asked: no answer", "By our records its account is r-1")
	s.do("explain", "two").want(t, codeHeld, "2 entries have", "ada2")
}
