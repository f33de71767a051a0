package process

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/secret"
)

// The records, and how each is read, written and deleted. The login is an item of
// the keyring; role credentials and the open authorization are sealed files beside
// it; a note is a plain file and holds no secret. All of them are JSON.

// formVersion is the version of the forms in this file. A login of another version
// is unreadable, and so a miss. Sealed files have it in their names.
const (
	formVersion       = 2
	rolePrefix        = "role2-"
	authorizationFile = "authorization2"
)

// login is what one login at the provider left: one for each [daypass-idp]
// section, shared by the profiles that name it.
type login struct {
	Version int    `json:"v"`
	IDP     string `json:"idp"` // name of the section
	// KeyID is the [cache.Key.ID] of the key that seals the files of this login. The
	// two are separate items: by it, nobody who reads them without a lock takes the
	// key of the next person for this one's.
	KeyID string `json:"key_id"`

	Issuer             string `json:"issuer"`
	ClientID           string `json:"client_id"`
	RevocationEndpoint string `json:"revocation_endpoint,omitempty"`

	IDToken      secret.Kept `json:"id_token"`
	RefreshToken secret.Kept `json:"refresh_token"`
	// RefreshStarted is set before RefreshToken is sent and cleared with the
	// answer. If it is found set, the answer to an earlier renewal was lost.
	RefreshStarted time.Time `json:"refresh_started,omitzero"`
	// NeedsPerson is set when the provider keeps the login but wants to see the
	// person again before it renews.
	NeedsPerson bool `json:"needs_person,omitempty"`

	LoggedIn time.Time `json:"logged_in"` // when a person last approved
	Obtained time.Time `json:"obtained"`  // when IDToken came
	Expires  time.Time `json:"expires"`   // IDToken's exp

	key      cache.Key // whose ID is KeyID; empty if another one is there, or the login is not stored
	unstored error     // why the keyring did not take the login: it serves this process alone
}

// token is the ID token with its claims: it was verified when it came. It is empty
// as long as none has been.
func (l *login) token() idp.Token {
	t, _ := idp.Parse(l.IDToken.String)
	return t
}

// who is the name to show for the person whose ID token it is.
func who(t idp.Token) string { return cmp.Or(t.Email, t.PreferredUsername, t.Name, t.Subject) }

// role is the role credentials that STS gave, for one profile's role.
type role struct {
	Profile string `json:"profile"` // that they were first obtained for

	Issued  time.Time `json:"issued"`  // by this machine's clock
	Expires time.Time `json:"expires"` // as STS said

	AccessKeyID     string      `json:"access_key_id"`
	SecretAccessKey secret.Kept `json:"secret_access_key"`
	SessionToken    secret.Kept `json:"session_token"`
	AssumedRole     string      `json:"assumed_role"` // ARN of the session, with the session name
	// Mark is that of the source whose token they came of, see workloadMark.
	Mark string `json:"mark,omitempty"`

	key cache.Key // that seals it; empty if it is not kept
}

// Open is an authorization that waits for a person: of the device flow, which the next
// process takes up, or of the browser flow, whose answer goes to a helper.
type Open struct {
	deviceflow.Authorization           // in the browser flow only VerificationURI and the times
	Start                    string    `json:"start,omitempty"`        // in the browser flow what a browser of ours opens, else ""
	Redirect                 string    `json:"redirect_uri,omitempty"` // likewise
	Tried                    bool      `json:"tried,omitempty"`        // a browser was told to open it
	Opened                   time.Time `json:"opened,omitzero"`        // when it did; zero if there is no tab
	Polled                   bool      `json:"polled,omitempty"`       // by a process that runs, or was killed
	Anew                     bool      `json:"anew,omitempty"`         // the login is to keep nothing of the one before
}

// note is how asking for a login, or renewing something, last ended: one for each
// login, and one for each role of it.
type note struct {
	At    time.Time `json:"at,omitzero"`
	Exit  int       `json:"exit,omitempty"`
	Lines []string  `json:"lines,omitempty"` // with placeholders, see [failure.Error.Fill]
	// Failed is set if that was a failure of the provider's, which is then left alone
	// for a while.
	Failed bool `json:"failed,omitempty"`
	// Asked is set if a person was asked, and did not answer or Refused, since the last
	// stored login.
	Asked   bool `json:"asked,omitempty"`
	Refused bool `json:"refused,omitempty"`
	// FromAWS is set if AWS refused, or could not be asked: every other process would
	// meet the same. What else a role's note may hold depends on its process.
	FromAWS bool   `json:"from_aws,omitempty"`
	Mark    string `json:"mark,omitempty"` // of the source, as in a role: another job may fare better
	// Codes counts the codes that process has shown since then; LastCode is when the
	// last code was issued.
	Codes    int       `json:"codes,omitempty"`
	LastCode time.Time `json:"last_code,omitzero"`
}

// failure is the note in the words of the process that wrote it.
func (n note) failure() *failure.Error { return &failure.Error{Exit: n.Exit, Lines: n.Lines} }

