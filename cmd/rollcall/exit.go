package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rollcall/fault"
	"rollcall/internal/client"
)

// The exit codes. exitCodesTopic and docs/operations.md describe them.
const (
	codeFailure = 1
	codeUsage   = 2
	codeHeld    = 3
	codeLive    = 4
	codeRefused = 5
	// codeInterrupted is the code of a shell for Ctrl-C.
	codeInterrupted = 130
)

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use: "exit-codes", Short: "What the exit codes mean",
		Long: `The commands that call the API end with one of these codes:

  0  done and clean: for sync --watch and watch, the run completed, nothing is held and nothing failed
  1  failure: of the run, of one of its changes, of the API, or of the connection to it; or there is no such container or run
  2  wrong use: an unknown command or flag, a value that cannot be one, or a question that nobody is there to answer
  3  something waits for a person: changes are held, or entries are in conflict
  4  a run is live already, and another one was not started
  5  the API refused the token, or the token lacks the scope
  130  Ctrl-C: nothing more is known here, and the run goes on

Without --watch, 0 says only that the run was started. status and runs with a run judge the last run in the same way: 1 if it
failed, 3 if something is held. preview ends with 3 if a guard would hold something harmful. The other commands (demo, check,
plan, simulate, token, health, version) end with 0, 1 or 2.`,
	}
}

// exit is an error with an exit code. One without an error inside prints nothing.
type exit struct {
	code int
	err  error
}

// Error implements error.
func (x *exit) Error() string {
	if x.err == nil {
		return fmt.Sprintf("exit code %d", x.code)
	}
	return x.err.Error()
}

// Unwrap returns the error inside.
func (x *exit) Unwrap() error { return x.err }

// errQuiet ends the program with code 1 and prints nothing.
var errQuiet error = &exit{code: codeFailure}

// quiet ends the program with a code and prints nothing; nil for 0.
func quiet(code int) error {
	if code == 0 {
		return nil
	}
	return &exit{code: code}
}

func wrongUse(format string, args ...any) error {
	return &exit{codeUsage, fmt.Errorf(format, args...)}
}

// end prints the error, if it has a text, and returns the exit code.
func (e *env) end(err error) int {
	if err == nil {
		return 0
	}
	x, is := errors.AsType[*exit](err)
	if !is || x.err != nil {
		fmt.Fprintln(e.stderr, "rollcall:", err)
	}
	if is {
		return x.code
	}
	if refusal, is := errors.AsType[*client.Error](err); is {
		switch {
		case refusal.Kind == fault.Denied:
			return codeRefused
		case refusal.Kind == fault.Canceled:
			return codeInterrupted
		case refusal.Kind == fault.Conflict && refusal.Run != nil:
			return codeLive
		}
	}
	return codeFailure
}
