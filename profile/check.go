package profile

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oneOf returns the value if it is among the choices, and the first of them if
// there is none.
func oneOf(s setting, choices ...string) (string, error) {
	if s.value == "" {
		return choices[0], nil
	}
	if !slices.Contains(choices, s.value) {
		return "", s.wrong("", "want %s", strings.Join(choices, ", "))
	}
	return s.value, nil
}

// readDuration reads "15m", "1h30m" or a number of seconds.
func readDuration(s setting, none, least, most time.Duration, want string) (time.Duration, error) {
	if s.value == "" {
		return none, nil
	}
	text := s.value
	if _, err := strconv.ParseUint(text, 10, 64); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most || d%time.Second != 0 {
		return 0, s.wrong("", "want %s, or whole seconds", want)
	}
	return d, nil
}

// checkURL demands an absolute https URL, or http to loopback, without user
// name, password and fragment.
func checkURL(s setting) (*url.URL, error) {
	u, err := url.Parse(s.value)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "":
		return nil, s.wrong("", "want an https:// URL")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, s.wrong("", "want https; plain http is for this machine alone (localhost, 127.0.0.1)")
	case u.User != nil:
		return nil, s.wrong("", "want a URL without user name and password")
	case u.Fragment != "" || strings.HasSuffix(s.value, "#"):
		return nil, s.wrong("", "want a URL without fragment (#)")
	}
	return u, nil
}

// isLoopback reports whether the host is this machine. Names below localhost
// are left out: resolvers may ask the network for them.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// readSessionName checks the form of a template: text and {claim}, where a claim
// name is anything without braces (Auth0 names claims by URL).
func readSessionName(s setting) (string, error) {
	const most = 256 // AWS takes 64 characters of what comes out
	if len(s.value) > most {
		return "", s.wrong("", "want at most %d characters", most)
	}
	rest := s.value
	for rest != "" {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			break
		}
		size := strings.IndexAny(rest[open+1:], "{}")
		if rest[open] == '}' || size < 0 || rest[open+1+size] == '{' {
			return "", s.wrong("", "want text and {claim}, as in {email}; a brace stands alone")
		}
		if strings.TrimSpace(rest[open+1:open+1+size]) == "" {
			return "", s.wrong("", "want the name of a claim between the braces, as in {email}")
		}
		rest = rest[open+1+size+1:]
	}
	return s.value, nil
}
