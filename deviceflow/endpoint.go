package deviceflow

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// maxURL bounds an address that a provider names, in bytes.
const maxURL = 2048

// checkURL accepts an address that may be called or shown: https, or http on
// loopback, in the characters of RFC 3986, and without a user name, which would
// make https://bank.example@evil.example look like the bank's. It accepts nothing
// that package prompt does not show: a code whose address cannot be shown must not
// be begun.
func checkURL(raw string) error {
	if raw == "" {
		return errors.New("the address is empty")
	}
	if len(raw) > maxURL {
		return fmt.Errorf("the address has %d bytes, more than %d", len(raw), maxURL)
	}
	for _, b := range []byte(raw) {
		if b <= ' ' || b > '~' || strings.IndexByte("\"<>\\^`{|}", b) >= 0 {
			return errors.New("the address holds a character that no URL may hold")
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("the address is no URL")
	}
	switch {
	case u.Hostname() == "":
		return fmt.Errorf("%q names no host", withoutQuery(raw))
	case u.User != nil:
		return fmt.Errorf("the address at host %q names a user", u.Host)
	case !isHost(u.Hostname()):
		return fmt.Errorf("%q names no host", withoutQuery(raw))
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q is not https", withoutQuery(raw))
}

// isHost accepts an IP address without a zone, and the characters of DNS names:
// net/url decodes percent signs in a host, so that any byte can come out of it.
func isHost(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return true
	}
	notDNS := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_')
	}
	return strings.Trim(host, ".") != "" && !strings.ContainsFunc(host, notDNS)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// withoutQuery is an address as it may stand in an error.
func withoutQuery(raw string) string {
	raw, _, _ = strings.Cut(raw, "?")
	raw, _, _ = strings.Cut(raw, "#")
	return clean(raw, 200)
}

// hostOf is how errors name the provider.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "the provider"
	}
	return clean(u.Host, 100)
}

// sameHostRedirects is the redirect policy for what a provider publishes. What
// holds a secret is sent without following any redirect.
func sameHostRedirects(request *http.Request, via []*http.Request) error {
	if len(via) > 3 {
		return errors.New("more than three redirects")
	}
	if !strings.EqualFold(request.URL.Host, via[0].URL.Host) {
		return fmt.Errorf("a redirect to another host, %q, is not followed", clean(request.URL.Host, 100))
	}
	return checkURL(request.URL.String())
}
