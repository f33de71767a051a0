package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// deviceCode is one device authorization, RFC 8628.
type deviceCode struct {
	userCode  string
	scopes    []string
	challenge string // PKCE, "" if none
	expires   time.Time
	interval  time.Duration
	polled    time.Time
	state     codeState
	user      string // who approved
}

type codeState int

const (
	pending codeState = iota
	approved
	denied
	spent // redeemed, or its end was told
)

// Approve answers an open device authorization as the person would on the
// approval page. The user name becomes the sub, name and email claims.
func (s *Sandbox) Approve(userCode, user string) error {
	return s.decide(userCode, approved, user)
}

// Deny refuses an open device authorization.
func (s *Sandbox) Deny(userCode string) error {
	return s.decide(userCode, denied, "")
}

// AutoApprove approves every device authorization as soon as it has been polled
// once, so that the second poll brings the tokens. An empty user ends that.
func (s *Sandbox) AutoApprove(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.autoApprove = user
}

// OpenCodes returns the user codes that wait for a person, in alphabetical order.
func (s *Sandbox) OpenCodes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []string
	for _, code := range s.codes {
		if code.state == pending && s.now().Before(code.expires) {
			open = append(open, code.userCode)
		}
	}
	slices.Sort(open)
	return open
}

func (s *Sandbox) decide(userCode string, state codeState, user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	code, err := s.openCode(userCode)
	if err != nil {
		return err
	}
	code.state, code.user = state, user
	return nil
}

// openCode finds the device authorization that waits for a decision under a
// user code, however the person typed it; s.mu is held.
func (s *Sandbox) openCode(userCode string) (*deviceCode, error) {
	plain := func(code string) string {
		return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
	}
	for _, code := range s.codes {
		if plain(code.userCode) != plain(userCode) {
			continue
		}
		if code.state != pending {
			return nil, fmt.Errorf("code %q: has been answered already", userCode)
		}
		if !s.now().Before(code.expires) {
			return nil, fmt.Errorf("code %q: has expired", userCode)
		}
		return code, nil
	}
	return nil, fmt.Errorf("code %q: is not known", userCode)
}

// deviceAuthorization answers RFC 8628, section 3.1; s.mu is held.
func (s *Sandbox) deviceAuthorization(r *http.Request) answer {
	if refused := s.checkClient(r); refused != nil {
		return *refused
	}
	if refusal := s.options.NoDeviceCodes; refusal != "" {
		return s.oauthError(refusal, "this client gets no device codes")
	}
	form := r.PostForm
	scopes := strings.Fields(form.Get("scope"))
	for _, scope := range scopes {
		if !slices.Contains(s.scopes(), scope) {
			return s.oauthError("invalid_scope", "the scope "+strconv.Quote(scope)+" is not known here")
		}
	}
	challenge, method := form.Get("code_challenge"), form.Get("code_challenge_method")
	if challenge != "" && (method != "S256" || len(challenge) != 43) { // 32 bytes in base64url, RFC 7636, section 4.2
		return s.oauthError("invalid_request", "code_challenge must have 43 characters, of method S256")
	}

	code := &deviceCode{
		userCode:  newUserCode(),
		scopes:    scopes,
		challenge: challenge,
		expires:   s.now().Add(orDefault(s.options.CodeLife, 15*time.Minute)),
		interval:  orDefault(s.options.Interval, time.Second),
	}
	secret := s.issue("", 40)
	s.codes[secret] = code
	body := map[string]any{
		"device_code":      secret,
		"user_code":        code.userCode,
		"verification_uri": s.VerificationURI,
		"expires_in":       math.Ceil(code.expires.Sub(s.now()).Seconds()),
		"interval":         math.Ceil(code.interval.Seconds()),
	}
	if !s.options.OmitComplete {
		body["verification_uri_complete"] = s.VerificationURI + "?" + url.Values{"user_code": {code.userCode}}.Encode()
	}
	return jsonAnswer(http.StatusOK, body)
}

// newUserCode makes a code of RFC 8628's twenty consonants (section 6.1).
func newUserCode() string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	for i, b := range random {
		random[i] = letters[int(b)%len(letters)]
	}
	return string(random[:4]) + "-" + string(random[4:])
}

// redeem answers one poll, RFC 8628, section 3.4; s.mu is held.
func (s *Sandbox) redeem(form url.Values) answer {
	if form.Get("device_code") == "" {
		return s.oauthError("invalid_request", "device_code is missing")
	}
	code, known := s.codes[form.Get("device_code")]
	if !known || code.state == spent {
		return s.oauthError("invalid_grant", "the device code is not known, or no longer valid")
	}
	if !verifierMatches(code.challenge, form.Get("code_verifier")) {
		return s.oauthError("invalid_grant", "code_verifier does not match code_challenge")
	}
	now := s.now()
	tooFast := !code.polled.IsZero() && now.Sub(code.polled) < code.interval
	code.polled = now
	switch {
	case !now.Before(code.expires):
		code.state = spent
		return s.oauthError("expired_token", "the device code has expired")
	case code.state == denied:
		code.state = spent
		return s.oauthError("access_denied", "the user refused the login")
	case code.state == approved:
		code.state = spent
		return s.grantLogin(&login{user: code.user, scopes: code.scopes}, "")
	}
	if s.autoApprove != "" {
		code.state, code.user = approved, s.autoApprove
	}
	if tooFast {
		code.interval += 5 * time.Second // RFC 8628, section 3.5
		return s.oauthError("slow_down", "polled too fast")
	}
	return s.oauthError("authorization_pending", "the user has not answered yet")
}

// verifierMatches checks PKCE by method S256, RFC 7636, section 4.6. A verifier
// without a challenge is refused too: it means that the two got mixed up.
func verifierMatches(challenge, verifier string) bool {
	if challenge == "" || verifier == "" {
		return challenge == verifier
	}
	sum := sha256.Sum256([]byte(verifier))
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(want), []byte(challenge)) == 1
}
