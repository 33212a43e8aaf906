package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/status"
)

// planView is the plan of a run with one page of its rows.
type planView struct {
	Run       string               `json:"run"`
	Container container.ID         `json:"container"`
	DryRun    bool                 `json:"dry_run"`
	Digest    string               `json:"digest"`
	PlannedAt stamp                `json:"planned_at"`
	Summary   json.RawMessage      `json:"summary"`
	Sections  []status.PlanSection `json:"sections"`
	// Complete reports whether every row is stored. The summary counts all rows in either case.
	Complete bool              `json:"complete"`
	Next     *string           `json:"next"`
	Results  []json.RawMessage `json:"results"`
}

// planQuery selects a plan, its rows and a format.
type planQuery struct {
	run    string
	made   int64 // when the plan was made whose page is asked for; 0 with the first page
	from   int
	row    plan.RowKind // empty for all
	size   int
	asText bool
}

const (
	defaultPlanRows = 100
	defaultPlanText = 1000 // rows of a table, which is for reading at once
)

// syncPlan returns the plan of a run, or the newest plan if no run is named.
func (a *API) syncPlan(r *request) (answer, error) {
	q, err := parsePlanQuery(r.URL.Query())
	if err != nil {
		return answer{}, err
	}
	head, err := a.planHead(r, q)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return a.noPlan(r, q)
	}
	if err != nil {
		return answer{}, err
	}
	if q.made != 0 && q.made != head.At.UnixMilli() {
		return answer{}, invalidField("page_token", "The run has planned again: begin with the first page.")
	}
	from, to := sectionOf(head, q.row)
	from = max(from, q.from)
	rows, err := a.cfg.Status.PlanRows(r.Context(), head, from, min(q.size, to-from))
	if err != nil {
		return answer{}, err
	}
	next := ""
	if from += len(rows); from < to {
		// Without the run, the newest plan could change between two pages.
		next = fmt.Sprintf("%s.%d.%d", head.RunID, head.At.UnixMilli(), from)
	}
	if q.asText {
		return planText(head, rows, next)
	}
	out := planView{
		Run: head.RunID, Container: head.Container, DryRun: head.DryRun, Digest: head.Digest, PlannedAt: stamp(head.At),
		Summary: head.Summary, Sections: head.Sections, Complete: head.Complete(), Results: rows,
	}
	if next != "" {
		out.Next = &next
	}
	return ok(out), nil
}

func (a *API) planHead(r *request, q planQuery) (status.PlanHead, error) {
	if q.run == "" {
		return a.cfg.Status.NewestPlan(r.Context(), r.container())
	}
	return a.cfg.Status.Plan(r.Context(), r.container(), q.run)
}

// noPlan returns the reason why there is no plan.
func (a *API) noPlan(r *request, q planQuery) (answer, error) {
	out, text := notFound(), "No plan is kept of this container."
	if q.run != "" {
		run, err := a.cfg.Status.Get(r.Context(), r.container(), q.run)
		switch {
		case err != nil && fault.KindOf(err) == fault.NotFound:
			text = "There is no such run."
		case err != nil:
			return answer{}, err
		default:
			text = NoPlan(&run)
		}
	}
	out.body = detail{Detail: text}
	return out, nil
}

// NoPlan says why a run has no stored plan.
func NoPlan(run *status.Run) string {
	switch {
	case run.PlannedAt.IsZero() && run.State.Open():
		return "The run has no plan yet."
	case run.PlannedAt.IsZero():
		return "The run ended before it had a plan."
	}
	return "The plan of this run is no longer kept."
}

// sectionOf returns the range of the rows of a kind. An empty kind means all rows.
func sectionOf(h status.PlanHead, kind plan.RowKind) (from, to int) {
	if kind == "" {
		return 0, h.Rows()
	}
	for _, s := range h.Sections {
		if s.Name == string(kind) {
			return from, from + s.Kept
		}
		from += s.Kept
	}
	return 0, 0
}

func parsePlanQuery(v url.Values) (planQuery, error) {
	q, wrong := planQuery{run: v.Get("run"), row: plan.RowKind(v.Get("row"))}, invalid{}
	if q.run != "" && !isUUID(q.run) {
		wrong.add("run", "Must be a valid UUID.")
	}
	if q.row != "" && !slices.Contains(plan.RowKinds(), q.row) {
		wrong.add("row", `"%s" is not a valid choice.`, q.row)
	}
	size := defaultPlanRows
	switch v.Get("format") {
	case "", "json":
	case "text":
		q.asText, size = true, defaultPlanText
	default:
		wrong.add("format", `"%s" is not a valid choice.`, v.Get("format"))
	}
	q.size = sizeOf(v, size, wrong)
	if token := v.Get("page_token"); token != "" && !q.open(token) {
		wrong.add("page_token", "This is not a page of this plan.")
	}
	return q, wrong.orNil()
}

// open reads a token with the run, the time of the plan and the number of a row.
func (q *planQuery) open(token string) bool {
	part := strings.Split(token, ".")
	if len(part) != 3 || !isUUID(part[0]) || q.run != "" && q.run != part[0] {
		return false
	}
	made, err1 := strconv.ParseInt(part[1], 10, 64)
	row, err2 := strconv.Atoi(part[2])
	q.run, q.made, q.from = part[0], made, row
	return err1 == nil && err2 == nil && made > 0 && row > 0
}

// isUUID reports whether text is a UUID in canonical form. Only such an id may become part of a Redis key.
func isUUID(text string) bool {
	id, err := uuid.Parse(text)
	return err == nil && id.String() == text
}

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
