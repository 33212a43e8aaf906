package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// openPassword is the beginning of the Redis password in docker-compose.yml.
const openPassword = "not-a-secret-"

// starter starts a program in a container of docker-compose.yml.
type starter struct {
	*env
	demo, from string
}

func startCommand(e *env) *cobra.Command {
	s := starter{env: e}
	c := &cobra.Command{
		Use: "start PROGRAM [ARG]...", Short: "Start a program in a container of docker-compose.yml", Hidden: true,
		Long: `Becomes the program, with the configuration that ROLLCALL_CONFIG and ROLLCALL_TOKENS_FILE name.
While the demonstration keeps its files in the directory --demo, the program has these instead, and
another database of the same Redis. Where there is neither, it says what is missing.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			program, err := exec.LookPath(args[0])
			if err != nil {
				return wrongUse("%w", err)
			}
			vars, err := s.choose()
			if err != nil {
				return err
			}
			return syscall.Exec(program, args, with(os.Environ(), vars))
		},
	}
	c.Flags().SetInterspersed(false)
	c.Flags().StringVar(&s.demo, "demo", "", "directory with the demonstration's files, while it runs")
	c.Flags().StringVar(&s.from, "from", "", "what the directory of ROLLCALL_CONFIG is called outside of the container")
	return c
}

// choose returns the additional variables of the environment.
func (s *starter) choose() ([]string, error) {
	own := s.getenv("ROLLCALL_CONFIG")
	_, ownErr := os.Stat(own)
	demo := filepath.Join(s.demo, demoConfigFile)
	if _, err := os.Stat(demo); err == nil && s.demo != "" {
		if ownErr == nil {
			return nil, fmt.Errorf("the demonstration runs, and %s is there: end the one (docker compose --profile demo "+
				"down) or move the other away", s.outside(own))
		}
		return []string{
			"ROLLCALL_CONFIG=" + demo,
			"ROLLCALL_TOKENS_FILE=" + filepath.Join(s.demo, demoTokensFile),
			"ROLLCALL_REDIS_URL=" + otherDatabase(s.getenv("ROLLCALL_REDIS_URL")),
			"SSL_CERT_FILE=" + filepath.Join(s.demo, demoCAFile), // the tenants' authority, and no other
		}, nil
	}
	if errors.Is(ownErr, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration yet: copy %s to %s and edit it. To see everything work without "+
			"one: docker compose --profile demo up",
			s.outside(filepath.Join(filepath.Dir(own), "rollcall.example.yaml")), s.outside(own))
	}
	if err := s.readable(own); err != nil {
		return nil, err
	}
	if tokens := s.getenv("ROLLCALL_TOKENS_FILE"); tokens != "" {
		if _, err := os.Stat(tokens); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no token may call the API yet: make a token, whose hash goes to %[1]s: docker compose run "+
				"--rm --no-deps -T check rollcall token me read,sync >> %[1]s", s.outside(tokens))
		}
		if err := s.readable(tokens); err != nil {
			return nil, err
		}
	}
	return nil, s.redisPassword()
}

// with returns an environment with some variables replaced. If a variable were set twice, the first value would
// count.
func with(environ, vars []string) []string {
	out := slices.Clone(vars)
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !slices.ContainsFunc(vars, func(v string) bool { return strings.HasPrefix(v, name+"=") }) {
			out = append(out, kv)
		}
	}
	return out
}

// outside returns the path of a file outside the container.
func (s *starter) outside(file string) string {
	if s.from == "" {
		return file
	}
	return s.from + "/" + filepath.Base(file)
}

// readable returns advice about a file that belongs to another user.
func (s *starter) readable(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("%s cannot be read by user %d: %w. Write ROLLCALL_USER=$(id -u):$(id -g) into .env for "+
			"containers that run as you", s.outside(file), os.Getuid(), err)
	}
	return f.Close()
}

// redisPassword warns about the password in docker-compose.yml.
func (s *starter) redisPassword() error {
	file := s.getenv("ROLLCALL_REDIS_PASSWORD_FILE")
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("ROLLCALL_REDIS_PASSWORD_FILE: %w", err)
	}
	if strings.HasPrefix(string(text), openPassword) {
		fmt.Fprintln(s.stderr, "rollcall: the password of Redis is the one that comes with docker-compose.yml: see "+
			"Secrets in docs/deployment.md")
	}
	return nil
}

// otherDatabase returns a Redis URL with another database, so that the demonstration does not touch permanent data.
func otherDatabase(redisURL string) string {
	u, err := url.Parse(redisURL)
	if err != nil || strings.Trim(u.Path, "/0") != "" {
		return redisURL
	}
	u.Path = "/1"
	return u.String()
}
