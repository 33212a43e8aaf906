package status

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// An attempt is stored as one line of fields with tabs between them, because there are a few for every entry: JSON would
// take twice the room. Ids that are UUIDs, as most are, take 23 bytes in place of 36.
const (
	packedFields = 10
	packedJob    = "j"
)

// pack bounds the attempt and makes one line of it.
func (a Attempt) pack() string {
	job := ""
	if a.Job {
		job = packedJob
	}
	fields := a.Fields[:min(len(a.Fields), maxAttemptFields)]
	parts := [packedFields]string{
		strconv.FormatInt(a.At.UnixMilli(), 36), shortID(a.RunID), job, a.Op, strings.Join(fields, ","), shortID(a.Group),
		shortID(a.RemoteID), shortID(a.RequestID), a.FailKind, cut(a.FailText, maxAttemptText),
	}
	for i := range parts {
		parts[i] = strings.Map(oneLine, parts[i])
	}
	return strings.TrimRight(strings.Join(parts[:], "\t"), "\t")
}

func oneLine(r rune) rune {
	if r == '\t' || r == '\n' || r == '\r' {
		return ' '
	}
	return r
}

func unpackAttempt(line string) (Attempt, error) {
	var parts [packedFields]string
	n := 0
	for part := range strings.SplitSeq(line, "\t") {
		if n == packedFields {
			return Attempt{}, fmt.Errorf("an attempt has more than %d fields", packedFields)
		}
		parts[n], n = part, n+1
	}
	at, err := strconv.ParseInt(parts[0], 36, 64)
	if err != nil {
		return Attempt{}, fmt.Errorf("the time of an attempt: %w", err)
	}
	a := Attempt{
		At: time.UnixMilli(at).UTC(), RunID: longID(parts[1]), Job: parts[2] == packedJob, Op: parts[3], Group: longID(parts[5]),
		RemoteID: longID(parts[6]), RequestID: longID(parts[7]), FailKind: parts[8], FailText: parts[9],
	}
	if parts[4] != "" {
		a.Fields = strings.Split(parts[4], ",")
	}
	return a, nil
}

// uuidMark begins an id that was shortened. An id that begins with it by itself is never shortened, and gets a second one.
const uuidMark = "~"

// shortID shortens a UUID in its canonical form.
func shortID(id string) string {
	if u, err := uuid.Parse(id); err == nil && u.String() == id {
		return uuidMark + base64.RawURLEncoding.EncodeToString(u[:])
	}
	if strings.HasPrefix(id, uuidMark) {
		return uuidMark + id
	}
	return id
}

func longID(short string) string {
	rest, marked := strings.CutPrefix(short, uuidMark)
	if !marked || strings.HasPrefix(rest, uuidMark) {
		return rest
	}
	if raw, err := base64.RawURLEncoding.DecodeString(rest); err == nil && len(raw) == len(uuid.UUID{}) {
		return uuid.UUID(raw).String()
	}
	return rest
}
