package entra

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func manyUsers(n int) *half[user] {
	h := &half[user]{Made: "x", Link: "/users/delta?$deltatoken=x", Linked: time.Unix(1_800_000_000, 0).UTC(),
		objects: map[string]*user{}}
	for i := range n {
		id := fmt.Sprintf("%08x-7b42-4d60-9e11-5f3a1c9e0000", i)
		h.objects[id] = &user{
			ID: id, UPN: fmt.Sprintf("person%07d@example.com",
				i), Anchor: "XzocnntCTWCeEQAAAAAAAQ==", Disabled: i%50 == 0,
			Fields: []string{fmt.Sprintf("Person %07d", i), "Given", "Surname", "Department of Whatever"},
		}
	}
	return h
}

func TestHalfIsReadBack(t *testing.T) {
	t.Parallel()
	h := manyUsers(1000)
	blob, err := h.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(blob, func(u *user) string { return u.ID })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, got, cmp.AllowUnexported(half[user]{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what came back (-want +got):\n%s", diff)
	}
	for _, cut := range []int{0, 10, len(blob) / 2, len(blob) - 60} {
		if _, err := decode(blob[:cut], func(u *user) string { return u.ID }); err == nil {
			t.Errorf("%d of %d bytes are taken for a whole", cut, len(blob))
		}
	}
}

// BenchmarkHalf encodes and decodes a half of 100,000 users.
func BenchmarkHalf(b *testing.B) {
	h := manyUsers(100_000)
	for b.Loop() {
		blob, err := h.encode()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(blob)))
		if _, err := decode(blob, func(u *user) string { return u.ID }); err != nil {
			b.Fatal(err)
		}
	}
}
