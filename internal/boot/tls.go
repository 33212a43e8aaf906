package boot

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"rollcall/internal/config"
)

// certificates are the TLS settings of the listeners. The files are read again when they change, so that a renewed
// certificate needs no restart. If the new files are wrong, the earlier ones stay in use and the log says why.
type certificates struct {
	cert, key, clientCA string
	failed              func(error)

	mu      sync.Mutex
	checked time.Time
	seen    [3]fileStamp
	current *tls.Config
}

type fileStamp struct {
	time time.Time
	size int64
}

// serverTLS returns the TLS settings of the listeners, or nil without a certificate.
func (a *App) serverTLS() (*tls.Config, error) {
	p := a.Process
	if p.TLSCertFile == "" {
		return nil, nil
	}
	c := &certificates{cert: p.TLSCertFile, key: string(p.TLSKeyFile), clientCA: p.TLSClientCAFile,
		failed: func(err error) {
			a.Log.Error("the TLS files cannot be read again: the earlier ones stay in use", "err", err)
		}}
	if _, err := c.config(time.Now()); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.config(time.Now())
		},
	}, nil
}

// config returns the settings by the files as they are now. The files are checked once a second at most.
func (c *certificates) config(now time.Time) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && now.Sub(c.checked) < time.Second {
		return c.current, nil
	}
	c.checked = now
	seen := [3]fileStamp{stampOf(c.cert), stampOf(c.key), stampOf(c.clientCA)}
	if c.current != nil && seen == c.seen {
		return c.current, nil
	}
	c.seen = seen
	fresh, err := c.read()
	if err != nil && c.current != nil {
		c.failed(err)
		return c.current, nil
	}
	c.current = fresh
	return fresh, err
}

func stampOf(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}

func (c *certificates) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("ROLLCALL_TLS_CERT_FILE and ROLLCALL_TLS_KEY_FILE: %w", err)
	}
	out := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"}}
	if c.clientCA == "" {
		return out, nil
	}
	text, err := os.ReadFile(c.clientCA)
	if err != nil {
		return nil, fmt.Errorf("ROLLCALL_TLS_CLIENT_CA_FILE: %w", err)
	}
	out.ClientCAs, out.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !out.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ROLLCALL_TLS_CLIENT_CA_FILE: %s has no certificate", c.clientCA)
	}
	return out, nil
}

// checkListener refuses a listener that other hosts can reach without TLS, unless the operator said that a proxy or the
// network protects it.
func checkListener(p config.Process, variable, addr string) error {
	if addr == "" || p.TLSCertFile != "" || p.BehindProxy || config.IsLoopback(addr) {
		return nil
	}
	return fmt.Errorf("%s: %s is open to other hosts without TLS: set ROLLCALL_TLS_CERT_FILE and "+
		"ROLLCALL_TLS_KEY_FILE, or "+
		"ROLLCALL_BEHIND_PROXY=true if a proxy or a private network stands in front of it", variable, addr)
}

// checkOpen refuses an API without tokens that other hosts can reach.
func checkOpen(p config.Process) error {
	if config.IsLoopback(p.Listen) {
		return nil
	}
	return errors.New("ROLLCALL_LISTEN: " + p.Listen + ": without a tokens file the API listens on loopback only: set " +
		"ROLLCALL_TOKENS_FILE, or listen on 127.0.0.1")
}

// wrap puts TLS around a listener; nil leaves it as it is.
func wrap(l net.Listener, c *tls.Config) net.Listener {
	if c == nil {
		return l
	}
	return tls.NewListener(l, c)
}
