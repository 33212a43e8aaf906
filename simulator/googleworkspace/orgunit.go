package googleworkspace

import (
	"maps"
	"slices"
	"strings"
)

// orgUnitRec is an organizational unit, guarded by Tenant.mu. It never changes.
type orgUnitRec struct {
	id, path, description string
	parent                *orgUnitRec
}

func (o *orgUnitRec) name() string { return o.path[strings.LastIndex(o.path, "/")+1:] }

func (o *orgUnitRec) doc() map[string]any {
	doc := map[string]any{
		"kind": "admin#directory#orgUnit", "name": o.name(), "description": o.description, "orgUnitPath": o.path,
		"orgUnitId": o.id,
	}
	if o.parent != nil {
		doc["parentOrgUnitPath"], doc["parentOrgUnitId"] = o.parent.path, o.parent.id
	}
	doc["etag"] = etag(encodeJSON(doc))
	return doc
}

// orgUnitFields are the fields of the OrgUnit resource.
var orgUnitFields = fieldsOf{
	"name": text, "description": text, "parentOrgUnitPath": text, "parentOrgUnitId": text, "blockInheritance": flag,
	"etag": readOnly, "kind": readOnly, "orgUnitId": readOnly, "orgUnitPath": readOnly,
}

// addOrgUnits creates the root, and the given paths with all units above them.
func (t *Tenant) addOrgUnits(paths []string) {
	if t.orgUnit("/") == nil {
		t.addOrgUnit(nil, "/", "")
	}
	for _, path := range paths {
		parent, whole := t.orgUnits["/"], ""
		for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
			whole += "/" + name
			unit := t.orgUnit(whole)
			if unit == nil {
				unit = t.addOrgUnit(parent, whole, "")
			}
			parent = unit
		}
	}
}

func (t *Tenant) addOrgUnit(parent *orgUnitRec, path, description string) *orgUnitRec {
	unit := &orgUnitRec{id: "id:" + t.newGroupID(), path: path, description: description, parent: parent}
	t.orgUnits[strings.ToLower(path)] = unit
	return unit
}

// orgUnit finds a unit by its full path or its id.
func (t *Tenant) orgUnit(key string) *orgUnitRec {
	if strings.HasPrefix(key, "id:") {
		for _, o := range t.orgUnits {
			if o.id == key {
				return o
			}
		}
		return nil
	}
	return t.orgUnits[strings.ToLower(key)]
}

// unitPath returns a unit's path in its original spelling. The empty path names the root.
func (t *Tenant) unitPath(path string) string {
	if o := t.orgUnit(path); o != nil {
		return o.path
	}
	return "/"
}

// unitKey turns a path parameter, which lacks the leading slash, into a key.
func unitKey(param string) string {
	if strings.HasPrefix(param, "id:") || strings.HasPrefix(param, "/") {
		return param
	}
	return "/" + param
}

func (t *Tenant) orgUnitsList(c *call) (any, *apiError) {
	if err := t.customer(c.vars["customerId"]); err != nil {
		return nil, err
	}
	if err := enum(c, "type", "all", "children", "allIncludingParent"); err != nil {
		return nil, err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	root := t.orgUnit(unitKey(c.param("orgUnitPath")))
	if root == nil {
		return nil, notFound("orgUnit")
	}
	var docs []map[string]any
	for _, path := range slices.Sorted(maps.Keys(t.orgUnits)) {
		if o := t.orgUnits[path]; o.listed(root, c.param("type")) {
			docs = append(docs, o.doc())
		}
	}
	return page("admin#directory#orgUnits", "organizationUnits", docs, ""), nil
}

func (o *orgUnitRec) listed(root *orgUnitRec, kind string) bool {
	if o == root {
		return kind == "allIncludingParent"
	}
	if kind == "" || kind == "children" {
		return o.parent == root
	}
	for p := o.parent; p != nil; p = p.parent {
		if p == root {
			return true
		}
	}
	return false
}

func (t *Tenant) orgUnitsGet(c *call) (any, *apiError) {
	if err := t.customer(c.vars["customerId"]); err != nil {
		return nil, err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if o := t.orgUnit(unitKey(c.vars["orgUnitPath"])); o != nil {
		return o.doc(), nil
	}
	return nil, notFound("orgUnit")
}

func (t *Tenant) orgUnitsInsert(c *call) (any, *apiError) {
	if err := t.customer(c.vars["customerId"]); err != nil {
		return nil, err
	}
	body, err := orgUnitFields.check("org_unit", c.body)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSpace(str(body, "name"))
	if name == "" || strings.Contains(name, "/") {
		return nil, required("name")
	}
	key := str(body, "parentOrgUnitId")
	if key == "" {
		key = str(body, "parentOrgUnitPath")
	}
	if key == "" {
		return nil, required("parentOrgUnitPath")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	parent := t.orgUnit(key)
	if parent == nil {
		return nil, invalid("Invalid Parent Orgunit Id")
	}
	path := strings.TrimSuffix(parent.path, "/") + "/" + name
	if t.orgUnit(path) != nil {
		return nil, invalid("Invalid Ou Id")
	}
	return t.addOrgUnit(parent, path, str(body, "description")).doc(), nil
}
