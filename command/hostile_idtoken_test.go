package command

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/daypass/daypass/internal/sandbox"
)

// A provider, or who stands in its place, with bad ID tokens: when a login is
// renewed, and when one is made. The new refresh token that comes with each is
// kept, for the old one is spent.
func TestHostileIDToken(t *testing.T) {
	const unusable = "the ID token from HOST cannot be used: "
	rotating := func(o *sandbox.Options) { o.Rotate = true }
	var rows []hostile
	token := func(name string, answer answer, says string) {
		rows = append(rows, hostile{name: name, at: "refresh", answer: answer, exit: 4, says: unusable + says, options: rotating})
	}

	token("alg none", forged(func(_ *attack, p parts) string { return p.with(`{"alg":"none"}`) + "." }), "it is signed with ")
	token("no alg", forged(func(_ *attack, p parts) string { return p.with(`{}`) + "." + p.signature }), "it is signed with ")
	token("HS256 with the client id", forged(func(a *attack, p parts) string {
		return p.signed(a, jose.HS256, []byte(strings.Repeat(a.box.ClientID, 3)))
	}), `it is signed with "HS256"`)
	token("HS256 with the public key", forged(publicKeyAsSecret), `it is signed with "HS256"`)
	token("EdDSA", forged(func(_ *attack, p parts) string { return p.with(`{"alg":"EdDSA"}`) + "." + p.signature }), `it is signed with "EdDSA"`)
	token("alg is a number", forged(func(_ *attack, p parts) string { return p.with(`{"alg":256}`) + "." + p.signature }), "it is signed with ")
	token("alg with an escape sequence", forged(func(_ *attack, p parts) string { return p.with(`{"alg":"\u001b[2JRS256"}`) + "." + p.signature }), "it is signed with ")
	token("another algorithm than the provider's", forged(func(a *attack, p parts) string { return p.signed(a, jose.ES256, ownKey(a)) }), "its signature does not fit the provider's key ")
	token("a key that is not published", forged(func(_ *attack, p parts) string {
		return p.with(`{"alg":"RS256","kid":"nobody's"}`) + "." + p.signature
	}), `it is signed with key "nobody's", which the provider does not publish`)
	token("a key of its own in the header", forged(func(_ *attack, p parts) string {
		return p.with(`{"alg":"RS256","jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"},"jku":"http://corp.example/keys","x5u":"http://corp.example/"}`) + "." + p.signature
	}), "")
	token("a critical header", forged(func(_ *attack, p parts) string {
		return p.with(`{"alg":"RS256","crit":["x"],"x":1}`) + "." + p.signature
	}), "")
	token("another's signature", forged(func(_ *attack, p parts) string {
		return p.header + "." + p.payload + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 256))
	}), "its signature does not fit the provider's key ")
	token("no signature", forged(func(_ *attack, p parts) string { return p.header + "." + p.payload + "." }), "")
	token("other claims under the signature", forged(func(_ *attack, p parts) string {
		return p.header + "." + encoded(strings.Replace(decoded(p.payload), `"name":"taro"`, `"name":"hanako"`, 1)) + "." + p.signature
	}), "its signature does not fit the provider's key ")

	token("one part", forged(func(*attack, parts) string { return "x" + marker }), "it is not a signed JSON Web Token")
	token("five parts", forged(func(_ *attack, p parts) string {
		return strings.Join([]string{p.header, "x", "y", "z", p.signature}, ".")
	}), "it is encrypted")
	token("100 parts", forged(func(_ *attack, p parts) string { return p.header + strings.Repeat(".x", 99) }), "it is not a signed JSON Web Token")
	token("1 MB", forged(func(_ *attack, p parts) string {
		return p.header + "." + encoded(`{"x":"`+strings.Repeat("x", 700000)+`"}`) + "." + p.signature
	}), "it has ")
	token("not base64", forged(func(_ *attack, p parts) string { return p.header + ".!!!!" + marker + "." + p.signature }), "it is not a signed JSON Web Token")
	token("an escape sequence", forged(func(*attack, parts) string { return "\x1b[2J.\x1b]0;x\a.x" }), "it is not a signed JSON Web Token")
	token("a header that is no JSON", forged(func(_ *attack, p parts) string { return encoded("x") + "." + p.payload + "." + p.signature }), "its header does not parse")
	token("claims that are no JSON", forged(func(_ *attack, p parts) string { return p.header + "." + encoded("x") + "." + p.signature }), "its claims do not parse")
	token("claims that are null", forged(func(_ *attack, p parts) string { return p.header + "." + encoded("null") + "." + p.signature }), "its claims do not parse")
	token("claims nested 10000 deep", forged(func(_ *attack, p parts) string { return p.header + "." + encoded(deep(10100)) + "." + p.signature }), "its claims do not parse")
	token("two objects of claims", forged(func(_ *attack, p parts) string {
		return p.header + "." + encoded(decoded(p.payload)+"{}") + "." + p.signature
	}), "its claims do not parse")

	claim := func(name string, claims func(now time.Time) map[string]any, says string) {
		token(name, claiming(claims), says)
	}
	one := func(name string, value any) func(time.Time) map[string]any {
		return func(time.Time) map[string]any { return map[string]any{name: value} }
	}
	at := func(name string, off time.Duration) func(time.Time) map[string]any {
		return func(now time.Time) map[string]any { return map[string]any{name: now.Add(off).Unix()} }
	}
	claim("another issuer", one("iss", "https://evil.example"), `claim iss is "https://evil.example"`)
	claim("an issuer with an escape sequence", one("iss", "\x1b[2Jx\r\n\u202e"), `claim iss is "`)
	claim("no issuer", one("iss", nil), "claim iss is missing")
	claim("another audience", one("aud", "another-client"), `claim aud is "another-client"`)
	claim("audiences without ours", one("aud", []string{"a", "b"}), `claim aud is "a, b"`)
	claim("no audience", one("aud", nil), "claim aud is missing")
	claim("audiences of other types", one("aud", []any{"daypass-sandbox", 5}), "claim aud holds something other than text")
	claim("the audience is an object", one("aud", map[string]any{"daypass-sandbox": true}), "claim aud is missing or not text")
	claim("10000 audiences", one("aud", make([]string, 5000)), "claim aud is ")
	claim("another authorized party", one("azp", "another-client"), `claim azp is "another-client"`)
	claim("the authorized party is a list", one("azp", []string{"daypass-sandbox"}), "claim azp is not text")
	claim("another subject", one("sub", "sandbox|mallory"), `claim sub is "sandbox|mallory"`)
	claim("no subject", one("sub", nil), "claim sub is missing")
	claim("the subject is a number", one("sub", 17), "claim sub is missing or not text")
	claim("expired an hour ago", at("exp", -time.Hour), "it expired 1h0m0s ago")
	claim("no expiry", one("exp", nil), "claim exp is missing")
	claim("an expiry below zero", one("exp", -1), "claim exp is not a time")
	claim("an expiry beyond all time", one("exp", json.RawMessage("1e300")), "claim exp is not a time")
	claim("an expiry that is a word", one("exp", "tomorrow"), "claim exp is not a time")
	claim("issued in an hour", at("iat", time.Hour), "it is issued 1h0m0s from now")
	claim("never issued", one("iat", nil), "claim iat is missing")
	claim("good in an hour", at("nbf", time.Hour), "it is good only 1h0m0s from now")
	claim("a beginning that is a word", one("nbf", "soon"), "claim nbf is not a time")

	// Numbers as text are borne by daypass, but not by AWS. That must not last
	// longer than the provider sends them.
	rows = append(rows, hostile{name: "numbers as text", at: "refresh", exit: 5, says: "AWS does not accept this login's ID token (InvalidIdentityToken: ", options: rotating,
		answer: func(a *attack, w http.ResponseWriter, r *http.Request) {
			claiming(func(now time.Time) map[string]any {
				return map[string]any{"exp": strconv.FormatInt(now.Add(10*time.Hour).Unix(), 10)}
			})(a, w, r)
			a.given = nil // it is a good token as far as daypass can tell
		}})

	for _, row := range rows[:] { // a login meets the same checks; a few suffice
		switch row.name {
		case "alg none", "another's signature", "five parts", "1 MB", "not base64", "another audience", "another issuer", "expired an hour ago", "no subject":
			row.at, row.command = "poll", "login --profile dev --force"
			rows = append(rows, row)
		}
	}
	runHostile(t, rows)
}

