package graph_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"rollcall/internal/testclock"
	"rollcall/simulator/graph"
)

func TestAccessToken(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	tenant, c := open(t, graph.Config{AuthNow: clock.Now})
	c.want(200, "GET", "users", nil)
	good := c.token
	for _, tc := range []struct{ token, message string }{
		{"", "Access token is empty."}, {"abc", "not well formed"}, {good + "x", "Signing key is invalid."},
		{"a.b.c", "Signing key is invalid."},
	} {
		c.token = tc.token
		r := c.refuse(401, "InvalidAuthenticationToken", tc.message, "GET", "users", nil)
		if r.Header.Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
	}
	c.token = good
	clock.Advance(time.Hour)
	c.refuse(401, "InvalidAuthenticationToken", "expired", "GET", "users", nil)
	c.token = tenant.IssueToken()
	c.want(200, "GET", "users", nil)
	if calls := tenant.Calls(); calls.Refused != 5 || calls.Reads != 2 {
		t.Errorf("calls = %+v", calls)
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	u, g := c.createUser("liz"), c.createGroup("team")
	as := func(permissions ...string) *client {
		tenant.SetPermissions(permissions...)
		other := *c
		other.token = tenant.IssueToken()
		return &other
	}
	denied := func(c *client, method, path string, body any) {
		t.Helper()
		c.refuse(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.", method, path, body)
	}
	reader := as("User.Read.All", "GroupMember.Read.All")
	reader.want(200, "GET", "users", nil)
	reader.want(200, "GET", "groups/"+g+"/members", nil)
	denied(reader, "POST", "users", newUser("x"))
	denied(reader, "PATCH", "users/"+u, object{"jobTitle": "x"})
	denied(reader, "POST", "groups/"+g+"/members/$ref", ref(u))
	denied(reader, "GET", "domains", nil)
	denied(reader, "GET", "organization", nil)
	denied(reader, "GET", "directoryRoles", nil)

	switcher := as("User.Read.All", "User.EnableDisableAccount.All")
	switcher.want(204, "PATCH", "users/"+u, object{"accountEnabled": false})
	denied(switcher, "PATCH", "users/"+u, object{"accountEnabled": false, "jobTitle": "x"})

	joiner := as("GroupMember.ReadWrite.All")
	joiner.want(204, "PATCH", "groups/"+g, object{"members@odata.bind": refs(u)})
	denied(joiner, "PATCH", "groups/"+g, object{"displayName": "x"})
	denied(joiner, "DELETE", "groups/"+g, nil)

	writer := as("User.ReadWrite.All", "Group.ReadWrite.All")
	denied(writer, "PATCH", "users/"+u, object{"passwordProfile": object{"password": "xWwvJ]6NMw+bWH-d"}})
	writer.want(204, "DELETE", "users/"+u, nil)
	denied(as("User.Read.All"), "POST", "directory/deletedItems/"+u+"/restore", nil)
	as("User.ReadWrite.All").want(200, "POST", "directory/deletedItems/"+u+"/restore", nil)
	keeper := as("User-PasswordProfile.ReadWrite.All")
	keeper.want(204, "PATCH", "users/"+u, object{"passwordProfile": object{"password": "xWwvJ]6NMw+bWH-d"}})
	c.want(204, "PATCH", "users/"+u, object{"jobTitle": "x"}) // an older token keeps what it was issued with
}

func TestCompressedBodies(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	seedUsers(t, tenant, 50)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	noError(t, json.NewEncoder(z).Encode(newUser("packed")))
	noError(t, z.Close())
	c.want(201, "POST", "users", packed.Bytes(), "Content-Encoding", "gzip")

	r := c.want(200, "GET", "users", nil, "Accept-Encoding", "gzip") // named by us, so net/http leaves it packed
	if r.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("Content-Encoding = %q", r.Header.Get("Content-Encoding"))
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(r.Raw))
	noError(t, err)
	raw, err := io.ReadAll(unpacked)
	noError(t, err)
	if plain := c.want(200, "GET", "users", nil, "Accept-Encoding", "identity"); !bytes.Equal(raw, plain.Raw) {
		t.Error("the packed answer is another one than the plain one")
	}
}

func TestWrongBodies(t *testing.T) {
	t.Parallel()
	_, c := openWrong(t, graph.Config{})
	c.refuse(400, "BadRequest", "Empty Payload.", "POST", "users", nil)
	c.refuse(400, "BadRequest", "Unable to read JSON request payload.", "POST", "users", []byte("{"))
	c.refuse(400, "BadRequest", "Content-Type", "POST", "users", []byte("{}"), "Content-Type", "text/plain")
	c.refuse(400, "BadRequest", "compressed", "POST", "users", []byte("{}"), "Content-Encoding", "gzip")
	c.refuse(415, "UnsupportedMediaType", "br", "POST", "users", []byte("{}"), "Content-Encoding", "br")
	c.refuse(413, "Request_EntityTooLarge", "too large", "POST", "users", bytes.Repeat([]byte(" "), 5<<20))
}

func TestEscapedKeys(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	u, err := tenant.AddUser(graph.User{UserPrincipalName: "o'brien#1@example.com"})
	noError(t, err)
	for _, path := range []string{"users/o'brien%231@example.com", "users('o''brien%231@example.com')",
		"users(userPrincipalName='o''brien%231@example.com')"} {
		if r := c.want(200, "GET", path, nil); r.id() != u.ID {
			t.Errorf("%s = %s", path, r.Raw)
		}
	}
	c.want(200, "GET", "users/microsoft.graph.delta()?$deltatoken=latest", nil)
}

func TestOtherPathsAreNotServed(t *testing.T) {
	t.Parallel()
	_, c := open(t, graph.Config{})
	r, err := c.server.Client().Get(c.server.URL + "/elsewhere")
	noError(t, err)
	noError(t, r.Body.Close())
	if r.StatusCode != http.StatusNotFound {
		t.Errorf("status %d, want 404", r.StatusCode)
	}
}
