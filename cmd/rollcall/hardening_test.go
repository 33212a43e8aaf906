package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each point that is not met is named with what to do, and then the command ends with 1.
func TestCheckHardening(t *testing.T) {
	t.Parallel()
	file := checked(t, "")
	code, stdout, stderr := alone(t, map[string]string{"ROLLCALL_LISTEN": ":8080", "ROLLCALL_BEHIND_PROXY": "true",
		"ROLLCALL_REDIS_URL": "redis://redis.example.com", "ROLLCALL_REDIS_INSECURE": "true"},
		"check", "--hardening", "--config", file)
	if code != codeFailure {
		t.Errorf("the command ended with %d, want %d: %s", code, codeFailure, stderr)
	}
	for _, want := range []string{"ROLLCALL_TOKENS_FILE", "ROLLCALL_OIDC_ISSUER", "ROLLCALL_AUDIT_FILE",
		"ROLLCALL_STRICT_FILES=true", "ROLLCALL_TLS_CERT_FILE", "ROLLCALL_TRUSTED_PROXIES", "ROLLCALL_DECISIONS_KEY_FILE",
		"use a rediss:// URL", "ROLLCALL_REDIS_PASSWORD_FILE", "unset ROLLCALL_REDIS_INSECURE"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the output does not name %s:\n%s", want, stdout)
		}
	}

	dir := t.TempDir()
	vars := map[string]string{"ROLLCALL_STRICT_FILES": "true", "ROLLCALL_AUDIT_FILE": filepath.Join(dir, "audit"),
		"ROLLCALL_OIDC_ISSUER": "https://login.example.com", "ROLLCALL_OIDC_CLIENT_ID": "rollcall",
		"ROLLCALL_OIDC_REDIRECT_URL": "https://rollcall.example.com/login/callback"}
	for name, variable := range map[string]string{"tokens": "ROLLCALL_TOKENS_FILE", "key": "ROLLCALL_DECISIONS_KEY_FILE"} {
		vars[variable] = filepath.Join(dir, name)
		if err := os.WriteFile(vars[variable], []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr = alone(t, vars, "check", "--hardening", "--config", file)
	if code != 0 || strings.Contains(stdout, "to do") || !strings.Contains(stdout, "decisions on Redis are signed") {
		t.Errorf("the hardened installation: %d\n%s%s", code, stdout, stderr)
	}
	for _, path := range []string{file, vars["ROLLCALL_TOKENS_FILE"]} {
		if err := os.Chmod(path, 0o660); err != nil {
			t.Fatal(err)
		}
		code, stdout, _ = alone(t, vars, "check", "--hardening", "--config", file)
		if code != codeFailure || !strings.Contains(stdout, path+" has a safe mode (0660)") {
			t.Errorf("a file that its group can write: %d\n%s", code, stdout)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
