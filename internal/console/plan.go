package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/tokens"
	"rollcall/plan"
	"rollcall/status"
)

const (
	planRows   = 50
	planGroups = 25
	// rowsAtOnce is the number of rows that a search reads at once.
	rowsAtOnce = 2000
	// searchTime limits a search for one page, which has a link to what was not searched.
	searchTime = 120 * time.Millisecond
)

// planFilter selects rows of a plan. Empty fields select everything.
type planFilter struct {
	Row    string // a plan.RowKind
	Op     string
	Kind   string // user or group
	Text   string
	By     string // person or group: rows are grouped
	page   int
	from   int // the row that a search begins with, which goes on with an earlier one
	needle []byte
	op     []byte // as a row has it
}

func planFilterOf(q url.Values) planFilter {
	f := planFilter{Row: q.Get("row"), Op: q.Get("op"), Kind: q.Get("kind"), Text: strings.TrimSpace(q.Get("q")),
		By: q.Get("group"), page: pageNumber(q)}
	// JSON escapes some characters of a text, so that only the rest of it can be found in a row that is not decoded.
	if text, err := json.Marshal(f.Text); err == nil && !bytes.ContainsAny(text, "\\") {
		f.needle = bytes.ToLower(text[1 : len(text)-1])
	}
	if f.Op != "" {
		f.op = []byte(strconv.Quote(f.Op))
	}
	f.from, _ = strconv.Atoi(q.Get("from")) // zero for anything else
	f.from = max(0, f.from)
	return f
}

// Ops returns the operations that can be chosen.
func (planFilter) Ops() []plan.Op { return harm }

// Rows returns the kinds of rows that can be chosen.
func (planFilter) Rows() []plan.RowKind { return plan.RowKinds() }

// Narrow reports whether the filter leaves rows out.
func (f planFilter) Narrow() bool { return f.Row+f.Op+f.Kind+f.Text != "" }

// address returns the query of a page with the same filter.
func (f planFilter) address(page int) string {
	return query("row", f.Row, "op", f.Op, "kind", f.Kind, "q", f.Text, "group", f.By, "from", f.begin(),
		"page", strconv.Itoa(page))
}

// begin is the row that the search begins with, for an address.
func (f planFilter) begin() string {
	if f.from == 0 {
		return ""
	}
	return strconv.Itoa(f.from)
}

// Download returns the query of a file with the rows of the filter.
func (f planFilter) Download() string {
	return query("row", f.Row, "op", f.Op, "kind", f.Kind, "q", f.Text)
}

// wants reports whether a decoded row is selected.
func (f planFilter) wants(r *plan.Row) bool {
	c, op := changeOf(r)
	return (f.Row == "" || f.Row == string(r.Kind)) && (f.Op == "" || f.Op == op) &&
		(f.Kind == "" || f.Kind == c.Kind.String()) &&
		(f.Text == "" || strings.Contains(strings.ToLower(textOf(c)), strings.ToLower(f.Text)))
}

// changeOf returns the change of a row and the name of its operation. An entry in conflict, or left alone, has none.
func changeOf(r *plan.Row) (c *plan.Change, op string) {
	if r.Kind == plan.RowConflict || r.Kind == plan.RowNote {
		return &plan.Change{Ref: r.Entry.Ref, Label: r.Entry.Label, Held: string(r.Entry.Reason) + ": " + r.Entry.Detail}, ""
	}
	return &r.Change, r.Change.Op.String()
}

// textOf is what a search in a plan looks at.
func textOf(c *plan.Change) string {
	texts := []string{c.Label, string(c.ID), c.Address, c.MemberLabel, c.Held}
	if c.Member != nil {
		texts = append(texts, string(c.Member.ID))
	}
	for _, f := range c.Fields {
		texts = append(append(append(texts, f.Name), f.Before...), f.After...)
	}
	return strings.Join(texts, "\x00")
}

