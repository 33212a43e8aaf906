package grafana

import (
	"maps"
	"strconv"
	"strings"
)

// Colours that mean something.
const (
	good  = "green"
	look  = "orange" // a person should look at it
	bad   = "red"
	plain = "text" // as the text around it
	quiet = "#6e7077"
	busy  = "blue"
)

// newPanel returns a panel of some type. The description is for a person who sees it for the first time.
func newPanel(kind, title, description string, options object) *panel {
	return &panel{
		Type: kind, Title: title, Description: description, Datasource: datasource, Options: options,
		FieldConfig: &fields{Defaults: object{}, Overrides: []override{}},
	}
}

// lastValue is how a panel makes one number of a series.
var lastValue = object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}

// stat shows numbers as of now on a coloured ground.
func stat(title, description string) *panel {
	p := newPanel("stat", title, description, object{
		"colorMode": "background", "graphMode": "none", "justifyMode": "center", "orientation": "auto",
		"reduceOptions": lastValue,
		"textMode":      "auto", "wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard",
	})
	return p.with("color", object{"mode": "thresholds"}).noValue("no data")
}

// graph shows lines over time.
func graph(title, description string) *panel {
	p := newPanel("timeseries", title, description, object{
		"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": object{"mode": "multi", "sort": "desc", "hideZeros": true},
	})
	return p.with("color", object{"mode": "palette-classic"}).with("min", 0).with("custom", object{
		"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false,
	})
}

// bars shows how often something happened, stacked. Each bar is a step of the graph.
func bars(title, description string) *panel {
	p := graph(title, description).unit("short").with("decimals", 0).with("custom", object{
		"drawStyle": "bars", "lineWidth": 0, "fillOpacity": 80, "showPoints": "never",
		"stacking": object{"mode": "normal", "group": "A"},
	})
	p.Interval = "1m"
	return p
}

// heatmap shows how a histogram is spread over time. A fuller cell means more observations.
func heatmap(title, description, query string) *panel {
	p := newPanel("heatmap", title, description, object{
		"calculate": false, "cellGap": 1, "showValue": "never",
		"color": object{
			"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "scale": "exponential", "exponent": 0.5, "steps": 32,
			"reverse": false,
		},
		"exemplars": object{"color": "rgba(255,0,255,0.7)"}, "filterValues": object{"le": 1e-9},
		"legend":    object{"show": true},
		"rowsFrame": object{"layout": "auto"}, "tooltip": object{"mode": "single", "yHistogram": false,
			"showColorScale": true},
		"yAxis": object{"axisPlacement": "left", "reverse": false, "unit": "s"}, "cellValues": object{"unit": "short"},
	})
	p.Interval = "1m"
	return p.unit("short").asks(target{Expr: query, Legend: "{{le}}", Format: "heatmap", Range: true})
}

// timeline shows states as coloured bands, one for each series.
func timeline(title, description string) *panel {
	p := newPanel("state-timeline", title, description, object{
		"alignValue": "left", "mergeValues": true, "rowHeight": 0.9, "showValue": "auto",
		"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": []string{}},
		"tooltip": object{"mode": "single", "sort": "none"},
	})
	return p.unit("short").with("color", object{"mode": "thresholds"}).with("custom",
		object{"fillOpacity": 70, "lineWidth": 0})
}

// gauges shows numbers as of now as bars, one below the other.
func gauges(title, description string) *panel {
	p := newPanel("bargauge", title, description, object{
		"displayMode": "basic", "orientation": "horizontal", "reduceOptions": lastValue, "valueMode": "color",
		"namePlacement": "auto",
		"showUnfilled":  true, "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 40,
		"legend": object{"displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": []string{}},
	})
	return p.with("color", object{"mode": "thresholds"}).with("min", 0)
}

// table shows numbers as of now, a row for each set of labels that its questions have in common.
func table(title, description string) *panel {
	p := newPanel("table", title, description, object{"cellHeight": "sm", "frameIndex": 0, "showHeader": true})
	return p.with("custom", object{"align": "auto", "cellOptions": object{"type": "auto"}, "inspect": false,
		"filterable": false})
}

// markdown shows a text.
func markdown(title, content string) *panel {
	return &panel{Type: "text", Title: title, Options: object{"mode": "markdown", "content": content}}
}

// asks adds a question. Its letter is its place.
func (p *panel) asks(t target) *panel {
	t.RefID, t.Datasource, t.EditorMode = string(rune('A'+len(p.Targets))), datasource, "code"
	t.Expr = strings.TrimSpace(t.Expr)
	p.Targets = append(p.Targets, t)
	return p
}

