package idp

import (
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/secret"
)

func TestVerifyReadsTheClaims(t *testing.T) {
	p := newFake(t)
	got, err := p.client().Verify(t.Context(), idToken(t, map[string]any{"azp": clientID, "nbf": noon.Unix(), "groups": []int{12345678901234567}}))
	must(t, err)
	if n := got.All["groups"].([]any)[0].(json.Number).String(); n != "12345678901234567" {
		t.Errorf("a large number became %s", n)
	}
	got.Raw, got.All, got.keyID = secret.String{}, nil, ""
	verified := true
	want := Token{
		Algorithm: "RS256",
		Issuer:    issuer, Subject: "auth0|64f0c2", Audience: []string{clientID}, AuthorizedParty: clientID,
		Email: "taro@example.com", EmailVerified: &verified, PreferredUsername: "taro", Name: "Taro",
		IssuedAt: noon, NotBefore: noon, Expires: noon.Add(10 * time.Hour),
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Token{}, secret.String{})); diff != "" {
		t.Error(diff)
	}
}

// compact puts the parts of a token together.
func compact(header, claims, signature []byte) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode(header) + "." + encode(claims) + "." + encode(signature)
}

// What providers sign differs. Package command has the tokens that are refused.
func TestVerify(t *testing.T) {
	payload, err := json.Marshal(goodClaims())
	must(t, err)
	at := func(d time.Duration) float64 { return float64(noon.Add(d).Unix()) }
	p256, p521 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P521())
	for name, token := range map[string]secret.String{
		"RS256": idToken(t, nil),
		"ES256": sign(t, jose.ES256, p256, "p256", payload),
		"ES512": sign(t, jose.ES512, p521, "p521", payload),
		"Zitadel: every client of the project, azp": idToken(t, map[string]any{"aud": []string{"other", clientID, "project"}, "azp": clientID}),
		"several audiences without azp":             idToken(t, map[string]any{"aud": []string{"other", clientID}}),
		"Entra: too many groups for the token":      idToken(t, map[string]any{"_claim_names": map[string]string{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]string{"endpoint": "https://graph.example"}}}),
		"claims that nobody reads":                  idToken(t, map[string]any{"at_hash": 5, "nonce": []int{}, "_claim_names": map[string]string{"groups": "none"}, "Iss": "x"}),
		"times with a fraction":                     idToken(t, map[string]any{"iat": at(0) + 0.5, "exp": at(time.Hour) + 0.5}),
	} {
		p := newFake(t)
		p.Will("/keys", ok(publicKeys(map[string]any{"rsa": rsaKey().Public(), "p256": p256.Public(), "p521": p521.Public(), "hmac": []byte(clientID)})))
		if _, err := p.client().Verify(t.Context(), token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Clocks may differ by five minutes, and no more.
	for claim, side := range map[string]time.Duration{"exp": -1, "iat": 1, "nbf": 1} {
		for off, want := range map[time.Duration]bool{5 * time.Minute: true, 5*time.Minute + time.Second: false} {
			if _, err := newFake(t).client().Verify(t.Context(), idToken(t, map[string]any{claim: at(side * off)})); (err == nil) != want {
				t.Errorf("%s is %s away: %v", claim, side*off, err)
			}
		}
	}
}

func TestVerifyNamesAWrongClock(t *testing.T) {
	late := map[string]any{"exp": noon.Add(-time.Hour).Unix(), "iat": noon.Add(-2 * time.Hour).Unix()}
	early := map[string]any{"iat": noon.Add(10 * time.Minute).Unix()}
	date := func(off time.Duration) string { return noon.Add(off).Format(http.TimeFormat) }
	const setClock, isItRight = ".\nSet this machine's clock", ".\nIs this machine's clock right?"
	for name, test := range map[string]struct {
		date, age string // of an answer, perhaps from a cache
		changes   map[string]any
		want      string
	}{
		"our clock is behind":             {date(10 * time.Minute), "", early, "it is issued 10m0s from now: your clock is 10m0s behind {host}" + setClock},
		"our clock is ahead":              {date(-2 * time.Hour), "", late, "it expired 1h0m0s ago: your clock is 2h0m0s ahead of {host}" + setClock},
		"an answer from a cache":          {date(9 * time.Minute), "60", early, "your clock is 10m0s behind {host}" + setClock},
		"expired, and the clocks agree":   {date(0), "", late, "it expired 1h0m0s ago" + isItRight},
		"the difference explains nothing": {date(time.Hour), "", late, "it expired 1h0m0s ago" + isItRight},
		"no Date":                         {"", "", early, "it is issued 10m0s from now" + isItRight},
	} {
		p := newFake(t)
		p.Will("/token", reply{Body: `{"id_token":"i.d.t"}`, Header: http.Header{"Date": {test.date}, "Age": {test.age}}})
		c := p.client()
		_, err := c.Refresh(t.Context(), secret.New("r3fresh"))
		must(t, err)
		_, err = c.Verify(t.Context(), idToken(t, test.changes))
		if _, bad := errors.AsType[*TokenError](err); !bad || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %q, want %q", name, err, test.want)
		}
	}
}

