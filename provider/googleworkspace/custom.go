package googleworkspace

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider/remote"
)

// SchemaScope lets Rollcall read which custom fields the account has, and their types. It is asked for in a token of
// its own, where a mapping sets such a field.
const SchemaScope = admin.AdminDirectoryUserschemaReadonlyScope

// ourType is the customType of our values in a custom field with several values.
const ourType = "rollcall"

// schemasKept is how long a list of custom schemas is used.
const schemasKept = 10 * time.Minute

// customPrefix begins the names of custom fields.
const customPrefix = "customSchemas."

// customField matches the names of custom fields in a mapping.
var customField = regexp.MustCompile(`^customSchemas\.([^.\s<>]+)\.([^.\s<>]+)$`)

func isCustom(name string) bool { return strings.HasPrefix(name, customPrefix) }

// custom returns the schema and the field of a custom field.
func custom(name string) (schema, field string) {
	schema, field, _ = strings.Cut(strings.TrimPrefix(name, customPrefix), ".")
	return schema, field
}

// schemaCache has the forms of the mapped custom fields.
type schemaCache struct {
	api *admin.Service

	mu    sync.Mutex
	forms []plan.Form
	until time.Time
}

// forms returns the forms of the mapped custom fields, in the order of their names. Without an answer of Google it is
// an error. A refusal concerns these fields alone.
func (p *Provider) forms(ctx context.Context) ([]plan.Form, error) {
	names := slices.DeleteFunc(slices.Clone(p.userFields), func(name string) bool { return !isCustom(name) })
	if len(names) == 0 {
		return nil, nil
	}
	p.schemas.mu.Lock()
	defer p.schemas.mu.Unlock()
	if p.now().Before(p.schemas.until) {
		return p.schemas.forms, nil
	}
	var list *admin.Schemas
	err := p.call(ctx, "schemas.list", func(ctx context.Context) (err error) {
		list, err = p.schemas.api.Schemas.List(p.cfg.Customer).
			Fields("schemas(schemaName,fields(fieldName,fieldType,multiValued))").Context(ctx).Do()
		return err
	})
	if err == nil {
		err = haveIDs("schemas.list", list.Schemas, func(s *admin.Schema) string {
			if slices.Contains(s.Fields, nil) {
				return ""
			}
			return s.SchemaName
		})
	}
	forms := make([]plan.Form, 0, len(names))
	for _, name := range names {
		f := plan.Form{Field: name}
		switch kind := fault.KindOf(err); {
		case err == nil:
			f = formOf(name, list.Schemas)
		case kind == fault.Denied || kind == fault.Refused:
			f.Missing = fmt.Sprintf("the custom schemas of the account cannot be read: allow the scope %s, and give the "+
				"delegated subject the privilege to read schemas (%v)", SchemaScope, err)
		default:
			return nil, err
		}
		forms = append(forms, f)
	}
	p.schemas.forms, p.schemas.until = forms, p.now().Add(schemasKept)
	return forms, nil
}

// formOf finds a custom field among the schemas of the account.
func formOf(name string, schemas []*admin.Schema) plan.Form {
	f := plan.Form{Field: name}
	schema, field := custom(name)
	i := slices.IndexFunc(schemas, func(s *admin.Schema) bool { return s.SchemaName == schema })
	if i < 0 {
		f.Missing = fmt.Sprintf("the account has no custom schema %q: create it (Admin console, Directory, Users, Manage "+
			"custom attributes), or correct the mapping", schema)
		return f
	}
	for _, spec := range schemas[i].Fields {
		if spec.FieldName == field {
			f.Many = spec.MultiValued
			f.Type = map[string]plan.ValueType{"BOOL": plan.TruthValue, "INT64": plan.WholeValue,
				"DOUBLE": plan.NumberValue, "DATE": plan.DateValue}[spec.FieldType]
			return f
		}
	}
	f.Missing = fmt.Sprintf("the custom schema %q has no field %q: add it (Admin console, Directory, Users, Manage "+
		"custom attributes), or correct the mapping", schema, field)
	return f
}

// form returns the form of one custom field.
func (p *Provider) form(ctx context.Context, name string) (*plan.Form, error) {
	forms, err := p.forms(ctx)
	if err != nil {
		return nil, err
	}
	for i := range forms {
		if forms[i].Field == name {
			return &forms[i], nil
		}
	}
	return nil, fault.Errorf(fault.Invalid, "Google users have no field %q in this configuration", name)
}

