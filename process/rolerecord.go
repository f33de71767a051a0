package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/secret"
)

// The stored form of a role is lines of a name and a value, and not JSON as that
// of the other records: a cached answer reads this one alone, and encoding/json
// would look into the type by reflection, which takes a seventh of the whole warm
// start; docs/performance.md.

// text returns the stored form of a role. No value of it holds a line break.
func (r *role) text() ([]byte, error) {
	var text strings.Builder
	line := func(name, value string) { text.WriteString(name + " " + value + "\n") }
	line("v", fmt.Sprint(formVersion))
	line("login_id", r.LoginID)
	line("issued", r.Issued.Format(time.RFC3339Nano))
	line("expires", r.Expires.Format(time.RFC3339Nano))
	line("access_key_id", r.AccessKeyID)
	line("secret_access_key", r.SecretAccessKey.Reveal())
	line("session_token", r.SessionToken.Reveal())
	line("assumed_role", r.AssumedRole)
	if r.Failed != nil {
		failed, err := json.Marshal(r.Failed)
		if err != nil {
			return nil, err
		}
		line("failed", string(failed))
	}
	return []byte(text.String()), nil
}

// decodeRole reads the stored form of a role. Anything but a whole one of this
// version is a [*cache.UnreadableError].
func decodeRole(data []byte, where string) (*role, error) {
	unreadable := func(err error) (*role, error) { return nil, &cache.UnreadableError{Where: where, Err: err} }
	first, rest, _ := strings.Cut(string(data), "\n")
	version, ok := strings.CutPrefix(first, "v ")
	if !ok {
		return unreadable(errNoRecord)
	}
	if version != fmt.Sprint(formVersion) {
		return unreadable(fmt.Errorf("form version %.10q, this daypass reads %d", version, formVersion))
	}
	r := new(role)
	for line := range strings.Lines(rest) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var err error
		switch name {
		case "login_id":
			r.LoginID = value
		case "issued":
			r.Issued, err = time.Parse(time.RFC3339Nano, value)
		case "expires":
			r.Expires, err = time.Parse(time.RFC3339Nano, value)
		case "access_key_id":
			r.AccessKeyID = value
		case "secret_access_key":
			r.SecretAccessKey = secret.New(value)
		case "session_token":
			r.SessionToken = secret.New(value)
		case "assumed_role":
			r.AssumedRole = value
		case "failed":
			err = json.Unmarshal([]byte(value), &r.Failed)
		default:
			ok = false
		}
		if !ok || err != nil {
			return unreadable(errNoRecord) // err may quote a value
		}
	}
	if !r.printable() {
		return unreadable(errors.New("credentials of characters that AWS's do not have"))
	}
	return r, nil
}

// printable reports whether the credentials hold nothing but printable ASCII, as
// AWS's do: they go into JSON, environments and headers.
func (r *role) printable() bool {
	for _, text := range []string{r.AccessKeyID, r.SecretAccessKey.Reveal(), r.SessionToken.Reveal(), r.AssumedRole} {
		for i := range len(text) {
			if text[i] <= ' ' || text[i] > '~' {
				return false
			}
		}
	}
	return true
}
