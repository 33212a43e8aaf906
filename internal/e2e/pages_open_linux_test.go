package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/status"
)

// 100 open pages cost the API less than 5 % of a core while nothing happens. Half of them are overviews of 100 sources
// and providers, and half are runs of different ones.
func TestOpenPages(t *testing.T) {
	t.Parallel()
	base, api, rdb := startGallery(t)
	runs := status.New(rdb, status.Config{})
	newest, _, err := runs.List(t.Context(), "ldap:corp", 0, 1) // The copies of its runs have the same ids.
	if err != nil || len(newest) == 0 {
		t.Fatalf("the runs: %v, %v", newest, err)
	}
	var streams sync.WaitGroup
	begun := make(chan error, 100)
	for i := range 100 {
		stream := base + "/live/?of=overview"
		if i%2 > 0 {
			stream = fmt.Sprintf("%s/live/?of=run&container=google_workspace:%d&run=%s", base, i/2+1, newest[0].ID)
		}
		streams.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, stream, nil)
			if err != nil {
				begun <- err
				return
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				begun <- err
				return
			}
			defer resp.Body.Close()
			lines := bufio.NewScanner(resp.Body)
			lines.Buffer(nil, 1<<20)
			lines.Scan() // the first part
			begun <- lines.Err()
			_, _ = io.Copy(io.Discard, resp.Body) // until the test ends
		})
	}
	t.Cleanup(streams.Wait)
	for range 100 {
		if err := <-begun; err != nil {
			t.Fatal(err)
		}
	}
	const span = 20 * time.Second
	before, began := api.used(t), time.Now()
	<-time.After(span)
	share := 100 * (api.used(t) - before).Seconds() / time.Since(began).Seconds()
	t.Logf("100 open pages use %.1f %% of a core", share)
	if most := map[bool]float64{false: 5, true: 50}[underRace]; share >= most {
		t.Errorf("100 open pages use %.1f %% of a core, want less than %.0f %%", share, most)
	}
}

// used returns the processor time that a process has used.
func (p *process) used(t testing.TB) time.Duration {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	const tick, user, system = 10 * time.Millisecond, 11, 12 // of the fields after the name (proc_pid_stat(5))
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	var ticks int64
	for _, i := range []int{user, system} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick
}
