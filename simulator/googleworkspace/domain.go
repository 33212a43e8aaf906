package googleworkspace

import (
	"strconv"
	"strings"
	"time"
)

// domainRec is a domain of the customer. It never changes.
type domainRec struct {
	name              string
	primary, verified bool
	created           time.Time
}

func (d *domainRec) doc() map[string]any {
	doc := map[string]any{
		"kind": "admin#directory#domain", "domainName": d.name, "isPrimary": d.primary, "verified": d.verified,
		"creationTime": strconv.FormatInt(d.created.UnixMilli(), 10),
	}
	doc["etag"] = etag(encodeJSON(doc))
	return doc
}

func (t *Tenant) domainsList(c *call) (any, *apiError) {
	if err := t.customer(c.vars["customer"]); err != nil {
		return nil, err
	}
	docs := make([]map[string]any, len(t.domains))
	for i, d := range t.domains {
		docs[i] = d.doc()
	}
	return page("admin#directory#domains", "domains", docs, ""), nil
}

func (t *Tenant) domainsGet(c *call) (any, *apiError) {
	if err := t.customer(c.vars["customer"]); err != nil {
		return nil, err
	}
	if d := t.domain(strings.ToLower(c.vars["domainName"])); d != nil {
		return d.doc(), nil
	}
	return nil, domainNotFound()
}
