package config_test

import (
	"testing"

	"rollcall/internal/config"
)

func TestDocsAreUpToDate(t *testing.T) {
	t.Parallel()
	text, stale := config.Reference(read(t, "testdata/good.yaml"))
	for _, s := range stale {
		t.Error(s)
	}
	golden(t, "../../docs/configuration.md", text)
}
