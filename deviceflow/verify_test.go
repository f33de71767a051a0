package deviceflow

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
	p := newIDP(t)
	got, err := p.flow().Verify(t.Context(), idToken(t, map[string]any{"azp": clientID, "nbf": noon.Unix(), "groups": []int{12345678901234567}}))
	if err != nil {
		t.Fatal(err)
	}
	if n := got.All["groups"].([]any)[0].(json.Number).String(); n != "12345678901234567" {
		t.Errorf("a large number became %s", n)
	}
	got.All = nil
	verified := true
	want := Claims{
		Issuer: issuer, Subject: "auth0|64f0c2", Audience: []string{clientID}, AuthorizedParty: clientID,
		Email: "taro@example.com", EmailVerified: &verified, PreferredUsername: "taro", Name: "Taro",
		IssuedAt: noon, NotBefore: noon, Expires: noon.Add(10 * time.Hour),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestVerifyClaims(t *testing.T) {
	at := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	set := func(name string, value any) map[string]any { return map[string]any{name: value} }
	tests := []struct {
		name    string
		changes map[string]any
		claim   string   // of the TokenError, "-" for a good token
		want    []string // in the error
	}{
		{"good", nil, "-", nil},
		{"aud is a list", set("aud", []string{clientID}), "-", nil},
		{"Zitadel: every client of the project, azp", map[string]any{"aud": []string{"other", clientID, "project"}, "azp": clientID}, "-", nil},
		{"several audiences without azp", set("aud", []string{"other", clientID}), "-", nil},
		{"Entra: too many groups for the token", map[string]any{"_claim_names": map[string]string{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]string{"endpoint": "https://graph.example"}}}, "-", nil},
		{"12 kB", set("padding", strings.Repeat("x", 12<<10)), "-", nil},
		{"times with a fraction", map[string]any{"iat": float64(at(0)) + 0.5, "exp": float64(at(time.Hour)) + 0.5}, "-", nil},
		{"times as text", map[string]any{"iat": fmt.Sprint(at(0)), "exp": fmt.Sprint(at(time.Hour))}, "-", nil},
		{"claims of another case", map[string]any{"Sub": "x", "EMAIL": true}, "-", nil},
		{"azp is null", set("azp", json.RawMessage("null")), "-", nil},
		{"expired within the leeway", set("exp", at(-4*time.Minute)), "-", nil},
		{"issued from the future within the leeway", set("iat", at(4*time.Minute)), "-", nil},
		{"not before within the leeway", set("nbf", at(4*time.Minute)), "-", nil},

		{"iss of another", set("iss", "https://evil.example"), "iss", []string{`claim iss is "https://evil.example", want "https://corp.example"`}},
		{"iss with a slash more", set("iss", issuer+"/"), "iss", []string{issuer + "/"}},
		{"iss without a scheme", set("iss", "corp.example"), "iss", nil},
		{"no iss", set("iss", nil), "iss", []string{"claim iss is missing"}},
		{"iss is a number", set("iss", 7), "iss", nil},
		{"aud of another", set("aud", "other"), "aud", []string{`claim aud is "other", want "J1oXg0"`}},
		{"aud of others", set("aud", []string{"a", "b"}), "aud", []string{`"a, b"`}},
		{"no aud", set("aud", nil), "aud", nil},
		{"aud is empty", set("aud", []string{}), "aud", nil},
		{"aud holds a number", set("aud", []any{clientID, 7}), "aud", nil},
		{"aud is an object", set("aud", map[string]any{clientID: true}), "aud", nil},
		{"azp of another", set("azp", "other"), "azp", []string{`claim azp is "other"`}},
		{"azp of another among audiences", map[string]any{"aud": []string{clientID, "other"}, "azp": "other"}, "azp", nil},
		{"azp is a list", set("azp", []string{clientID}), "azp", []string{"claim azp is not text"}},
		{"no sub", set("sub", nil), "sub", nil},
		{"sub is empty", set("sub", ""), "sub", nil},
		{"sub is a number", set("sub", 7), "sub", nil},
		{"expired", set("exp", at(-6*time.Minute)), "exp", []string{"expired 6m0s ago"}},
		{"no exp", set("exp", nil), "exp", nil},
		{"exp is text", set("exp", "soon"), "exp", nil},
		{"exp is NaN", set("exp", "NaN"), "exp", nil},
		{"exp is an object", set("exp", map[string]any{}), "exp", nil},
		{"exp is negative", set("exp", -1), "exp", nil},
		{"exp is in no calendar", set("exp", json.RawMessage("1e300")), "exp", nil},
		{"issued from the future", set("iat", at(6*time.Minute)), "iat", []string{"issued 6m0s from now"}},
		{"no iat", set("iat", nil), "iat", []string{"claim iat is missing"}},
		{"not before the future", set("nbf", at(6*time.Minute)), "nbf", []string{"good only 6m0s from now"}},
		{"nbf is true", set("nbf", true), "nbf", nil},
		{"iss with an escape sequence", set("iss", "https://x\x1b[2J"), "iss", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			token := idToken(t, test.changes)
			claims, err := p.flow().Verify(t.Context(), token)
			if test.claim == "-" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var bad *TokenError
			if !errors.As(err, &bad) {
				t.Fatalf("error %v, claims %v", err, claims)
			}
			if bad.Claim != test.claim {
				t.Errorf("claim %q, want %q: %v", bad.Claim, test.claim, err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			checkErrorText(t, err)
			if strings.Contains(fmt.Sprintf("%#v", bad), token.Reveal()[:40]) {
				t.Error("the error holds the token")
			}
		})
	}
}

// compact puts the parts of a token together.
func compact(header, claims, signature []byte) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode(header) + "." + encode(claims) + "." + encode(signature)
}

