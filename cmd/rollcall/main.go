// Command rollcall is the command-line program for people. It starts, shows and approves syncs through the API. It
// also plans a sync, checks a configuration, makes tokens, and runs the demonstration and the simulated tenants.
package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/provider"
	"rollcall/provider/all"
)

func main() {
	ctx, stop := boot.Signals()
	defer stop()
	e := &env{
		types: all.Types(), getenv: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		asks: terminal(os.Stdin) && terminal(os.Stdout), now: time.Now, every: pollEvery,
	}
	os.Exit(run(ctx, e, os.Args[1:]))
}

// run is main without its globals. It returns the exit code.
func run(ctx context.Context, e *env, args []string) int {
	begun := false // what goes wrong before a command begins is a wrong use of it
	root := &cobra.Command{
		Use: "rollcall", Short: "Keeps cloud directories in step with an organisation's own directory",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { begun = true },
	}
	root.PersistentFlags().StringVar(&e.file, "config", "", "configuration file (default $ROLLCALL_CONFIG)")
	root.AddGroup(&cobra.Group{ID: groupAPI, Title: "Through the API:"},
		&cobra.Group{ID: groupLocal, Title: "On this machine:"})
	for _, c := range []*cobra.Command{demoCommand(e), initCommand(e), checkCommand(e), planCommand(e), previewCommand(e),
		simulateCommand(e), tokenCommand(e), healthCommand(e), versionCommand(e), startCommand(e)} {
		c.GroupID = groupLocal
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{
		syncCommand(e), watchCommand(e), statusCommand(e), runsCommand(e), heldCommand(e), approveCommand(e),
		rejectCommand(e), objectCommand(e), explainCommand(e), cancelCommand(e), revertCommand(e), pinsCommand(e),
		liftCommand(e), acceptServerCommand(e),
	} {
		c.GroupID = groupAPI
		root.AddCommand(c)
	}
	root.AddCommand(exitCodesTopic())
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	c, err := root.ExecuteContextC(ctx)
	if err != nil && !begun {
		err = wrongUse("%w\nUsage: %s\nSee %s --help.", err, c.UseLine(), c.CommandPath())
	}
	return e.end(err)
}

// The groups of commands in the help.
const (
	groupAPI   = "api"
	groupLocal = "local"
)

// env is the environment of all commands.
type env struct {
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
	file           string
	// types are the types of provider that there are.
	types []provider.Type
	// asks reports whether a person at a terminal can be asked.
	asks bool
	now  func() time.Time
	// every is the interval at which a watched run is read.
	every time.Duration
}

// terminal reports whether f is a terminal or another device.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// configured is process for commands that need a configuration.
func (e *env) configured() (config.Process, error) {
	p, err := e.process()
	if err != nil {
		return p, err
	}
	if _, err := os.Stat(p.Config); errors.Is(err, fs.ErrNotExist) {
		return p, wrongUse("%s: there is no such file: --config or ROLLCALL_CONFIG says where the configuration is, and "+
			"rollcall demo needs none", p.Config)
	}
	return p, nil
}

// process reads the environment. The flag takes precedence over ROLLCALL_CONFIG.
func (e *env) process() (config.Process, error) {
	p, err := config.LoadProcess(e.getenv)
	if e.file != "" {
		p.Config = e.file
	}
	return p, err
}
