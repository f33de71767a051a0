package command

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// AWS STS, or what stands in its place, with bad answers. An ID token is in each
// request: it may go nowhere else.
func TestHostileSTS(t *testing.T) {
	const (
		unusable = "the answer of STS cannot be used: "
		away     = "cannot reach AWS STS at "
		refused  = "AWS refused role arn:aws:iam::111122223333:role/Developer "
		odd      = "its credentials are not like any of AWS"
	)
	var rows []hostile
	sts := func(name string, answer answer, exit int, says string) {
		rows = append(rows, hostile{name: name, at: "sts", answer: answer, exit: exit, says: says})
	}
	field := func(name, field, value, says string) {
		sts(name, stsAnswer(map[string]string{field: value}), 6, unusable+says)
	}
	field("no access key", "AccessKeyId", "", "it holds no credentials")
	field("no secret key", "SecretAccessKey", "", "it holds no credentials")
	field("no session token", "SessionToken", "", "it holds no credentials")
	field("no expiration", "Expiration", "", "")
	field("expired an hour ago", "Expiration", "-1h", "its credentials have already expired")
	field("expires in 1970", "Expiration", "1970-01-01T00:00:00Z", "its credentials have already expired")
	field("expires in the year 9999", "Expiration", "9999-12-31T23:59:59Z", odd)
	field("expires in 13 h and a minute", "Expiration", "13h1m", odd)
	sts("expires in 13 h", stsAnswer(map[string]string{"Expiration": "13h"}), 0, "")
	sts("expires in 30 s", stsAnswer(map[string]string{"Expiration": "30s"}), 0, "") // just obtained, so they are printed
	sts("a session token of 20 kB", stsAnswer(map[string]string{"SessionToken": strings.Repeat("t", 20<<10)}), 0, "")
	field("an access key of 200 kB", "AccessKeyId", strings.Repeat("A", 200000), odd)
	field("a secret key of 200 kB", "SecretAccessKey", strings.Repeat("A", 200000), odd)
	field("a session token of 200 kB", "SessionToken", strings.Repeat("A", 200000), odd)
	field("an access key with a line break", "AccessKeyId", "ASIA&#10;aws_secret_access_key=x", odd)
	field("a secret key with a null", "SecretAccessKey", "x&#9;y", odd)
	field("a session token with an escape sequence", "SessionToken", "x&#x9b;2J", odd)
	field("a role with an escape sequence", "Arn", "arn:x&#x9b;2J", odd)
	sts("an expiration that is no time", stsAnswer(map[string]string{"Expiration": "tomorrow"}), 6, unusable)
	sts("an expiration that is a number", stsAnswer(map[string]string{"Expiration": "99999999999999999999"}), 6, unusable)

	xml := func(status int, body string) answer { return saying(status, "text/xml", body) }
	readable, cutOff := nonsense()
	for name, answer := range readable {
		sts(name, answer, 6, unusable)
	}
	for name, answer := range cutOff {
		sts(name, answer, 6, away)
	}
	sts("another document", xml(200, "<x>"+marker+"</x>"), 6, unusable)
	sts("another operation's", xml(200, "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>"+marker+"</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"), 6, unusable)
	sts("no credentials", xml(200, "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult/></AssumeRoleWithWebIdentityResponse>"), 6, unusable)
	sts("half a document", xml(200, "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>"+marker), 6, unusable)
	sts("an entity", xml(200, `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>&e;</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`), 6, unusable)
	sts("a billion laughs", xml(200, `<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;`+marker+`</x>`), 6, unusable)
	sts("100000 levels of XML", xml(200, strings.Repeat("<a>", 100000)), 6, unusable)
	sts("not UTF-8", xml(200, "<\xff\xfe>"+marker), 6, unusable)
	sts("1 MB", xml(200, "<x>"+strings.Repeat(marker, 100000)+"</x>"), 6, unusable)
	sts("endless XML", endless("text/xml", "<AssumeRoleWithWebIdentityResponse><x>"), 6, unusable)
	sts("endless levels", func(a *attack, w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat("<a>", 4096))); err != nil {
				return
			}
		}
	}, 6, unusable)
	for _, status := range []int{301, 302, 303, 307, 308} {
		sts(fmt.Sprintf("a redirect to another host, %d", status), redirect(status, "http://THIEF/"), 6, unusable)
	}
	sts("a redirect on the same host", redirect(307, "SELF"), 6, unusable)

	for _, code := range []string{"AccessDenied", "ExpiredTokenException", "IDPRejectedClaim", "InvalidIdentityToken", "MalformedPolicyDocument", "PackedPolicyTooLarge", "RegionDisabledException", "ValidationError", "NoSuchThing"} {
		says := map[string]string{
			"AccessDenied": "AWS refused role ", "ExpiredTokenException": "AWS says that the ID token has expired", "IDPRejectedClaim": "HOST has told AWS that this login is no longer valid",
			"InvalidIdentityToken": "AWS does not accept this login's ID token", "MalformedPolicyDocument": "AWS does not accept the session policy for role ",
			"PackedPolicyTooLarge": "AWS does not accept the session policy for role ", "RegionDisabledException": "account 111122223333 has not activated STS in region eu-west-1",
			"ValidationError": "AWS refuses the request for role ", "NoSuchThing": refused + "(NoSuchThing",
		}[code]
		sts(code+" with control characters", stsRefusal(403, code, "no\x09&#x9b;2J&#x202e;\r\n  line 2 &#xfffd;"), 5, says)
		sts(code+" of 500 kB", stsRefusal(400, code, strings.Repeat("x", 500000)), 5, says)
	}
	sts("a code with control characters", stsRefusal(400, "Bad&#x9b;2J\r\nCode&#x202e;", "x"), 5, refused)
	sts("a code of 500 kB", stsRefusal(400, strings.Repeat("x", 500000), "x"), 5, refused)
	sts("a refusal that repeats the token", stsEcho, 5, refused)
	sts("a refusal that repeats the token in pieces", func(a *attack, w http.ResponseWriter, r *http.Request) {
		stsRefusal(400, "NoSuchThing", "bad token "+strings.ReplaceAll(inPieces(r)[20:], " ", "&#x200b; "))(a, w, r)
	}, 5, refused)
	sts("the token instead of HTTP", notHTTP, 6, away)
	sts("a request id with control characters", stsRefusalWithID("x&#x9b;2J\r\n"), 5, "AWS refused role ")
	sts("a refusal without words", xml(400, "<ErrorResponse/>"), 6, unusable)
	sts("a web page with status 403", page(403), 6, unusable)
	sts("JSON with status 400", asJSON(400, `{"__type":"AccessDenied","message":"`+marker+`"}`), 6, unusable)
	sts("an empty 400", xml(400, ""), 6, unusable)
	for _, code := range []string{"Throttling", "ServiceUnavailable", "InternalFailure", "IDPCommunicationError"} {
		status := map[string]int{"Throttling": 400, "ServiceUnavailable": 503, "InternalFailure": 500, "IDPCommunicationError": 400}[code]
		says := "AWS STS cannot help now (" + code
		if code == "IDPCommunicationError" {
			says = "AWS cannot reach HOST (IDPCommunicationError"
		}
		sts(code, stsRefusal(status, code, "later"), 6, says)
		sts(code+", once", once(stsRefusal(status, code, "later")), 0, "")
	}
	sts("a web page with status 502", page(502), 6, unusable)
	sts("a web page with status 502, once", once(page(502)), 0, "")
	sts("status 429", page(429), 6, unusable)
	sts("dropped, once", once(dropped), 0, "")
	runHostile(t, rows)
}

