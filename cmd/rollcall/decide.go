package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/api"
	"rollcall/container"
	"rollcall/internal/client"
	"rollcall/plan"
)

// decision has the arguments of approve and reject.
type decision struct {
	verdict client.Verdict
	name    container.ID
	digest  string
	entries []string
	yes     *bool
	watch   bool
}

func approveCommand(e *env) *cobra.Command {
	d := decision{verdict: client.Approve}
	c := decideCommand(e, &d)
	c.Short = "Approve held changes"
	c.Long = `Shows the held changes and, if you say yes, approves all of them, or those of the entries that
--entry names by id or fingerprint. A run starts that carries out only what was approved and is
still planned. An approval covers one entry, one action and the state before, and is valid for 72
hours. The digest of a set that was superseded within a week still names those of its changes that
are unchanged. A script needs --yes and the digest that rollcall held showed, so that nothing is
approved unseen.`
	c.Example = "  rollcall approve google_workspace:1\n  rollcall approve google_workspace:1 DIGEST --entry ID --yes " +
		"--watch"
	c.Flags().BoolVarP(&d.watch, "watch", "w", false, "show the progress of the run that carries it out")
	return c
}

func rejectCommand(e *env) *cobra.Command {
	d := decision{verdict: client.Reject}
	c := decideCommand(e, &d)
	c.Short = "Keep held changes held"
	c.Long = `Shows the held changes and, if you say yes, keeps them held for 72 hours, also where a later plan
is within the limits. It rejects all of them, or those of the entries that --entry names by id or
fingerprint.`
	return c
}

func decideCommand(e *env, d *decision) *cobra.Command {
	c := &cobra.Command{Use: string(d.verdict) + " CONTAINER [DIGEST]", Args: cobra.RangeArgs(1, 2)}
	c.Flags().StringArrayVar(&d.entries, "entry", nil,
		"an entry's id or a change's fingerprint; may be repeated (default: everything)")
	d.yes = yesFlag(c)
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, args []string) error {
		d.name = name
		if len(args) > 0 {
			d.digest = args[0]
		}
		return r.decide(ctx, *d)
	})
}

// decide asks for confirmation if it is needed, and sends the decision to the API.
func (r *remote) decide(ctx context.Context, d decision) error {
	switch {
	case !*d.yes && (!r.asks || r.asJSON):
		return wrongUse(noTerminal)
	case *d.yes && d.digest == "" && d.verdict == client.Approve:
		return wrongUse("--yes wants the digest of what was looked at: rollcall held %s shows it", d.name)
	case !*d.yes || d.digest == "":
		if err := r.confirm(ctx, &d); err != nil {
			return err
		}
	}
	a, err := r.Decide(ctx, d.name, d.digest, d.verdict, d.entries)
	if err != nil {
		return r.inTheWay(err)
	}
	run := a.Value.Run
	if r.asJSON && (run == nil || !d.watch) {
		r.body(a.Body)
		return nil
	}
	w := r.stdout
	if r.asJSON {
		w = r.stderr
	}
	fmt.Fprintf(w, "%s: %s %s, until %s\n", d.name, count(a.Value.Count, "change"), a.Value.Verdict,
		r.moment(a.Value.Expires))
	switch {
	case run == nil:
		return nil
	case d.watch:
		return r.watch(ctx, d.name, run.ID)
	}
	fmt.Fprintf(w, "run %s is %s; rollcall watch %s shows how it goes\n", run.ID, run.State, d.name)
	return nil
}

// confirm shows the changes and asks. It sets the digest of what it showed, so that the decision covers nothing else.
func (r *remote) confirm(ctx context.Context, d *decision) error {
	held, err := r.AllHeld(ctx, d.name, d.digest)
	if err != nil {
		return err
	}
	switch {
	case held.Count == 0 && d.digest != "":
		return fmt.Errorf("%s: no change of %s waits any more; rollcall held %[1]s shows what waits", d.name, d.digest)
	case held.Count == 0:
		return errors.New(string(d.name) + ": nothing waits for a decision")
	}
	d.digest = held.Digest
	chosen, err := choose(held.Changes, d.entries)
	if err != nil || *d.yes {
		return err
	}
	if err := r.preview(*d, chosen, held.Count); err != nil {
		return err
	}
	return r.unless(r.ask(ctx), "Nothing was decided.")
}

// choose returns the changes that match entries, by id or fingerprint; all changes without entries.
func choose(all []client.HeldChange, entries []string) ([]client.HeldChange, error) {
	if len(entries) == 0 {
		return all, nil
	}
	named := map[string]bool{}
	var out []client.HeldChange
	for _, c := range all {
		if slices.Contains(entries, c.ID) || slices.Contains(entries, c.Fingerprint) {
			out = append(out, c)
		}
		named[c.ID], named[c.Fingerprint] = true, true
	}
	for _, e := range entries {
		if !named[e] {
			return nil, fmt.Errorf("--entry %q: no change that waits has this id or fingerprint", e)
		}
	}
	return out, nil
}

