package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/internal/config"
)

// healthPatience is the time limit for the answer of a process.
const healthPatience = 3 * time.Second

func healthCommand(e *env) *cobra.Command {
	var live bool
	c := &cobra.Command{
		Use: "health api|worker|HOST:PORT", Short: "Ask a process on this machine whether it is well",
		Long: "Asks for /readyz where the API process or a worker serves its metrics (ROLLCALL_METRICS_LISTEN), and ends " +
			"with 0 if it is\n" +
			"ready and with 1 if not. It is what a container without a shell can be asked by: see docker-compose.yml.",
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
