package ratelimit

import (
	"net/http"
	"net/netip"
	"strings"
)

// DefaultIPv6Prefix is the part of an IPv6 address that identifies a client: providers give each customer at least a
// /64, so whole addresses would hand everyone 2^64 identities.
const DefaultIPv6Prefix = 64

// ClientAddr is the address that a request comes from.
//
// That is the peer of the connection, unless the peer lies in trusted: then X-Forwarded-For is read from the right,
// where the nearest proxy wrote, past every trusted address, to the first that is not. What stands left of that the
// client may have made up. If all are trusted, the leftmost is the client; where something is not an address, the
// last address before it counts. ok is false when the peer has no IP address, as on a Unix socket.
func ClientAddr(r *http.Request, trusted []netip.Prefix) (addr netip.Addr, ok bool) {
	addr, ok = parseAddr(r.RemoteAddr)
	if !ok || !within(addr, trusted) {
		return addr, ok
	}
	// Several header lines mean the same as one with all their elements.
	lines := r.Header.Values("X-Forwarded-For")
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := lines[i]; rest != ""; {
			element := rest
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, element = rest[:comma], rest[comma+1:]
			} else {
				rest = ""
			}
			hop, good := parseAddr(strings.TrimSpace(element))
			if !good {
				return addr, true
			}
			if addr = hop; !within(addr, trusted) {
				return addr, true
			}
		}
	}
	return addr, true
}

// parseAddr reads an address with or without a port.
func parseAddr(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		if ap, err := netip.ParseAddrPort(s); err == nil {
			addr = ap.Addr()
		} else if addr, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err != nil {
			return netip.Addr{}, false
		}
	}
	return addr.Unmap().WithZone(""), true
}

func within(addr netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// ClientID is an address as an id for a Limiter: IPv6 is cut to its first ipv6Prefix bits, DefaultIPv6Prefix if that is 0.
func ClientID(addr netip.Addr, ipv6Prefix int) string {
	if ipv6Prefix == 0 {
		ipv6Prefix = DefaultIPv6Prefix
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() || ipv6Prefix >= 128 {
		return addr.String()
	}
	p, err := addr.Prefix(ipv6Prefix)
	if err != nil {
		return addr.String()
	}
	return p.String()
}
