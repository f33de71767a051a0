package sandbox

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	grantDeviceCode   = "urn:ietf:params:oauth:grant-type:device_code"
	grantCode         = "authorization_code"
	grantRefreshToken = "refresh_token"
)

// login is what a person approved once: all refresh tokens of one family.
type login struct {
	user   string
	scopes []string
	ended  bool
}

// refreshToken is one token of a login.
type refreshToken struct {
	login *login
	used  time.Time // zero: not yet
}

// Reused returns how many times a refresh token was sent after it had been used
// already, in the grace period or not. Only with Rotate are tokens used up.
func (s *Sandbox) Reused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reused
}

// EndLogins ends every login, as an admin or a changed password does: all
// refresh tokens handed out so far are refused.
func (s *Sandbox) EndLogins() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, token := range s.refresh {
		token.login.ended = true
	}
}

// token answers the token endpoint; s.mu is held.
func (s *Sandbox) token(r *http.Request) answer {
	if refused := s.checkClient(r); refused != nil {
		return *refused
	}
	switch r.PostForm.Get("grant_type") {
	case grantDeviceCode:
		return s.redeem(r.PostForm)
	case grantCode:
		return s.redeemGrant(r.PostForm)
	case grantRefreshToken:
		return s.renew(r.PostForm)
	case "":
		return s.oauthError("invalid_request", "grant_type is missing")
	}
	return s.oauthError("unsupported_grant_type", "only codes and refresh tokens are taken")
}

// grantLogin answers an approved authorization; s.mu is held.
func (s *Sandbox) grantLogin(of *login, nonce string) answer {
	refresh := ""
	if s.givesRefreshToken(of.scopes) {
		refresh = s.newRefreshToken(of)
	}
	return s.tokens(of.user, nonce, of.scopes, slices.Contains(of.scopes, "openid"), refresh)
}

func (s *Sandbox) newRefreshToken(of *login) string {
	token := s.issue("rt-", 48)
	s.refresh[token] = &refreshToken{login: of}
	return token
}

// renew answers RFC 6749, section 6; s.mu is held.
func (s *Sandbox) renew(form url.Values) answer {
	if form.Get("refresh_token") == "" {
		return s.oauthError("invalid_request", "refresh_token is missing")
	}
	token, known := s.refresh[form.Get("refresh_token")]
	if !known {
		return s.oauthError("invalid_grant", "the refresh token is not known")
	}
	of := token.login
	now := s.now()
	if s.options.Rotate && !token.used.IsZero() {
		s.reused++
		if now.Sub(token.used) >= s.options.ReuseGrace {
			of.ended = true // someone has a copy: end it for both, RFC 9700, section 4.14.2
		}
	}
	if of.ended {
		return s.oauthError("invalid_grant", "the refresh token is no longer valid")
	}
	scopes := of.scopes
	if asked := strings.Fields(form.Get("scope")); len(asked) > 0 {
		for _, scope := range asked {
			if !slices.Contains(of.scopes, scope) {
				return s.oauthError("invalid_scope", "a refresh cannot widen the scope")
			}
		}
		scopes = asked
	}
	if token.used.IsZero() {
		token.used = now
	}
	next := ""
	if s.options.Rotate {
		next = s.newRefreshToken(of)
	}
	return s.tokens(of.user, "", scopes, slices.Contains(scopes, "openid") && !s.options.NoIDTokenOnRefresh, next)
}

// tokens is a successful token answer; s.mu is held.
func (s *Sandbox) tokens(user, nonce string, scopes []string, withIDToken bool, refresh string) answer {
	body := map[string]any{
		"token_type":   "Bearer",
		"access_token": s.issue("at-", 43),
		"expires_in":   3600,
		"scope":        strings.Join(scopes, " "),
	}
	if withIDToken {
		idToken, err := s.idToken(user, nonce)
		if err != nil {
			return textAnswer(http.StatusInternalServerError, err.Error())
		}
		body["id_token"] = idToken
	}
	if refresh != "" {
		body["refresh_token"] = refresh
	}
	return jsonAnswer(http.StatusOK, body)
}

// revoke answers RFC 7009; s.mu is held. A refresh token takes its login along.
func (s *Sandbox) revoke(r *http.Request) answer {
	if s.options.OmitRevocation {
		return textAnswer(http.StatusNotFound, "no such page in the sandbox")
	}
	if refused := s.checkClient(r); refused != nil {
		return *refused
	}
	if r.PostForm.Get("token") == "" {
		return s.oauthError("invalid_request", "token is missing")
	}
	if token, known := s.refresh[r.PostForm.Get("token")]; known {
		token.login.ended = true
	}
	return answer{status: http.StatusOK} // also for unknown tokens, section 2.2
}

// checkClient checks the form of a request and who sends it; nil if it may go
// on. s.mu is held.
func (s *Sandbox) checkClient(r *http.Request) *answer {
	refuse := func(code, description string) *answer {
		a := s.oauthError(code, description)
		return &a
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return refuse("invalid_request", "the body must be a form")
	}
	if r.URL.RawQuery != "" { // RFC 6749, section 2.3.1
		return refuse("invalid_request", "parameters must be in the body")
	}
	for name, values := range r.PostForm {
		if len(values) > 1 { // RFC 6749, section 3.2
			return refuse("invalid_request", name+" is given more than once")
		}
	}
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		if secret != "" {
			return refuse("invalid_request", "client authenticates in two ways")
		}
		// Both are form-encoded before they become basic authentication.
		user, err := url.QueryUnescape(user)
		if err != nil {
			return refuse("invalid_client", "malformed client id")
		}
		if secret, err = url.QueryUnescape(password); err != nil {
			return refuse("invalid_client", "malformed client secret")
		}
		if id != "" && id != user {
			return refuse("invalid_request", "two client ids")
		}
		id = user
	}
	if id != s.ClientID || secret != s.options.ClientSecret {
		return refuse("invalid_client", "the client is not known, or its secret is wrong")
	}
	return nil
}

// oauthError is an error answer, RFC 6749, section 5.2; s.mu is held.
func (s *Sandbox) oauthError(code, description string) answer {
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	a := jsonAnswer(status, map[string]string{"error": code, "error_description": description})
	a.code = code
	return a
}
