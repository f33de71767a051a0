package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// grant is one approved authorization request, RFC 6749, section 4.1.
type grant struct {
	request url.Values
	user    string
	expires time.Time
	used    bool
	login   *login // that came of it
}

// grantLife is how long a code is good; RFC 6749 has ten minutes at most.
const grantLife = time.Minute

// Authorize answers an authorization request as the person would on the page that
// address leads to, and returns where the browser is redirected to. Without a user the
// person refuses. The error is what the page shows instead.
func (s *Sandbox) Authorize(address, user string) (redirect string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.authorize(u.Query(), user)
}

// authorizationPage shows the page of an authorization request and takes its answer;
// s.mu is held.
func (s *Sandbox) authorizationPage(r *http.Request) answer {
	problem := ""
	if r.Method == http.MethodPost {
		user := strings.TrimSpace(r.PostForm.Get("user"))
		if r.PostForm.Get("decision") == "deny" {
			user = ""
		}
		redirect, err := s.authorize(r.URL.Query(), user)
		if err == nil {
			return answer{status: http.StatusFound, header: http.Header{"Location": {redirect}}}
		}
		problem = err.Error()
	} else if err := s.checkRequest(r.URL.Query()); err != nil {
		problem = err.Error()
	}
	status := http.StatusOK
	if problem != "" {
		status = http.StatusBadRequest
	}
	return s.page(status, "login", map[string]string{"Action": r.URL.RequestURI(), "Problem": problem})
}

// authorize decides on a request; s.mu is held.
func (s *Sandbox) authorize(request url.Values, user string) (redirect string, err error) {
	if err := s.checkRequest(request); err != nil {
		return "", err
	}
	back := url.Values{"state": request["state"], "iss": {s.Issuer}}
	scopes := strings.Fields(request.Get("scope"))
	switch unknown := slices.IndexFunc(scopes, func(scope string) bool { return !slices.Contains(s.scopes(), scope) }); {
	case unknown >= 0:
		back.Set("error", "invalid_scope")
		back.Set("error_description", "the scope "+scopes[unknown]+" is not known here")
	case user == "":
		back.Set("error", "access_denied")
		back.Set("error_description", "the user refused the login")
	default:
		code := s.issue("code-", 40)
		s.grants[code] = &grant{request: request, user: user, expires: s.now().Add(grantLife)}
		back.Set("code", code)
	}
	return request.Get("redirect_uri") + "?" + back.Encode(), nil
}

// checkRequest says what is wrong with a request: then nobody is sent anywhere (RFC
// 6749, section 4.1.2.1). It is as strict as the strictest of the real providers, which
// want state, nonce and PKCE.
func (s *Sandbox) checkRequest(request url.Values) error {
	for name, values := range request {
		if len(values) > 1 {
			return fmt.Errorf("%s is given more than once", name)
		}
	}
	switch {
	case s.options.OmitAuthorization:
		return errors.New("nobody can log in with a browser here")
	case request.Get("client_id") != s.ClientID:
		return errors.New("the client is not known")
	case !s.registered(request.Get("redirect_uri")):
		return fmt.Errorf("the redirect address %q is not registered", request.Get("redirect_uri"))
	case request.Get("response_type") != "code":
		return errors.New("response_type must be code")
	case request.Get("code_challenge_method") != "S256" || len(request.Get("code_challenge")) != 43:
		return errors.New("code_challenge must have 43 characters, of method S256")
	case len(request.Get("state")) < 22 || len(request.Get("nonce")) < 22: // 128 bits
		return errors.New("state and nonce must have 22 characters and more")
	}
	return nil
}

func (s *Sandbox) registered(redirect string) bool {
	known := s.options.Redirects
	if known == nil {
		known = []string{"http://127.0.0.1/callback"}
	}
	without := redirect
	if u, err := url.Parse(redirect); err == nil {
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() && u.Port() != "" {
			without = strings.Replace(redirect, ":"+u.Port(), "", 1)
		}
	}
	return slices.Contains(known, redirect) || slices.Contains(known, without)
}

// redeemGrant answers RFC 6749, section 4.1.3; s.mu is held. A code that is sent again
// ends the login that came of it.
func (s *Sandbox) redeemGrant(form url.Values) answer {
	g, known := s.grants[form.Get("code")]
	if !known {
		return s.oauthError("invalid_grant", "the code is not known")
	}
	if g.used {
		if g.login != nil {
			g.login.ended = true
		}
		return s.oauthError("invalid_grant", "the code was used already")
	}
	g.used = true
	switch {
	case !s.now().Before(g.expires):
		return s.oauthError("invalid_grant", "the code has expired")
	case form.Get("redirect_uri") != g.request.Get("redirect_uri"):
		return s.oauthError("invalid_grant", "redirect_uri is not that of the request")
	case form.Get("code_verifier") == "" || !verifierMatches(g.request.Get("code_challenge"), form.Get("code_verifier")):
		return s.oauthError("invalid_grant", "code_verifier does not match code_challenge")
	}
	of := &login{user: g.user, scopes: strings.Fields(g.request.Get("scope"))}
	if g.request.Get("prompt") != "consent" { // OpenID Connect Core, section 11
		of.scopes = slices.DeleteFunc(of.scopes, func(scope string) bool { return scope == scopeOffline })
	}
	g.login = of
	return s.grantLogin(of, g.request.Get("nonce"))
}