func TestVerifyForms(t *testing.T) {
	payload, err := json.Marshal(goodClaims())
	if err != nil {
		t.Fatal(err)
	}
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	good := idToken(t, nil).Reveal()
	signature := good[strings.LastIndex(good, ".")+1:]
	p256, p384, p521 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), ecKey(t, elliptic.P521())
	secret32 := []byte(strings.Repeat("k", 64))
	tests := []struct {
		name  string
		token string
		want  string // in the error, "" for a good token
	}{
		{"RS256", good, ""},
		{"RS384", sign(t, jose.RS384, rsaKey(), "rsa", payload).Reveal(), ""},
		{"RS512", sign(t, jose.RS512, rsaKey(), "rsa", payload).Reveal(), ""},
		{"ES256", sign(t, jose.ES256, p256, "p256", payload).Reveal(), ""},
		{"ES384", sign(t, jose.ES384, p384, "p384", payload).Reveal(), ""},
		{"ES512", sign(t, jose.ES512, p521, "p521", payload).Reveal(), ""},
		{"no key id", sign(t, jose.RS256, rsaKey(), "", payload).Reveal(), ""},
		{"Authentik: HS256", sign(t, jose.HS256, secret32, "rsa", payload).Reveal(), `signed with "HS256", and AWS STS takes RS256, RS384, RS512, ES256, ES384, ES512 only: give this client a signing key`},
		{"PS256", sign(t, jose.PS256, rsaKey(), "rsa", payload).Reveal(), `signed with "PS256", and AWS STS takes`},
		{"alg none", part(`{"alg":"none"}`) + "." + part(string(payload)) + ".", "it is not signed"},
		{"alg None", part(`{"alg":"None"}`) + "." + part(string(payload)) + "." + signature, "it is not signed"},
		{"no alg", part(`{}`) + "." + part(string(payload)) + "." + signature, "it is not signed"},
		{"alg is a number", part(`{"alg":5}`) + "." + part(string(payload)) + "." + signature, "it is not signed"},
		{"alg with an escape sequence", part(`{"alg":"\u001b[2J"}`) + "." + part(string(payload)) + "." + signature, "AWS STS takes"},
		{"another key", sign(t, jose.ES256, ecKey(t, elliptic.P256()), "p256", payload).Reveal(), `does not fit the provider's key "p256"`},
		{"an unknown key", sign(t, jose.ES256, p256, "n3w", payload).Reveal(), `signed with key "n3w", which the provider does not publish`},
		{"a key of another kind", sign(t, jose.ES256, p256, "rsa", payload).Reveal(), `does not fit the provider's key "rsa"`},
		{"its own key in the header", part(`{"alg":"RS256","jwk":{"kty":"oct","k":"eHg"}}`) + "." + part(string(payload)) + "." + signature, "bad ID token"},
		{"a critical extension", part(`{"alg":"RS256","kid":"rsa","crit":["x"],"x":1}`) + "." + part(string(payload)) + "." + signature, "bad ID token"},
		{"other claims under the signature", good[:strings.Index(good, ".")+1] + part(string(payload[:len(payload)-1])+`,"x":1}`) + "." + signature, `does not fit`},
		{"no signature", good[:strings.LastIndex(good, ".")+1], "does not fit"},
		{"empty", "", "it has 1 parts"},
		{"an opaque token", "ya29xxxxxxxx", "it has 1 parts"},
		{"two parts", "e30.e30", "it has 2 parts"},
		{"Authentik: JWE", "e30.e30.e30.e30.e30", "encrypted (a JWE, five parts)"},
		{"JSON form", `{"payload":"e30","signatures":[]}`, "compact form"},
		{"with a line break", good[:20] + "\n" + good[20:], "compact form"},
		{"with a space", good + " ", "compact form"},
		{"padded", strings.Replace(good, ".", "=.", 1), "compact form"},
		{"header is no JSON", part("x") + "." + part(string(payload)) + "." + signature, "header does not parse"},
		{"header is a list", part("[]") + "." + part(string(payload)) + "." + signature, "header does not parse"},
		{"header is null", part("null") + "." + part(string(payload)) + "." + signature, "header does not parse"},
		{"claims are no base64", part(`{"alg":"RS256"}`) + ".a." + signature, "claims do not parse"},
		{"claims are a list", sign(t, jose.RS256, rsaKey(), "rsa", []byte("[]")).Reveal(), "claims do not parse"},
		{"claims and more", sign(t, jose.RS256, rsaKey(), "rsa", append(payload, " {}"...)).Reveal(), "claims do not parse"},
		{"claims of great depth", sign(t, jose.RS256, rsaKey(), "rsa", []byte(`{"a":`+strings.Repeat("[", 12000)+strings.Repeat("]", 12000)+"}")).Reveal(), "claims do not parse"},
		{"header of great depth", part(`{"alg":`+strings.Repeat("[", 12000)+strings.Repeat("]", 12000)+"}") + ".e30.e30", "header does not parse"},
		{"1 MB", "e30." + strings.Repeat("A", 1<<20) + ".e30", "more than 65536"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			p.document["id_token_signing_alg_values_supported"] = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "HS256", "PS256", "none"}
			p.jwks = publicKeys(map[string]any{"rsa": rsaKey().Public(), "p256": p256.Public(), "p384": p384.Public(), "p521": p521.Public(), "hmac": secret32})
			_, err := p.flow().Verify(t.Context(), secret.New(test.token))
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var bad *TokenError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			checkErrorText(t, err)
			if n := strings.Count(p.paths(), "keys"); n > 1 {
				t.Errorf("the keys were fetched %d times", n)
			}
		})
	}
}

