package boot_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/redistest"
	"rollcall/status"
)

// TestTheRightsOfRedisUsers gives the API and the worker only the rights of deploy/redis/users.acl. They sync a
// directory to two tenants, decide and explain, and Redis has refused nothing.
func TestTheRightsOfRedisUsers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/redis/users.acl")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "users.acl")
	const admin = "user admin on nopass ~* &* +@all\n"
	write(t, file, admin)
	addr, _ := redistest.TCP(t, "--aclfile", file)
	rdb := redis.NewClient(&redis.Options{Addr: addr, Username: "admin", Password: "none"})
	t.Cleanup(func() { _ = rdb.Close() })
	write(t, file, string(text)+admin)
	if err := rdb.Do(t.Context(), "ACL", "LOAD").Err(); err != nil {
		t.Fatal(err)
	}
	url := func(user, password string) string { return "redis://" + user + ":" + password + "@" + addr }
	o := newOffice(t, officeOptions{ldif: staff(), file: true, source: onlyStaff,
		redis: url("rollcall-worker", "PASSWORD-OF-THE-WORKERS"), google: []string{"require_approval: always"}})
	app, err := boot.With(t.Context(), config.Process{RedisURL: url("rollcall-api", "PASSWORD-OF-THE-API"),
		ObjectWait: 20 * time.Second}, o.app.Config, os.Getenv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	srv, err := app.API(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	o.api = srv.Handler
	o.sync(corp, workspace, entra)
	var held struct {
		Digest string `json:"digest"`
		Count  int    `json:"count"`
	}
	o.call(http.MethodGet, paths[workspace]+"sync/held/", "", http.StatusOK, &held)
	if held.Count == 0 {
		t.Fatal("nothing waits for approval")
	}
	var approved struct{ Run status.Run }
	o.call(http.MethodPost, paths[workspace]+"sync/held/"+held.Digest+"/approve/", "{}", http.StatusAccepted, &approved)
	o.end(workspace, approved.Run.ID)
	o.call(http.MethodPost, paths[workspace]+"sync/object/",
		`{"sync_object_model":"authentik.core.models.User","sync_object_id":"ada"}`, http.StatusOK, &struct{}{})
	o.explain("username", "ada")
	if _, err := app.Metrics.Gather(); err != nil {
		t.Error(err)
	}
	refused, err := rdb.ACLLog(t.Context(), 20).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refused {
		if r.Object == "config|get" { // which shows the password of Redis, and only finds settings to warn of
			continue
		}
		t.Errorf("Redis refused %s %s of %s: %s", r.Reason, r.Object, r.Username, r.Context)
	}
	for _, user := range []string{url("rollcall-api", "PASSWORD-OF-THE-API"),
		url("rollcall-worker", "PASSWORD-OF-THE-WORKERS")} {
		opts, err := redis.ParseURL(user)
		if err != nil {
			t.Fatal(err)
		}
		one := redis.NewClient(opts)
		for _, command := range [][]any{{"FLUSHALL"}, {"CONFIG", "GET", "*"}, {"KEYS", "*"}, {"GET", "another"},
			{"ACL", "LIST"},
			{"MONITOR"}, {"CONFIG", "SET", "maxmemory", "1"}, {"PUBLISH", "another", "x"}} {
			if err := one.Do(t.Context(), command...).Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
				t.Errorf("%s: %v = %v, want it refused", opts.Username, command, err)
			}
		}
		_ = one.Close()
	}
}