// preview prints the changes to decide: the number of each kind, the rules that hold them, and the first ones.
func (r *remote) preview(d decision, chosen []client.HeldChange, of int) error {
	const first = 10
	type kind struct{ op, object string }
	n := map[kind]int{}
	for _, c := range chosen {
		n[kind{c.Op, c.Kind}]++
	}
	fmt.Fprintf(r.stdout, "%s: %d of %s\n", d.name, len(chosen), strings.Replace(waits(of), "wait", "that wait", 1))
	for _, op := range plan.Ops() {
		for _, object := range []string{"user", "group"} {
			k := kind{op.String(), object}
			if op.Membership() {
				object = "membership"
			}
			if n[k] > 0 {
				fmt.Fprintf(r.stdout, "  %s: %s\n", strings.ReplaceAll(k.op, "_", " "), count(n[k], object))
			}
		}
	}
	reasons(r.stdout, chosen)
	fmt.Fprintln(r.stdout)
	t := newTable(r.stdout, "CHANGE", "KIND", "ENTRY", "WHAT")
	for _, c := range chosen[:min(first, len(chosen))] {
		t.row(c.Op, c.Kind, entry(c), what(c))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if more := len(chosen) - first; more > 0 {
		fmt.Fprintf(r.stdout, "and %d more\n", more)
	}
	if d.verdict == client.Approve {
		fmt.Fprintf(r.stdout, "\nLet %s go, at once? [y/N] ", them(len(chosen)))
	} else {
		fmt.Fprintf(r.stdout, "\nKeep %s held? [y/N] ", them(len(chosen)))
	}
	return nil
}

func them(n int) string {
	if n == 1 {
		return "this change"
	}
	return fmt.Sprintf("these %d changes", n)
}

// ask reads the answer. Any answer except a yes is a no. So are the end of the input and Ctrl-C.
func (r *remote) ask(ctx context.Context) bool {
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(r.stdin).ReadString('\n') // What was read before an error counts.
		answer <- line
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(r.stdout)
		return false
	case line := <-answer:
		line = strings.ToLower(strings.TrimSpace(line))
		return line == "y" || line == "yes"
	}
}

func acceptServerCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "accept-server CONTAINER", Short: "Take the directory server in use as the right one",
		Long: `The data of a server that is older than the last one, or cannot be compared with it, are not used.
This command shows both servers and how far they are. If you say yes, later reads are compared
with the one in use. That is right after an intended restore, or when a server was replaced. Where
replication is late, wait for it, and nothing needs to be accepted.`,
		Example: "  rollcall accept-server ldap:corp",
		Args:    cobra.ExactArgs(1),
	}
	yes := yesFlag(c)
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, _ []string) error {
		show := func() error { return r.servers(ctx, name) }
		if err := r.sure(ctx, *yes, "Nothing was accepted.", show); err != nil {
			return err
		}
		a, err := r.AcceptServer(ctx, name)
		return r.answer(a.Body, err, "%s: accepted %s; the next sync goes on with it\n", name, a.Value.Text)
	})
}

// servers shows the server in use and the one in doubt.
func (r *remote) servers(ctx context.Context, name container.ID) error {
	a, err := r.Server(ctx, name)
	if err == nil && a.Value.PendingText == "" {
		err = fmt.Errorf("%s: no server is in doubt; the last one was %s", name, a.Value.Text)
	}
	if err == nil {
		fmt.Fprintf(r.stdout, "Last used: %s\nIn use:    %s\n", a.Value.Text, a.Value.PendingText)
	}
	return err
}

func adoptDecisionsCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "adopt-decisions CONTAINER", Short: "Confirm decisions and pins that are not signed",
		Long: `Decisions and pins on Redis are signed. Those of an earlier version are not, and those that
another program wrote, changed or removed are noticed. This lists them and, if you say yes, signs
what is there. Until then no approval of the list is used, and nothing happens to an entry with a
pin of the list. Run it after Redis was lost or restored, too, even if nothing is listed: a worker
remembers what was there, and holds everything destructive until then.`,
		Example: "  rollcall adopt-decisions google_workspace:1",
		Args:    cobra.ExactArgs(1),
	}
	yes := yesFlag(c)
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, _ []string) error {
		if !*yes && (!r.asks || r.asJSON) {
			return wrongUse(noTerminal)
		}
		listed, err := r.Kept(ctx, name)
		if err != nil {
			return err
		}
		show := func() error { return r.untrusted(name, listed.Value) }
		if err := r.sure(ctx, *yes, "Nothing was adopted.", show); err != nil {
			return err
		}
		a, err := r.Adopt(ctx, name, listed.Value.Digest)
		return r.answer(a.Body, err, "%s: %s signed; the next sync uses what is there\n", name,
			count(a.Value.Count, "decision and pin"))
	})
}

// untrusted lists the records.
func (r *remote) untrusted(name container.ID, kept api.Kept) error {
	if kept.Problem != "" {
		fmt.Fprintf(r.stdout, "%s: %s\n", name, cell(kept.Problem))
	}
	t := newTable(r.stdout, "TYPE", "ENTRY", "DECISION", "BY", "PROBLEM")
	for _, k := range kept.Records {
		t.row(k.Type, plan.Label(k.Label, k.Entry), k.Verdict+" "+k.Op, k.By, k.Problem)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if more := kept.Count - len(kept.Records); more > 0 {
		fmt.Fprintf(r.stdout, "and %d more\n", more)
	}
	fmt.Fprint(r.stdout, "\nSign what is there, and forget what is gone? [y/N] ")
	return nil
}
