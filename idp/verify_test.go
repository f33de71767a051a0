package idp

import (
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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

func TestVerify(t *testing.T) {
	payload, err := json.Marshal(goodClaims())
	must(t, err)
	at := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	set := func(name string, value any) map[string]any { return map[string]any{name: value} }
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	good := idToken(t, nil).Reveal()
	p256, p521 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P521())
	secret32 := []byte(strings.Repeat("k", 64))
	tests := []struct {
		name  string
		token string
		want  string // in the error, "" for a good token
	}{
		{"RS256", good, ""},
		{"ES256", sign(t, jose.ES256, p256, "p256", payload).Reveal(), ""},
		{"ES512", sign(t, jose.ES512, p521, "p521", payload).Reveal(), ""},
		{"Authentik: HS256", sign(t, jose.HS256, secret32, "rsa", payload).Reveal(), `signed with "HS256", but AWS STS accepts RS256, RS384, RS512, ES256, ES384, ES512 only`},
		{"alg none", part(`{"alg":"none"}`) + "." + part(string(payload)) + ".", "it is not signed"},
		{"another key", sign(t, jose.ES256, ecKey(t, elliptic.P256()), "p256", payload).Reveal(), `does not fit the provider's key "p256"`},
		{"an unknown key", sign(t, jose.ES256, p256, "n3w", payload).Reveal(), `signed with key "n3w", which the provider does not publish`},

		{"Zitadel: every client of the project, azp", idToken(t, map[string]any{"aud": []string{"other", clientID, "project"}, "azp": clientID}).Reveal(), ""},
		{"several audiences without azp", idToken(t, set("aud", []string{"other", clientID})).Reveal(), ""},
		{"Entra: too many groups for the token", idToken(t, map[string]any{"_claim_names": map[string]string{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]string{"endpoint": "https://graph.example"}}}).Reveal(), ""},
		{"times with a fraction", idToken(t, map[string]any{"iat": float64(at(0)) + 0.5, "exp": float64(at(time.Hour)) + 0.5}).Reveal(), ""},
		{"iss of another", idToken(t, set("iss", "https://evil.example")).Reveal(), `claim iss is "https://evil.example", want "https://corp.example"`},
		{"aud of another", idToken(t, set("aud", "other")).Reveal(), `claim aud is "other", want "J1oXg0"`},
		{"azp of another", idToken(t, set("azp", "other")).Reveal(), `claim azp is "other"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newFake(t)
			p.Will("/keys", ok(publicKeys(map[string]any{"rsa": rsaKey().Public(), "p256": p256.Public(), "p521": p521.Public(), "hmac": secret32})))
			_, err := p.client().Verify(t.Context(), secret.New(test.token))
			if err == nil && test.want == "" {
				return
			}
			var bad *TokenError
			if test.want == "" || !errors.As(err, &bad) || !strings.Contains(told(err), test.want) || strings.Contains(fmt.Sprintf("%#v", bad), test.token) {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			checkWords(t, err)
		})
	}
}

func TestVerifyNamesAWrongClock(t *testing.T) {
	const unknown = 1000 * time.Hour
	late := map[string]any{"exp": noon.Add(-time.Hour).Unix(), "iat": noon.Add(-2 * time.Hour).Unix()}
	early := map[string]any{"iat": noon.Add(10 * time.Minute).Unix()}
	tests := []struct {
		name    string
		date    time.Duration // the provider's clock minus ours
		age     string        // of an answer from a cache
		changes map[string]any
		want    string
		advice  string
	}{
		{"our clock is behind", 10 * time.Minute, "", early, "it is issued 10m0s from now: your clock is 10m0s behind {host}", "Set this machine's clock"},
		{"our clock is ahead", -2 * time.Hour, "", late, "it expired 1h0m0s ago: your clock is 2h0m0s ahead of {host}", "Set this machine's clock"},
		{"an answer from a cache", 9 * time.Minute, "60", early, "your clock is 10m0s behind {host}", "Set this machine's clock"},
		{"expired, and the clocks agree", 0, "", late, "it expired 1h0m0s ago.", "its ID tokens have expired on arrival"},
		{"from the future, and the clocks agree", 0, "", early, "it is issued 10m0s from now.", "The provider's clock is wrong"},
		{"no Date", unknown, "", early, "it is issued 10m0s from now.", "Is this machine's clock right?"},
		{"a good token", 10 * time.Minute, "", nil, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newFake(t)
			r := ok(`{"id_token":"i.d.t"}`)
			if test.date != unknown {
				r.Header = http.Header{"Date": {noon.Add(test.date).Format(http.TimeFormat)}, "Age": {test.age}}
			}
			p.Will("/token", r)
			c := p.client()
			if _, err := c.Refresh(t.Context(), secret.New("r3fresh")); err != nil {
				t.Fatal(err)
			}
			_, err := c.Verify(t.Context(), idToken(t, test.changes))
			if err == nil && test.want == "" {
				return
			}
			var bad *TokenError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.advice) {
				t.Errorf("error %q, want %q and %q", err, test.want, test.advice)
			}
		})
	}
}

func TestKeyRotation(t *testing.T) {
	payload, _ := json.Marshal(goodClaims())
	next := ecKey(t, elliptic.P256())
	rotated := sign(t, jose.ES256, next, "next", payload)
	warm := func(t *testing.T) *fake {
		p := newFake(t)
		if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); err != nil {
			t.Fatal(err)
		}
		p.Requests = nil
		return p
	}

	t.Run("a new key is fetched once and remembered", func(t *testing.T) {
		p := warm(t)
		p.Will("/keys", ok(publicKeys(map[string]any{"next": next.Public()})))
		for _, want := range []string{"keys", ""} {
			p.Requests = nil
			if _, err := p.remembering().Verify(t.Context(), rotated); err != nil || p.Paths() != want {
				t.Errorf("error %v, requests %q, want %q", err, p.Paths(), want)
			}
		}
	})
	t.Run("an unknown key is looked for once", func(t *testing.T) {
		p := warm(t)
		_, err := p.remembering().Verify(t.Context(), rotated)
		var bad *TokenError
		if !errors.As(err, &bad) || p.Paths() != "keys" {
			t.Errorf("error %v, requests %q", err, p.Paths())
		}
	})
	t.Run("keys that fit nothing do not take the place of good ones", func(t *testing.T) {
		p := warm(t)
		p.Will("/keys", ok(`{"keys":[]}`))
		if _, err := p.remembering().Verify(t.Context(), rotated); err == nil {
			t.Error("a token without a key is accepted")
		}
		p.Requests = nil
		if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); err != nil || p.Paths() != "" {
			t.Errorf("afterwards: error %v, requests %q", err, p.Paths())
		}
	})
	t.Run("the keys have moved", func(t *testing.T) {
		p := warm(t)
		p.Document["jwks_uri"] = issuer + "/v2/keys"
		p.Will("/keys", status(404, ""))
		p.Will("/v2/keys", ok(publicKeys(map[string]any{"next": next.Public()})))
		if _, err := p.remembering().Verify(t.Context(), rotated); err != nil || p.Paths() != "keys configuration v2/keys" {
			t.Errorf("error %v, requests %q", err, p.Paths())
		}
	})
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
		{"a key of 100000 bits", ok(`{"keys":[` + string(wide) + `]}`), "are unreadable"},
		{"behind a thousand others", ok(`{"keys":[` + strings.Repeat("{},", 1000) + string(key) + `]}`), "are unreadable"},
		{"a bad certificate beside the key", ok(`{"keys":[` + with("x5c", []string{"%%%"}) + `]}`), ""},
		{"standard base64 with padding", ok(`{"keys":[` + with("n", base64.StdEncoding.EncodeToString(rsaKey().N.Bytes())) + `]}`), ""},
		{"without an id", ok(`{"keys":[` + with("kid", nil) + `]}`), ""},
		{"a key without a set", ok(string(key)), ""},
		{"an object without keys", ok(`{"kid":"rsa"}`), "are unreadable"},
		{"no keys", ok(`{"keys":[]}`), "does not publish"},
		{"another key's id", ok(`{"keys":[` + with("kid", "other") + `]}`), "does not publish"},
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
