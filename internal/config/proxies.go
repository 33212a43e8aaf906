package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// Proxies returns the prefixes of ROLLCALL_TRUSTED_PROXIES. By default these are the loopback addresses if
// ROLLCALL_BEHIND_PROXY is set, and none otherwise.
func (p *Process) Proxies() ([]netip.Prefix, error) {
	list := p.TrustedProxies
	if list == "" && p.BehindProxy {
		list = "127.0.0.0/8,::1"
	}
	var out []netip.Prefix
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(text); err == nil {
				prefix, err = addr.Prefix(addr.BitLen())
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%q: want addresses or prefixes such as 10.0.0.0/8, separated by commas", text)
		}
		out = append(out, prefix.Masked())
	}
	return out, nil
}
