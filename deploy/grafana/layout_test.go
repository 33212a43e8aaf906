package grafana

// width is that of a dashboard.
const width = 24

// layout places rows one below the other, and numbers what it places.
type layout struct {
	panels []any
	y, id  int
}

// open adds an expanded row.
func (l *layout) open(title string, panels []*panel) {
	r := l.row(title)
	r.Panels = []*panel{}
	l.panels = append(l.panels, r)
	for _, p := range panels {
		l.panels = append(l.panels, p)
	}
	l.y = l.place(panels)
}

// closed adds a collapsed row. Its panels run no query until a viewer opens it. Until then it takes one line.
func (l *layout) closed(title string, panels []*panel) {
	r := l.row(title)
	r.Collapsed, r.Panels = true, panels
	l.panels = append(l.panels, r)
	l.place(panels)
}

func (l *layout) row(title string) *row {
	l.id++
	r := &row{ID: l.id, Type: "row", Title: title, GridPos: gridPos{Y: l.y, W: width, H: 1}}
	l.y++
	return r
}

// place puts panels side by side from l.y on, in lines that are as high as their highest panel, and returns where the
// last line ends.
func (l *layout) place(panels []*panel) (end int) {
	x, y, end := 0, l.y, l.y
	for _, p := range panels {
		if x+p.GridPos.W > width {
			x, y = 0, end
		}
		l.id++
		p.ID, p.GridPos.X, p.GridPos.Y = l.id, x, y
		x, end = x+p.GridPos.W, max(end, y+p.GridPos.H)
	}
	return end
}
