package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"rollcall/explain"
	"rollcall/internal/client"
	"rollcall/plan"
)

const cmdExplain = "explain"

func explainCommand(e *env) *cobra.Command {
	var by string
	c := &cobra.Command{
		Use: cmdExplain + " ID|MAIL|USERNAME", Short: "Explain how one entry stands everywhere, and why",
		Long: `Says how one entry stands with every provider and source, and why. It prints a verdict for each of
them, and then the evidence. It asks the live directories and the tenants, and writes nothing. A
text with an @ is a mail address, a UUID or a DN is an id, and any other text is a username, or
else an id; --by overrides this. It ends with 3 if a change of the entry waits for a decision. It
ends with 1 if no directory and no tenant has the entry, or if one of them could not be asked.`,
		Example: "  rollcall explain ada@example.com\n  rollcall explain --by id 6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&by, "by", "", "what the argument is: id, email or username (default: by its form)")
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		ways, err := waysOf(by, args[0])
		if err != nil {
			return err
		}
		a, err := r.about(ctx, ways, args[0])
		if err != nil {
			return err
		}
		if r.asJSON {
			r.body(a.Body)
		} else if err := r.explained(&a.Value); err != nil {
			return err
		}
		return quiet(codeOf(&a.Value))
	})
}

// waysOf returns the kinds of names that a text may be, the likeliest first.
func waysOf(by, text string) ([]explain.By, error) {
	switch way := explain.By(by); {
	case way == explain.ByID || way == explain.ByEmail || way == explain.ByUserName:
		return []explain.By{way}, nil
	case by != "":
		return nil, wrongUse("--by %q: want id, email or username", by)
	case strings.TrimSpace(text) == "":
		return nil, wrongUse("name an entry by its id, mail or username")
	case strings.Contains(text, "=") || uuid.Validate(text) == nil:
		return []explain.By{explain.ByID}, nil
	case strings.Contains(text, "@"):
		return []explain.By{explain.ByEmail, explain.ByUserName}, nil
	}
	return []explain.By{explain.ByUserName, explain.ByID}, nil
}

// about tries the kinds of names in turn until an entry is found. Without an entry it returns the first answer.
func (r *remote) about(ctx context.Context, ways []explain.By, text string) (first client.Answer[explain.Document],
	err error) {
	for i, way := range ways {
		a, err := r.Explain(ctx, explain.Query{By: way, Value: text})
		if err != nil || a.Value.Found == explain.Known || a.Value.Found == explain.Several {
			return a, err
		}
		if i == 0 {
			first = a
		}
	}
	return first, nil
}

// codeOf returns the exit code for an explanation.
func codeOf(d *explain.Document) int {
	switch {
	case d.Found == explain.NotFound || d.Partial():
		return codeFailure
	case d.Waits():
		return codeHeld
	}
	return 0
}

// explained prints an explanation. The verdicts come first, and the evidence follows.
func (r *remote) explained(d *explain.Document) error {
	fmt.Fprintln(r.stdout, cell(d.Verdict))
	if len(d.Candidates) > 0 {
		fmt.Fprintln(r.stdout)
		t := newTable(r.stdout, "KIND", "ID", "ENTRY", "SOURCE", "DN")
		for _, c := range d.Candidates {
			t.row(c.Kind.String(), string(c.ID), c.Label, c.Source, c.DN)
		}
		return t.flush()
	}
	for i := range d.Providers {
		p := &d.Providers[i]
		fmt.Fprintf(r.stdout, "\n%s: %s\n  %s\n", p.Container, codeText(string(p.Code), p.Reason), cell(p.Verdict))
	}
	for i := range d.Sources {
		s := &d.Sources[i]
		fmt.Fprintf(r.stdout, "\n%s: %s\n  %s\n", s.Container, codeText(string(s.Code), ""),
			cell(s.Text()))
	}
	return r.evidence(d)
}

func codeText(code, reason string) string {
	code = strings.ReplaceAll(code, "_", " ")
	if reason != "" {
		code += " (" + cell(reason) + ")"
	}
	return code
}

