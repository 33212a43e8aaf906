package csdltest

import (
	"encoding/json"
	"fmt"
	"testing"
)

// Sample is an example of the documentation, with a request and Graph's response.
type Sample struct {
	Method, URL string
	Status      int
	// Body is an object, a number, or nothing.
	Body json.RawMessage
}

func (s Sample) String() string { return fmt.Sprintf("%s %s", s.Method, s.URL) }

// Samples returns the documentation's examples.
func Samples(t testing.TB) []Sample {
	t.Helper()
	data, err := files.ReadFile("testdata/samples.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Samples []Sample }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatalf("read the samples: %v", err)
	}
	return file.Samples
}
