package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
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
