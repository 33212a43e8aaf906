package api

import (
	"bytes"
	"encoding/json"
	"fmt"

	"rollcall/plan"
	"rollcall/status"
)

// planText prints a page of a plan as a table, with the totals of the whole plan.
func planText(h status.PlanHead, rows []json.RawMessage, next string) (answer, error) {
	all := make([]plan.Row, len(rows))
	for i, text := range rows {
		if err := json.Unmarshal(text, &all[i]); err != nil {
			return answer{}, fmt.Errorf("row of a plan: %w", err)
		}
	}
	var summary plan.Summary
	if err := json.Unmarshal(h.Summary, &summary); err != nil {
		return answer{}, fmt.Errorf("summary of a plan: %w", err)
	}
	var b bytes.Buffer
	mode := "run"
	if h.DryRun {
		mode = "dry run"
	}
	fmt.Fprintf(&b, "%s, %s %s, planned at %s, digest %s\n\n", h.Container, mode, h.RunID,
		h.At.UTC().Format("2006-01-02T15:04:05Z"), h.Digest)
	for _, d := range summary.Doubts {
		fmt.Fprintln(&b, "doubt:", plan.Clean(d))
	}
	apply, held := plan.Collect(all)
	if err := plan.WriteTable(&b, apply, held); err != nil {
		return answer{}, err
	}
	if len(rows) > 0 {
		b.WriteByte('\n')
	}
	if err := summary.Write(&b); err != nil {
		return answer{}, err
	}
	for _, s := range h.Sections {
		if s.Kept < s.Total {
			fmt.Fprintf(&b, "\nOnly the first %d of %d rows (%s) are kept.\n", s.Kept, s.Total, s.Name)
		}
	}
	if next != "" {
		fmt.Fprintf(&b, "\nThere is more: page_token=%s\n", next)
	}
	return ok(plainText(b.Bytes())), nil
}
