package prompt

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// longestURL bounds an address in bytes. Windows opens no longer ones, and a
// person could not judge one.
const longestURL = 2048

// CheckURL returns an error if raw may not be shown to a person or opened in a
// browser. It has to be an https address, or an http one on this machine
// (127.0.0.0/8, ::1, localhost), of at most 2048 bytes.
//
// Only the characters of RFC 3986 are let through. So a host in another script
// has to come in its ASCII form (xn--), where it cannot pass for a name that
// the person knows. A user name in front of the host is refused: it serves to
// make "https://corp.example@other.example" look like corp.example.
func CheckURL(raw string) error {
	if raw == "" {
		return errors.New("address is empty")
	}
	if len(raw) > longestURL {
		return fmt.Errorf("address of %d bytes is longer than %d", len(raw), longestURL)
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return fmt.Errorf("address %q holds the byte %#02x, which no URL may hold", raw, c)
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("address cannot be read: %w", err)
	}
	host := u.Hostname()
	switch {
	case u.User != nil:
		return fmt.Errorf("address at host %q has a user name in front of the host", host)
	case !validHost(host):
		return fmt.Errorf("address %q does not name a host", raw)
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("address %q is not https", raw)
	case !onLoopback(host):
		return fmt.Errorf("address %q is not https, and its host is not this machine", raw)
	}
	return nil
}

// validHost reports whether host is an IP address without a zone or consists of
// the characters of DNS names. url.Parse decodes percent signs in hosts, so
// that other bytes can come out of a text that had none.
func validHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return strings.Trim(host, ".") != ""
}

// onLoopback reports whether host is this machine, judged without DNS.
func onLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return strings.EqualFold(host, "localhost")
	}
	return addr.IsLoopback()
}
