package googleworkspace_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/internal/testclock"
	"rollcall/simulator/googleworkspace"
)

func TestNewUserIsOutOfSight(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	_, s := open(t, googleworkspace.Config{Now: clock.Now,
		Consistency: googleworkspace.Consistency{Create: 5 * time.Second}})
	u := insertUser(t, s, "liz@example.com")
	_, err := s.Users.Get(u.Id).Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: userKey")
	_, err = s.Users.Get("liz@example.com").Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: userKey")
	list, err := s.Users.List().Customer("my_customer").Do()
	noError(t, err)
	if got := emailsOf(list.Users); !cmp.Equal(got, []string{"admin@example.com"}) {
		t.Errorf("list = %v", got)
	}
	wantError(t, s.Users.Delete(u.Id).Do(), 412, "conditionNotMet", "User creation is not complete.")
	_, err = s.Users.Insert(newUser("liz@example.com")).Do()
	wantError(t, err, 409, "duplicate", "Entity already exists.")

	clock.Advance(5 * time.Second)
	_, err = s.Users.Get(u.Id).Do()
	noError(t, err)
	noError(t, s.Users.Delete(u.Id).Do())
}

func TestNewGroupIsOutOfSight(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	_, s := open(t, googleworkspace.Config{Now: clock.Now,
		Consistency: googleworkspace.Consistency{Create: 5 * time.Second}})
	g := insertGroup(t, s, "team@example.com")
	_, err := s.Members.Insert(g.Id, &admin.Member{Email: "admin@example.com"}).Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: groupKey")
	_, err = s.Groups.Insert(&admin.Group{Email: "team@example.com"}).Do()
	wantError(t, err, 409, "duplicate", "Entity already exists.")
	clock.Advance(5 * time.Second)

	u := insertUser(t, s, "liz@example.com")
	_, err = s.Members.Insert(g.Id, &admin.Member{Id: u.Id}).Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: memberKey")
	clock.Advance(5 * time.Second)
	insertMember(t, s, g.Id, u.PrimaryEmail)
}

func TestRenamedUserIsBusy(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	_, s := open(t, googleworkspace.Config{Now: clock.Now, Consistency: googleworkspace.Consistency{Rename: time.Minute}})
	u := insertUser(t, s, "liz@example.com")
	_, err := s.Users.Update(u.Id, &admin.User{PrimaryEmail: "elizabeth@example.com"}).Do()
	noError(t, err)
	_, err = s.Users.Update(u.Id, &admin.User{Suspended: true}).Do()
	wantError(t, err, 409, "conflict", "Conflict")
	_, err = s.Users.Get(u.Id).Do()
	noError(t, err)
	clock.Advance(time.Minute)
	_, err = s.Users.Update(u.Id, &admin.User{Suspended: true}).Do()
	noError(t, err)
}

func TestReadsTrailWrites(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	tenant, s := open(t, googleworkspace.Config{Now: clock.Now})
	u, g := insertUser(t, s, "liz@example.com"), insertGroup(t, s, "team@example.com")
	old := insertMember(t, s, g.Id, "admin@example.com")
	tenant.SetConsistency(googleworkspace.Consistency{Read: time.Minute})

	answer, err := s.Users.Update(u.Id, &admin.User{Suspended: true}).Do()
	noError(t, err)
	if !answer.Suspended {
		t.Error("the answer of a write shows the old state")
	}
	insertMember(t, s, g.Id, u.Id)
	noError(t, s.Members.Delete(g.Id, old.Id).Do())
	_, err = s.Members.Insert(g.Id, &admin.Member{Id: u.Id}).Do()
	wantError(t, err, 409, "duplicate", "Member already exists.")

	show := func() (suspended bool, members []string, count int64) {
		t.Helper()
		seen, err := s.Users.Get(u.Id).Do()
		noError(t, err)
		list, err := s.Members.List(g.Id).Do()
		noError(t, err)
		for _, m := range list.Members {
			members = append(members, m.Email)
		}
		group, err := s.Groups.Get(g.Id).Do()
		noError(t, err)
		return seen.Suspended, members, group.DirectMembersCount
	}
	if suspended, members, count := show(); suspended || !cmp.Equal(members, []string{"admin@example.com"}) || count != 1 {
		t.Errorf("at once: suspended %v, members %v, count %d", suspended, members, count)
	}
	noError(t, s.Users.Delete(u.Id).Do())
	clock.Advance(59 * time.Second)
	if _, err := s.Users.Get(u.Id).Do(); err != nil {
		t.Errorf("get before the delay is over: %v", err)
	}
	clock.Advance(time.Second)
	_, err = s.Users.Get(u.Id).Do()
	wantError(t, err, 412, "conditionNotMet", "User is deleted.")
	list, err := s.Members.List(g.Id).Do()
	noError(t, err)
	if len(list.Members) != 0 {
		t.Errorf("members in the end = %v", list.Members)
	}

	noError(t, s.Groups.Delete(g.Id).Do())
	groups, err := s.Groups.List().Customer("my_customer").Do()
	noError(t, err)
	if len(groups.Groups) != 1 {
		t.Errorf("a deleted group left the list at once: %v", groups.Groups)
	}
	clock.Advance(time.Minute)
	groups, err = s.Groups.List().Customer("my_customer").Do()
	noError(t, err)
	if len(groups.Groups) != 0 {
		t.Errorf("groups in the end = %v", groups.Groups)
	}
}