func TestVerifyNamesAWrongClock(t *testing.T) {
	tests := []struct {
		name    string
		date    time.Duration // the provider's clock minus ours
		age     string        // of an answer from a cache
		changes map[string]any
		want    string
		skew    time.Duration
	}{
		{"our clock is behind", 10 * time.Minute, "", map[string]any{"iat": noon.Add(10 * time.Minute).Unix()},
			"bad ID token: it is issued 10m0s from now: your clock is 10m0s behind corp.example", 10 * time.Minute},
		{"our clock is ahead", -2 * time.Hour, "", map[string]any{"exp": noon.Add(-time.Hour).Unix(), "iat": noon.Add(-2 * time.Hour).Unix()},
			"bad ID token: it expired 1h0m0s ago: your clock is 2h0m0s ahead of corp.example", -2 * time.Hour},
		{"nbf", 6 * time.Minute, "", map[string]any{"nbf": noon.Add(6 * time.Minute).Unix()},
			"bad ID token: it is good only 6m0s from now: your clock is 6m0s behind corp.example", 6 * time.Minute},
		{"an answer from a cache", 9 * time.Minute, "60", map[string]any{"iat": noon.Add(10 * time.Minute).Unix()},
			"bad ID token: it is issued 10m0s from now: your clock is 10m0s behind corp.example", 10 * time.Minute},
		{"the clocks agree", 0, "", map[string]any{"exp": noon.Add(-time.Hour).Unix()}, "bad ID token: it expired 1h0m0s ago", 0},
		{"skew that does not explain it", 10 * time.Minute, "", map[string]any{"exp": noon.Add(-time.Hour).Unix()}, "bad ID token: it expired 1h0m0s ago", 0},
		{"a good token", 10 * time.Minute, "", nil, "", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			r := ok(`{"id_token":"i.d.t"}`)
			r.header = http.Header{"Date": {noon.Add(test.date).Format(http.TimeFormat)}, "Age": {test.age}}
			p.will("/token", r)
			f := p.flow()
			if _, err := f.Poll(t.Context(), p.open()); err != nil {
				t.Fatal(err)
			}
			_, err := f.Verify(t.Context(), idToken(t, test.changes))
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var bad *TokenError
			if !errors.As(err, &bad) || bad.Skew != test.skew || err.Error() != test.want {
				t.Errorf("error %q, want %q", err, test.want)
			}
		})
	}
}

