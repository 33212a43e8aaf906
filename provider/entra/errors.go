package entra

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"rollcall/fault"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// answer is the response to a separate request or to an item of a batch.
type answer struct {
	status int
	header http.Header
	body   json.RawMessage
	// token is the access token of the request.
	token access
}

func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// requestID returns Graph's id of the request, for Microsoft's support. A refusal contains it also in a batch.
func (a *answer) requestID() string {
	var body struct {
		Error struct {
			InnerError struct {
				RequestID string `json:"request-id"`
			}
		}
	}
	if !a.ok() && json.Unmarshal(a.body, &body) == nil && body.Error.InnerError.RequestID != "" {
		return body.Error.InnerError.RequestID
	}
	return a.header.Get("Request-Id")
}

// refusal is an answer other than a success.
type refusal struct {
	remote.Refusal
	// targets are the properties with a value that another object has. properties are all that the refusal concerns.
	targets, properties []string
	// foreign is set for a web page, a 404 without a code that Graph has for one, and a 410 without a code. It comes from
	// a gateway and says nothing about an object. page is set for a web page alone.
	foreign, page bool
}

// refused returns the refusal in an error, or nil.
func refused(err error) *refusal {
	r, _ := errors.AsType[*refusal](err)
	return r
}

// notFound reports whether Graph answered that the object does not exist, whatever the kind of the error is.
func notFound(err error) bool {
	r := refused(err)
	return r != nil && !r.foreign && (r.Status == http.StatusNotFound || invalidID(r))
}

// judge classifies an answer; it returns nil for a success. The secrets are left out of the text of the error.
func judge(op string, a *answer, secrets ...string) error {
	if a.ok() {
		return nil
	}
	r := parseRefusal(a, secrets)
	e := fault.New(kindOf(op, r, a.token.roles), op, r)
	if text := advice(op, r, a.token.roles); text != "" {
		e.Err = fmt.Errorf("%w: %s", r, text)
	}
	if e.Kind.Retryable() {
		e.RetryAfter = provider.RetryAfter(a.header.Get("Retry-After"), time.Now())
	}
	return e
}

func parseRefusal(a *answer, secrets []string) *refusal {
	var body struct {
		Error struct {
			Code    string
			Message string
			Details []struct{ Code, Target string }
		}
	}
	_ = json.Unmarshal(a.body, &body)
	secrets = append(secrets, a.token.text)
	r := &refusal{Refusal: remote.Refusal{Status: a.status, Code: remote.Clean(body.Error.Code, secrets...),
		Message: remote.Clean(body.Error.Message, secrets...)}}
	r.Message = cmp.Or(r.Message, http.StatusText(a.status))
	r.page = remote.WebPage(string(a.body))
	r.foreign = r.page || a.status == http.StatusGone && r.Code == "" ||
		a.status == http.StatusNotFound && !strings.Contains(strings.ToLower(r.Code), "notfound")
	if r.foreign {
		r.Message += ", in an answer that is not from Graph"
	}
	for _, m := range property.FindAllStringSubmatch(r.Message, -1) {
		r.properties = append(r.properties, m[1])
	}
	for _, d := range body.Error.Details {
		r.properties = append(r.properties, d.Target)
		if d.Code == "ObjectConflict" || d.Code == "ConflictingObjects" {
			r.targets = append(r.targets, d.Target)
		}
	}
	return r
}

// codes are the codes of Graph that are more specific than the status of the answer.
var codes = map[string]fault.Kind{
	"Directory_ConcurrencyViolation":   fault.Unavailable,
	"Request_ThrottledTemporarily":     fault.Throttled,
	"TooManyRequests":                  fault.Throttled,
	"Request_ResourceNotFound":         fault.NotFound,
	"Directory_ObjectNotFound":         fault.NotFound,
	"Directory_ReplicaUnavailable":     fault.Unavailable,
	"Directory_BindingRedirection":     fault.Unavailable,
	"Service_InternalServerError":      fault.Unavailable,
	"Authentication_ExpiredToken":      fault.Unavailable,
	"Request_InvalidReplicaSessionKey": fault.Unavailable,

	"Request_MultipleObjectsWithSameKeyValue": fault.Conflict,
}

