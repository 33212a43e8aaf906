// Command rollcall is the program for people: a demonstration, the check of a configuration, the plan of a sync, the
// simulated tenant and the making of tokens.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	"rollcall/internal/config"
)

func main() {
	ctx, stop := boot.Signals()
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// errQuiet ends the program with status 1 when everything has been said.
var errQuiet = errors.New("")

// run is main without its globals.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	e := &env{getenv: getenv, stdout: stdout, stderr: stderr}
	root := &cobra.Command{
		Use: "rollcall", Short: "Keeps cloud directories in step with an organisation's own directory",
		SilenceErrors: true, SilenceUsage: true,
	}
	root.PersistentFlags().StringVar(&e.file, "config", "", "configuration file (default $ROLLCALL_CONFIG)")
	root.AddCommand(demoCommand(e), checkCommand(e), planCommand(e), simulateCommand(e), tokenCommand(e))
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errQuiet) {
			fmt.Fprintln(stderr, "rollcall:", err)
		}
		return 1
	}
	return 0
}

// env is what the commands share.
type env struct {
	getenv         func(string) string
	stdout, stderr io.Writer
	file           string
}

// process reads the environment; the flag wins over ROLLCALL_CONFIG.
func (e *env) process() (config.Process, error) {
	p, err := config.LoadProcess(e.getenv)
	if e.file != "" {
		p.Config = e.file
	}
	return p, err
}