// parts are those of a good ID token.
type parts struct{ header, payload, signature string }

// with is the token's claims under another header, without a signature.
func (p parts) with(header string) string { return encoded(header) + "." + p.payload }

// signed is the claims with a signature by key, under the header's own key id.
func (p parts) signed(a *attack, algorithm jose.SignatureAlgorithm, key any) string {
	var header struct{ Kid string }
	_ = json.Unmarshal([]byte(decoded(p.header)), &header)
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", header.Kid)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if !a.ok(err) {
		return ""
	}
	signature, err := signer.Sign([]byte(decoded(p.payload)))
	if !a.ok(err) {
		return ""
	}
	token, _ := signature.CompactSerialize()
	return token
}

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func decoded(part string) string {
	text, _ := base64.RawURLEncoding.DecodeString(part)
	return string(text)
}

// forged is the sandbox's own answer with another ID token, that may not be stored.
func forged(forge func(a *attack, good parts) string) answer {
	return changed(func(a *attack, fields map[string]any) {
		good, _ := fields["id_token"].(string)
		p := strings.Split(good, ".")
		if len(p) != 3 {
			a.t.Errorf("the sandbox's ID token has %d parts", len(p))
			return
		}
		token := forge(a, parts{p[0], p[1], p[2]})
		a.forbid(token)
		fields["id_token"], fields["marker"] = token, marker
	})
}

// claiming is the sandbox's own answer with other claims in the ID token, rightly
// signed.
func claiming(claims func(now time.Time) map[string]any) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		set := claims(a.clock.Now())
		a.box.Set(func(o *sandbox.Options) { o.Claims = set })
		defer a.box.Set(func(o *sandbox.Options) { o.Claims = nil })
		changed(func(a *attack, fields map[string]any) {
			token, _ := fields["id_token"].(string)
			a.forbid(token)
		})(a, w, r)
	}
}

// ownKey is a key that the provider does not have.
func ownKey(a *attack) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.ok(err)
	return key
}

// publicKeyAsSecret is the old trick on verifiers that take the algorithm from the
// token: what everybody knows becomes the secret.
func publicKeyAsSecret(a *attack, p parts) string {
	response, err := http.Get(a.box.Issuer + "/keys")
	if !a.ok(err) {
		return ""
	}
	defer response.Body.Close()
	var set jose.JSONWebKeySet
	if !a.ok(json.NewDecoder(response.Body).Decode(&set)) {
		return ""
	}
	secret, _ := set.Keys[0].MarshalJSON()
	return p.signed(a, jose.HS256, secret)
}
