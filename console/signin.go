// Package console makes the URL that signs a browser in to the AWS console with
// role credentials, and hands it to the browser and nobody else.
//
// It takes two requests, both to the partition's sign-in endpoint: one in which
// the credentials buy a sign-in token ([SignIn.URL]), and the browser's own
// with that token. The credentials are in the body of the first; the URL of the
// second is as good as a password for 15 minutes.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html
package console

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

const tries = 3 // of a request that finds nobody or a server in trouble

// SignIn is one sign-in to the console.
type SignIn struct {
	// Endpoint is the address without "/federation", see [Place.Endpoint]. Both the
	// token request and the browser go there.
	Endpoint  string
	Transport http.RoundTripper
	// Sleep waits for d or until ctx ends.
	Sleep       func(ctx context.Context, d time.Duration) error
	Destination string // where the browser ends, see [Place.Destination]
	Issuer      string // where AWS sends a person whose console session has ended
	// Duration of the console session, whole seconds, 15 min to 12 h. Zero: the
	// session ends with the credentials.
	Duration time.Duration
}

// URL gets a sign-in token for role credentials, and returns the URL that signs in
// whoever opens it within 15 minutes. AWS refuses a duration for some credentials
// (those of chained roles among them) with the same status 400 as bad ones: so it is
// left out once, and durationRefused says that the session ends with the credentials.
//
// Errors are a [*failure.Error].
func (in *SignIn) URL(ctx context.Context, keyID string, key, token secret.String) (signIn secret.String, durationRefused bool, err error) {
	session, _ := json.Marshal(map[string]string{"sessionId": keyID, "sessionKey": key.Reveal(), "sessionToken": token.Reveal()})
	form := url.Values{"Action": {"getSigninToken"}, "Session": {string(session)}}
	if in.Duration > 0 {
		form.Set("SessionDuration", strconv.Itoa(int(in.Duration/time.Second)))
	}
	for try := 1; ; {
		signInToken, status, err := in.ask(ctx, form)
		switch {
		case err == nil:
			query := url.Values{"Action": {"login"}, "Issuer": {in.Issuer}, "Destination": {in.Destination}, "SigninToken": {signInToken.Reveal()}}
			return secret.New(in.Endpoint + "/federation?" + query.Encode()), durationRefused, nil
		case status == http.StatusBadRequest && form.Has("SessionDuration"):
			form.Del("SessionDuration")
			durationRefused, try = true, 1
		case status != 0 || try == tries && ctx.Err() == nil:
			return signIn, false, err
		case ctx.Err() != nil || in.Sleep(ctx, time.Duration(try)*500*time.Millisecond) != nil:
			return signIn, false, failure.Interrupted(ctx.Err())
		default:
			try++
		}
	}
}

// ask makes one request. The form is in the body alone: URLs are written down by
// proxies, and by net/http in its errors. status is 0 if no answer came, or one
// that is worth another try.
func (in *SignIn) ask(ctx context.Context, form url.Values) (token secret.String, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, in.Endpoint+"/federation", strings.NewReader(form.Encode()))
	if err != nil {
		return token, http.StatusOK, failure.From(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// Not an http.Client: credentials follow no redirect.
	response, err := in.Transport.RoundTrip(request)
	var body []byte
	if err == nil {
		defer response.Body.Close()
		body, err = io.ReadAll(io.LimitReader(response.Body, 64<<10))
	}
	host, problem := request.URL.Host, ""
	if proxy, ok := errors.AsType[*failure.Error](err); ok { // of the transport
		return token, http.StatusOK, proxy
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok { // it will be no other at the next try
		return token, http.StatusOK, failure.New(failure.ExitNetwork, err, fmt.Sprintf("the certificate of AWS sign-in, %s, is not trusted here (%v).", host, certificate.Err),
			"Is this machine's clock right? If a company proxy or CA signs for it, set AWS_CA_BUNDLE, or", "ca_bundle in profile {profile}.")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		problem = "no answer in time"
	} else if err != nil {
		problem = cmp.Or(said(err.Error(), form), "no HTTP answer") // it can hold what the server sent
	} else {
		status = response.StatusCode
		problem = fmt.Sprintf("status %d", status)
	}
	switch {
	case status == 0 || status >= 500 || status == http.StatusTooManyRequests:
		return token, 0, failure.New(failure.ExitNetwork, nil,
			fmt.Sprintf("cannot reach AWS sign-in: %s does not answer (%d tries: %s).", host, tries, problem),
			"Your login is kept. Try again later.")
	case status >= 400:
		if text := said(string(body), form); text != "" {
			problem += ": " + text
		}
		return token, status, failure.New(failure.ExitAWS, nil,
			"AWS sign-in refused the credentials of profile {profile} ("+problem+").",
			"The endpoint was "+host+". Do the credentials work elsewhere? aws sts get-caller-identity{flag}")
	case status == http.StatusOK:
		if token, problem = readToken(body); problem == "" {
			return token, status, nil
		}
	}
	return token, status, failure.New(failure.ExitNetwork, nil,
		host+" does not answer as AWS sign-in does: "+problem+".", "Is there a proxy or a login page in between?")
}

// readToken reads the token from the body of an answer. problem says why there is
// none, without a part of the body.
func readToken(body []byte) (token secret.String, problem string) {
	if strings.HasPrefix(strings.TrimSpace(string(body)), "<") {
		return token, "a web page instead of a sign-in token"
	}
	var answer struct{ SigninToken string }
	notInTokens := func(r rune) bool { return r <= ' ' || r >= 0x7f }
	if err := json.Unmarshal(body, &answer); err != nil || answer.SigninToken == "" || strings.ContainsFunc(answer.SigninToken, notInTokens) {
		return token, "no sign-in token in its answer"
	}
	return secret.New(answer.SigninToken), ""
}

// said is a short text from outside; nothing of a web page, or of what repeats the
// credentials that were sent.
func said(text string, sent url.Values) string {
	if strings.Contains(text, "<") || secret.Repeats(text, sent.Get("Session")) {
		return ""
	}
	return secret.Foreign(text)
}