// search yields the selected rows of a plan from the first one of the filter. The last error may be stoppedAt.
func (c *Console) search(ctx context.Context, head status.PlanHead, f planFilter, until time.Time) iter.Seq2[plan.Row,
	error] {
	return c.rows(ctx, head, f, f.from, rowsAtOnce, until)
}

// stoppedAt is the row at which a search ended because its time was over.
type stoppedAt int

// Error implements error.
func (s stoppedAt) Error() string { return "the search ended at row " + strconv.Itoa(int(s)) }

// rows yields the selected rows of a plan from a place on, of which it reads some at once, until a time; the zero time
// is never. Rows without the text or the operation are not decoded.
func (c *Console) rows(ctx context.Context, head status.PlanHead, f planFilter, first, atOnce int,
	until time.Time) iter.Seq2[plan.Row, error] {
	return func(yield func(plan.Row, error) bool) {
		for from := first; from < head.Rows(); from += atOnce {
			if from > first && !until.IsZero() && time.Now().After(until) {
				yield(plan.Row{}, stoppedAt(from))
				return
			}
			some, err := c.cfg.Status.PlanRows(ctx, head, from, atOnce)
			if err != nil {
				yield(plan.Row{}, err)
				return
			}
			for _, text := range some {
				if !bytes.Contains(text, f.op) ||
					len(f.needle) > 0 && !bytes.Contains(bytes.ToLower(text), f.needle) {
					continue
				}
				var row plan.Row
				if err := json.Unmarshal(text, &row); err != nil {
					yield(row, fmt.Errorf("row of a plan: %w", err))
					return
				}
				if f.wants(&row) && !yield(row, nil) {
					return
				}
			}
		}
	}
}

// fillPlan fills in one page of a plan.
func (c *Console) fillPlan(ctx context.Context, p *planData) error {
	switch {
	case p.Filter.By != "":
		return c.groupPlan(ctx, p)
	case !p.Filter.Narrow():
		p.Pager = newPager(p.Filter.page, planRows, p.Head.Rows(), p.Filter.address)
		for row, err := range c.rows(ctx, p.Head, p.Filter, p.Pager.From-1, planRows, time.Time{}) {
			if err != nil || len(p.Rows) == p.Pager.Shown {
				return err
			}
			p.Rows = append(p.Rows, row)
		}
		return nil
	}
	n, from := 0, (p.Filter.page-1)*planRows
	for row, err := range c.search(ctx, p.Head, p.Filter, time.Now().Add(searchTime)) {
		if err = p.stop(err); err != nil {
			return err
		}
		if p.Rest != "" {
			break
		}
		if n++; n > from && len(p.Rows) < planRows {
			p.Rows = append(p.Rows, row)
		}
	}
	p.Pager = newPager(p.Filter.page, planRows, n, p.Filter.address)
	return nil
}

// stop notes where a search goes on that ended because its time was over. Any other error is returned.
func (p *planData) stop(err error) error {
	if at, stopped := errors.AsType[stoppedAt](err); stopped {
		rest := p.Filter
		rest.from = int(at)
		p.Rest, err = rest.address(1), nil
	}
	return err
}

// groupPlan groups the selected rows by the person or the group that they concern.
func (c *Console) groupPlan(ctx context.Context, p *planData) error {
	groups := map[string]*planGroup{}
	for row, err := range c.search(ctx, p.Head, p.Filter, time.Now().Add(searchTime/2)) {
		if err = p.stop(err); err != nil {
			return err
		}
		if p.Rest != "" {
			break
		}
		ref, label := concerned(&row, p.Filter.By)
		g := groups[ref.String()]
		if g == nil {
			g = &planGroup{Label: cmp.Or(label, string(ref.ID)), ID: string(ref.ID), Kind: ref.Kind.String()}
			groups[ref.String()] = g
		}
		g.Rows = append(g.Rows, row)
	}
	for _, g := range groups {
		p.Groups = append(p.Groups, *g)
	}
	slices.SortFunc(p.Groups, func(a, b planGroup) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label)), cmp.Compare(a.ID, b.ID))
	})
	p.Pager = newPager(p.Filter.page, planGroups, len(p.Groups), p.Filter.address)
	p.Groups = p.Groups[p.Pager.From-1 : p.Pager.To]
	return nil
}

