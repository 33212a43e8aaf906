package ldap

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// server is one parsed URI of server_uri.
type server struct {
	scheme string // ldap, ldaps or file
	host   string // without brackets or port
	addr   string // host:port
	path   string // of a file
}

// String returns the URI, as errors name it.
func (s server) String() string {
	if s.scheme == "file" {
		return "file://" + s.path
	}
	return s.scheme + "://" + s.addr
}

// parseServers splits server_uri. It returns the servers that it understood along with the problems of the others.
func parseServers(uris string) ([]server, error) {
	var servers []server
	var errs []error
	for uri := range strings.SplitSeq(uris, ",") {
		if uri = strings.TrimSpace(uri); uri == "" {
			continue
		}
		s, err := parseServer(uri)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		servers = append(servers, s)
	}
	switch {
	case len(servers) == 0 && len(errs) == 0:
		errs = append(errs, errors.New("it is required: ldap://host, ldaps://host or file:///path.ldif"))
	case len(servers) > 1:
		for _, s := range servers {
			if s.scheme == "file" {
				errs = append(errs, fmt.Errorf("%s: a file stands alone", s))
			}
		}
	}
	return servers, errors.Join(errs...)
}

func parseServer(uri string) (server, error) {
	u, err := url.Parse(uri)
	if err != nil {
		// url.Error repeats the URI, which might carry a password: say only what is wrong.
		return server{}, errors.New("one of the URIs cannot be parsed: want ldap://host[:port], ldaps://host[:port] or " +
			"file:///path.ldif")
	}
	if u.User != nil {
		return server{}, fmt.Errorf("%s: a name or password does not belong into the URI: use bind_cn and "+
			"bind_password_file", u.Redacted())
	}
	switch scheme := strings.ToLower(u.Scheme); scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" || !strings.HasPrefix(u.Path, "/") {
			return server{}, fmt.Errorf("%q: want file:///path.ldif with an absolute path", uri)
		}
		return server{scheme: scheme, path: u.Path}, nil
	case "ldap", "ldaps":
		if u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
			return server{}, fmt.Errorf("%q: want %s://host or %s://host:port and nothing after it", uri, scheme, scheme)
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"ldap": "389", "ldaps": "636"}[scheme]
		}
		return server{scheme: scheme, host: u.Hostname(), addr: net.JoinHostPort(u.Hostname(), port)}, nil
	}
	return server{}, fmt.Errorf("%q: scheme %q is not ldap, ldaps or file", uri, u.Scheme)
}