// over asks for values over time, with the text of their legend.
func (p *panel) over(expr, legend string) *panel {
	return p.asks(target{Expr: expr, Legend: legend, Format: "time_series", Range: true})
}

// now asks for values as of now.
func (p *panel) now(expr, legend string) *panel {
	return p.asks(target{Expr: expr, Legend: legend, Format: "time_series", Instant: true})
}

// column asks for values as of now and makes a column of them; properties are its appearance.
func (p *panel) column(name, expr string, properties ...object) *panel {
	p.labels(expr)
	value := "Value #" + p.Targets[len(p.Targets)-1].RefID
	delete(p.organize("excludeByName"), value)
	p.organize("renameByName")[value] = name
	return p.override(object{"id": "byName", "options": name}, properties...)
}

// labels asks for series as of now and makes columns of their labels alone.
func (p *panel) labels(expr string) *panel {
	p.asks(target{Expr: expr, Format: "table", Instant: true})
	p.organize("excludeByName")["Value #"+p.Targets[len(p.Targets)-1].RefID] = true
	return p
}

// organize returns a part of the transformation that names the columns of a table. The lines are merged first, so
// that lines with the same labels are one line.
func (p *panel) organize(part string) object {
	if p.Transformations == nil {
		p.Transformations = []object{
			{"id": "merge", "options": object{}},
			{"id": "organize", "options": object{"excludeByName": object{"Time": true}, "renameByName": object{},
				"indexByName": object{}}},
		}
	}
	return p.Transformations[1]["options"].(object)[part].(object)
}

// with sets something of all fields.
func (p *panel) with(name string, value any) *panel {
	p.FieldConfig.Defaults[name] = value
	return p
}

// custom sets something of all fields that only this type of panel knows.
func (p *panel) custom(name string, value any) *panel {
	changed := maps.Clone(p.FieldConfig.Defaults["custom"].(object))
	changed[name] = value
	return p.with("custom", changed)
}

// option sets something of the panel.
func (p *panel) option(name string, value any) *panel {
	p.Options[name] = value
	return p
}

func (p *panel) unit(u string) *panel       { return p.with("unit", u) }
func (p *panel) noValue(text string) *panel { return p.with("noValue", text) }

// size sets width, of 24, and height.
func (p *panel) size(w, h int) *panel {
	p.GridPos.W, p.GridPos.H = w, h
	return p
}

// override changes the appearance of the fields that match.
func (p *panel) override(matcher object, properties ...object) *panel {
	if len(properties) > 0 {
		p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{matcher, properties})
	}
	return p
}

// ofQuery changes the appearance of what one question, A or B, answers.
func (p *panel) ofQuery(letter string, properties ...object) *panel {
	return p.override(object{"id": "byFrameRefID", "options": letter}, properties...)
}

// limits colours numbers. The first colour is that of the least, and each further one begins at its value.
func (p *panel) limits(first string, steps ...step) *panel {
	return p.with("thresholds", thresholds(first, steps...))
}

type step struct {
	from  float64
	color string
}

func thresholds(first string, steps ...step) object {
	list := []object{{"color": first, "value": nil}}
	for _, s := range steps {
		list = append(list, object{"color": s.color, "value": s.from})
	}
	return object{"mode": "absolute", "steps": list}
}

// word is what a number is shown as.
type word struct {
	value int
	text  string
	color string
}

// words has numbers shown as words.
func words(list ...word) []object {
	options := object{}
	for i, w := range list {
		options[strconv.Itoa(w.value)] = object{"text": w.text, "color": w.color, "index": i}
	}
	return []object{{"type": "value", "options": options}}
}

// says has the numbers of the panel shown as words.
func (p *panel) says(list ...word) *panel { return p.with("mappings", words(list...)) }

// set is a property of an override.
func set(id string, value any) object { return object{"id": id, "value": value} }

// runbook links the panel with a section of docs/operations.md.
func (p *panel) runbook(anchor string) *panel {
	return p.link("docs/operations.md#"+anchor, "${docs:raw}/operations.md#"+anchor)
}

func (p *panel) link(title, url string) *panel {
	p.Links = append(p.Links, link(title, url))
	return p
}

func link(title, url string) object {
	return object{
		"type": "link", "title": title, "url": url, "targetBlank": true, "icon": "external link", "tooltip": "",
		"tags":       []string{},
		"asDropdown": false, "includeVars": false, "keepTime": false,
	}
}
