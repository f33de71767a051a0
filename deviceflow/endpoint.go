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
// loopback, in printable ASCII as RFC 3986 has it, and without a user name, which
// would make https://bank.example@evil.example look like the bank's.
func checkURL(raw string) error {
	if raw == "" {
		return errors.New("the address is empty")
	}
	if len(raw) > maxURL {
		return fmt.Errorf("the address has %d bytes, more than %d", len(raw), maxURL)
	}
	for _, b := range []byte(raw) {
		if b <= ' ' || b > '~' {
			return errors.New("the address holds a character that is not printable ASCII")
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
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q is not https", withoutQuery(raw))
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
