package problem_test

import (
	"errors"
	"fmt"
	"testing"

	"rollcall/internal/problem"
)

func TestAllTakesATreeApartInOrder(t *testing.T) {
	t.Parallel()
	err := errors.Join(
		problem.Field("base_dn", "is no DN"),
		errors.Join(errors.New("plain"), fmt.Errorf("wrapped: %w", problem.Field("slug", "is empty"))),
	)
	var got []string
	for _, p := range problem.All(err) {
		got = append(got, p.Field+"|"+p.Err.Error())
	}
	want := []string{"base_dn|is no DN", "|plain", "slug|is empty"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("All() = %q, want %q", got, want)
	}
	if problem.All(nil) != nil {
		t.Error("All(nil) is not empty")
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"base_dn", "bind_cn", "bind_password_file", "slug"}
	for word, want := range map[string]string{
		"base_nd": "base_dn", "baseDN": "base_dn", "SLUG": "slug", "bind_pasword_file": "bind_password_file", "colour": "",
		"": "",
	} {
		if got := problem.Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
