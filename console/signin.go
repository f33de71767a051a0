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
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// SignIn is one sign-in to the console.
type SignIn struct {
	// Endpoint is the address without "/federation", see [Place.Endpoint]. Both the
	// token request and the browser go there.
	Endpoint    string
	Client      cloud.Client
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
	signInToken, err := in.ask(ctx, form)
	var refused *cloud.Refused
	if form.Has("SessionDuration") && errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		form.Del("SessionDuration")
		durationRefused = true
		signInToken, err = in.ask(ctx, form)
	}
	if err != nil {
		return signIn, false, err
	}
	query := url.Values{"Action": {"login"}, "Issuer": {in.Issuer}, "Destination": {in.Destination}, "SigninToken": {signInToken.Reveal()}}
	return secret.New(in.Endpoint + "/federation?" + query.Encode()), durationRefused, nil
}

// ask gets a token for a form, which is in the body of the request alone: URLs are
// written down by proxies, and by net/http in its errors.
func (in *SignIn) ask(ctx context.Context, form url.Values) (secret.String, error) {
	_, host, _ := strings.Cut(in.Endpoint, "://")
	host, _, _ = strings.Cut(host, "/")
	return cloud.Ask(ctx, in.Client, cloud.Question{
		Who: host, What: "a sign-in token", Advice: "Check the network. Behind a proxy, set HTTPS_PROXY; behind a company CA, AWS_CA_BUNDLE.",
		URL: in.Endpoint + "/federation", Body: form.Encode(), Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Sent: []secret.String{secret.New(form.Get("Session"))},
		Read: func(r *cloud.Refused) {
			if r.Status >= 400 { // else a token may be in the body
				r.Code = r.Error()
				if !strings.Contains(string(r.Body), "<") { // nothing of a web page
					r.Message = string(r.Body)
				}
			}
		},
		Refusals: []failure.Refusal{{Lines: []string{
			"AWS sign-in refused the credentials of profile {profile} ({said}).",
			"The endpoint was {who}. Do the credentials work elsewhere? aws sts get-caller-identity{flag}"}}},
	}, readToken)
}

// readToken reads the token from the body of an answer. The error says why there is
// none, without a part of the body.
func readToken(body []byte) (secret.String, error) {
	if strings.HasPrefix(strings.TrimSpace(string(body)), "<") {
		return secret.String{}, errors.New("a web page instead of a sign-in token")
	}
	var answer struct{ SigninToken string }
	notInTokens := func(r rune) bool { return r <= ' ' || r >= 0x7f }
	if err := json.Unmarshal(body, &answer); err != nil || answer.SigninToken == "" || strings.ContainsFunc(answer.SigninToken, notInTokens) {
		return secret.String{}, errors.New("no sign-in token in its answer")
	}
	return secret.New(answer.SigninToken), nil
}
