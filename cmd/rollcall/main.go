// Command rollcall is the command-line program for people. It starts, shows and approves syncs through the API. It
// also plans a sync, checks a configuration, makes tokens, and runs the demonstration and the simulated tenants.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/fault"
	"rollcall/internal/boot"
	"rollcall/internal/buildinfo"
	"rollcall/internal/client"
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
		shadowCommand(e), simulateCommand(e), tokenCommand(e), auditCommand(e), healthCommand(e), versionCommand(e),
		startCommand(e)} {
		c.GroupID = groupLocal
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{
		syncCommand(e), watchCommand(e), statusCommand(e), runsCommand(e), heldCommand(e), approveCommand(e),
		rejectCommand(e), objectCommand(e), explainCommand(e), cancelCommand(e), revertCommand(e), pinsCommand(e),
		liftCommand(e), acceptServerCommand(e), adoptDecisionsCommand(e), leaveCommand(e),
		pauseCommand(e), resumeCommand(e),
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
  1  failure: of the run, of one of its changes, of the API, or of the connection to it;
     or there is no such container or run
  2  wrong use: an unknown command or flag, a value that cannot be one, or a question without a terminal
  3  something waits for a person: changes are held, or entries are in conflict
  4  a run is live already, and another one was not started
  5  the API refused the token, or the token lacks the scope
  130  Ctrl-C: nothing more is known here, and the run goes on

Without --watch, 0 says only that the run was started. status and runs with a run judge the last run in the
same way: 1 if it failed, 3 if something is held. preview ends with 3 if a guard would hold something harmful.
The other commands (demo, check, plan, simulate, token, health, version) end with 0, 1 or 2.`,
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

func versionCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which build this is",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := buildinfo.Read()
			_, err := fmt.Fprintf(e.stdout, "rollcall %s, revision %s, %s\n", b.Version, b.Revision, b.Go)
			return err
		},
	}
}

// healthPatience is the time limit for the answer of a process.
const healthPatience = 3 * time.Second

func healthCommand(e *env) *cobra.Command {
	var live bool
	c := &cobra.Command{
		Use: "health api|worker|HOST:PORT", Short: "Ask a process on this machine whether it is well",
		Long: `Asks for /readyz where the API process or a worker serves its metrics (ROLLCALL_METRICS_LISTEN),
and ends with 0 if it is ready and with 1 if not. It is what a container without a shell can be
asked by: see docker-compose.yml.`,
		Args: cobra.ExactArgs(1),

		ValidArgs: []string{"api", "worker"},
		RunE: func(cmd *cobra.Command, args []string) error {
			addr, err := healthAddr(e, args[0])
			if err != nil {
				return err
			}
			path := "/readyz"
			if live {
				path = "/livez"
			}
			return askHealth(cmd.Context(), "http://"+addr+path)
		},
	}
	c.Flags().BoolVar(&live, "live", false, "ask for /livez: whether it runs, and not whether it reaches Redis")
	return c
}

// healthAddr returns the address of a process. A process that listens on all addresses is asked on the loopback
// address.
func healthAddr(e *env, name string) (string, error) {
	addr := name
	if byDefault, ours := map[string]string{"api": config.APIMetrics, "worker": config.WorkerMetrics}[name]; ours {
		p, err := e.process()
		if err != nil {
			return "", err
		}
		addr = p.MetricsAddr(byDefault)
		if addr == config.NoMetrics {
			return "", wrongUse("ROLLCALL_METRICS_LISTEN is %s: nothing serves the health of the %s", config.NoMetrics, name)
		}
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", wrongUse("%q: want api, worker or host:port", name)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

func askHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// The request ignores the proxy of the environment, because the process is local.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, resp.Status, strings.TrimSpace(string(text)))
	}
	return nil
}
