package googleworkspace_test

import (
	"net/http"
	"testing"
)

func wrap(_ *testing.T, h http.Handler) http.Handler { return h }
