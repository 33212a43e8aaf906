package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/internal/stored"
)

// Report is the result of Verify.
type Report struct {
	// Lines is the number of lines, and Files of the files that have them.
	Lines, Files int
	First, Last  time.Time
	Head         Head
	// Losses are the records of lost lines; see Lost.
	Losses []Record
}

// BreakError names the first break of a chain.
type BreakError struct {
	File string
	Line int
	// Text says what is wrong.
	Text string
}

// Error implements error.
func (e *BreakError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }

// Verify reads the files of a log in their order and checks the chain. The error is a *BreakError for the first break.
// The log may be written meanwhile.
func Verify(path string) (Report, error) {
	return settled(path, verify)
}

// mostTries bounds the checks of a log that changes while it is read.
const mostTries = 5

// settled checks the files of a log again if the check fails and files were begun, written or deleted meanwhile.
func settled(path string, check func(files []string) (Report, error)) (Report, error) {
	for tries := 1; ; tries++ {
		files, before, err := glance(path)
		if err != nil {
			return Report{}, err
		}
		report, err := check(files)
		if err == nil || tries == mostTries {
			return report, err
		}
		if _, after, failed := glance(path); failed != nil || after == before {
			return report, err
		}
	}
}

// glance returns the files of a log, and a text that is another one after a change of any of them.
func glance(path string) (files []string, state string, err error) {
	if files, err = Files(path); err != nil {
		return nil, "", err
	}
	var all strings.Builder
	for _, file := range files {
		size := int64(-1)
		if info, err := os.Stat(file); err == nil {
			size = info.Size()
		}
		fmt.Fprintf(&all, "%s %d\n", file, size)
	}
	return files, all.String(), nil
}

func verify(files []string) (Report, error) {
	v := verifier{removed: map[string]bool{}}
	for _, file := range files {
		if err := v.file(file); err != nil {
			return v.Report, err
		}
	}
	return v.Report, v.begin()
}

// Verify checks the chain up to its present end, while records are written. The error is a *BreakError for a break.
// The check stops after a file when ctx ends.
func (l *Log) Verify(ctx context.Context) error {
	if l.cfg.Path == "" {
		return nil
	}
	for tries := 1; ; tries++ {
		// An earlier file that was deleted meanwhile is named by a later record.
		if err := l.verify(ctx); tries == mostTries || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

func (l *Log) verify(ctx context.Context) error {
	earlier, f, size, head, err := l.present()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	v := verifier{removed: map[string]bool{}}
	for _, file := range earlier {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.file(file); err != nil {
			return err
		}
	}
	if err := v.read(l.cfg.Path, io.NewSectionReader(f, 0, size)); err != nil {
		return err
	}
	if head.Sequence > 0 && v.Head != head {
		return &BreakError{File: filepath.Base(l.cfg.Path), Line: v.Lines, Text: fmt.Sprintf(
			"it ends with record %d, and record %d was written", v.Head.Sequence, head.Sequence)}
	}
	return v.begin()
}

// present returns the earlier files of the log, the last one with its size, and the end of the chain.
func (l *Log) present() (earlier []string, f *os.File, size int64, head Head, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	files, err := Files(l.cfg.Path)
	if err != nil {
		return nil, nil, 0, head, err
	}
	if f, err = os.Open(l.cfg.Path); err != nil {
		return nil, nil, 0, head, fmt.Errorf("audit: %w", err)
	}
	return files[:len(files)-1], f, l.size, l.head, nil
}

// begin checks that the first line begins the chain, or follows a file whose removal was recorded.
func (v *verifier) begin() error {
	if v.begins > 1 && !v.removed[v.before] {
		return &BreakError{File: v.oldest, Line: 1, Text: fmt.Sprintf(
			"the chain begins with record %d, and no record says that an earlier file was removed", v.begins)}
	}
	return nil
}

type verifier struct {
	Report
	oldest string // the file with the first line
	begins int64  // the sequence of the first line
	before string // the hash of the line before it
	// removed has the hash of the last line of each file whose removal was recorded.
	removed map[string]bool
}

func (v *verifier) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer func() { _ = f.Close() }()
	return v.read(path, f)
}

// read checks the lines of one file.
func (v *verifier) read(path string, f io.Reader) error {
	v.Files++
	in := bufio.NewReaderSize(f, 64<<10)
	for n := 1; ; n++ {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return nil
		}
		broken := &BreakError{File: filepath.Base(path), Line: n}
		if err != nil {
			broken.Text = "the line is cut off"
			return broken
		}
		if broken.Text = v.line(path, text[:len(text)-1]); broken.Text != "" {
			return broken
		}
	}
}