func TestKeyRotation(t *testing.T) {
	payload, _ := json.Marshal(goodClaims())
	next := ecKey(t, elliptic.P256())
	rotated := sign(t, jose.ES256, next, "next", payload)
	warm := func(t *testing.T) *idp {
		p := newIDP(t)
		if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); err != nil {
			t.Fatal(err)
		}
		p.requests = nil
		return p
	}

	t.Run("a new key is fetched once and remembered", func(t *testing.T) {
		p := warm(t)
		p.jwks = publicKeys(map[string]any{"next": next.Public()})
		for _, want := range []string{"keys", ""} {
			p.requests = nil
			if _, err := p.remembering().Verify(t.Context(), rotated); err != nil || p.paths() != want {
				t.Errorf("error %v, requests %q, want %q", err, p.paths(), want)
			}
		}
	})
	t.Run("an unknown key is looked for once", func(t *testing.T) {
		p := warm(t)
		_, err := p.remembering().Verify(t.Context(), rotated)
		var bad *TokenError
		if !errors.As(err, &bad) || p.paths() != "keys" {
			t.Errorf("error %v, requests %q", err, p.paths())
		}
	})
	t.Run("keys that fit nothing do not take the place of good ones", func(t *testing.T) {
		p := warm(t)
		p.will("/keys", ok(`{"keys":[]}`))
		if _, err := p.remembering().Verify(t.Context(), rotated); err == nil {
			t.Error("a token without a key is accepted")
		}
		p.requests = nil
		if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); err != nil || p.paths() != "" {
			t.Errorf("afterwards: error %v, requests %q", err, p.paths())
		}
	})
	t.Run("the keys have moved", func(t *testing.T) {
		p := warm(t)
		p.document["jwks_uri"] = issuer + "/v2/keys"
		p.will("/keys", status(404, ""))
		p.will("/v2/keys", ok(publicKeys(map[string]any{"next": next.Public()})))
		if _, err := p.remembering().Verify(t.Context(), rotated); err != nil || p.paths() != "keys configuration v2/keys" {
			t.Errorf("error %v, requests %q", err, p.paths())
		}
	})
	t.Run("the provider signs in another way than it did", func(t *testing.T) {
		p := newIDP(t)
		p.document["id_token_signing_alg_values_supported"] = []string{"RS256"}
		if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); err != nil {
			t.Fatal(err)
		}
		_, err := p.remembering().Verify(t.Context(), rotated)
		if err == nil || !strings.Contains(err.Error(), "signed with ES256, which the provider does not list (RS256)") {
			t.Errorf("error %v", err)
		}
		p.document["id_token_signing_alg_values_supported"] = []string{"ES256"}
		p.jwks = publicKeys(map[string]any{"next": next.Public()})
		if _, err := p.remembering().Verify(t.Context(), rotated); err != nil {
			t.Error(err)
		}
	})
	t.Run("a provider that lists no algorithm", func(t *testing.T) {
		p := newIDP(t)
		delete(p.document, "id_token_signing_alg_values_supported")
		if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); err != nil {
			t.Error(err)
		}
	})
}

