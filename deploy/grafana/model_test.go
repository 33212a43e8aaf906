package grafana

import (
	"bytes"
	"encoding/json"
)

// object is a part of the model that only Grafana reads.
type object = map[string]any

// datasource refers to the variable of that name.
var datasource = object{"type": "prometheus", "uid": "${datasource}"}

type dashboard struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	SchemaVersion int      `json:"schemaVersion"`
	Editable      bool     `json:"editable"`
	GraphTooltip  int      `json:"graphTooltip"`
	Refresh       string   `json:"refresh"`
	Time          object   `json:"time"`
	Timezone      string   `json:"timezone"`
	Links         []object `json:"links"`
	Annotations   object   `json:"annotations"`
	Templating    object   `json:"templating"`
	Panels        []any    `json:"panels"`
}

// row is a heading with the panels below it. Grafana wants those of an open row beside it, not in it.
type row struct {
	ID        int      `json:"id"`
	Type      string   `json:"type"`
	Title     string   `json:"title"`
	GridPos   gridPos  `json:"gridPos"`
	Collapsed bool     `json:"collapsed"`
	Panels    []*panel `json:"panels"`
}

type panel struct {
	ID              int      `json:"id"`
	Type            string   `json:"type"`
	Title           string   `json:"title"`
	Description     string   `json:"description,omitempty"`
	GridPos         gridPos  `json:"gridPos"`
	Datasource      object   `json:"datasource,omitempty"`
	Interval        string   `json:"interval,omitempty"`
	Targets         []target `json:"targets,omitempty"`
	Transformations []object `json:"transformations,omitempty"`
	FieldConfig     *fields  `json:"fieldConfig,omitempty"`
	Options         object   `json:"options,omitempty"`
	Links           []object `json:"links,omitempty"`
}

type gridPos struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

// target is one question to Prometheus.
type target struct {
	RefID      string `json:"refId"`
	Datasource object `json:"datasource"`
	EditorMode string `json:"editorMode"`
	Expr       string `json:"expr"`
	Legend     string `json:"legendFormat"`
	Format     string `json:"format"`
	// One of them is set, Range for the values over the shown time or Instant for the value at its end.
	Range   bool `json:"range"`
	Instant bool `json:"instant"`
}

type fields struct {
	Defaults  object     `json:"defaults"`
	Overrides []override `json:"overrides"`
}

// override changes the appearance of some fields.
type override struct {
	Matcher    object   `json:"matcher"`
	Properties []object `json:"properties"`
}

// text returns the dashboard as Grafana reads it. Comparisons in PromQL stay readable.
func (d *dashboard) text() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		panic(err) // The model has nothing that cannot be written.
	}
	return b.Bytes()
}