// AWS's sign-in endpoint, or what stands in its place: role credentials are in the
// request, and what comes back opens a browser.
func TestHostileSignIn(t *testing.T) {
	var rows []hostile
	signin := func(name string, answer answer, exit int, says string) {
		rows = append(rows, hostile{name: name, at: "sign-in", answer: answer, command: "console --print --profile dev", exit: exit, says: says})
	}
	const strange, now = "HOST does not answer as it should (", "HOST cannot give a sign-in token now (status "
	for name, body := range map[string]string{
		"an empty object": "{}", "a number": `{"SigninToken":5}`, "an empty token": `{"SigninToken":""}`,
		"a token with a line break": `{"SigninToken":"x\ny` + marker + `"}`, "a token with an escape sequence": `{"SigninToken":"\u001b[2J"}`,
		"a token with a space": `{"SigninToken":"x --flag"}`, "a token in another script": `{"SigninToken":"\u043e"}`,
	} {
		signin(name, asJSON(200, body), 6, strange)
	}
	readable, cutOff := nonsense()
	for name, answer := range readable {
		says := strange
		if status, isStatus := strings.CutPrefix(name, "status "); isStatus {
			says = now + status
		} else if name == "8 MB" || name == "endless" {
			says = "cannot ask HOST for a sign-in token: the answer is too large."
		}
		signin(name, answer, 6, says)
	}
	for name, answer := range cutOff {
		signin(name, answer, 6, "cannot ask HOST for a sign-in token: ")
	}
	signin("a web page with status 400", page(400), 5, "AWS sign-in refused the credentials")
	signin("status 201", asJSON(201, `{"SigninToken":"x"}`), 6, now+"201")
	signin("a refusal with control characters", saying(400, "text/plain", "no\x1b[2J\x9b\r\nline 2\u202e"), 5, "AWS sign-in refused the credentials")
	signin("a refusal that repeats the credentials", func(_ *attack, w http.ResponseWriter, r *http.Request) {
		http.Error(w, r.PostForm.Get("Session"), http.StatusForbidden)
	}, 5, "AWS sign-in refused the credentials")
	signin("a refusal that repeats the credentials in pieces", func(a *attack, w http.ResponseWriter, r *http.Request) {
		http.Error(w, inPieces(r), http.StatusForbidden)
	}, 5, "AWS sign-in refused the credentials")
	signin("the credentials instead of HTTP", notHTTP, 6, "cannot ask HOST for a sign-in token: no HTTP answer.")
	signin("a refusal of 8 MB", saying(400, "text/plain", strings.Repeat("no ", 1<<21)), 6, "cannot ask HOST for a sign-in token: the answer is too large.")
	signin("status 500", page(500), 6, now+"500)")
	signin("status 503, once", once(page(503)), 0, "")
	signin("status 429", page(429), 6, now+"429)")
	for _, status := range []int{301, 302, 303, 307, 308} {
		signin(fmt.Sprintf("a redirect to another host, %d", status), redirect(status, "http://THIEF/"), 6, now+fmt.Sprint(status))
	}
	signin("a redirect on the same host", redirect(307, "SELF"), 6, now+"307")
	runHostile(t, rows)
}

