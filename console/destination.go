package console

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// longestDestination bounds what is asked for, in bytes. Saved queries of
// CloudWatch make the longest addresses.
const longestDestination = 4096

// Destination returns the address in the place's console that what stands for:
//
//   - "": the console's home;
//   - the name of a service, see [Services];
//   - a path of the console, "/lambda/home#/functions/x";
//   - a whole address of the same partition's console. Its region may be another;
//     the account, where the address names one, may not.
//
// Anything else is an error: the sign-in sends the browser on to this address.
func (p Place) Destination(what string) (string, error) {
	at, region, err := p.locate()
	if err != nil {
		return "", err
	}
	if what == "" {
		what = "home"
	}
	base := "https://" + region + "." + at.console
	switch {
	case len(what) > longestDestination:
		return "", fmt.Errorf("destination of %d bytes is longer than %d", len(what), longestDestination)
	case strings.HasPrefix(what, "/"):
		if err := checkAddress(base + what); err != nil {
			return "", fmt.Errorf("destination %s: %w", quoted(what), err)
		}
		return base + what, nil
	case strings.ContainsAny(what, ":/"):
		address, err := p.address(at, what)
		if err != nil {
			return "", fmt.Errorf("destination %s: %w", quoted(what), err)
		}
		return address, nil
	}
	s, nearest, ok := serviceNamed(what[:min(len(what), 64)])
	if !ok {
		return "", fmt.Errorf("no service %s is known; did you mean %s? A console path (/lambda/home) or address works too", quoted(what), nearest)
	}
	if s.global {
		return "https://" + at.console + s.path + s.fragment, nil
	}
	return base + s.path + "?region=" + region + s.fragment, nil
}

// address checks a whole address, and returns it without what belongs to the
// browser session that it was copied from.
func (p Place) address(at partition, what string) (string, error) {
	if err := checkAddress(what); err != nil {
		return "", err
	}
	u, err := url.Parse(what)
	if err != nil {
		return "", errors.New("it cannot be read as an address")
	}
	// u.Host, and not u.Hostname(): no port, not even an empty one, is part of a
	// console address.
	labels, inConsole := strings.CutSuffix("."+strings.ToLower(u.Host), "."+at.console)
	if !inConsole {
		return "", fmt.Errorf("host %s is not %s, the console of partition %s", quoted(u.Host), at.console, at.name)
	}
	labels = strings.TrimPrefix(labels, ".")
	session, rest, _ := strings.Cut(labels, ".")
	if account, _, isSession := strings.Cut(session, "-"); isSession && len(account) == 12 && strings.Trim(account, "0123456789") == "" {
		// With multi-session support the console puts account and session in
		// front: 111122223333-p2f4gusb.eu-west-1.console.aws.amazon.com.
		if account != p.Account {
			return "", fmt.Errorf("it belongs to account %s, but the profile's role is in %s", account, p.Account)
		}
		labels = rest
	}
	host := at.console
	if labels != "" {
		host = labels + "." + host
	}
	return "https://" + host + what[len("https://")+len(u.Host):], nil
}

// checkAddress reports what an address may not have: whatever two readers of
// URLs could read differently. Only printable ASCII is let through, and none of
// the characters that RFC 3986 excludes.
func checkAddress(address string) error {
	for i := range len(address) {
		if c := address[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return fmt.Errorf("it holds the byte %#02x, which no URL may hold", c)
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("it cannot be read as an address")
	}
	switch {
	case !strings.HasPrefix(address, "https://"):
		return errors.New("want a service, a path that begins with /, or an address that begins with https://")
	case u.User != nil:
		return errors.New("it has a user name in front of the host")
	case strings.Trim(strings.ToLower(u.Host), "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || strings.Contains("."+u.Host+".", ".."):
		return errors.New("it does not name a host, or names a port with it")
	case strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.Path, `/\`):
		// Decoded: a page that redirects to its own path would leave the console.
		return errors.New("its path begins like another host's address")
	case strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("its path holds an encoded control character")
	}
	return nil
}

// quoted is what was asked for as errors show it: bounded, and without what can
// hold a password or, where a sign-in URL was pasted, its token.
func quoted(what string) string {
	const most = 120
	shown := what
	if i := strings.IndexAny(shown, "?#"); i >= 0 {
		shown = shown[:i]
	}
	if i := strings.LastIndexByte(shown, '@'); i >= 0 {
		shown = shown[i:]
	}
	if len(shown) > most {
		shown = strings.ToValidUTF8(shown[:most], "")
	}
	if shown != what {
		shown += "..."
	}
	return fmt.Sprintf("%q", shown)
}