// evidence prints the evidence for the verdicts as tables.
func (r *remote) evidence(d *explain.Document) error {
	if e := d.Entry; e != nil {
		stored := "in the local directory"
		if !e.Stored {
			stored = "not in the local directory"
		}
		fmt.Fprintf(r.stdout, "\nEntry: %s %s, id %s, at %s, %s\n", e.Kind, cell(e.Label), cmp.Or(cell(string(e.ID)), "-"),
			cmp.Or(cell(e.DN), "-"), stored)
	}
	for i := range d.Sources {
		if err := r.rules(&d.Sources[i]); err != nil {
			return err
		}
	}
	for i := range d.Providers {
		if err := r.proof(&d.Providers[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *remote) rules(s *explain.Source) error {
	if len(s.Live.Rules) == 0 {
		return nil
	}
	fmt.Fprintf(r.stdout, "\n%s, the live directory: %s\n", s.Container, cell(s.Live.DN))
	t := newTable(r.stdout, "RULE", "SETTING", "MET", "WHY NOT")
	for _, rule := range s.Live.Rules {
		t.row(rule.Key, rule.Setting, map[bool]string{true: "yes", false: "NO"}[rule.Met], rule.Detail)
	}
	if err := t.flush(); err != nil || len(s.Live.LeftOut) == 0 {
		return err
	}
	fmt.Fprintln(r.stdout)
	t = newTable(r.stdout, "MEMBER LEFT OUT", "WHY")
	for _, m := range s.Live.LeftOut {
		t.row(m.Value, m.Reason)
	}
	return t.flush()
}

// proof prints the evidence of one provider.
func (r *remote) proof(p *explain.Provider) error {
	m := p.Match
	if len(p.Mapping)+len(m.Objects)+len(p.Next)+len(p.Outcomes) == 0 && m.Link == nil {
		return nil
	}
	fmt.Fprintf(r.stdout, "\n%s, account found by: %s\n", p.Container, m.By)
	if len(m.Objects) > 0 {
		t := newTable(r.stdout, "ACCOUNT", "REMOTE ID", "ANCHOR", "STANDS", "PROTECTED")
		for i := range m.Objects {
			o := &m.Objects[i]
			t.row(o.Address, o.RemoteID, string(o.Anchor), stands(o), cmp.Or(o.Protected, o.ReadOnly))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(p.Mapping) > 0 {
		t := newTable(r.stdout, "FIELD", "EXPRESSION", "GIVES")
		for _, v := range p.Mapping {
			t.row(v.Field, v.Expression, cmp.Or(v.Problem, strings.Join(v.Values, " | ")))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	return r.history(p)
}

func stands(o *explain.Object) string {
	if o.Active {
		return "active"
	}
	return "suspended by " + strings.ReplaceAll(cmp.Or(o.SuspendedBy, "unknown"), "_", " ")
}

// history prints the changes of the next run and the last attempts.
func (r *remote) history(p *explain.Provider) error {
	for _, row := range p.Coming() {
		switch c := &row.Change; row.Kind {
		case plan.RowChange, plan.RowHeld:
			held := ""
			if c.Held != "" {
				held = " (held: " + cell(c.Held) + ")"
			}
			does := c.Op.Verb()
			if _, suspends := c.Suspension(false); suspends && c.Op == plan.Delete {
				does = "suspend, then delete"
			}
			fmt.Fprintf(r.stdout, "next run: %s %s%s\n", does, subject(c), held)
		case plan.RowConflict, plan.RowNote:
			fmt.Fprintf(r.stdout, "next run: %s: %s\n", row.Kind, cell(row.Entry.Detail))
		}
	}
	if len(p.Groups) > 0 {
		names := make([]string, len(p.Groups))
		for i, g := range p.Groups {
			names[i] = cell(cmp.Or(g.Label, string(g.ID)))
		}
		fmt.Fprintf(r.stdout, "groups: %s\n", strings.Join(names, ", "))
	}
	if got := p.Receipt; got != nil {
		sessions := ""
		if got.Sessions != "" {
			sessions = ", sessions " + got.Sessions
		}
		fmt.Fprintf(r.stdout, "receipt: seen %s, decided %s, confirmed %s (%s)%s\n", r.moment(got.Seen.Time()),
			r.moment(got.Decided.Time()), r.moment(got.Confirmed.Time()), got.Took().Round(100*time.Millisecond), sessions)
	}
	if len(p.Outcomes) == 0 {
		return nil
	}
	t := newTable(r.stdout, "TRIED", "WHAT", "FIELDS OR GROUP", "CAME TO", "REQUEST", "RUN")
	for i := range p.Outcomes {
		o := &p.Outcomes[i]
		came := "done"
		if o.FailKind != "" {
			came = o.FailKind + ": " + o.FailText
		}
		t.row(r.moment(o.At.Time()), plan.VerbOf(o.Op), cmp.Or(o.GroupLabel, o.Group, strings.Join(o.Fields, ", ")), came,
			o.RequestID, o.RunID)
	}
	return t.flush()
}

// subject returns the account of a change, or the names of the member and the group.
func subject(c *plan.Change) string {
	switch c.Op {
	case plan.AddMember:
		return cell(c.MemberLabel) + " to " + cell(cmp.Or(c.Label, string(c.ID)))
	case plan.RemoveMember:
		return cell(c.MemberLabel) + " from " + cell(cmp.Or(c.Label, string(c.ID)))
	}
	return cell(cmp.Or(c.Address, c.Label))
}
