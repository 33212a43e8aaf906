package console_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/api"
	"rollcall/container"
	"rollcall/internal/redistest"
	"rollcall/plan"
	"rollcall/status"
)

// hundred returns a hall with 100 sources and providers. Each has runs and one held change.
func hundred(t testing.TB, runs int) *hall {
	t.Helper()
	resources := []api.Resource{{Container: corp, Name: "Corporate directory"}}
	for i := range 99 {
		resources = append(resources, api.Resource{Container: container.ID(fmt.Sprintf("google_workspace:%d", i+1)),
			Name: fmt.Sprintf("Tenant %d", i+1)})
	}
	h := hallOn(t, redistest.Start(t), true, resources)
	for _, res := range resources {
		for range runs {
			h.run(res.Container, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
		}
		h.hold(res.Container, "r", leaver("ada"))
	}
	return h
}

// The first view of 100 sources and providers, which is the page, its files and what its stream begins with.
func TestOverviewOfAHundred(t *testing.T) {
	t.Parallel()
	h := hundred(t, 1)
	resp, body, next := h.open(h.reader, "/")
	page := string(plainly(t, resp, body))
	if n := strings.Count(page, "<article"); n != 100 || !strings.Contains(page, `<b class="badge">100</b>`) {
		t.Errorf("%d cards, want 100, and 100 held changes: %s", n, page)
	}
	weight := len(body)
	for _, file := range []string{"console.css", "console.js", "icon.svg"} {
		weight += len(h.as("", http.MethodGet, "/assets/"+file, nil, func(r *http.Request) {
			r.Header.Set("Accept-Encoding", "gzip")
		}).body)
	}
	h.hold(corp, "r", leaver("ada"), leaver("ben")) // which two parts show
	for range 2 {
		weight += len(next().HTML)
	}
	if weight > 150_000/4 {
		t.Errorf("the first view weighs %d bytes", weight)
	}
}

// Problems come first.
func TestOrderOfTheCards(t *testing.T) {
	t.Parallel()
	h := hallOn(t, redistest.Mini(t), true, []api.Resource{{Container: corp, Disabled: true}, {Container: "ldap:b"},
		{Container: "ldap:c"}, {Container: google}})
	h.run("ldap:c", status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
	h.run("ldap:b", status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
	h.run(google, status.End{State: status.Failed, FailReason: "no"}, plan.Plan{}, plan.Plan{})
	page := h.get("/")
	var got []string
	for _, found := range regexp.MustCompile(`<div id="(card-[^"]+[^s])">`).FindAllStringSubmatch(page, -1) {
		got = append(got, found[1])
	}
	want := []string{"card-google_workspace-1", "card-ldap-b", "card-ldap-c", "card-ldap-corp"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the cards (-want +got):\n%s", diff)
	}
}

// The first view of 100 sources and providers with 30 runs each.
func BenchmarkOverview(b *testing.B) {
	h := hundred(b, 30)
	for b.Loop() {
		h.get("/")
	}
}
