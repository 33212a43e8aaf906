package ldap

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"rollcall/fault"
	"rollcall/internal/secret"
)

// connect opens a session on the first server that answers. A server that refuses the credentials ends the
// search: further attempts with the same password could lock the account.
func (s *Source) connect(ctx context.Context) (*session, error) {
	var errs []error
	kind := fault.Invalid
	for _, srv := range s.servers {
		se, err := s.connectTo(ctx, srv)
		if err == nil {
			return se, nil
		}
		errs = append(errs, err)
		switch fault.KindOf(err) {
		case fault.Invalid:
		case fault.Unavailable:
			kind = fault.Unavailable
		default:
			return nil, err
		}
	}
	if len(errs) == 1 {
		return nil, errs[0]
	}
	return nil, fault.New(kind, "", errors.Join(errs...))
}

// connectTo dials, starts TLS where that is configured, and binds, in that order, within connect_timeout.
func (s *Source) connectTo(parent context.Context, srv server) (*session, error) {
	op := "connect to " + srv.String()
	tlsConfig, err := s.tlsConfig(srv)
	if err != nil {
		return nil, fault.New(fault.Invalid, op, err)
	}
	password, _, err := s.password()
	if err != nil {
		return nil, fault.New(fault.Invalid, op, err)
	}
	ctx, cancel := context.WithTimeoutCause(parent, s.cfg.ConnectTimeout,
		fmt.Errorf("no connection within connect_timeout: %w", context.DeadlineExceeded))
	defer cancel()
	raw, err := dial(ctx, net.DefaultResolver.LookupNetIP, srv, tlsConfig)
	if err == nil && srv.scheme == "ldap" && s.cfg.StartTLS {
		raw, err = startTLS(ctx, raw, tlsConfig)
	}
	if err != nil {
		return nil, classify(ctx, op, err)
	}
	// Closing the socket is what ends go-ldap's calls, which know no context.
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	se := newSession(raw, srv, s.cfg.RequestTimeout, uint32(s.cfg.PageSize)) // validated
	if s.cfg.BindCN != "" {
		if err := se.conn.Bind(s.cfg.BindCN, password.Reveal()); err != nil {
			err = classify(ctx, op, se.explained(err))
			stop()
			se.close()
			return nil, err
		}
	}
	if !stop() {
		se.close()
		return nil, classify(ctx, op, context.Cause(ctx))
	}
	err = se.probe(parent)
	if err == nil {
		err = se.refuseCatalog()
	}
	if err != nil {
		se.close()
		return nil, err
	}
	return se, nil
}

// resolver returns the addresses of a host.
type resolver func(ctx context.Context, network, host string) ([]netip.Addr, error)

// dial connects to the first address of the server that answers. Several servers with one name are tried in a fixed
// order, whatever the order of the answer from DNS. Otherwise reads would alternate between servers that differ by
// their replication lag, and each of them would be in doubt.
func dial(ctx context.Context, resolve resolver, srv server, tlsConfig *tls.Config) (net.Conn, error) {
	host, port, err := net.SplitHostPort(srv.addr)
	if err != nil {
		return nil, err
	}
	addrs, err := resolve(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var errs []error
	addrs = fixedOrder(addrs)
	for i, a := range addrs {
		raw, err := dialOne(ctx, len(addrs)-i, net.JoinHostPort(a.String(), port))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if srv.scheme != "ldaps" {
			return raw, nil
		}
		conn := tls.Client(raw, tlsConfig)
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, err
		}
		return conn, nil
	}
	return nil, errors.Join(errs...)
}

// dialOne connects to one of the left addresses, within its share of the remaining time.
func dialOne(ctx context.Context, left int, addr string) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// fixedOrder sorts addresses. The family that the resolver prefers stays first.
func fixedOrder(addrs []netip.Addr) []netip.Addr {
	out := slices.Clone(addrs)
	slices.SortFunc(out, func(a, b netip.Addr) int {
		if a.Unmap().Is4() != b.Unmap().Is4() {
			if a.Unmap().Is4() == addrs[0].Unmap().Is4() {
				return -1
			}
			return 1
		}
		return a.Compare(b)
	})
	return slices.Compact(out)
}

