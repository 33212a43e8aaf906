package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"rollcall/container"
	"rollcall/internal/client"
	"rollcall/internal/demo"
	"rollcall/status"
)

// play runs the demonstration: a first day, the next morning, and a sync that should find no change.
func (s *stage) play(ctx context.Context) error {
	for _, act := range []struct {
		title string
		ldif  []byte
	}{
		{"Day one: two empty tenants", demo.LDIF()},
		{"The next morning: some joined, some left, somebody has a new name", demo.Next()},
		{"Once more: nothing changed", demo.Next()},
	} {
		fmt.Fprintf(s.stdout, "\n%s\n", act.title)
		if err := os.WriteFile(filepath.Join(s.dir, "people.ldif"), act.ldif, 0o600); err != nil {
			return err
		}
		s.google.ResetCalls()
		s.entra.ResetCalls()
		var runs []status.Run
		var changes int64
		for _, c := range []container.ID{demoSource, demoGoogle, demoEntra} {
			run, err := s.sync(ctx, c)
			if err != nil {
				return err
			}
			runs = append(runs, run)
			changes += planned(run)
		}
		if err := s.summary(runs); err != nil {
			return err
		}
		if changes == 0 {
			fmt.Fprintln(s.stdout, "\nThe plans are empty: the tenants are as the directory says.")
			return nil
		}
	}
	fmt.Fprintln(s.stdout, "\nThe last sync still had something to do: that is a bug.")
	return errQuiet
}

// planned returns the number of planned changes of a run.
func planned(run status.Run) (n int64) {
	for _, p := range run.Progress {
		n += p.Expected
	}
	return n
}

// sync starts a full sync and shows its progress until it ends.
func (s *stage) sync(ctx context.Context, c container.ID) (status.Run, error) {
	run, err := s.client.StartFull(ctx, c, false, "demo")
	if err != nil {
		return run, err
	}
	bar := newBar(s.env, s.stdout, c, false)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for run.State.Open() {
		select {
		case <-ctx.Done():
			return run, ctx.Err()
		case <-tick.C:
		}
		if run, err = s.app.Status.Get(ctx, c, run.ID); err != nil {
			return run, err
		}
		bar.show(seen(run))
	}
	bar.end()
	if run.State != status.Completed {
		return run, fmt.Errorf("%s: the run is %s: %s", c, run.State, run.FailReason)
	}
	return run, nil
}

// seen returns a run in the form that the API shows.
func seen(run status.Run) client.Run {
	now := time.Now()
	return client.Run{Run: run, Ends: run.EstimatedEnd(now), Seconds: run.Duration(now).Seconds()}
}

// summary prints the results of the two syncs.
func (s *stage) summary(runs []status.Run) error {
	var out bytes.Buffer
	t := tabwriter.NewWriter(&out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tcreated\tupdated\tsuspended\trestored\tdeleted\theld\tfailed\tcalls\t")
	google := s.google.Calls()
	calls := map[container.ID]int{demoGoogle: google.Reads + google.Writes, demoEntra: s.entra.Calls().Requests}
	names := map[container.ID]string{demoSource: "directory", demoGoogle: "Google", demoEntra: "Entra"}
	for _, run := range runs {
		for _, o := range status.ObjectTypes() {
			n := map[status.ChangeType]int64{}
			for _, p := range run.Progress {
				if p.Object == o {
					n[p.Change] += p.Succeeded
				}
			}
			fmt.Fprintf(t, "%s %ss\t%d\t%d\t%d\t%d\t%d\t\t\t\t\n", names[run.Container], o, n[status.Create], n[status.Update],
				n[status.Deactivate], n[status.Activate], n[status.Delete])
		}
		made := "-"
		if n, remote := calls[run.Container]; remote {
			made = fmt.Sprint(n)
		}
		fmt.Fprintf(t, "%s in all\t\t\t\t\t\t%d\t%d\t%s\t\n", names[run.Container], run.Held, run.FailedChanges, made)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.stdout, "\n%s", out.String())
	return err
}
