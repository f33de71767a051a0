// Package address checks the web addresses that daypass calls, shows or opens, and
// knows those of AWS's partitions.
//
// An address decides where a secret goes and what a person trusts. So only what
// every reader of URLs reads the same way is let through.
package address

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Max bounds an address, in bytes. Windows opens no longer ones, and a person
// could not judge one.
const Max = 2048

// Check returns an error unless raw is an https address elsewhere, or, where loopback
// is set, an https or http one on this machine (127.0.0.0/8, ::1, localhost) or an https
// one at a name below localhost.
//
// Only the characters of RFC 3986 are accepted, and only ASCII host names: one in
// another script has to come in its xn-- form, where it cannot pass for a name that
// the person knows. A user name in front of the host is refused: it makes
// https://bank.example@other.example look like the bank's.
//
// The error names what is wrong, and nothing of the query or fragment.
func Check(raw string, loopback bool) error {
	if raw == "" {
		return errors.New("the address is empty")
	}
	if len(raw) > Max {
		return fmt.Errorf("the address has %d bytes, more than %d", len(raw), Max)
	}
	for _, b := range []byte(raw) {
		if b <= ' ' || b > '~' || strings.IndexByte("\"<>\\^`{|}", b) >= 0 {
			return fmt.Errorf("the address holds the byte %#02x, which no URL may hold", b)
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("the address is not a URL")
	}
	switch {
	case !strings.Contains(raw, "://"):
		return fmt.Errorf("%q does not begin with https://", WithoutQuery(raw))
	case u.User != nil:
		return fmt.Errorf("the address at host %q has a user name in front of the host", u.Host)
	case u.Opaque != "" || !isHost(u.Hostname()) || !isPort(u.Port()):
		return fmt.Errorf("%q does not name a host", WithoutQuery(raw))
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not https", WithoutQuery(raw))
	case LocalInBrowsers(raw) && !loopback:
		return fmt.Errorf("%q is on this machine, and the provider is not", WithoutQuery(raw))
	case u.Scheme == "http" && !IsLoopback(u.Hostname()):
		return fmt.Errorf("%q is not https; plain http is for this machine alone", WithoutQuery(raw))
	}
	return nil
}

// LocalInBrowsers reports whether browsers take the host of raw for this machine, as they do
// with names below localhost, too (RFC 6761, section 6.3).
func LocalInBrowsers(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (IsLoopback(u.Hostname()) || strings.HasSuffix(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), ".localhost"))
}

// OnLoopback reports whether the host of raw is this machine, see [IsLoopback].
func OnLoopback(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && IsLoopback(u.Hostname())
}

// IsLoopback reports whether host is this machine, judged without DNS. Names below
// localhost are not: a resolver or a proxy may lead them into the network, so they get
// neither plain http nor what is for this machine alone.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}

// WithoutQuery is an address as it may appear in an error: without query and
// fragment, which may hold a secret, and bounded.
func WithoutQuery(raw string) string {
	raw, _, _ = strings.Cut(raw, "?")
	raw, _, _ = strings.Cut(raw, "#")
	if len(raw) > 200 {
		raw = strings.ToValidUTF8(raw[:200], "") + "..."
	}
	return raw
}

// isHost accepts an IP address without a zone, and the characters of DNS names:
// net/url decodes percent signs in a host, so that any byte can come out of it. It
// refuses what browsers take for this machine and others do not: 0.0.0.0, "localhost.",
// and 127.1 or 0x7f000001, whose last label does not begin as one of DNS does (RFC 1123,
// section 2.1; https://url.spec.whatwg.org/#ends-in-a-number-checker).
func isHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == "" && !ip.Unmap().IsUnspecified()
	}
	notDNS := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_')
	}
	name := strings.TrimSuffix(host, ".")
	last := name[strings.LastIndexByte(name, '.')+1:]
	return last != "" && last[0] > '9' && !strings.EqualFold(host, "localhost.") && !strings.ContainsFunc(host, notDNS)
}

// isPort accepts what a TCP port can be. net/url accepts any number of digits.
func isPort(port string) bool {
	return port == "" || len(port) <= 5 && (len(port) < 5 || port <= "65535")
}

// IsPrivate reports whether host is an IP address that is not routed on the
// internet: on loopback, link-local, or private (RFC 1918, RFC 4193).
func IsPrivate(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && (ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsPrivate())
}
