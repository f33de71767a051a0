package process

import (
	"context"
	"errors"
	"time"

	"github.com/daypass/daypass/cache"
)

// Status is what is known of a profile without network, prompt or unlocking.
type Status struct {
	Profile   string `json:"profile"`
	IDP       string `json:"idp"`
	Issuer    string `json:"issuer"`
	RoleARN   string `json:"role_arn"`
	AccountID string `json:"account_id"`
	Storage   string `json:"storage"`
	// Problem says why the storage could not be read, or "".
	Problem string `json:"problem,omitempty"`

	Login       *LoginStatus      `json:"login"`
	Credentials *CredentialStatus `json:"credentials"`
	// OpenCode is a user code that waits for approval.
	OpenCode *OpenCode `json:"open_code,omitempty"`
	// LastFailure is how the profile last failed, or nil.
	LastFailure *LastFailure `json:"last_failure,omitempty"`
	// NeedsPerson reports that the next renewal needs somebody to log in.
	NeedsPerson bool `json:"needs_person"`
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

// OpenCode is a device authorization that waits for approval.
type OpenCode struct {
	UserCode string    `json:"user_code"`
	Address  string    `json:"address"`
	Until    time.Time `json:"until"`
}

// Status reports what is stored for the profile.
func (p *Provider) Status(ctx context.Context) Status {
	now := p.Now()
	s := Status{
		Profile: p.Profile.Name, IDP: p.Profile.IDP.Name, Issuer: p.Profile.IDP.Issuer,
		RoleARN: p.Profile.RoleARN, AccountID: p.Profile.AccountID, Storage: p.Store.Name(), LastFailure: p.lastFailure(),
	}
	l, err := p.readLogin(ctx)
	if err == nil {
		s.Storage = p.Store.Where(loginKey(p.Profile.IDP))
		s.Login = &LoginStatus{
			Who: l.Claims.who(), Subject: l.Claims.Subject, LoggedIn: l.LoggedIn, Until: l.Expires,
			Renews: !l.RefreshToken.Empty(),
		}
	}
	var unreachable *cache.UnreachableError
	if errors.As(err, &unreachable) {
		s.Problem = reason(err)
		return s
	}
	if r, err := p.readRole(ctx); err == nil && r.left(now) > 0 && l != nil && r.LoginID == l.ID {
		s.Credentials = &CredentialStatus{AssumedRole: r.AssumedRole, Issued: r.Issued, Until: r.Expires}
	}
	if a, ok := p.openAuthorization(ctx); ok {
		s.OpenCode = &OpenCode{UserCode: a.UserCode, Address: a.VerificationURI, Until: a.Expires}
	}
	s.NeedsPerson = l == nil || (l.RefreshToken.Empty() || l.NeedsPerson) && !l.Expires.After(now)
	return s
}