// forbidden reports whether Graph refused the rights of the app.
func (r *refusal) forbidden() bool {
	switch r.Code {
	case "Authorization_RequestDenied", "Authorization_IdentityNotFound":
		return r.Status < 500
	}
	return !r.foreign && (r.Status == http.StatusForbidden || r.Status == http.StatusPaymentRequired)
}

// kindOf returns the kind of a refusal. A list that is not found says nothing about the objects that were to be in it.
func kindOf(op string, r *refusal, roles []string) fault.Kind {
	k := kindOfAny(op, r, roles)
	if k == fault.NotFound && !ofOneObject(op) {
		return fault.Unavailable
	}
	return k
}

func kindOfAny(op string, r *refusal, roles []string) fault.Kind {
	if k, ok := codes[r.Code]; ok && r.Status < 500 {
		return k
	}
	switch {
	case r.noRoom() != "":
		return fault.Refused
	case r.forbidden():
		return denial(op, roles)
	case r.Status == http.StatusTooManyRequests:
		return fault.Throttled
	case r.Status == http.StatusUnauthorized, r.Status == http.StatusProxyAuthRequired,
		r.Code == "InvalidAuthenticationToken" && r.Status < 500:
		return fault.Denied
	case r.foreign && r.Status != http.StatusNotImplemented:
		return fault.Unavailable
	case r.Status == http.StatusNotFound, r.Status == http.StatusGone, invalidID(r):
		return fault.NotFound
	case r.Status == http.StatusConflict, r.Status == http.StatusPreconditionFailed, duplicate(r):
		return fault.Conflict
	case unreplicated(r):
		return fault.Unavailable
	case r.Status == http.StatusRequestTimeout, r.Status == http.StatusTooEarly, r.Status == http.StatusLocked,
		r.Status == http.StatusFailedDependency:
		return fault.Unavailable
	case r.Status == http.StatusNotImplemented:
		return fault.Invalid
	case r.Status >= 500, r.Status < 400:
		return fault.Unavailable // A status below 400 is a redirect, which does not come from Graph.
	}
	return fault.Invalid
}

// needs are the application permissions for a request, by the part of the op before the dot. Each of them is enough.
// Rollcall asks for the first one.
var needs = map[string][]string{
	"users":          {"User.ReadWrite.All", "Directory.ReadWrite.All"},
	"groups":         {"Group.ReadWrite.All", "Directory.ReadWrite.All"},
	"members":        {"Group.ReadWrite.All", "GroupMember.ReadWrite.All", "Directory.ReadWrite.All"},
	"deletedItems":   {"User.ReadWrite.All", "User.DeleteRestore.All", "Directory.ReadWrite.All"},
	"directoryRoles": {"Directory.Read.All", "RoleManagement.Read.Directory", "Directory.ReadWrite.All"},
	"domains":        {"Domain.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"},
}

func needed(op string) []string {
	if op == opRevoke {
		return []string{SessionsPermission}
	}
	kind, _, _ := strings.Cut(op, ".")
	return needs[kind]
}

// ofTarget are the requests that concern the whole target. Any other request concerns a single object, and so does its
// refusal.
var ofTarget = []string{
	"batch", "users.list", "users.delta", "groups.list", "groups.delta", "deletedItems.list", "directoryRoles.list",
	"directoryRoles.members", "domains.list",
}

func ofOneObject(op string) bool { return !slices.Contains(ofTarget, op) }

// denial returns the kind of a refusal of rights. It is Denied for a listing, and where the access token shows that
// the app has none of the permissions for the request. Otherwise the app has the right, and this object is out of its
// reach. Such objects are an administrator's account, a group with a role, and an object in a restricted
// administrative unit. The decision depends only on the request and its token, so that all workers decide alike.
func denial(op string, roles []string) fault.Kind {
	if ofOneObject(op) && !lacks(op, roles) {
		return fault.Refused
	}
	return fault.Denied
}

// lacks reports whether the roles of an access token show that the app has no permission for the request.
func lacks(op string, roles []string) bool {
	return roles != nil && !slices.ContainsFunc(needed(op), func(p string) bool { return slices.Contains(roles, p) })
}

var (
	licences  = regexp.MustCompile(`(?i)\blicen[cs]e|\bsubscription`)
	exhausted = regexp.MustCompile(`(?i)\bquota\b|limit\b.*\b(exceeded|reached)|\b(exceed|reach)\w* .*\b(limit|maximum)|` +
		`(not enough|no available|insufficient) (licen|quota|seat|unit)|CountViolation|QuotaExceeded`)
	privilege = regexp.MustCompile(`(?i)privilege|permission|\blength\b|\bcharacters\b`)
)

