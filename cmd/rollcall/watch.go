package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/client"
)

// pollEvery is the interval of reading what the API does not stream.
const pollEvery = 300 * time.Millisecond

func watchCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: cmdWatch + " CONTAINER [RUN]", Short: "Show the progress of the newest run until its end, and what it came to",
		Long: "Shows how a run goes, the newest one where none is named: its progress, when it will be over, and its " +
			"warnings and errors as they\n" +
			"come. On a terminal one line is written over, elsewhere there is a line whenever the run comes to something " +
			"else or a tenth\n" +
			"further. Ctrl-C ends the watching and not the run. With --json each event is a line: {\"event\": \"run\", " +
			"\"message\", \"gap\" or at last\n" +
			"\"end\", \"data\": what the API says}. It ends with the exit code that the run deserves: rollcall help exit-codes.",
		Example: "  rollcall watch google_workspace:1\n  rollcall watch ldap:corp --json | jq -r 'select(.event == " +
			"\"message\") | .data.event'",
		Args: cobra.RangeArgs(1, 2),
	}
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		name, err := containerID(args[0])
		if err != nil {
			return err
		}
		if len(args) > 1 {
			return r.watch(ctx, name, args[1])
		}
		a, err := r.Runs(ctx, name, "", 1)
		if err != nil {
			return err
		}
		if len(a.Value.Results) == 0 {
			return fmt.Errorf("%s: there was no run yet; rollcall sync %[1]s starts one", name)
		}
		return r.watch(ctx, name, a.Value.Results[0].ID)
	})
}

// watch shows a run until it is over. The error has the exit code of the run.
func (r *remote) watch(ctx context.Context, name container.ID, id string) error {
	b := newBar(r.env, r.stdout, name, true)
	how := client.Watching{Every: r.every, Show: b.event, Note: b.note}
	if r.asJSON {
		lines := json.NewEncoder(r.stdout)
		lines.SetEscapeHTML(false)
		how.Show = func(e client.Event) { _ = lines.Encode(e) } // a terminal that is gone is nobody's loss
	}
	a, err := r.Client.Watch(ctx, name, id, how)
	if !r.asJSON {
		b.end()
	}
	switch {
	case err != nil && client.KindOf(err) == fault.Canceled:
		return &exit{codeInterrupted, fmt.Errorf("no longer watched: the run goes on; rollcall watch %s shows it, "+
			"rollcall cancel %[1]s ends it", name)}
	case err != nil:
		return err
	case !r.asJSON:
		if err := r.outcome(a.Value, b); err != nil {
			return err
		}
	}
	return quiet(judge(a.Value.Run))
}
