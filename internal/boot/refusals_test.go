package boot_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/container"
	"rollcall/internal/slapdtest"
	google "rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
	simulator "rollcall/simulator/scim"
	"rollcall/status"
)

var (
	refusalSeeds  = flag.Int("refusals.seeds", 4, "how many directories TestLaw10RefusedObjectsHarmNoOther tries")
	refusalPeople = flag.Int("refusals.people", 300, "how many people TestLaw10FivePercentRefusedInEveryTenant provisions")
)

// refuse makes the tenants refuse every write to objects for good, each in one of the forms that the vendors use. An
// object is known by a text that the body of its creation has, and by its ids where it exists.
func (o *office) refuse(r *rand.Rand, names []string) {
	ids := map[string][]string{}
	for _, u := range o.tenant.Users() {
		ids[u.PrimaryEmail] = append(ids[u.PrimaryEmail], u.ID)
	}
	for _, g := range o.tenant.Groups() {
		ids[g.Email] = append(ids[g.Email], g.ID)
	}
	for _, u := range o.graph.Users() {
		ids[u.UserPrincipalName] = append(ids[u.UserPrincipalName], u.ID)
	}
	for _, g := range o.graph.Groups() {
		ids[g.DisplayName+"@"+domain] = append(ids[g.DisplayName+"@"+domain], g.ID)
	}
	for _, u := range o.third.Users() {
		ids[u.UserName] = append(ids[u.UserName], u.ID)
	}
	for _, g := range o.third.Groups() {
		ids[g.DisplayName+"@"+domain] = append(ids[g.DisplayName+"@"+domain], g.ID)
	}
	for _, name := range names {
		g := []google.Fault{{Status: 403, Code: "forbidden", Message: "Not Authorized to access this resource/api"},
			{Status: 400, Code: "invalid", Message: "Invalid Input"},
			{Status: 412, Code: "conditionNotMet", Message: "Precondition Failed"}}[r.IntN(3)]
		e := []graph.Fault{{Status: 403, Code: "Authorization_RequestDenied"}, {Status: 400, Code: "Request_BadRequest"},
			{Status: 409, Code: "Request_Conflict"}}[r.IntN(3)]
		s := []simulator.Fault{{Status: 403}, {Status: 400, Code: "invalidValue"},
			{Status: 409, Code: "uniqueness"}}[r.IntN(3)]
		for _, s.Method = range []string{"*.create", "*.p*", "*.delete"} {
			places(name, ids[name], func(key, body string) {
				s.Key, s.Body = key, body
				o.third.Inject(s)
			})
		}
		g.Method = "directory.*.[^glh]*" // no get, list or hasMember
		g.Body = name
		o.tenant.Inject(g)
		for _, id := range ids[name] {
			byKey := g
			byKey.Body, byKey.Key = "", id
			inBody := g
			inBody.Body = id
			o.tenant.Inject(byKey, inBody)
		}
		for _, e.Method = range []string{"users.[^glm]*", "groups.[^gl]*", "members.[^lc]*"} {
			places(name, ids[name], func(key, body string) {
				e.Key, e.Body = key, body
				o.graph.Inject(e)
			})
		}
	}
}

// places calls f with each key and each text of a body by which a request concerns an object.
func places(name string, ids []string, f func(key, body string)) {
	f("", strings.TrimSuffix(name, "@"+domain))
	for _, id := range ids {
		f(id, "")
		f("", id)
	}
}