const (
	// noteKept is how long a note keeps process from asking a person again.
	noteKept = 24 * time.Hour
	// renewalPause is how long the provider is left alone after a failed renewal.
	renewalPause = 30 * time.Second

	loginNote = "note.json"
	noteMax   = 16 << 10 // bytes
)

// ended is the note of another ending, with what is known of asking.
func (n note) ended(at time.Time, f *failure.Error) note {
	n.At, n.Exit, n.Lines, n.Failed = wall(at), f.Exit, f.Lines, false
	return n
}

// pauses reports whether the provider is left alone after a failure that a login's
// note tells of.
func (n note) pauses(now time.Time) bool {
	return n.Failed && recent(n.At, now, renewalPause)
}

// fromProvider reports that a login's note tells how asking the provider ended, and
// not that the keyring stayed locked.
func (n note) fromProvider() bool { return n.Exit != 0 && n.Exit != failure.ExitKeyring }

// newerThan reports whether the note was written since then: by the process that
// this one has waited for. A time ahead of the clock says nothing.
func (n note) newerThan(started, now time.Time) bool {
	return !n.At.Before(started) && !n.At.After(now.Add(time.Second))
}

// recent reports whether at is less than within ago, or at most a second ahead, by
// which clocks are set.
func recent(at, now time.Time, within time.Duration) bool {
	age := now.Sub(at)
	return age > -time.Second && age < within
}

// wall strips the monotonic part of a time: it means nothing to the next process.
func wall(t time.Time) time.Time { return t.Round(0).UTC() }

// LoginKey names the folder of a login: everything that changes what the provider
// would answer, and the machine, since a home folder may be shared by several.
func LoginKey(i profile.IDP) string {
	if i.Source != "" {
		return cache.Name("source", i.Name, i.Source, i.Issuer, i.Audience, i.AzureIdentity, cache.MachineID())
	}
	return cache.Name("login", i.Name, i.Issuer, i.ClientID, i.Scopes, i.Audience, i.ExtraParams,
		i.DeviceAuthorizationEndpoint, cache.MachineID())
}

// nameOfRole names the files of a role: everything that changes what STS would
// answer. The region is not part of it: the credentials are the same from all.
func nameOfRole(p profile.Profile) string {
	policies, source := append([]string{p.Policy}, p.PolicyARNs...), ""
	if p.Source != nil {
		source = cache.Name(nameOfRole(*p.Source), p.ExternalID)
	}
	return rolePrefix + cache.Name(p.RoleARN, p.Duration.String(), p.SessionName, cache.Name(policies...),
		p.STSEndpoint, fmt.Sprint(p.UseFIPS), fmt.Sprint(p.UseDualStack), source)
}

// roleName names the files of the role, or of the token of Azure, that is asked for.
func (p *Pipeline) roleName() string {
	if a := p.Profile.Azure; p.scope != "" {
		return "azure-" + cache.Name(nameOfRole(p.Profile), a.Via, a.Tenant, a.ClientID, a.CognitoPool, a.CognitoProvider, a.CognitoUser, p.scope)
	}
	return nameOfRole(p.Profile)
}

func (p *Pipeline) roleNote() string { return "note-" + p.roleName() + ".json" }

var errNoRecord = errors.New("not a record of this daypass")

// decodeLogin reads a stored login. Anything but a whole one of this version is a
// [*cache.UnreadableError].
func decodeLogin(data []byte, where string) (*login, error) {
	l := new(login)
	if json.Unmarshal(data, l) != nil || l.Version != formVersion {
		// The JSON error is dropped: it may quote a value of the record.
		return nil, &cache.UnreadableError{Where: where, Err: errNoRecord}
	}
	return l, nil
}

// unseal reads a sealed record, with errors as those of [cache.Login.Unseal].
func unseal[T any](kept *cache.Login, key cache.Key, name string) (*T, error) {
	data, err := kept.Unseal(key, name)
	if err != nil {
		return nil, err
	}
	record := new(T)
	if json.Unmarshal(data, record) != nil {
		return nil, &cache.UnreadableError{Where: name, Err: errNoRecord}
	}
	return record, nil
}

// seal writes a record that only the login's key opens.
func seal(kept *cache.Login, key cache.Key, name string, record any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return kept.Seal(key, name, data)
}

// readLogin reads the login and the key of its files; key can be there without a
// login. A key that is missing is empty: it is made under the login's lock.
func (p *Pipeline) readLogin(ctx context.Context) (l *login, key cache.Key, err error) {
	key, err = p.Kept.Key(ctx)
	if err != nil && !notThere(err) {
		return nil, cache.Key{}, err
	}
	data, err := p.Kept.Record(ctx)
	if err != nil {
		return nil, key, err
	}
	l, err = decodeLogin(data, p.Kept.Where())
	if err == nil && l.KeyID == key.ID() {
		l.key = key
	}
	return l, key, err
}

// putLogin stores the login. A ctx that ends cuts the store off, so an exchange, whose
// answer it keeps, passes one that does not.
func (p *Pipeline) putLogin(ctx context.Context, l *login) error {
	l.KeyID = l.key.ID()
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	err = p.Kept.SetRecord(ctx, data)
	p.debug("store the login", "bytes", len(data), "ok", err == nil)
	return err
}

