package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/secret"
)

// formVersion is the version of the stored forms in this file. A record of
// another version is read as unreadable, and so as a miss.
const formVersion = 1

// kept is a secret inside a record: it prints as redacted like every
// [secret.String], and only the JSON that goes to the keyring holds its value.
type kept struct{ secret.String }

func keep(s secret.String) kept { return kept{s} }

// MarshalText reveals the secret for the keyring.
func (k kept) MarshalText() ([]byte, error) { return []byte(k.Reveal()), nil }

// UnmarshalText takes the secret back from the keyring.
func (k *kept) UnmarshalText(text []byte) error {
	k.String = secret.New(string(text))
	return nil
}

// login is what one login at the provider left: one for each [daypass-idp]
// section, shared by the profiles that name it.
type login struct {
	Version int    `json:"v"`
	ID      string `json:"id"` // changes with the person; role records name it
	IDP     string `json:"idp"`

	Issuer             string `json:"issuer"`
	ClientID           string `json:"client_id"`
	RevocationEndpoint string `json:"revocation_endpoint,omitempty"`

	IDToken      kept `json:"id_token"`
	RefreshToken kept `json:"refresh_token"`
	// RefreshStarted is set before RefreshToken is sent and cleared with the
	// answer. Found set, the answer to an earlier renewal was lost.
	RefreshStarted time.Time `json:"refresh_started,omitzero"`

	// NeedsPerson is set when the provider keeps the login but wants to see the
	// person again before it renews.
	NeedsPerson bool `json:"needs_person,omitempty"`
	// Roles are the keys of the role records made from the login.
	Roles []string `json:"roles,omitempty"`

	LoggedIn time.Time `json:"logged_in"` // when a person last approved
	Obtained time.Time `json:"obtained"`  // when IDToken came
	Expires  time.Time `json:"expires"`   // IDToken's exp
	Claims   claims    `json:"claims"`

	unstored error // why the keyring did not take it: it serves this process alone
}

// claims are the claims of the ID token that are shown to people, or tell whose
// login it is. What AssumeRoleWithWebIdentity needs is in the token itself.
type claims struct {
	Subject           string   `json:"sub"`
	Audience          []string `json:"aud"`
	AuthorizedParty   string   `json:"azp,omitempty"`
	Email             string   `json:"email,omitempty"`
	PreferredUsername string   `json:"preferred_username,omitempty"`
	Name              string   `json:"name,omitempty"`
}

// who is the name to show for the person who logged in.
func (c claims) who() string {
	for _, name := range []string{c.Email, c.PreferredUsername, c.Name} {
		if name != "" {
			return name
		}
	}
	return c.Subject
}

// attempt is what became of asking a person, one for each login record: an open
// device authorization that the next process takes up, or an outcome that keeps
// it from asking an empty chair.
type attempt struct {
	Version int            `json:"v"`
	Open    *authorization `json:"open,omitempty"`
	Outcome *outcome       `json:"outcome,omitempty"`
	// Codes counts the codes shown since the last stored login; LastCode is when
	// the last of them was issued.
	Codes    int       `json:"codes,omitempty"`
	LastCode time.Time `json:"last_code,omitzero"`
}

// authorization is the stored form of [deviceflow.Authorization].
type authorization struct {
	DeviceCode              kept          `json:"device_code"`
	UserCode                string        `json:"user_code"`
	VerificationURI         string        `json:"verification_uri"`
	VerificationURIComplete string        `json:"verification_uri_complete,omitempty"`
	Interval                time.Duration `json:"interval"`
	NextPoll                time.Time     `json:"next_poll"`
	Issued                  time.Time     `json:"issued"`
	Expires                 time.Time     `json:"expires"`
	CodeVerifier            kept          `json:"code_verifier"`
	TokenEndpoint           string        `json:"token_endpoint"`
	Opened                  bool          `json:"opened"` // a browser was told to open it
}

