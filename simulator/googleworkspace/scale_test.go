package googleworkspace_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rollcall/simulator/googleworkspace"
)

// directOps calls a tenant's handler without a network between.
func directOps(b *testing.B, tenant *googleworkspace.Tenant) func(method, target, body string) string {
	token := "Bearer " + tenant.IssueToken()
	handler := tenant.Handler()
	return func(method, target, body string) string {
		r := httptest.NewRequestWithContext(b.Context(), method, "/admin/directory/v1/"+target, strings.NewReader(body))
		r.Header.Set("Authorization", token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		answer, _ := io.ReadAll(w.Body)
		if w.Code >= http.StatusMultipleChoices {
			b.Fatalf("%s %s: %d %s", method, target, w.Code, answer)
		}
		return string(answer)
	}
}

func seedLarge(b *testing.B) *googleworkspace.Tenant {
	b.Helper()
	tenant := googleworkspace.New(googleworkspace.Config{})
	for i := range 20_000 {
		if _, err := tenant.AddUser(googleworkspace.User{PrimaryEmail: fmt.Sprintf("u%05d@example.com", i),
			GivenName: "G", FamilyName: "F"}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 2_000 {
		group := fmt.Sprintf("g%04d@example.com", i)
		if _, err := tenant.AddGroup(googleworkspace.Group{Email: group}); err != nil {
			b.Fatal(err)
		}
		for j := range 20 {
			if _, err := tenant.AddMember(group, googleworkspace.Member{Email: fmt.Sprintf("u%05d@example.com",
				(i*10+j)%20_000)}); err != nil {
				b.Fatal(err)
			}
		}
	}
	return tenant
}

// BenchmarkTenant measures single calls on a tenant of 20,000 users and 2,000 groups of 20 members.
func BenchmarkTenant(b *testing.B) {
	tenant := seedLarge(b)
	do := directOps(b, tenant)
	b.Run("users.list of 500", func(b *testing.B) {
		for b.Loop() {
			do("GET", "users?customer=my_customer&maxResults=500", "")
		}
	})
	b.Run("users.get", func(b *testing.B) {
		for b.Loop() {
			do("GET", "users/u10000@example.com", "")
		}
	})
	b.Run("members.list", func(b *testing.B) {
		for b.Loop() {
			do("GET", "groups/g1000@example.com/members", "")
		}
	})
	b.Run("users.insert", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n++
			do("POST", "users", fmt.Sprintf(
				`{"primaryEmail":"n%d@example.com","password":"12345678","name":{"givenName":"G","familyName":"F"}}`, n))
		}
	})
	b.Run("members.insert and delete", func(b *testing.B) {
		for b.Loop() {
			do("POST", "groups/g1000@example.com/members", `{"email":"u00001@example.com"}`)
			do("DELETE", "groups/g1000@example.com/members/u00001@example.com", "")
		}
	})
}
