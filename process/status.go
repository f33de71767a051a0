package process

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/daypass/daypass/failure"
)

// Status is what is known of a profile without network, prompt or unlocking.
type Status struct {
	Profile   string `json:"profile"`
	IDP       string `json:"idp"`
	Source    string `json:"source"` // of ID tokens: device, or a [profile.IDP.Source]
	Issuer    string `json:"issuer"`
	RoleARN   string `json:"role_arn"`
	AccountID string `json:"account_id"`
	// SourceProfile is whose role assumes this one, or "".
	SourceProfile string `json:"source_profile,omitempty"`
	Storage       string `json:"storage"` // where the login is kept
	// Company says which settings of the login come from the company's file, or "".
	Company string `json:"company_settings,omitempty"`
	// Problem says why the login cannot be reached, or "".
	Problem string `json:"problem,omitempty"`

	Login       *LoginStatus      `json:"login"`
	Credentials *CredentialStatus `json:"credentials"`
	// OpenCode is what waits for approval.
	OpenCode *OpenCode `json:"open_code,omitempty"`
	// LastFailure is how the profile last failed, or nil.
	LastFailure *LastFailure `json:"last_failure,omitempty"`
	// NeedsPerson reports that the next renewal needs somebody to log in.
	NeedsPerson bool `json:"needs_person"`

	// Failure is the Problem as a command would report it, or nil.
	Failure *failure.Error `json:"-"`
}

// LoginStatus is the login of a profile's provider.
type LoginStatus struct {
	Who      string    `json:"who"`
	Subject  string    `json:"sub"`
	LoggedIn time.Time `json:"logged_in"`
	Until    time.Time `json:"id_token_until"`
	Renews   bool      `json:"renews"`
}

// CredentialStatus is a profile's cached role credentials.
type CredentialStatus struct {
	AssumedRole string    `json:"assumed_role"`
	Issued      time.Time `json:"issued"`
	Until       time.Time `json:"until"`
}

// OpenCode is an authorization that waits for approval.
type OpenCode struct {
	// UserCode and Address are "" in the browser flow.
	UserCode string    `json:"user_code,omitempty"`
	Address  string    `json:"address,omitempty"`
	Until    time.Time `json:"until"`
}

// LastFailure is how a profile last failed to give credentials. SDKs often lose
// what daypass said; status can still tell it.
type LastFailure struct {
	At   time.Time `json:"at"`
	Exit int       `json:"exit"`
	Line string    `json:"line"` // the first
}

// Status reports what is kept for the profile.
func (p *Pipeline) Status(ctx context.Context) Status {
	now := p.Now()
	s := Status{
		Profile: p.Profile.Name, IDP: p.Profile.IDP.Name, Source: cmp.Or(p.Profile.IDP.Source, "device"), Issuer: p.Profile.IDP.Issuer,
		RoleARN: p.Profile.RoleARN, AccountID: p.Profile.AccountID, Storage: p.Kept.Where(), Company: p.Profile.IDP.Company,
	}
	if p.Profile.Source != nil {
		s.SourceProfile = p.Profile.Source.Name
	}
	if p.isWorkload() {
		r, _ := p.readRole(ctx)
		s.LastFailure, s.Credentials = p.lastFailure(nil, r), p.credentialStatus(r)
		return s
	}
	l, key, err := p.readLogin(ctx)
	r, _ := unseal[role](p.Kept, key, p.roleName())
	s.LastFailure = p.lastFailure(l, r)
	if err != nil && !notThere(err) {
		errors.As(p.Fill(p.keyringFailure(ctx, err)), &s.Failure)
		s.Problem = s.Failure.Lines[0]
		return s
	}
	s.NeedsPerson = true
	if l != nil {
		n := p.readNote(loginNote)
		refused := n.Failed && (n.Exit == failure.ExitLogin || n.Exit == failure.ExitRefused) // the last renewal
		t, renews := l.token(), !l.RefreshToken.Empty() && !l.NeedsPerson && !refused
		s.Login = &LoginStatus{Who: who(t), Subject: t.Subject, LoggedIn: l.LoggedIn, Until: l.Expires, Renews: renews}
		s.NeedsPerson = !renews && !l.Expires.After(now)
		s.Credentials = p.credentialStatus(r)
	}
	if a, _ := p.readAuthorization(key); a != nil {
		s.OpenCode = &OpenCode{UserCode: a.UserCode, Until: a.Expires}
		if a.UserCode != "" { // the address of the browser flow holds a secret
			s.OpenCode.Address = a.VerificationURI
		}
	}
	return s
}

// credentialStatus is what is left of role credentials; nil: nothing.
func (p *Pipeline) credentialStatus(r *role) *CredentialStatus {
	if r.left(p.Now()) <= 0 {
		return nil
	}
	return &CredentialStatus{AssumedRole: r.AssumedRole, Issued: r.Issued, Until: r.Expires}
}

// lastFailure is the profile's last failure, or nil. What was not AWS's refusal is
// over if the login has been made or renewed since then; what befell the login, also if
// it has given role credentials.
func (p *Pipeline) lastFailure(l *login, r *role) *LastFailure {
	n := p.readNote(p.roleNote())
	if l != nil && !n.FromAWS && l.Obtained.After(n.At) || n.Exit == 0 {
		n = p.readNote(loginNote)
	}
	if n.Exit == 0 || r != nil && r.Issued.After(n.At) {
		return nil
	}
	return &LastFailure{n.At, n.Exit, n.failure().Fill(p.Names()).Lines[0]}
}
