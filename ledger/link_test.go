package ledger_test

import (
	"encoding/json"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/plan"
)

// Links that a build of format 1 stored as JSON are read beside others, and are replaced.
func TestLinksOfFormat1(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	l := ledger.NewRedis(rdb, "google_workspace:1")
	links := map[directory.Ref]plan.Link{
		{Kind: directory.User, ID: "1"}: {},
		{Kind: directory.User, ID: "2"}: {RemoteID: "115514674263130473766", Created: now.Add(123456789), Rekey: "8719"},
		{Kind: directory.User, ID: "3"}: {RemoteID: "0ecbd79a-be2c-47fb-af04-af988f741293", Suspended: true,
			Departed: now, Why: plan.Absent, Yields: "ada@example.org", Given: "c2hhcmVkMQ-_"},
		{Kind: directory.Group, ID: "4"}: {RemoteID: "1970", Created: time.Unix(0, 0).UTC(), Inactive: true},
	}
	for ref, link := range links {
		text, err := json.Marshal(link)
		must(t, err)
		must(t, rdb.HSet(t.Context(), "rollcall:{google_workspace:1}:ledger:links", ref.String(), text).Err())
	}
	want(t, "Links() of format 1")(l.Links(t.Context()))(links)
	some := directory.Ref{Kind: directory.User, ID: "3"}
	must(t, l.PutLinks(t.Context(), map[directory.Ref]plan.Link{some: links[some]}))
	want(t, "Links() of both formats")(l.Links(t.Context()))(links)
	must(t, l.PutLinks(t.Context(), links))
	want(t, "Links()")(l.Links(t.Context()))(links)
	got, total, err := l.Departed(t.Context(), ledger.Leaving{Limit: 10})
	if err != nil || total != 1 || len(got) != 1 || got[0].Ref != some {
		t.Errorf("Departed() = %v, %d, %v; want %s", got, total, err, some)
	}
}
