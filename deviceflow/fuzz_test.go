package deviceflow

import (
	"strings"
	"testing"
	"unicode"

	"github.com/daypass/daypass/address"
)

// Each fuzz test plays one answer of a hostile provider through the Flow. None may
// panic, and whatever is accepted must keep its promises.

func FuzzDeviceAuthorizationAnswer(f *testing.F) {
	for _, seed := range []string{
		deviceAnswer, "", "{}", "[]", "null", `"x"`, "<html>", deviceAnswer[:40],
		answerWith("user_code", `"\u001b[2J"`), answerWith("interval", `"5"`), answerWith("interval", "1e999"),
		answerWith("expires_in", "-1"), answerWith("verification_uri", `"javascript:x"`), answerWith("verification_uri_complete", `"http://x"`),
		`{"device_code":"a","user_code":"b","verification_url":"https://www.google.com/device"}`,
		`{"error":"slow_down"}`, `{"error":{"code":1}}`, `{"error":"` + strings.Repeat("x", 300) + `","error_description":"\r\n\t"}`,
		`{"a":` + strings.Repeat("[", 20000), `{"device_code":"a","device_code":7}`,
	} {
		f.Add(seed, 200)
		f.Add(seed, 429)
	}
	f.Add("", 404)                           // looked for elsewhere
	f.Add(`{"error":"invalid_scope"}`, 400)  // tried without offline_access
	f.Add(`{"error":"invalid_client"}`, 401) // in the words of the table
	f.Fuzz(func(t *testing.T, body string, code int) {
		p := newFake(t)
		p.Will("/device", status(code, body))
		a, err := p.flow().Authorize(t.Context())
		if err != nil {
			checkWords(t, err)
			return
		}
		if a.DeviceCode.Empty() || a.UserCode == "" || len(a.UserCode) > maxUserCode ||
			strings.ContainsFunc(a.UserCode, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("user code %q", a.UserCode)
		}
		if address.Check(a.VerificationURI, false) != nil || a.VerificationURIComplete != "" && address.Check(a.VerificationURIComplete, false) != nil {
			t.Errorf("addresses %q, %q", a.VerificationURI, a.VerificationURIComplete)
		}
		life := a.Expires.Sub(noon)
		if a.Interval < minInterval || a.Interval > maxInterval || life < minLifetime || life > maxLifetime || a.NextPoll != noon.Add(a.Interval) {
			t.Errorf("interval %v, life %v, next poll %v", a.Interval, life, a.NextPoll)
		}
	})
}