// shownSchemas returns the custom schemas of the named fields. A schema that the account does not have is never asked
// for.
func (p *Provider) shownSchemas(ctx context.Context, names []string) (schemas []string, err error) {
	if !slices.ContainsFunc(names, isCustom) {
		return nil, nil
	}
	forms, err := p.forms(ctx)
	for _, f := range forms {
		if s, _ := custom(f.Field); f.Missing == "" && slices.Contains(names, f.Field) && !slices.Contains(schemas, s) {
			schemas = append(schemas, s)
		}
	}
	return schemas, err
}

// customValues decodes the custom fields of a user by schema.
func customValues(u *admin.User, schema string) map[string]any {
	dec := json.NewDecoder(bytes.NewReader(u.CustomSchemas[schema]))
	dec.UseNumber()
	var fields map[string]any
	_ = dec.Decode(&fields) // A schema without values is absent.
	return fields
}

// readCustom returns our values of a custom field. Of several values these are the ones with our customType.
func readCustom(u *admin.User, name string) []string {
	schema, field := custom(name)
	value := customValues(u, schema)[field]
	list, many := value.([]any)
	if !many {
		return scalarText(value)
	}
	var out []string
	for _, e := range elements(list) {
		if text(e, "customType") == ourType {
			out = append(out, scalarText(e["value"])...)
		}
	}
	return out
}

// scalarText returns a JSON value as text. Google writes whole numbers as strings.
func scalarText(value any) []string {
	switch v := value.(type) {
	case string:
		if v != "" {
			return []string{v}
		}
	case bool, json.Number:
		return []string{fmt.Sprint(v)}
	}
	return nil
}

// customEdit has the custom fields that one write changes, by schema and field. Null clears a field, and Google keeps
// the fields that are not named.
type customEdit map[string]map[string]any

// set puts the values of one field into the edit, beside the values that others gave to it.
func (e *customEdit) set(current *admin.User, form *plan.Form, values []string) error {
	kept, err := form.Values(values)
	if err != nil {
		return fault.Errorf(fault.Invalid, "%s: %w", form.Field, err)
	}
	schema, field := custom(form.Field)
	var value any
	switch {
	case form.Many:
		value = joined(customValues(current, schema)[field], form.Type, kept)
	case len(kept) > 0:
		value = jsonValue(form.Type, kept[0])
	}
	if *e == nil {
		*e = customEdit{}
	}
	if (*e)[schema] == nil {
		(*e)[schema] = map[string]any{}
	}
	(*e)[schema][field] = value
	return nil
}