func TestKeysOfNoUse(t *testing.T) {
	key, _ := json.Marshal(jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa", Use: "sig"})
	encryption, _ := json.Marshal(jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa", Use: "enc"})
	wide, _ := json.Marshal(map[string]string{"kty": "RSA", "kid": "rsa", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(new(big.Int).Lsh(big.NewInt(1), 100000).Bytes())})
	tests := []struct {
		name string
		keys reply
		want string // in the error, "" if the token verifies
	}{
		{"among keys not understood", ok(`{"keys":[null,7,{},{"kty":"XYZ","kid":"rsa"},{"kty":"EC","crv":"P-999"},{"kty":"OKP","crv":"Ed448","x":"eHg"},` + string(wide) + "," + string(key) + `]}`), ""},
		{"an encryption key", ok(`{"keys":[` + string(encryption) + `]}`), "does not publish"},
		{"a key of 100000 bits", ok(`{"keys":[` + string(wide) + `]}`), "does not publish"},
		{"behind a thousand others", ok(`{"keys":[` + strings.Repeat("{},", 1000) + string(key) + `]}`), "does not publish"},
		{"none", ok(`{"keys":[]}`), "does not publish"},
		{"keys is an object", ok(`{"keys":{}}`), "does not publish"},
		{"no keys", ok(`{}`), "does not publish"},
		{"a web page with 200", page(200), "answered the keys request with HTTP status 200: a web page"},
		{"a list", ok("[]"), "JSON that is no object"},
		{"2 MiB", ok(strings.Repeat(" ", 2<<20)), "more than 1 MiB"},
		{"404", status(404, ""), "HTTP status 404"},
		{"503", status(503, ""), "HTTP status 503"},
		{"the connection breaks", reply{err: errors.New("EOF")}, "cannot reach corp.example: EOF"},
		{"a redirect to another host", withHeader(status(302, ""), "Location", "https://evil.example/?s3cret"), "another host"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			p.will("/keys", test.keys)
			_, err := p.flow().Verify(t.Context(), idToken(t, nil))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if err != nil {
				checkErrorText(t, err)
				if strings.Contains(err.Error(), "s3cret") {
					t.Errorf("error %q holds a query", err)
				}
			}
		})
	}
	p := newIDP(t)
	delete(p.document, "jwks_uri")
	if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); err == nil || !strings.Contains(err.Error(), "no jwks_uri") || p.blob != nil {
		t.Errorf("error %v; %d bytes are remembered", err, len(p.blob))
	}
}

func TestInspectVerifiesNothing(t *testing.T) {
	payload, _ := json.Marshal(map[string]any{"iss": "https://other.example", "sub": "x", "aud": "y", "exp": 1, "iat": 0, "email_verified": "false"})
	claims, alg, err := Inspect(sign(t, jose.HS256, []byte(strings.Repeat("k", 32)), "", payload))
	if err != nil || alg != "HS256" || claims.Issuer != "https://other.example" || claims.EmailVerified == nil || *claims.EmailVerified {
		t.Errorf("%+v, %q, %v", claims, alg, err)
	}
	// What could be read comes with the error.
	claims, alg, err = Inspect(sign(t, jose.HS256, []byte(strings.Repeat("k", 32)), "", []byte(`{"iss":"https://other.example"}`)))
	if err == nil || alg != "HS256" || claims.Issuer != "https://other.example" {
		t.Errorf("%+v, %q, %v", claims, alg, err)
	}
}
