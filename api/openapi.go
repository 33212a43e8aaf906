package api

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"rollcall/container"
	"rollcall/provider"
)

// parts are the templates of the document, embedded, so that a binary serves the document of its own version.
//
//go:embed openapi/*.tmpl
var parts embed.FS

// documented has the values of a family for the templates.
type documented struct {
	Base, Key, Tag, Word, Verbose, Schema, Secret, Description string
	// Operation is the prefix of operation ids.
	Operation string
	Source    bool
}

// Document returns the OpenAPI document of the API. It contains the contract's paths unchanged. The paths of sources
// and of each type of provider come from one template.
func Document(types []provider.Type) ([]byte, error) {
	templates, err := template.ParseFS(parts, "openapi/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("api: document: %w", err)
	}
	data := struct {
		Families             []documented
		Products, Containers string
	}{}
	var products []string
	containers := []string{"ldap:<slug>"}
	for i, f := range families(types) {
		d := documented{
			Base: f.base, Key: f.key, Tag: "sources", Word: "source", Verbose: f.verbose, Schema: "LDAPSource", Secret: f.secret,
			Description: "An LDAP directory", Source: f.kind == container.LDAP,
			Operation: strings.ReplaceAll(strings.Trim(f.base, "/"), "/", "_"),
		}
		if !d.Source {
			t := &types[i-1]
			d.Tag, d.Word, d.Schema, d.Description = "providers", "provider", t.Schema()+"Provider", "A "+t.ProductName()+
				" tenant"
			products, containers = append(products, t.ProductName()), append(containers, t.Name+":<id>")
		}
		data.Families = append(data.Families, d)
	}
	data.Products, data.Containers = enumerate(products, "and"), enumerate(containers, "or")
	var text, out bytes.Buffer
	if err := templates.ExecuteTemplate(&text, "document.json.tmpl", data); err != nil {
		return nil, fmt.Errorf("api: document: %w", err)
	}
	if err := json.Indent(&out, bytes.TrimSpace(text.Bytes()), "", " "); err != nil {
		return nil, fmt.Errorf("api: document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// enumerate returns "a, b and c".
func enumerate(list []string, last string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	n := len(list) - 1
	return strings.Join(list[:n], ", ") + " " + last + " " + list[n]
}

// schema answers with the document. It is no secret, and it needs no token.
func (a *API) schema(*request) (answer, error) { return ok(json.RawMessage(a.document)), nil }
