package googleworkspace

// aliasFields are the fields of the Alias resource.
var aliasFields = fieldsOf{"alias": text, "etag": readOnly, "id": readOnly, "kind": readOnly, "primaryEmail": readOnly}

// newAlias reads and checks an alias that is added to an account's aliases.
func (t *Tenant) newAlias(resource map[string]any, have []string) (string, *apiError) {
	body, err := aliasFields.check("alias", resource)
	if err != nil {
		return "", err
	}
	if str(body, "alias") == "" {
		return "", required("alias")
	}
	alias, err := t.newAddress(str(body, "alias"), "alias")
	if err != nil {
		return "", err
	}
	if _, taken := t.addresses[alias]; taken {
		return "", entityExists()
	}
	if len(have) >= maxAliases {
		return "", conditionNotMet("Alias limit exceeded.")
	}
	return alias, nil
}

func aliasDoc(id, primary, alias string) map[string]any {
	return map[string]any{
		"kind": "admin#directory#alias", "id": id, "primaryEmail": primary, "alias": alias,
		"etag": etag([]byte(id), []byte(alias)),
	}
}

// aliasPage lists the aliases that a rendered user or group shows.
func aliasPage(id string, r *rendered) map[string]any {
	primary := str(r.doc, "primaryEmail")
	if primary == "" {
		primary = str(r.doc, "email")
	}
	list, _ := r.doc["aliases"].([]any)
	var aliases []map[string]any
	for _, a := range list {
		aliases = append(aliases, aliasDoc(id, primary, a.(string)))
	}
	return page("admin#directory#aliases", "aliases", aliases, "")
}