// startTLS asks for TLS (RFC 4511, section 4.14) and returns the encrypted connection. Nothing that is secret is sent
// before (RFC 4513, section 3.1). It stands in for go-ldap's, which keeps only the text of a certificate's error.
func startTLS(ctx context.Context, raw net.Conn, c *tls.Config) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	conn := tls.Client(raw, c)
	err := askForTLS(raw)
	if err == nil {
		err = conn.HandshakeContext(ctx)
	}
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("StartTLS: %w", err)
	}
	return conn, nil
}

func askForTLS(raw net.Conn) error {
	const oid = "1.3.6.1.4.1.1466.20037"
	request := ber.NewSequence("message")
	request.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 0x53544c53, "message ID"))
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationExtendedRequest, nil,
		"extended request")
	op.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, oid, "name"))
	request.AppendChild(op)
	if _, err := raw.Write(request.Bytes()); err != nil {
		return err
	}
	// The answer is read byte by byte, because the bytes after it belong to TLS.
	answer, err := ber.ReadPacket(raw)
	if err != nil {
		return err
	}
	return ldap.GetLDAPError(answer)
}

// errPin means that the server has a certificate that is not pinned.
var errPin = errors.New("the server's certificate is not pinned")

// verifyPin returns a check that the server has one of the certificates. The handshake proves that it has the key.
func verifyPin(pins [][sha256.Size]byte) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		got := sha256.Sum256(cs.PeerCertificates[0].Raw)
		if slices.Contains(pins, got) {
			return nil
		}
		return fmt.Errorf("%w: its SHA-256 fingerprint is %x: if the certificate was renewed, set tls_pin_sha256 to it",
			errPin, got)
	}
}

// tlsConfig always verifies the server. It reads the files for every connection, because certificates may be renewed
// while the process runs.
func (s *Source) tlsConfig(srv server) (*tls.Config, error) {
	c := &tls.Config{ServerName: srv.host, MinVersion: tls.VersionTLS12}
	if s.cfg.TLSServerName != "" {
		c.ServerName = s.cfg.TLSServerName
	}
	if s.cfg.CAFile != "" {
		pem, err := os.ReadFile(string(s.cfg.CAFile))
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s has no PEM certificate", s.cfg.CAFile)
		}
	}
	pins, err := s.cfg.pins()
	if err != nil {
		return nil, fmt.Errorf("tls_pin_sha256: %w", err)
	}
	if len(pins) > 0 { // The fingerprint takes the place of the authority and the name.
		c.InsecureSkipVerify, c.VerifyConnection = true, verifyPin(pins)
	}
	if s.cfg.ClientCertificateFile != "" {
		pair, err := tls.LoadX509KeyPair(string(s.cfg.ClientCertificateFile), string(s.cfg.ClientKeyFile))
		if err != nil {
			return nil, fmt.Errorf("client_certificate_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// password reads the bind password; a warning says what is wrong with the file's mode.
func (s *Source) password() (value secret.Value, warning string, err error) {
	switch {
	case s.cfg.BindPasswordFile != "":
		value, warning, err = secret.FromFile(string(s.cfg.BindPasswordFile), s.opts.StrictFiles)
		if err != nil {
			err = fmt.Errorf("bind_password_file: %w", err)
		}
	case s.cfg.BindPasswordEnv != "":
		value = secret.Value(s.opts.Getenv(s.cfg.BindPasswordEnv))
		if value == "" {
			err = fmt.Errorf("bind_password_env: the environment has no %s", s.cfg.BindPasswordEnv)
		}
	}
	return value, warning, err
}
