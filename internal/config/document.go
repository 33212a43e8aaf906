package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// parseDocument returns the one mapping that the file consists of.
func parseDocument(file string, data []byte) (*yaml.Node, Problems) {
	refuse := func(line int, message string) (*yaml.Node, Problems) {
		return nil, Problems{{File: file, Line: line, Message: message}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return refuse(0, "is empty: write down a source and a provider")
	case err != nil:
		line, message := explain(err, data)
		return refuse(line, message)
	}
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		line, message := explain(err, data)
		return refuse(line, message)
	default:
		return refuse(second.Line, "a second document begins: the file is one document, without ---")
	}
	if len(doc.Content) != 1 || isNull(doc.Content[0]) {
		return refuse(0, "is empty: write down a source and a provider")
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return refuse(root.Line, "want a table that begins with sources:, got "+describe(root))
	}
	return root, nil
}

var (
	syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	indentTab   = regexp.MustCompile(`^ *\t`)
)

// explain separates the line number from a syntax error. A tab has an error of its own, because the library's text
// about tabs is hard to understand.
func explain(err error, data []byte) (line int, message string) {
	if strings.Contains(err.Error(), "cannot start any token") || strings.Contains(err.Error(), "tab character") {
		for i, text := range strings.Split(string(data), "\n") {
			if indentTab.MatchString(text) {
				return i + 1, "a tab is in the indentation: use blanks"
			}
		}
	}
	m := syntaxError.FindStringSubmatch(strings.Split(err.Error(), "\n")[0])
	if m == nil {
		return 0, "is no YAML: " + err.Error()
	}
	line, _ = strconv.Atoi(m[1])
	return line, "is no YAML: " + m[2]
}

// isNull reports whether nothing stands there.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// describe says what a node is, for people.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a table"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return describe(n.Alias)
	}
	if isNull(n) {
		return "nothing"
	}
	return strconv.Quote(n.Value)
}

// plainFile checks that a file without secrets can be read.
func (k *checker) plainFile(path string, file *string) {
	written := *file
	if !k.absolute(file) || k.opts.NoFiles {
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

// Problem is one mistake.
type Problem struct {
	File string `json:"file"`
	// Line is counted from one; 0 where the mistake is in no line.
	Line int `json:"line,omitempty"`
	// Field is the path of the field, such as sources.ldap[0].base_dn.
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// String returns the problem as one line: "rollcall.yaml:14: sources.ldap[0].base_dn: …".
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s = fmt.Sprintf("%s:%d", s, p.Line)
	}
	if p.Field != "" {
		s += ": " + p.Field
	}
	return s + ": " + strings.Join(strings.Fields(p.Message), " ")
}

// Problems are all mistakes of one file, in the order of its lines.
type Problems []Problem

// Error implements error with one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// cause leaves out of a file error what the line says already.
func cause(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// sorted returns the problems by line, each once.
func (d *decoder) sorted() Problems {
	slices.SortFunc(d.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(d.problems)
}
