package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/internal/client"
	"rollcall/status"
)

func statusCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "status [CONTAINER]", Short: "Show what runs, how the last runs ended and what is held",
		Long: `Shows a line for each source and provider, or for one of them. It ends with 1 if a last run
failed, with 3 if something is held, in conflict or paused. Dry runs do not count. With --json the answer
of one container is the API's; all of them are one object with the containers as keys.`,
		Args: cobra.MaximumNArgs(1),
	}
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		list, err := r.chosen(ctx, args)
		if err != nil {
			return err
		}
		standings, bodies := make([]standing, len(list)), map[container.ID]json.RawMessage{}
		for i, res := range list {
			if standings[i], err = r.standing(ctx, res); err != nil {
				return err
			}
			bodies[res.Container] = standings[i].body
		}
		switch {
		case r.asJSON && len(args) == 1:
			r.body(standings[0].body)
		case r.asJSON:
			err = r.joined(bodies)
		default:
			err = r.standings(standings)
		}
		if err != nil {
			return err
		}
		return quiet(gravest(standings))
	})
}

// chosen returns the named container, or all containers.
func (r *remote) chosen(ctx context.Context, args []string) ([]client.Resource, error) {
	var name container.ID
	if len(args) > 0 {
		var err error
		if name, err = containerID(args[0]); err != nil {
			return nil, err
		}
	}
	all, err := r.Resources(ctx)
	if err != nil || name == "" {
		return all, err
	}
	i := slices.IndexFunc(all, func(res client.Resource) bool { return res.Container == name })
	if i < 0 {
		return nil, fmt.Errorf("the API has no %s: rollcall status says what it has", name)
	}
	return all[i : i+1], nil
}

// standing is the state of a container.
type standing struct {
	client.Resource
	sync client.SyncStatus
	body []byte
	// open is the newest run if it is not over. last is the newest finished run that is not a dry run.
	open, last client.Run
	waiting    int
	pause      client.Pause
	// server is the server of the last read of a source. It includes a server with data that was refused.
	server client.Server
}

func (r *remote) standing(ctx context.Context, res client.Resource) (standing, error) {
	const recent = 20 // among so many, one is no dry run
	s := standing{Resource: res}
	a, err := r.Status(ctx, res.Container)
	if err != nil {
		return s, err
	}
	s.sync, s.body = a.Value, a.Body
	runs, err := r.Runs(ctx, res.Container, "", recent)
	if err != nil {
		return s, err
	}
	for i, run := range runs.Value.Results {
		switch {
		case i == 0 && run.State.Open():
			s.open = run
		case s.last.ID == "" && !run.State.Open() && !run.DryRun:
			s.last = run
		}
	}
	s.pause = r.pauseOf(ctx, res.Container)
	held, err := r.Held(ctx, res.Container, 0, 1)
	s.waiting = held.Value.Count
	if err == nil && res.Container.IsSource() {
		if server, err := r.Server(ctx, res.Container); err == nil { // An older API has none.
			s.server = server.Value
		}
	}
	return s, err
}

// gravest returns the exit code for all containers together.
func gravest(all []standing) int {
	code := 0
	for _, s := range all {
		one := judge(s.last.Run)
		if s.last.ID == "" {
			one = 0 // nothing happened yet
		}
		if one == 0 && (s.waiting > 0 || s.pause.Paused) {
			one = codeHeld
		}
		if one != 0 && code != codeFailure {
			code = one
		}
	}
	return code
}

func (r *remote) standings(all []standing) error {
	if len(all) == 0 {
		fmt.Fprintln(r.stdout, "The API has no sources and no providers.")
		return nil
	}
	t := newTable(r.stdout, "CONTAINER", "NOW", "LAST RUN", "LAST CLEAN", "HELD", "FAILED")
	for _, s := range all {
		last, held, failed := "", "", ""
		if s.last.ID != "" {
			last = string(s.last.State) + " " + r.ago(s.last.FinishedAt)
			held, failed = strconv.FormatInt(s.last.Held, 10), strconv.FormatInt(s.last.FailedChanges, 10)
		}
		t.row(string(s.Container), s.now(), last, r.ago(s.sync.LastSuccessful), held, failed)
	}
	if err := t.flush(); err != nil {
		return err
	}
	r.hints(all)
	return nil
}

// now describes the present activity of a container.
func (s standing) now() string {
	done, expected := s.open.Done()
	const whole = 100
	switch {
	case s.open.ID == "" && !s.sync.IsRunning && !s.Enabled:
		return "disabled"
	case s.open.ID == "" && !s.sync.IsRunning && s.pause.Paused:
		return "paused"
	case s.open.ID == "" && !s.sync.IsRunning:
		return "idle"
	case !s.sync.IsRunning:
		return "lost" // no worker keeps the run alive, and the next start closes it
	case s.open.State == status.Running && expected > 0:
		return fmt.Sprintf("running, %d %%", done*whole/expected)
	case s.open.ID == "":
		return "running"
	case s.open.Takes >= time.Minute.Seconds():
		return fmt.Sprintf("%s, about %s", s.open.State, span(time.Duration(s.open.Takes*float64(time.Second))))
	}
	return string(s.open.State)
}

// hints prints advice for containers with problems.
func (r *remote) hints(all []standing) {
	gap := "\n"
	hint := func(format string, args ...any) {
		fmt.Fprintf(r.stdout, gap+format+"\n", args...)
		gap = ""
	}
	for _, s := range all {
		if s.pause.Paused {
			hint("%s: nothing is written: %s", s.Container, cell(s.pause.Text))
		}
		if s.last.FailReason != "" {
			hint("%s: %s", s.Container, r.ended(s.last))
		}
		if s.last.ID != "" && s.last.FailedChanges > 0 {
			hint("%s: %s failed: rollcall runs %[1]s %[3]s", s.Container, count(s.last.FailedChanges, "change"), s.last.ID)
		}
		for _, text := range s.sync.Notices() {
			if text != s.pause.Text {
				hint("%s: %s", s.Container, text)
			}
		}
		if s.server.Text != "" {
			hint("%s: last read from %s", s.Container, s.server.Text)
		}
		switch at := s.server.PolledAt; {
		case s.server.PollReason != "" && at.IsZero():
			hint("%s: changes are noticed by full runs only: %s", s.Container, s.server.PollReason)
		case s.server.PollReason != "":
			hint("%s: changes last noticed %s, then not: %s", s.Container, r.ago(at), s.server.PollReason)
		case !at.IsZero():
			hint("%s: last asked for changes %s", s.Container, r.ago(at))
		}
		if s.server.PendingText != "" {
			hint("%s: in doubt is %s: rollcall accept-server %[1]s", s.Container, s.server.PendingText)
		}
		if s.waiting > 0 {
			hint("%s: %s for a decision: rollcall held %[1]s", s.Container, waits(s.waiting))
		}
		if over := s.last.Held - int64(s.waiting); s.last.ID != "" && over > 0 {
			also := ""
			if s.waiting > 0 {
				also = " otherwise"
			}
			hint("%s: %d held or in conflict%s: rollcall runs %[1]s %[4]s", s.Container, over, also, s.last.ID)
		}
	}
}

func waits(n int) string {
	if n == 1 {
		return "1 change waits"
	}
	return fmt.Sprintf("%d changes wait", n)
}