// noRoom returns the kind of objects that the tenant has no room for. It is empty for any other refusal.
func (r *refusal) noRoom() string {
	text := r.Code + " " + r.Message
	switch r.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusPaymentRequired, http.StatusConflict,
		http.StatusUnprocessableEntity:
	default:
		return ""
	}
	switch {
	case r.foreign:
		return ""
	case r.Status == http.StatusPaymentRequired && r.Message != "":
		return "licences"
	case !exhausted.MatchString(text) || privilege.MatchString(text):
		return ""
	case licences.MatchString(text):
		return "licences"
	case strings.Contains(strings.ToLower(text), "principal"):
		return "directory objects that this app created"
	case strings.Contains(strings.ToLower(text), "member"):
		return "members of the group"
	}
	return "directory objects, of which deleted ones count for 30 days"
}

// ofOne reports whether the error of a request for one object concerns this object, which does not exist or is out of
// reach.
func ofOne(err error) bool {
	return notFound(err) || refused(err) != nil && fault.KindOf(err) == fault.Refused
}

// duplicate reports whether another object has the value. Graph answers 400 in this case.
func duplicate(r *refusal) bool {
	return r.Status == http.StatusBadRequest && (len(r.targets) > 0 || r.Code == "ObjectConflict" ||
		strings.Contains(r.Message, "already exists") || strings.Contains(r.Message, "conflicting object"))
}

// concerns reports whether the refusal concerns the property.
func (r *refusal) concerns(property string) bool { return slices.Contains(r.properties, property) }

// property finds the names of properties in a message.
var property = regexp.MustCompile(`(?i)\bpropert(?:y|ies):? '?(\w+)`)

// names reports whether the message names the object.
func (r *refusal) names(id string) bool {
	return strings.Contains(strings.ToLower(r.Message), strings.ToLower(id))
}

// unreplicated reports whether a request refers to an object that has not reached every replica, or does not exist.
func unreplicated(r *refusal) bool {
	return r.Status == http.StatusBadRequest && strings.Contains(r.Message, "objects being referenced do not exist")
}

// alreadyMember reports whether an object was added to a group that already contains it.
func alreadyMember(r *refusal) bool {
	return r != nil && r.Status == http.StatusBadRequest && strings.Contains(r.Message, "references already exist")
}

// noMember reports whether an object was removed from a group that does not contain it.
func noMember(r *refusal) bool {
	return r != nil && (r.Status == http.StatusNotFound && !r.foreign || r.Status == http.StatusBadRequest &&
		strings.Contains(r.Message, "references do not exist"))
}

func invalidID(r *refusal) bool {
	return r.Status == http.StatusBadRequest && strings.Contains(r.Message, "Invalid object identifier")
}

// advice returns advice for a refusal. It is empty where the refusal needs none.
func advice(op string, r *refusal, roles []string) string {
	if what := r.noRoom(); what != "" {
		return "the tenant has no room for more " + what
	}
	if r.Status == http.StatusUnauthorized {
		return "Graph refuses the access token; check tenant_id, endpoint and authority"
	}
	if _, known := codes[r.Code]; known || !r.forbidden() {
		return ""
	}
	permissions := needed(op)
	switch has := slices.IndexFunc(permissions, func(p string) bool { return slices.Contains(roles, p) }); {
	case lacks(op, roles), permissions == nil:
		return grant(op)
	case has >= 0 && ofOneObject(op):
		return "the app has " + permissions[has] +
			", which does not reach this object: it may be an administrator, hold a role or be in a " +
			"restricted administrative unit"
	case has >= 0:
		return "the app has " + permissions[has] +
			", and Graph refuses the request all the same; check the conditional access policies for the app"
	case ofOneObject(op):
		return "either the app has no " + permissions[0] +
			", or this object is out of its reach (an administrator, a group with a role, or in a " +
			"restricted administrative unit)"
	}
	return grant(op)
}

// grant returns the advice to grant the permission for a request, or every permission.
func grant(op string) string {
	permission := strings.Join(Permissions, ", ")
	if permissions := needed(op); permissions != nil {
		permission = permissions[0]
	}
	return "grant the app the application permission " + permission + ", with an administrator's consent"
}
