package config

import (
	"os"
	"slices"
	"strings"
)

// plainFile checks that a file without secrets can be read.
func (k *checker) plainFile(path string, file *string) {
	written := *file
	if !k.absolute(file) {
		return
	}
	f, err := os.Open(*file)
	if err != nil {
		k.fail(path, "%s: %s", written, cause(err))
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		k.fail(path, "%s is a directory", written)
	}
}

// shorten names a file as the configuration does.
func shorten(message, absolute, written string) string {
	message = strings.TrimPrefix(message, "read secret: ")
	message = strings.ReplaceAll(message, absolute, written)
	if !strings.Contains(message, written) {
		message = written + ": " + message
	}
	return message
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
