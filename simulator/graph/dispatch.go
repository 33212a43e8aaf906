package graph

import (
	"net/http"
	"slices"
	"strconv"

	"rollcall/simulator/fault"
)

// answer passes a call through the hook, the quota, the faults, the permissions and the rules. The effect says how
// the response is corrupted on its way. It is Refuse for an intact response.
func (t *Tenant) answer(c *call) (*answer, Effect) {
	t.purge(c.now)
	if err := t.find(c); err != nil {
		t.calls.add(Call{Time: c.now, Method: "unknown", Path: c.path, Status: err.status, Refused: true, Item: c.item})
		return refuse(c, err), Refuse
	}
	entry := Call{Time: c.now, Method: c.route.id, Path: c.path, Write: c.route.write, Item: c.item}
	if t.cfg.OnRequest != nil {
		t.cfg.OnRequest(c.route.id)
	}
	use, limited := t.throttle(c)
	if limited != nil {
		entry.Status, entry.Refused = limited.status, true
		t.calls.add(entry)
		return refuse(c, limited), Refuse
	}
	matched := fault.Call{Method: c.route.id, Path: c.path, Body: c.raw, Item: c.item}
	if c.route.id == batchMethod {
		matched.Body = nil // Its items are matched one by one.
	}
	spoilt := t.faults.Next(matched)
	if a, effect, stopped := t.before(c, spoilt, &entry); stopped {
		return a, effect
	}
	a, err := t.execute(c)
	if err != nil {
		a = refuse(c, err)
	}
	use.mark(a.header)
	entry.Status = a.status
	t.calls.add(entry)
	return t.after(c, spoilt, a)
}

// execute carries a call out under the required lock.
func (t *Tenant) execute(c *call) (*answer, *apiError) {
	if len(c.route.perms) > 0 && !c.granted(c.route.perms...) {
		return nil, denied()
	}
	if err := c.checkOptions(); err != nil {
		return nil, err
	}
	if slices.Contains([]string{http.MethodPost, http.MethodPatch, http.MethodPut}, c.method) {
		if err := c.decode(c.route.id == "deletedItems.restore" || c.route.id == "users.revokeSignInSessions"); err != nil {
			return nil, err
		}
	}
	if c.route.id == batchMethod {
		return c.route.serve(t, c) // each of its items takes the lock for itself
	}
	if c.route.write {
		t.mu.Lock()
		defer t.mu.Unlock()
	} else {
		t.mu.RLock()
		defer t.mu.RUnlock()
	}
	a, err := c.route.serve(t, c)
	if err != nil {
		return nil, err
	}
	return t.emptyFirst(c, a), nil
}

// usage is the cost of a call.
type usage struct {
	units   int
	percent float64 // of the limit that is nearest; 0 is not worth telling
}

func (u usage) mark(h http.Header) {
	if u.units == 0 {
		return
	}
	h.Set("X-Ms-Resource-Unit", strconv.Itoa(u.units))
	if u.percent >= 0.8 {
		h.Set("X-Ms-Throttle-Limit-Percentage", strconv.FormatFloat(u.percent, 'f', 2, 64))
	}
}
