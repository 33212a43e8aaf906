package console_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
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

// Problems come first where the cards do not fit on a screen. A few cards keep their places.
func TestOrderOfTheCards(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{3: "ldap-corp ldap-b google_workspace-1 ", 13: "google_workspace-1 ldap-b "} {
		all := []api.Resource{{Container: corp, Disabled: true}, {Container: "ldap:b"}, {Container: google}}
		for i := len(all); i < n; i++ {
			all = append(all, api.Resource{Container: container.ID(fmt.Sprintf("ldap:c%d", i)), Disabled: true})
		}
		h := hallOn(t, redistest.Mini(t), true, all)
		h.run("ldap:b", status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
		h.run(google, status.End{State: status.Failed, FailReason: "no"}, plan.Plan{}, plan.Plan{})
		got := ""
		for _, found := range regexp.MustCompile(`<article class="card" aria-labelledby="card-([^"]+)-name">`).
			FindAllStringSubmatch(h.get("/"), -1) {
			got += found[1] + " "
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("the first of %d cards are %s, want %s", n, got, want)
		}
	}
}

// The first view of 100 sources and providers with 30 runs each.
func BenchmarkOverview(b *testing.B) {
	h := hundred(b, 30)
	for b.Loop() {
		h.get("/")
	}
}

// Held changes of a disaster, beside the bare reading of the counts and the digest.
func BenchmarkHeld(b *testing.B) {
	h := hallOn(b, redistest.Start(b), true, []api.Resource{{Container: google, Name: "Tenant"}})
	var held []decisions.HeldChange
	for i := range 25_000 {
		held = append(held, leaver(fmt.Sprintf("person-%d", i)))
	}
	h.hold(google, "r", held...)
	for _, path := range []string{"/held/", "/held/google_workspace/1/?by=action&page=250",
		"/held/google_workspace/1/?q=person-77",
		"/leavers/"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				h.get(path)
			}
		})
	}
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			if _, err := h.decisions.HeldCounts(b.Context(), google); err != nil {
				b.Fatal(err)
			}
		}
	})
}
