package graph

import (
	"slices"
	"strings"
	"unicode"
)

// checkUser checks what a type and a length do not say.
func (t *Tenant) checkUser(fields map[string]any) *apiError {
	if name, set := fields[byUPN].(string); set {
		if err := t.checkUPN(name); err != nil {
			return err
		}
	}
	if nickname, set := fields["mailNickname"].(string); set && !isNickname(nickname) {
		return invalidValue("mailNickname", userKind)
	}
	if mail, set := fields["mail"].(string); set && !isAddress(mail) {
		return invalidValue("mail", userKind)
	}
	// "The $ and _ characters cannot be used when specifying this property."
	if id, set := fields[byImmutable].(string); set && strings.ContainsAny(id, "$_") {
		return invalidValue(byImmutable, userKind)
	}
	if kind, set := fields["userType"].(string); set && kind != "Member" && kind != "Guest" {
		return invalidValue("userType", userKind)
	}
	if place, set := fields["usageLocation"].(string); set && (len(place) != 2 || strings.ToUpper(place) != place) {
		return invalidValue("usageLocation", userKind)
	}
	if profile, set := fields["passwordProfile"].(map[string]any); set {
		return checkPassword(profile)
	}
	return nil
}

// checkUPN checks a principal name. The local part has letters, digits and ' . - _ ! # ^ ~, at most 64 of them and no
// dot at the end. The domain is verified and has at most 48 characters.
func (t *Tenant) checkUPN(name string) *apiError {
	local, domain, found := strings.Cut(name, "@")
	if !found || local == "" || len(local) > 64 || len(domain) > 48 || strings.HasSuffix(local, ".") {
		return invalidValue(byUPN, userKind)
	}
	for _, c := range local {
		if c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("'.-_!#^~", c) {
			return invalidValue(byUPN, userKind)
		}
	}
	if d := t.domain(domain); d == nil || !d.verified {
		return badRequest("The domain portion of the userPrincipalName property is invalid. You must use one of the "+
			"verified domain names in your organization.").
			on(byUPN, "InvalidValue")
	}
	return nil
}

func (t *Tenant) federated(upn string) bool {
	_, domain, _ := strings.Cut(upn, "@")
	return slices.ContainsFunc(t.cfg.FederatedDomains,
		func(name string) bool { return strings.EqualFold(name, domain) })
}

// isNickname reports whether a mail nickname is valid. It is ASCII without @ ( ) \ [ ] " ; : < > , and space. It has no
// dot at either end or beside another one.
func isNickname(s string) bool {
	for _, c := range s {
		if c > unicode.MaxASCII || c < ' ' || strings.ContainsRune(`@()\[]";:<>, `, c) {
			return false
		}
	}
	return s != "" && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && !strings.Contains(s, "..")
}

func isAddress(s string) bool {
	local, domain, found := strings.Cut(s, "@")
	return found && local != "" && strings.Contains(domain, ".") && !strings.ContainsAny(s, " <>,;\"")
}

// checkPassword wants 8 to 256 characters of three of the four classes.
func checkPassword(profile map[string]any) *apiError {
	for name := range profile {
		switch name {
		case "password", "forceChangePasswordNextSignIn", "forceChangePasswordNextSignInWithMfa", "@odata.type":
		default:
			return badRequest("Invalid property '%s'.", name)
		}
	}
	password, _ := profile["password"].(string)
	classes := map[string]bool{}
	for _, c := range password {
		switch {
		case unicode.IsLower(c):
			classes["lower"] = true
		case unicode.IsUpper(c):
			classes["upper"] = true
		case unicode.IsDigit(c):
			classes["digit"] = true
		default:
			classes["symbol"] = true
		}
	}
	if len(password) < 8 || len(password) > 256 || len(classes) < 3 {
		return badRequest("The specified password does not comply with password complexity requirements. Please "+
			"provide a different password.").
			on("passwordProfile", "InvalidValue")
	}
	return nil
}

// setAddress keeps proxyAddresses in step with mail. The primary address is the mail, and a former one stays as an
// alias.
func setAddress(props, before map[string]any) {
	mail := textOf(props, "mail")
	if mail == textOf(before, "mail") {
		return
	}
	var list []string
	if mail != "" {
		list = append(list, "SMTP:"+mail)
	}
	old, _ := before[byProxy].([]string)
	for _, address := range old {
		alias := "smtp:" + address[strings.Index(address, ":")+1:]
		if !strings.EqualFold(alias, "smtp:"+mail) {
			list = append(list, alias)
		}
	}
	if len(list) == 0 {
		delete(props, byProxy)
		return
	}
	props[byProxy] = list
}
