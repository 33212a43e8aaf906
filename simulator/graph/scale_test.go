package graph_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rollcall/simulator/graph"
)

// directOps calls a tenant's handler without a network.
func directOps(b *testing.B, tenant *graph.Tenant) func(method, target, body string) string {
	token := "Bearer " + tenant.IssueToken()
	handler := tenant.Handler()
	return func(method, target, body string) string {
		r := httptest.NewRequestWithContext(b.Context(), method, "/v1.0/"+escape(target), strings.NewReader(body))
		r.Header.Set("Authorization", token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		answer, _ := io.ReadAll(w.Body)
		if w.Code >= http.StatusMultipleChoices {
			b.Fatalf("%s %s: %d %s", method, target, w.Code, answer)
		}
		return string(answer)
	}
}

// seedLarge fills a tenant with 20,000 users and 2,000 groups of 20 members.
func seedLarge(b *testing.B) (tenant *graph.Tenant, users, groups []string) {
	b.Helper()
	tenant = graph.New(graph.Config{})
	users = seedUsers(b, tenant, 20_000)
	for i := range 2_000 {
		g, err := tenant.AddGroup(graph.Group{DisplayName: fmt.Sprintf("Group %d", i),
			UniqueName: fmt.Sprintf("rollcall-%d", i)})
		if err != nil {
			b.Fatal(err)
		}
		groups = append(groups, g.ID)
		for j := range 20 {
			if err := tenant.AddMember(g.ID, users[(i*10+j)%len(users)]); err != nil {
				b.Fatal(err)
			}
		}
	}
	return tenant, users, groups
}

// newUserItem is the format of a batch item that creates a user.
const newUserItem = `{"id":"%d","method":"POST","url":"/users","headers":{"Content-Type":"application/json"},
	"body":{"accountEnabled":true,"displayName":"n","mailNickname":"n%d","userPrincipalName":"n%d@example.com",
	"passwordProfile":{"password":"xWwvJ]6NMw+bWH-d"}}}`

// BenchmarkTenant measures single calls on a tenant of 20,000 users and 2,000 groups of 20 members.
func BenchmarkTenant(b *testing.B) {
	tenant, users, groups := seedLarge(b)
	do := directOps(b, tenant)
	token := func(answer string) string {
		_, rest, _ := strings.Cut(answer, "/v1.0/users/delta?")
		link, _, _ := strings.Cut(rest, `"`)
		return "users/delta?" + link
	}
	b.Run("users.list of 999", func(b *testing.B) {
		for b.Loop() {
			do("GET", "users?$select=id,userPrincipalName,displayName,accountEnabled,onPremisesImmutableId&$top=999", "")
		}
	})
	b.Run("users.list by filter", func(b *testing.B) {
		for b.Loop() {
			do("GET", "users?$select=id&$filter=onPremisesImmutableId eq 'id10000=='", "")
		}
	})
	b.Run("members.list", func(b *testing.B) {
		for b.Loop() {
			do("GET", "groups/"+groups[1000]+"/members?$select=id&$top=999", "")
		}
	})
	b.Run("users.delta of nothing", func(b *testing.B) {
		link := token(do("GET", "users/delta?$deltatoken=latest", ""))
		for b.Loop() {
			do("GET", link, "")
		}
	})
	b.Run("users.delta of one change", func(b *testing.B) {
		link := token(do("GET", "users/delta?$deltatoken=latest", ""))
		n := 0
		for b.Loop() {
			n++
			do("PATCH", "users/"+users[n%len(users)], fmt.Sprintf(`{"jobTitle":"t%d"}`, n))
			link = token(do("GET", link, ""))
		}
	})
	b.Run("batch of 20 users.create", func(b *testing.B) {
		n := 0
		for b.Loop() {
			var items []string
			for i := range 20 {
				n++
				items = append(items, fmt.Sprintf(newUserItem, i, n, n))
			}
			do("POST", "$batch", `{"requests":[`+strings.Join(items, ",")+`]}`)
		}
	})
	b.Run("20 members at once", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			g, err := tenant.AddGroup(graph.Group{DisplayName: "x"})
			if err != nil {
				b.Fatal(err)
			}
			body := `{"members@odata.bind":["` + strings.Join(refs(users[:20]...), `","`) + `"]}`
			b.StartTimer()
			do("PATCH", "groups/"+g.ID, body)
		}
	})
}