// joined returns the values of others and ours, or nil for none. A value of others that we want becomes ours.
func joined(present any, t plan.ValueType, ours []string) any {
	var out []any
	for _, e := range elements(present) {
		v := scalarText(e["value"])
		if text(e, "customType") != ourType && (len(v) == 0 || !slices.Contains(ours, v[0])) {
			out = append(out, maps.Clone(e))
		}
	}
	for _, v := range ours {
		out = append(out, map[string]any{"value": jsonValue(t, v), "type": "custom", "customType": ourType})
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// jsonValue is a canonical value in JSON.
func jsonValue(t plan.ValueType, v string) any {
	switch t {
	case plan.TruthValue:
		return v == "true"
	case plan.WholeValue, plan.NumberValue:
		return json.Number(v)
	}
	return v
}

// seal puts the fields into the body of a write.
func (e customEdit) seal(body *admin.User) {
	for schema, fields := range e {
		raw, _ := json.Marshal(fields) // Decoded JSON, texts and numbers can always be encoded.
		if body.CustomSchemas == nil {
			body.CustomSchemas = map[string]googleapi.RawMessage{}
		}
		body.CustomSchemas[schema] = raw
	}
}

// schemas checks that the account has the mapped custom fields.
func (c *check) schemas() {
	forms, err := c.p.forms(c.ctx)
	if err != nil {
		c.wrong(err, "allow the scope "+SchemaScope)
		return
	}
	missing := false
	for _, f := range forms {
		if f.Missing != "" {
			c.bad = append(c.bad, fault.Errorf(fault.Invalid, "user_property_mappings.%s: %s", f.Field, f.Missing))
			missing = true
		}
	}
	if len(forms) > 0 && !missing {
		c.ok("the account has the %d mapped custom fields", len(forms))
	}
}

// foundMark precedes the digest of an alias that the account had already. It is wanted, and another party added it, so
// it is never removed. Such a party is also Google, which keeps a former primary address as an alias.
const foundMark = "~"

// aliasMarks are the aliases that the mapping gave to an account, by digest. The value says whether we added them.
func (m marks) aliasMarks() map[string]bool {
	out := map[string]bool{}
	for mark := range strings.SplitSeq(m.owned[plan.AliasesField], "+") {
		if found, was := strings.CutPrefix(mark, foundMark); found != "" {
			out[found] = !was
		}
	}
	return out
}

// readAliases returns the aliases of an account that the mapping gave to it.
func readAliases(u *admin.User, m marks) []string {
	known := m.aliasMarks()
	return slices.DeleteFunc(aliases(u.PrimaryEmail, u.Aliases),
		func(alias string) bool { _, ok := known[digest(alias)]; return !ok })
}

// aliasEdit is what one write changes among the aliases of an account.
type aliasEdit struct{ remove, add []string }

// setAliases plans the aliases of a write, and notes in the marks which are ours.
func (e *edit) setAliases(wanted []string) {
	known, have := e.marks.aliasMarks(), aliases("", e.current.Aliases, []string{e.current.PrimaryEmail})
	var marks []string
	for _, alias := range wanted {
		mark := digest(alias)
		ours := known[mark]
		switch {
		case !slices.Contains(have, alias):
			e.aliases.add = append(e.aliases.add, alias)
		case !ours:
			mark = foundMark + mark
		}
		marks = append(marks, mark)
	}
	for _, alias := range have {
		if known[digest(alias)] && !slices.Contains(wanted, alias) && !strings.EqualFold(alias, e.current.PrimaryEmail) {
			e.aliases.remove = append(e.aliases.remove, alias)
		}
	}
	if delete(e.marks.owned, plan.AliasesField); len(marks) > 0 {
		slices.Sort(marks)
		e.marks.owned[plan.AliasesField] = strings.Join(marks, "+")
	}
	e.marked = true
}

// write removes aliases, writes the user and adds aliases, in this order. An alias of ours thus has its mark as long as
// it exists.
func (p *Provider) write(ctx context.Context, c *plan.Change, e *edit, withMarks bool) error {
	for _, alias := range e.aliases.remove {
		if err := p.deleteAlias(ctx, &holder{kind: directory.User, id: c.RemoteID}, alias); err != nil {
			return err
		}
	}
	body := e.seal(withMarks)
	if err := p.putUser(ctx, c, body); err != nil {
		return err
	}
	return p.addAliases(ctx, c.RemoteID, e.aliases.add)
}

// addAliases adds aliases to a user. Each is tried, and the error joins the refusals.
func (p *Provider) addAliases(ctx context.Context, id string, list []string) error {
	var errs []error
	for _, alias := range list {
		err := p.callAs(ctx, "users.aliases.insert", p.settling(true, false, id), func(ctx context.Context) error {
			_, err := p.api.Users.Aliases.Insert(id, &admin.Alias{Alias: alias}).Fields("id").Context(ctx).Do()
			return err
		})
		if err == nil {
			continue
		}
		if !remote.OfOneObject(err) {
			return err
		}
		if status, _ := code(err); status == http.StatusConflict {
			if err = p.aliasTaken(ctx, id, alias); err == nil {
				continue
			}
		}
		errs = append(errs, fmt.Errorf("alias %s: %w", alias, err))
	}
	if len(errs) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "", errors.Join(errs...))
}

// aliasTaken names the object that has an address. It returns nil if this is the user itself.
func (p *Provider) aliasTaken(ctx context.Context, id, alias string) error {
	h, err := p.find(ctx, directory.User, alias)
	switch {
	case err != nil:
		return err
	case h == nil:
		return fault.Errorf(fault.Conflict,
			"an object that is not visible has the address, or an earlier change of the address is still settling")
	case h.kind == directory.User && h.id == id:
		return nil
	}
	return fault.Errorf(fault.Conflict, "%s has the address", h)
}
