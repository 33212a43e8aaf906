package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

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

func compareProblems(a, b Problem) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
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
	slices.SortFunc(d.problems, compareProblems)
	return slices.Compact(d.problems)
}