// line checks one line and returns what is wrong with it.
func (v *verifier) line(path string, text []byte) string {
	r, err := parse(text)
	switch {
	case err != nil:
		return err.Error()
	case v.Lines == 0:
		v.oldest, v.begins, v.before, v.First = filepath.Base(path), r.Sequence, r.Previous, r.Time
		if r.Sequence == 1 && r.Previous != "" {
			return "the first record names a record before it"
		}
	case r.Sequence != v.Head.Sequence+1 || r.Chain != v.Head.Chain:
		return fmt.Sprintf("record %d of chain %s follows record %d of chain %s", r.Sequence, r.Chain, v.Head.Sequence,
			v.Head.Chain)
	case r.Previous != v.Head.Hash:
		return fmt.Sprintf("record %d does not have the hash of the line before it: that line was changed", r.Sequence)
	}
	v.Lines++
	v.Last, v.Head = r.Time, Head{Chain: r.Chain, Sequence: r.Sequence, Hash: digest(text)}
	switch r.Event {
	case Removed:
		v.removed[r.Details["hash"]] = true
	case Lost:
		v.Losses = append(v.Losses, r)
	}
	return ""
}

// Sequences returns the highest DecisionsSequence of each container in the newest two files of a log. A log that does
// not exist has none.
func Sequences(path string) (map[string]int64, error) {
	files, err := Files(path)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for _, file := range files[max(0, len(files)-2):] {
		err := lines(file, func(text []byte) bool {
			if !bytes.Contains(text, []byte(DecisionsSequence)) {
				return true
			}
			if r, err := parse(text); err == nil {
				n, _ := strconv.ParseInt(r.Details[DecisionsSequence], 10, 64)
				out[r.Container] = max(out[r.Container], n)
			}
			return true
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return out, nil
}

// Has reports whether a log has the line that a head names.
func Has(path string, h Head) (bool, error) {
	files, err := Files(path)
	if err != nil {
		return false, err
	}
	for _, file := range slices.Backward(files) { // The line is among the last ones.
		found, err := has(file, h)
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

func has(file string, h Head) (found bool, err error) {
	err = lines(file, func(text []byte) bool {
		r, err := parse(text)
		if err != nil || r.Sequence != h.Sequence || r.Chain != h.Chain {
			return true
		}
		found = digest(text) == h.Hash
		return false
	})
	return found, err
}

// lines calls each for every line of a file, without its line feed, until it returns false.
func lines(file string, each func(text []byte) bool) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		if !each(text[:len(text)-1]) {
			return nil
		}
	}
}

// mostQuoted is how many characters an error has of what a line says.
const mostQuoted = 200

// parse reads a line. A line with unknown fields or in another form than Write gives it is refused, so that no two
// texts are the same record.
func parse(text []byte) (Record, error) {
	var r Record
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	err := in.Decode(&r)
	switch {
	case err != nil:
	case in.InputOffset() != int64(len(text)):
		err = errors.New("the line goes on after the record")
	case r.Sequence < 1 || r.Chain == "":
		err = fmt.Errorf("seq %d, chain %q", r.Sequence, r.Chain)
	default:
		return r, nil
	}
	return r, errors.New("no audit record: " + stored.Cut(err.Error(), mostQuoted))
}