// picture returns what the tenants have by addresses, without the objects that were refused.
func (o *office) picture(refused []string) map[string]string {
	out, address := map[string]string{}, map[string]string{}
	for _, u := range o.tenant.Users() {
		address[u.ID] = u.PrimaryEmail
		out["google "+u.PrimaryEmail] = fmt.Sprintln(!u.Suspended, u.GivenName, u.FamilyName, u.Resource["organizations"])
	}
	for _, u := range o.graph.Users() {
		address[u.ID] = u.UserPrincipalName
		out["graph "+u.UserPrincipalName] = fmt.Sprintln(!u.Disabled, u.DisplayName, u.GivenName, u.Surname, u.JobTitle)
	}
	members := func(ids []string) string {
		var names []string
		for _, id := range ids {
			if name := address[id]; !slices.Contains(refused, name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return fmt.Sprint(names)
	}
	for _, g := range o.tenant.Groups() {
		var ids []string
		for _, m := range o.tenant.Members(g.ID) {
			ids = append(ids, m.ID)
		}
		out["google "+g.Email] = g.Name + members(ids)
	}
	for _, g := range o.graph.Groups() {
		out["graph "+g.DisplayName+"@"+domain] = g.DisplayName + members(o.graph.Members(g.ID))
	}
	for _, u := range o.third.Users() {
		address[u.ID] = u.UserName
		out["scim "+u.UserName] = fmt.Sprintln(u.Active, u.Attributes["displayName"], u.Attributes["title"])
	}
	for _, g := range o.third.Groups() {
		out["scim "+g.DisplayName+"@"+domain] = members(g.Members)
	}
	maps.DeleteFunc(out, func(key, _ string) bool {
		_, name, _ := strings.Cut(key, " ")
		return slices.Contains(refused, name)
	})
	return out
}

// shuffled returns entries and values in another order.
func shuffled(r *rand.Rand, all []entry) []entry {
	out := slices.Clone(all)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	for k := range out {
		p := slices.Clone(out[k].pairs)
		r.Shuffle(len(p)/2, func(i, j int) {
			p[2*i], p[2*j], p[2*i+1], p[2*j+1] = p[2*j], p[2*i], p[2*j+1], p[2*i+1]
		})
		out[k].pairs = p
	}
	return out
}

func (e *entry) value(name string) string {
	for i := 0; i < len(e.pairs); i += 2 {
		if e.pairs[i] == name {
			return e.pairs[i+1]
		}
	}
	return ""
}

// edit replaces or drops the values of an entry, and adds more.
func (e *entry) edit(change func(name, value string) (string, bool), more ...string) {
	var p []string
	for k := 0; k < len(e.pairs); k += 2 {
		if v, keep := change(e.pairs[k], e.pairs[k+1]); keep {
			p = append(p, e.pairs[k], v)
		}
	}
	e.pairs = append(p, more...)
}

// aDay is a later state of a directory. Some leave, are locked, join, marry, get a title, and change groups. It returns
// the addresses of the leavers, and the new ones of those who marry.
func aDay(r *rand.Rand, all []entry, leavers, joiners int) (next []entry, left, married []string) {
	gone := map[string]bool{}
	var people []int
	for i := range all {
		active := all[i].value("nsAccountLock")+all[i].value("shadowExpire") == ""
		if active && all[i].value("mail") != "" {
			people = append(people, i)
		}
	}
	r.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	next = slices.Clone(all)
	same := func(_, value string) (string, bool) { return value, true }
	for n, i := range people[:leavers+4] {
		uid := all[i].value("uid")
		switch {
		case n < leavers/2:
			gone[all[i].dn] = true
			left = append(left, uid+"@"+domain, "b"+uid+"@"+domain)
		case n < leavers:
			next[i].edit(same, "nsAccountLock", "TRUE")
			left = append(left, uid+"@"+domain, "b"+uid+"@"+domain)
		case n < leavers+2:
			next[i].edit(func(name, value string) (string, bool) {
				switch name {
				case "mail":
					return "m" + uid + "@" + domain, value != "b"+uid+"@"+domain
				case "sn":
					return "Married", true
				}
				return value, true
			})
			married = append(married, "m"+uid+"@"+domain)
		default:
			next[i].edit(func(name, value string) (string, bool) { return value, name != "title" }, "title", "Chief")
		}
	}
	var dns []string
	for n := range joiners {
		uid := fmt.Sprintf("j%06d", n)
		dns = append(dns, "uid="+uid+","+slapdtest.People)
		next = append(next, entry{dns[n], []string{"objectClass", "inetOrgPerson", "entryUUID",
			slapdtest.UUID(100000 + n), "uid", uid, "cn", "Joan " + uid, "sn", uid, "givenName", "Joan",
			"displayName", uid, "mail", uid + "@" + domain}})
	}
	for i := range next {
		if next[i].value("objectClass") != "groupOfNames" {
			continue
		}
		next[i].edit(func(name, value string) (string, bool) {
			return value, name != "member" || !gone[value] && r.IntN(20) > 0
		}, "member", dns[r.IntN(len(dns))])
	}
	next = append(next, entry{slapdtest.GroupDN(50), []string{"objectClass", "groupOfNames", "entryUUID",
		slapdtest.UUID(slapdtest.GroupUUIDs + 50), "cn", "g00050", "description", "New", "member", dns[0], "member", dns[1]}})
	return slices.DeleteFunc(next, func(e entry) bool { return gone[e.dn] }), left, married
}

// addresses returns the addresses that entries may have in a tenant, people's first.
func addresses(all []entry) (people, groups []string) {
	for i := range all {
		switch uid := all[i].value("uid"); {
		case uid != "":
			people = append(people, uid+"@"+domain)
		case all[i].value("objectClass") == "groupOfNames":
			groups = append(groups, all[i].value("cn")+"@"+domain)
		}
	}
	return people, groups
}

// alike returns every address of the people with these addresses.
func alike(names []string) (out []string) {
	for _, name := range names {
		out = append(out, name, "b"+name, "m"+name)
	}
	return out
}

// wholeCycle syncs everything, whatever is held or refused.
func (o *office) wholeCycle() {
	o.Helper()
	for _, name := range o.containers {
		if run := o.begin(name); run.State != status.Completed {
			o.Errorf("the run of %s is %s: %s", name, run.State, run.FailReason)
		}
	}
}

// Tenants refuse every write to some objects for good, from the first run or from a later day on. All other objects end
// as they do without refusals, in one run, in any order of the entries and their values. No leaver stays active.
func TestLaw10RefusedObjectsHarmNoOther(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*refusalSeeds) { //nolint:gosec // a count
		r := rand.New(rand.NewPCG(seed, 10))
		all := randomCompany(r, 64, false)
		next, left, _ := aDay(r, all, 2, 4)
		people, groups := addresses(next)
		var first, later []string
		for _, name := range slices.Concat(people, groups) {
			switch at := r.IntN(12); {
			case at == 0:
				first = append(first, name)
			case at == 1 && !slices.Contains(left, name):
				later = append(later, name)
			}
		}
		refused := alike(slices.Concat(first, later))
		calm := newOffice(t, officeOptions{ldif: ldif(all, nil), file: true, scim: true})
		rough := newOffice(t, officeOptions{ldif: ldif(shuffled(r, all), nil), file: true, scim: true})
		rough.refuse(r, alike(first))
		for day, text := range []string{"", ldif(next, nil)} {
			if day > 0 {
				calm.replace(text)
				rough.replace(ldif(shuffled(r, next), nil))
				rough.refuse(r, alike(later))
			}
			calm.wholeCycle()
			rough.wholeCycle()
			if diff := gocmp.Diff(calm.picture(refused), rough.picture(refused)); diff != "" {
				t.Fatalf("seed %d, day %d, refused %v, then %v (-want +got):\n%s", seed, day, first, later, diff)
			}
		}
		leavers := 0
		for key, state := range rough.picture(nil) { // The tenants never refused to suspend one who had an account.
			_, name, _ := strings.Cut(key, " ")
			if !slices.Contains(left, name) {
				continue
			}
			if leavers++; strings.HasPrefix(state, "true") {
				t.Errorf("seed %d: the leaver %s stays active", seed, key)
			}
		}
		if created := slices.DeleteFunc(slices.Clone(left), func(name string) bool {
			return slices.Contains(refused, name)
		}); len(created) > 0 && leavers == 0 {
			t.Errorf("seed %d: no leaver of %v has an account", seed, created)
		}
		if rough.tenant.Calls().Refused == 0 || rough.graph.Calls().Refused == 0 || rough.third.Calls().Refused == 0 {
			t.Errorf("seed %d: a tenant refused nothing", seed)
		}
		calm.rest()
		rough.rest()
	}
}

// A tenant refuses every twentieth person for good. The first provisioning and a day of changes each make every other
// change in one run, and every leaver is suspended before anything is created.
func TestLaw10FivePercentRefusedInEveryTenant(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 20))
	all := randomCompany(r, *refusalPeople, false)
	leavers := max(3, *refusalPeople/60)
	next, left, _ := aDay(r, all, leavers, 2**refusalPeople/25)
	people, _ := addresses(next)
	var refused []string
	for i, name := range people {
		if i%20 == 7 && !slices.Contains(left, name) {
			refused = append(refused, name)
		}
	}
	refused = alike(refused)
	calm := newOffice(t, officeOptions{ldif: ldif(all, nil), file: true, scim: true})
	rough := newOffice(t, officeOptions{ldif: ldif(all, nil), file: true, scim: true})
	rough.refuse(r, refused)
	for _, text := range []string{ldif(all, nil), ldif(next, nil)} {
		for _, o := range []*office{calm, rough} {
			o.replace(text)
			o.tenant.ResetCalls()
			o.graph.ResetCalls()
			o.third.ResetCalls()
			o.wholeCycle()
		}
		if diff := gocmp.Diff(calm.picture(refused), rough.picture(refused)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff[:min(len(diff), 3000)])
		}
	}
	for _, name := range []container.ID{workspace, entra, scim} {
		if set := rough.held(name); len(set.Changes) > 0 {
			t.Errorf("%s holds %d changes, want none: %s", name, len(set.Changes), set.Changes[0].Reason)
		}
	}
	inOrder(t, "Google", rough.tenant.Calls().Methods(), "directory.users.update", "directory.users.insert", leavers)
	inOrder(t, "Entra", rough.graph.Calls().Methods(), "users.update", "users.create", leavers)
	var methods []string
	for _, call := range rough.third.Calls().Log {
		methods = append(methods, call.Method)
	}
	inOrder(t, "SCIM", methods, "users.patch", "users.create", leavers)
}

// inOrder fails the test unless all leavers are suspended before the first creation.
func inOrder(t *testing.T, tenant string, methods []string, suspends, creates string, leavers int) {
	t.Helper()
	created := slices.Index(methods, creates)
	suspended := 0
	for _, m := range methods[:max(created, 0)] {
		if m == suspends {
			suspended++
		}
	}
	if created < 0 || suspended < leavers {
		t.Errorf("%s: %d of %d leavers were suspended before the first creation", tenant, suspended, leavers)
	}
}