func storedAuthorization(a deviceflow.Authorization, opened bool) *authorization {
	return &authorization{
		DeviceCode: keep(a.DeviceCode), UserCode: a.UserCode,
		VerificationURI: a.VerificationURI, VerificationURIComplete: a.VerificationURIComplete,
		Interval: a.Interval, NextPoll: wall(a.NextPoll), Issued: wall(a.Issued), Expires: wall(a.Expires),
		CodeVerifier: keep(a.CodeVerifier), TokenEndpoint: a.TokenEndpoint, Opened: opened,
	}
}

func (a *authorization) deviceflow() deviceflow.Authorization {
	return deviceflow.Authorization{
		DeviceCode: a.DeviceCode.String, UserCode: a.UserCode,
		VerificationURI: a.VerificationURI, VerificationURIComplete: a.VerificationURIComplete,
		Interval: a.Interval, NextPoll: a.NextPoll, Issued: a.Issued, Expires: a.Expires,
		CodeVerifier: a.CodeVerifier.String, TokenEndpoint: a.TokenEndpoint,
	}
}

// The outcomes of an attempt.
const (
	refused       = "refused"        // the person or the provider said no
	unanswered    = "unanswered"     // the code ran out
	renewalFailed = "renewal_failed" // the provider could not be asked, or failed
)

// outcome is how an attempt ended, with the words for those who waited for it.
type outcome struct {
	Kind  string    `json:"kind"`
	At    time.Time `json:"at"`
	Exit  int       `json:"exit"`
	Lines []string  `json:"lines"`
}

// role is the role credentials that STS gave, for one profile's role. Its stored
// form is in rolerecord.go.
type role struct {
	LoginID string
	Issued  time.Time // by this machine's clock
	Expires time.Time // as STS said

	AccessKeyID     string
	SecretAccessKey secret.String
	SessionToken    secret.String
	// AssumedRole is the ARN of the session, with the session name.
	AssumedRole string

	// Failed is how the last renewal ended, if it failed.
	Failed *outcome
}

// until is when the record is worth nothing any more. A failure without
// credentials is for the processes of that moment.
func (r *role) until() time.Time {
	if r.Expires.IsZero() && r.Failed != nil {
		return r.Failed.At
	}
	return r.Expires
}

// loginKey names the login record: everything that changes what the provider
// would answer.
func loginKey(idp profile.IDP) string {
	return cache.Key("login", idp.Name, idp.Issuer, idp.ClientID, idp.Scopes, idp.Audience, idp.ExtraParams,
		idp.DeviceAuthorizationEndpoint)
}

// attemptKey names the attempt record beside a login record.
func attemptKey(loginKey string) string { return cache.Key("attempt", loginKey) }

// roleKey names the role record: everything that changes what STS would answer.
// The region is not among it: the credentials are the same from every region.
func roleKey(p profile.Profile) string {
	policies := append([]string{p.Policy}, p.PolicyARNs...)
	return cache.Key("role", loginKey(p.IDP), p.RoleARN, p.Duration.String(), p.SessionName, cache.Key(policies...),
		p.STSEndpoint, fmt.Sprint(p.UseFIPS), fmt.Sprint(p.UseDualStack))
}

// wall strips the monotonic part of a time: it means nothing to the next process.
func wall(t time.Time) time.Time { return t.Round(0).UTC() }

var errNoRecord = errors.New("not a record of daypass")

// decode reads a stored form. Anything but a whole record of this version is a
// [*cache.UnreadableError].
func decode[T login | attempt](data []byte, where string, version func(*T) int) (*T, error) {
	record := new(T)
	if err := json.Unmarshal(data, record); err != nil {
		// The JSON error is dropped: it may quote a value of the record.
		return nil, &cache.UnreadableError{Where: where, Err: errNoRecord}
	}
	if v := version(record); v != formVersion {
		return nil, &cache.UnreadableError{Where: where, Err: fmt.Errorf("form version %d, this daypass reads %d", v, formVersion)}
	}
	return record, nil
}