// concerned returns the entry that a row belongs to: for a membership the member or, by group, the group.
func concerned(r *plan.Row, by string) (directory.Ref, string) {
	c, _ := changeOf(r)
	if c.Member != nil && by != "group" {
		return *c.Member, c.MemberLabel
	}
	return c.Ref, c.Label
}

// download sends the selected rows of a plan as a file.
func (c *Console) download(w http.ResponseWriter, r *http.Request) {
	ctx, end := c.cfg.API.Within(r.Context(), false)
	defer end()
	req, ok := c.enter(w, r.WithContext(ctx), tokens.Read)
	if !ok {
		return
	}
	head, err := c.planOf(req)
	if err != nil {
		c.answer(w, req, nil, err)
		return
	}
	f := planFilterOf(r.URL.Query())
	file := r.PathValue("file")
	w.Header().Set("Content-Disposition", `attachment; filename="`+head.Container.Kind()+"-"+head.RunID+path.Ext(file)+`"`)
	if file == "plan.csv" {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		err = writeCSV(w, c.search(r.Context(), head, f, time.Time{}))
	} else {
		w.Header().Set("Content-Type", "application/json")
		err = writeJSON(w, c.search(r.Context(), head, f, time.Time{}))
	}
	if err != nil { // A part is sent. The connection is broken off, so that the file is not taken for whole.
		c.cfg.Log.WarnContext(r.Context(), "download", "err", err)
		panic(http.ErrAbortHandler)
	}
}

// planOf returns the plan that a download is from.
func (c *Console) planOf(r *request) (status.PlanHead, error) {
	_, known := c.resource(r.container())
	if _, err := uuid.Parse(r.PathValue("run")); err != nil || !known ||
		!slices.Contains([]string{"plan.csv", "plan.json"}, r.PathValue("file")) {
		return status.PlanHead{}, errNoPage
	}
	head, err := c.cfg.Status.Plan(r.Context(), r.container(), r.PathValue("run"))
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return head, errNoPage
	}
	return head, err
}

func writeJSON(w http.ResponseWriter, rows iter.Seq2[plan.Row, error]) error {
	before := "["
	for row, err := range rows {
		text, wrong := json.Marshal(row)
		if err = errors.Join(err, wrong); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s\n%s", before, text); err != nil {
			return err
		}
		before = ","
	}
	_, err := fmt.Fprintln(w, strings.Trim(before, ",")+"]")
	return err
}

// writeCSV writes one line for each changed field, and one for a change without fields.
func writeCSV(w http.ResponseWriter, rows iter.Seq2[plan.Row, error]) error {
	out := csv.NewWriter(w)
	line := func(cells ...string) error {
		for i := range cells {
			cells[i] = cell(cells[i])
		}
		return out.Write(cells)
	}
	if err := line("row", "action", "kind", "id", "label", "address", "member", "member_label", "field", "before", "after",
		"reason"); err != nil {
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		c, op := changeOf(&row)
		member := ""
		if c.Member != nil {
			member = string(c.Member.ID)
		}
		fields := c.Fields
		if len(fields) == 0 {
			fields = []plan.FieldChange{{}}
		}
		for _, f := range fields {
			if err := line(string(row.Kind), op, c.Kind.String(), string(c.ID), c.Label, c.Address, member,
				c.MemberLabel, f.Name, strings.Join(f.Before, " | "), strings.Join(f.After, " | "),
				cmp.Or(c.Held, string(c.Why))); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// cell keeps a spreadsheet from taking a value from a directory for a formula. Some of them skip what is not shown
// before it, and take signs of full width for the others.
func cell(text string) string {
	shown := strings.TrimLeftFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	if first, _ := utf8.DecodeRuneInString(shown); strings.ContainsRune("=+-@＝＋－＠", first) {
		return "'" + text
	}
	return text
}
