package sourcetest

import (
	"fmt"
	"slices"

	"rollcall/directory"
)

// id returns the nth entry's ID.
func id(n int) directory.ID { return directory.ID(fmt.Sprintf("%08x-aaaa-4bbb-8ccc-00000000000d", n)) }

func user(n int) directory.Ref  { return directory.Ref{Kind: directory.User, ID: id(n)} }
func group(n int) directory.Ref { return directory.Ref{Kind: directory.Group, ID: id(100 + n)} }

// People returns the entries of the suite. They are a hundred users and some groups, with names, values and
// memberships that sources tend to get wrong.
func People() []directory.Entry {
	var all []directory.Entry
	for i, p := range []struct {
		login, cn, given, sn string
		mail                 []string
		disabled             bool
	}{
		{login: "ada", cn: "Ada King", given: "Ada", sn: "King",
			mail: []string{"King@example.org", "a@example.org", "ada@example.org"}},
		{login: "BOB", cn: "King, Bob", given: "Bob", sn: "King"},
		{login: "jürgen", cn: "Jürgen Groß", given: "Jürgen", sn: "Groß", mail: []string{"juergen@example.org"}},
		{login: "off", cn: "Switched Off", sn: "Off", disabled: true},
		{login: "o'neil+x", cn: `O"Neil <#1>; \ = *`, sn: "(O'Neil)"},
		{login: "山田", cn: "山田 太郎", given: "太郎", sn: "山田"},
	} {
		all = append(all, person(i, p.login, p.cn, p.given, p.sn, p.mail, !p.disabled))
	}
	for i := len(all); i < 100; i++ {
		login := fmt.Sprintf("u%03d", i)
		all = append(all, person(i, login, "User "+login, "User", login, []string{login + "@example.org"}, true))
	}
	everyone := make([]directory.Ref, 100)
	for i := range everyone {
		everyone[i] = user(i)
	}
	all = append(all,
		team(0, "staff", "Everybody here", user(2), user(0), user(1), user(3), user(4), user(5)),
		team(1, "nested", "", group(0), user(9)),
		team(2, "Köln, Büro", "Groups have names too", user(0)),
		team(3, "strangers", "", user(0), directory.Ref{Kind: directory.User, ID: id(5000)},
			directory.Ref{Kind: directory.Group, ID: id(6000)}),
		team(4, "loop-a", "", group(5)),
		team(5, "loop-b", "", group(4), user(1)),
		team(6, "everyone", "", everyone...),
	)
	slices.Reverse(all)
	return all
}

// Want returns the entries that a source with People must return.
func Want() []directory.Entry {
	all := People()
	known := map[directory.Ref]bool{}
	for i := range all {
		known[all[i].Ref()] = true
	}
	for i := range all {
		all[i].Members = slices.DeleteFunc(all[i].Members, func(m directory.Ref) bool { return !known[m] })
		slices.SortFunc(all[i].Members, directory.Ref.Compare)
	}
	slices.SortFunc(all, func(a, b directory.Entry) int { return a.Ref().Compare(b.Ref()) })
	return all
}

func person(n int, login, cn, given, sn string, mail []string, active bool) directory.Entry {
	e := directory.Entry{Kind: directory.User, ID: id(n), Active: active}
	e.Attributes = e.Attributes.Set(directory.UserName, login).Set(directory.CommonName, cn).Set(directory.FamilyName, sn)
	if given != "" {
		e.Attributes = e.Attributes.Set(directory.GivenName, given).Set(directory.DisplayName, given+" "+sn)
	}
	if len(mail) > 0 {
		e.Attributes = e.Attributes.Set(directory.Mail, mail...)
	}
	e.Attributes = e.Attributes.Set(directory.EmployeeNumber, fmt.Sprintf("%04d", n))
	return e
}

func team(n int, cn, description string, members ...directory.Ref) directory.Entry {
	e := directory.Entry{Kind: directory.Group, ID: id(100 + n), Active: true, Members: members}
	e.Attributes = e.Attributes.Set(directory.CommonName, cn).Set(directory.DisplayName, cn)
	if description != "" {
		e.Attributes = e.Attributes.Set(directory.Description, description)
	}
	return e
}