// storeTime bounds the tries to store an answer.
const storeTime = 20 * time.Second

// insist repeats a store of what the provider gives only once, until the time is up: a
// keyring that is being restarted or unlocked is waited for, and a state folder that
// was deleted meanwhile is made again.
func (p *Pipeline) insist(ctx context.Context, until time.Time, store func() error) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := p.Kept.Choose(ctx, p.Profile.IDP.Name, nil)
		if err == nil {
			err = store()
		}
		var unreachable *cache.UnreachableError
		if !errors.As(err, &unreachable) || !p.Now().Add(pause).Before(until) || p.Sleep(ctx, pause) != nil {
			return err
		}
	}
}

// readRole reads the role credentials: the key, and the file that it seals. It
// takes no lock and unlocks nothing.
func (p *Pipeline) readRole(ctx context.Context) (*role, error) {
	key, err := p.Kept.Key(ctx)
	if err != nil && p.isWorkload() {
		return nil, cache.ErrMiss // whatever the reason: it goes on without
	}
	if err != nil {
		return nil, err
	}
	r, err := unseal[role](p.Kept, key, p.roleName())
	if err == nil && r.Mark != p.workloadMark() {
		return nil, cache.ErrMiss
	}
	if err == nil {
		r.key = key
	}
	return r, err
}

// readAuthorization returns the authorization that waits for a person, or nil; ranOut
// is one whose time is over.
func (p *Pipeline) readAuthorization(key cache.Key) (open, ranOut *Open) {
	if key.Empty() {
		return nil, nil
	}
	a, err := unseal[Open](p.Kept, key, authorizationFile)
	switch {
	case err != nil:
		return nil, nil
	case p.Now().Before(a.Expires):
		return a, nil
	}
	return nil, a
}

func (p *Pipeline) putAuthorization(key cache.Key, a *Open) error {
	return seal(p.Kept, key, authorizationFile, a)
}

// dropAuthorization and dropNote delete a record. A login with all that came of it is
// deleted by Pipeline.remove and [cache.Login.Forget], see logout.go.
func (p *Pipeline) dropAuthorization()   { _ = p.Kept.Remove(authorizationFile) }
func (p *Pipeline) dropNote(name string) { _ = cache.RemoveFile(p.Kept.Dir(), name) }

// readNote reads a note; none, or one that cannot be read, is the zero note.
func (p *Pipeline) readNote(name string) note {
	var n note
	data, err := cache.ReadFile(p.Kept.Dir(), name, noteMax)
	if err != nil || json.Unmarshal(data, &n) != nil || n.Exit < 0 || n.Exit > failure.ExitInterrupt ||
		len(n.Lines) > 3 || (n.Exit == 0) != (len(n.Lines) == 0) || n.Failed && n.Exit == 0 {
		return note{} // nobody's credentials depend on what somebody has written there
	}
	// What a clock that ran ahead has written says nothing.
	if !recent(n.At, p.Now(), noteKept) {
		n = note{Asked: n.Asked, Refused: n.Refused, Codes: n.Codes, LastCode: n.LastCode}
	}
	if !recent(n.LastCode, p.Now(), noteKept) {
		n.Asked, n.Refused, n.Codes = false, false, 0
	}
	return n
}

// putNote writes a note. That it cannot be written is no reason to fail: a note
// only spares others what this process has met.
func (p *Pipeline) putNote(name string, n note) {
	if data, err := json.Marshal(n); err == nil {
		_ = cache.WriteFile(p.Kept.Dir(), name, data)
	}
}

// readAttempt reads what is known of asking for this login: the note, and the
// authorization that waits, which may be nil. If its code has run out, that counts as
// noted at that moment: nobody has answered it, or the provider has not.
func (p *Pipeline) readAttempt(key cache.Key) (note, *Open) {
	n := p.readNote(loginNote)
	open, ranOut := p.readAuthorization(key)
	if ranOut != nil && recent(ranOut.Expires, p.Now(), noteKept) {
		f := p.codeRanOut(ranOut)
		if ranOut.Unanswered {
			f = failure.New(failure.ExitNetwork, nil, "{host} did not answer as it should to the login of "+p.clockTime(ranOut.Issued)+".", f.Lines[len(f.Lines)-1])
		}
		if n.At.Before(ranOut.Expires) { // or something has ended since then
			n = n.ended(ranOut.Expires, f)
		}
		n.Asked = n.Asked || !ranOut.Unanswered
	}
	return n, open
}

// notThere reports whether a read found no usable record: none, or rubbish.
func notThere(err error) bool {
	var unreadable *cache.UnreadableError
	return errors.Is(err, cache.ErrMiss) || errors.As(err, &unreadable)
}

// take makes a verified ID token the login's.
func (l *login) take(t idp.Token, now time.Time) {
	l.IDToken = secret.Keep(t.Raw)
	l.Issuer = t.Issuer
	l.Obtained, l.Expires = wall(now), wall(t.Expires)
}
