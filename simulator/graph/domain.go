package graph

import (
	"net/http"
	"strings"
)

type domain struct {
	name, authentication         string
	isDefault, initial, verified bool
}

func (t *Tenant) addDomains() {
	for i, name := range t.cfg.Domains {
		d := &domain{name: strings.ToLower(name), authentication: "Managed", isDefault: i == 0, verified: true}
		d.initial = strings.HasSuffix(d.name, ".onmicrosoft.com")
		if t.federated("x@" + name) {
			d.authentication = "Federated"
		}
		t.domains = append(t.domains, d)
	}
	for _, name := range t.cfg.UnverifiedDomains {
		t.domains = append(t.domains, &domain{name: strings.ToLower(name), authentication: "Managed"})
	}
}

func (t *Tenant) domain(name string) *domain {
	for _, d := range t.domains {
		if strings.EqualFold(d.name, name) {
			return d
		}
	}
	return nil
}

func (d *domain) render() map[string]any {
	services := []string{}
	if d.verified {
		services = []string{"Email", "OfficeCommunicationsOnline"}
	}
	return map[string]any{
		"id": d.name, "authenticationType": d.authentication, "availabilityStatus": nil, "isAdminManaged": true,
		"isDefault": d.isDefault, "isInitial": d.initial, "isRoot": true, "isVerified": d.verified, "manufacturer": nil,
		"model":             nil,
		"supportedServices": services, "passwordValidityPeriodInDays": nil, "passwordNotificationWindowInDays": nil,
		"state": nil,
	}
}

func (t *Tenant) listDomains(c *call) (*answer, *apiError) {
	list := []any{}
	for _, d := range t.domains {
		shown, err := c.only(d.render(), "domain")
		if err != nil {
			return nil, err
		}
		list = append(list, shown)
	}
	return newAnswer(http.StatusOK, marshal(map[string]any{"@odata.context": c.base + "/$metadata#domains",
		"value": list})), nil
}

func (t *Tenant) getDomain(c *call) (*answer, *apiError) {
	name := c.vars["domain"].value
	d := t.domain(name)
	if d == nil {
		return nil, notFound(name)
	}
	shown, err := c.only(d.render(), "domain")
	if err != nil {
		return nil, err
	}
	shown["@odata.context"] = c.base + "/$metadata#domains/$entity"
	return newAnswer(http.StatusOK, marshal(shown)), nil
}

// only reduces a small object to $select.
func (c *call) only(all map[string]any, typ string) (map[string]any, *apiError) {
	value := c.query.Get("$select")
	if value == "" {
		return all, nil
	}
	shown := map[string]any{}
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		v, known := all[name]
		if !known {
			return nil, malformed("Parsing OData Select and Expand failed: Could not find a property named '%s' on type "+
				"'microsoft.graph.%s'.", name, typ)
		}
		shown[name] = v
	}
	return shown, nil
}

func (t *Tenant) listOrganization(c *call) (*answer, *apiError) {
	verified := []any{}
	for _, d := range t.domains {
		if d.verified {
			verified = append(verified, map[string]any{
				"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": d.isDefault, "isInitial": d.initial,
				"name": d.name, "type": d.authentication,
			})
		}
	}
	organization := map[string]any{
		"id": t.cfg.TenantID, "deletedDateTime": nil, "displayName": t.cfg.DisplayName, "tenantType": "AAD",
		"onPremisesSyncEnabled": nil,
		"verifiedDomains":       verified, "businessPhones": []any{}, "technicalNotificationMails": []any{},
		"countryLetterCode": nil,
		"preferredLanguage": nil, "assignedPlans": []any{}, "provisionedPlans": []any{}, "createdDateTime": nil,
	}
	if total := t.cfg.ObjectQuota; total > 0 {
		organization["directorySizeQuota"] = map[string]any{"used": len(t.users.list) + len(t.groups.list), "total": total}
	}
	shown, err := c.only(organization, "organization")
	if err != nil {
		return nil, err
	}
	return newAnswer(http.StatusOK, marshal(map[string]any{
		"@odata.context": c.base + "/$metadata#organization", "value": []any{shown},
	})), nil
}