func TestKeyRotation(t *testing.T) {
	payload, _ := json.Marshal(goodClaims())
	next := ecKey(t, elliptic.P256())
	rotated, published := sign(t, jose.ES256, next, "next", payload), ok(publicKeys(map[string]any{"next": next.Public()}))
	for name, test := range map[string]struct {
		change       func(*fake)
		first, again string // the requests
		good         bool
	}{
		"a new key is fetched once, and remembered": {func(p *fake) { p.Will("/keys", published) }, "keys", "", true},
		"the keys have moved": {func(p *fake) {
			p.Document["jwks_uri"] = issuer + "/v2/keys"
			p.Will("/keys", status(404, ""))
			p.Will("/v2/keys", published)
		}, "keys configuration v2/keys", "", true},
		"an unknown key is looked for once":                        {func(*fake) {}, "keys", "keys", false},
		"keys that fit nothing do not take the place of good ones": {func(p *fake) { p.Will("/keys", ok(`{"keys":[]}`)) }, "keys", "keys", false},
	} {
		p := newFake(t)
		_, err := p.remembering().Verify(t.Context(), idToken(t, nil))
		must(t, err)
		test.change(p)
		for _, want := range []string{test.first, test.again} {
			p.Requests = nil
			if _, err := p.remembering().Verify(t.Context(), rotated); (err == nil) != test.good || p.Paths() != want {
				t.Errorf("%s: error %v, requests %q, want %q", name, err, p.Paths(), want)
			}
		}
		p.Requests = nil
		if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); (err == nil) == test.good || !test.good && p.Paths() != "" {
			t.Errorf("%s: the old key: error %v, requests %q", name, err, p.Paths())
		}
	}
}

func TestKeysOfNoUse(t *testing.T) {
	key, _ := json.Marshal(jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa", Use: "sig"})
	with := func(name string, value any) string {
		var fields map[string]any
		_ = json.Unmarshal(key, &fields)
		fields[name] = value
		data, _ := json.Marshal(fields)
		return string(data)
	}
	encryption, _ := json.Marshal(jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa", Use: "enc"})
	wide, _ := json.Marshal(map[string]string{"kty": "RSA", "kid": "rsa", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(new(big.Int).Lsh(big.NewInt(1), 100000).Bytes())})
	tests := []struct {
		name string
		keys reply
		want string // in the error, "" if the token verifies
	}{
		{"among keys not understood", ok(`{"keys":[null,7,{},{"kty":"XYZ","kid":"rsa"},{"kty":"EC","crv":"P-999"},{"kty":"OKP","crv":"Ed448","x":"eHg"},` + string(wide) + "," + string(key) + `]}`), ""},
		{"an encryption key", ok(`{"keys":[` + string(encryption) + `]}`), "does not publish"},
		{"a key of 100000 bits", ok(`{"keys":[` + string(wide) + `]}`), "does not publish in a form that can be read"},
		{"behind a thousand others", ok(`{"keys":[` + strings.Repeat("{},", 1000) + string(key) + `]}`), "does not publish in a form that can be read"},
		{"a bad certificate beside the key", ok(`{"keys":[` + with("x5c", []string{"%%%"}) + `]}`), ""},
		{"standard base64 with padding", ok(`{"keys":[` + with("n", base64.StdEncoding.EncodeToString(rsaKey().N.Bytes())) + `]}`), ""},
		{"without an id", ok(`{"keys":[` + with("kid", nil) + `]}`), ""},
		{"a key without a set", ok(string(key)), ""},
		{"an object without keys", ok(`{"kid":"rsa"}`), "does not publish in a form that can be read"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newFake(t)
			p.Will("/keys", test.keys)
			_, err := p.client().Verify(t.Context(), idToken(t, nil))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(told(err), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if err != nil {
				checkWords(t, err)
			}
		})
	}
}

func TestParseVerifiesNothing(t *testing.T) {
	payload, _ := json.Marshal(map[string]any{"iss": "https://other.example", "sub": "x", "aud": "y", "exp": 1, "iat": 0, "email_verified": "false"})
	key := []byte(strings.Repeat("k", 32))
	got, err := Parse(sign(t, jose.HS256, key, "", payload))
	if err != nil || got.Algorithm != "HS256" || got.Issuer != "https://other.example" || got.EmailVerified == nil || *got.EmailVerified {
		t.Errorf("%+v, %v", got, err)
	}
	// What could be read comes with the error.
	got, err = Parse(sign(t, jose.HS256, key, "", []byte(`{"iss":"https://other.example"}`)))
	if err == nil || got.Algorithm != "HS256" || got.Issuer != "https://other.example" {
		t.Errorf("%+v, %v", got, err)
	}
}

// A chained session hands on a source identity, and of the tags what is transitive.
func TestPassedActions(t *testing.T) {
	const tags, identity = "https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"
	for _, c := range []struct {
		claims map[string]any
		want   string
	}{
		{map[string]any{"sub": "taro"}, ""},
		{map[string]any{identity: "taro", tags: map[string]any{"principal_tags": 1}}, "sts:SetSourceIdentity"},
		{map[string]any{identity: "taro", tags: map[string]any{"transitive_tag_keys": 1}}, "sts:TagSession sts:SetSourceIdentity"},
		{map[string]any{tags + "/principal_tags/team": 1, tags + "/transitive_tag_keys": 1}, "sts:TagSession"},
	} {
		if got := strings.Join(Token{All: c.claims}.PassedActions(), " "); got != c.want {
			t.Errorf("%v: %q, want %q", c.claims, got, c.want)
		}
	}
}
