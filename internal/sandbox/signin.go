package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signinLife is how long a sign-in URL leads to the console.
const signinLife = 15 * time.Minute

// signin is a console session, asked for or open.
type signin struct {
	arn         string
	destination string
	expires     time.Time // of the sign-in token
	until       time.Time // of the console session
}

// SecretsInURLs returns the requests in whose URL stood a secret: credentials, a
// token, a device code. Sign-in tokens have no other place and do not count.
func (s *Sandbox) SecretsInURLs() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Request
	for _, r := range s.requests {
		query := r.Query.Encode()
		for _, value := range s.issued {
			if _, isSignin := s.signins[value]; !isSignin && strings.Contains(query, url.QueryEscape(value)) {
				found = append(found, r)
				break
			}
		}
	}
	return found
}

// signinToken answers getSigninToken; s.mu is held. As at AWS it may come by GET
// or POST; [Sandbox.SecretsInURLs] tells who used GET.
func (s *Sandbox) signinToken(r *http.Request) answer {
	if r.Form.Get("Action") != "getSigninToken" {
		return textAnswer(http.StatusBadRequest, "Invalid Action")
	}
	var credentials struct {
		KeyID     string `json:"sessionId"`
		SecretKey string `json:"sessionKey"`
		Token     string `json:"sessionToken"`
	}
	if err := json.Unmarshal([]byte(r.Form.Get("Session")), &credentials); err != nil {
		return textAnswer(http.StatusBadRequest, "Invalid credentials parameter")
	}
	caller, known := s.sessions[credentials.KeyID]
	now := s.now()
	if !known || caller.secretKey != credentials.SecretKey || caller.token != credentials.Token || !now.Before(caller.expires) {
		return textAnswer(http.StatusBadRequest, "Invalid credentials parameter")
	}
	asked := signin{arn: caller.arn, expires: now.Add(signinLife), until: caller.expires}
	if text := r.Form.Get("SessionDuration"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 900 || seconds > 43200 || s.options.RefuseSessionDuration || caller.chained {
			return textAnswer(http.StatusBadRequest, "Invalid credentials parameter")
		}
		asked.until = now.Add(time.Duration(seconds) * time.Second)
	}
	token := s.issue("signin-", 300)
	s.signins[token] = asked
	return jsonAnswer(http.StatusOK, map[string]string{"SigninToken": token})
}

// signIn follows a sign-in URL; s.mu is held. The destination must be a console
// of AWS's or lie in the sandbox. In either case the browser ends on the
// sandbox's own pretend console, which names it.
func (s *Sandbox) signIn(r *http.Request) answer {
	query := r.URL.Query()
	asked, known := s.signins[query.Get("SigninToken")]
	if !known || !s.now().Before(asked.expires) {
		return textAnswer(http.StatusBadRequest, "The sign-in token is not known or has expired.")
	}
	if query.Get("Issuer") == "" {
		return textAnswer(http.StatusBadRequest, "Issuer is missing.")
	}
	asked.destination = query.Get("Destination")
	if !s.isConsole(asked.destination) {
		return textAnswer(http.StatusBadRequest, "Destination is not a console address.")
	}
	cookie := s.issue("console-", 40)
	s.consoles[cookie] = asked
	return answer{
		status: http.StatusFound,
		header: http.Header{
			"Location":   {"/signin/console"},
			"Set-Cookie": {(&http.Cookie{Name: "sandbox-console", Value: cookie, Path: "/signin", HttpOnly: true, SameSite: http.SameSiteLaxMode}).String()},
		},
	}
}

// isConsole says whether a destination is one that AWS would lead to.
func (s *Sandbox) isConsole(destination string) bool {
	if strings.HasPrefix(destination, s.URL+"/") {
		return true
	}
	u, err := url.Parse(destination)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return false
	}
	return slices.ContainsFunc([]string{
		"console.aws.amazon.com", "console.amazonaws-us-gov.com", "console.amazonaws.cn", "console.amazonaws-eusc.eu",
	}, func(host string) bool {
		return u.Host == host || strings.HasSuffix(u.Host, "."+host)
	})
}

// console is where a sign-in URL ends; s.mu is held.
func (s *Sandbox) console(r *http.Request) answer {
	cookie, err := r.Cookie("sandbox-console")
	if err != nil {
		return textAnswer(http.StatusForbidden, "Not signed in.")
	}
	open, known := s.consoles[cookie.Value]
	if !known || !s.now().Before(open.until) {
		return textAnswer(http.StatusForbidden, "Not signed in.")
	}
	return s.page(http.StatusOK, "console", map[string]string{
		"ARN":         open.arn,
		"Expires":     open.until.UTC().Format(time.RFC3339),
		"Destination": open.destination,
	})
}
