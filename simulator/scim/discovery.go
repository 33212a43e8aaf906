package scim

import "net/http"

// config serves GET /ServiceProviderConfig (RFC 7643, section 5, and RFC 9865, section 4).
func (t *Tenant) config(c *call) (*answer, *apiError) {
	b := t.cfg.Behaviours
	if b.NoConfig {
		return nil, refusal(http.StatusNotFound, "", "Not found.")
	}
	page := b.PageSize
	setDefault(&page, defaultPage)
	supported := func(yes bool) map[string]any { return map[string]any{"supported": yes} }
	filter := supported(!b.NoFilter)
	filter["maxResults"] = page
	bulk := supported(false)
	bulk["maxOperations"], bulk["maxPayloadSize"] = 0, 0
	scheme := func(kind, name string) any {
		return map[string]any{"type": kind, "name": name, "description": "Authentication with " + name + "."}
	}
	return &answer{status: http.StatusOK, body: map[string]any{
		"schemas": []any{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
		"patch":   supported(!b.NoPatch), "bulk": bulk, "filter": filter, "changePassword": supported(false),
		"sort": supported(false), "etag": supported(!b.NoETag),
		"authenticationSchemes": []any{scheme("oauthbearertoken", "OAuth Bearer Token"), scheme("httpbasic", "HTTP Basic"),
			scheme("oauth2", "OAuth 2.0 client credentials")},
		"pagination": map[string]any{"cursor": true, "index": !b.CursorOnly, "defaultPaginationMethod": method(b),
			"defaultPageSize": page, "maxPageSize": page},
		"meta": map[string]any{"resourceType": "ServiceProviderConfig", "location": c.base + "/ServiceProviderConfig"},
	}}, nil
}

func method(b Behaviours) string {
	if b.CursorOnly {
		return "cursor"
	}
	return "index"
}

// types serves GET /ResourceTypes.
func (t *Tenant) types(c *call) (*answer, *apiError) {
	if t.cfg.Behaviours.NoConfig {
		return nil, refusal(http.StatusNotFound, "", "Not found.")
	}
	var list []any
	for _, k := range t.kinds() {
		extensions := []any{}
		for _, e := range k.extensions {
			extensions = append(extensions, map[string]any{"schema": e.id, "required": false})
		}
		list = append(list, map[string]any{
			"schemas": []any{"urn:ietf:params:scim:schemas:core:2.0:ResourceType"}, "id": k.name, "name": k.name,
			"endpoint": "/" + k.path, "schema": k.core.id, "schemaExtensions": extensions,
			"meta": map[string]any{"resourceType": "ResourceType", "location": c.base + "/ResourceTypes/" + k.name},
		})
	}
	return wholeList(list), nil
}

func (t *Tenant) kinds() []*kind {
	if t.cfg.Behaviours.NoGroups {
		return []*kind{t.users}
	}
	return []*kind{t.users, t.groups}
}

// schemas serves GET /Schemas.
func (t *Tenant) schemas(c *call) (*answer, *apiError) {
	if t.cfg.Behaviours.NoConfig {
		return nil, refusal(http.StatusNotFound, "", "Not found.")
	}
	var list []any
	for _, k := range t.kinds() {
		for _, s := range append([]schema{k.core}, k.extensions...) {
			list = append(list, map[string]any{
				"schemas": []any{"urn:ietf:params:scim:schemas:core:2.0:Schema"}, "id": s.id, "name": s.name,
				"attributes": definitions(s.attributes),
				"meta":       map[string]any{"resourceType": "Schema", "location": c.base + "/Schemas/" + s.id},
			})
		}
	}
	return wholeList(list), nil
}

func wholeList(list []any) *answer {
	return &answer{status: http.StatusOK, body: map[string]any{"schemas": []any{listMessage},
		"totalResults": len(list), "itemsPerPage": len(list), "startIndex": 1, "Resources": list}}
}

// definitions returns attributes in the form of RFC 7643, section 7, without those that every resource has.
func definitions(list []attribute) []any {
	out := []any{}
	for _, a := range list {
		if find(common, a.name) != nil {
			continue
		}
		d := map[string]any{"name": a.name, "type": a.kind, "multiValued": a.many, "required": a.required,
			"caseExact": a.exact, "mutability": "readWrite", "returned": "default", "uniqueness": "none",
			"description": "The attribute " + a.name + " of RFC 7643."}
		if a.readOnly {
			d["mutability"] = "readOnly"
		}
		if a.never {
			d["mutability"], d["returned"] = "writeOnly", "never"
		}
		if a.unique != "" {
			d["uniqueness"] = a.unique
		}
		if a.kind == "reference" {
			d["referenceTypes"] = []any{"uri"}
		}
		if a.sub != nil {
			d["subAttributes"] = definitions(a.sub)
		}
		out = append(out, d)
	}
	return out
}