// stsAnswer is a good answer of STS but for the fields, whose values are XML. An
// Expiration that is a duration counts from the laptop's time.
func stsAnswer(fields map[string]string) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		good := map[string]string{"AccessKeyId": "ASIA" + marker, "SecretAccessKey": "secret" + marker, "SessionToken": "token" + marker, "Expiration": "1h"}
		var credentials strings.Builder
		for name, value := range good {
			if bad, there := fields[name]; there {
				value = bad
			}
			if d, err := time.ParseDuration(value); err == nil {
				value = a.clock.Now().Add(d).UTC().Format(time.RFC3339)
			}
			if value != "" {
				fmt.Fprintf(&credentials, "<%s>%s</%s>", name, value, name)
			}
		}
		saying(200, "text/xml", "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"+credentials.String()+
			"</Credentials><AssumedRoleUser><Arn>"+fields["Arn"]+"</Arn></AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")(a, w, r)
	}
}

// stsRefusal is an error of STS; code and message are XML.
func stsRefusal(status int, code, message string) answer {
	return saying(status, "text/xml", "<ErrorResponse><Error><Type>Sender</Type><Code>"+code+"</Code><Message>"+message+"</Message></Error><RequestId>1-2-3</RequestId><x>"+marker+"</x></ErrorResponse>")
}

func stsRefusalWithID(id string) answer {
	return saying(403, "text/xml", "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error><RequestId>"+id+"</RequestId></ErrorResponse>")
}

// stsEcho repeats the token that it was sent, as no careful server does.
func stsEcho(a *attack, w http.ResponseWriter, r *http.Request) {
	stsRefusal(400, "NoSuchThing", "bad token "+r.PostForm.Get("WebIdentityToken"))(a, w, r)
}
