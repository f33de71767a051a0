package command

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/handover"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
	"github.com/daypass/daypass/secret"
)

// credentialServer gives one command the profile's credentials over the protocol of
// the SDKs' container credential providers: whoever has its token gets them, for as
// long as the command runs.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
type credentialServer struct {
	env     *Environment
	profile profile.Profile
	host    string
	token   secret.String

	server *http.Server
	ends   context.CancelFunc
	until  context.Context // the end of the command
	asking sync.RWMutex    // held for reading by whoever looks for credentials
}

// servedPath is the path of the credentials.
const servedPath = "/credentials"

// startServer starts a server on loopback.
func (e *Environment) startServer(ctx context.Context, p profile.Profile) (*credentialServer, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, failure.New(failure.ExitUnexpected, err, fmt.Sprintf("cannot listen on a port of this machine: %v.", err), "Run it without --serve.")
	}
	c := &credentialServer{env: e, profile: p, host: listener.Addr().String(), token: secret.New(rand.Text() + rand.Text())}
	// Signals are the command's: they do not end a renewal.
	c.until, c.ends = context.WithCancel(context.WithoutCancel(ctx))
	c.server = handover.Server(c)
	c.server.WriteTimeout = 0 // an answer may wait for a person, for [profile.IDP.ProcessTimeout]
	go func() { _ = c.server.Serve(listener) }()
	return c, nil
}

// close ends the server. A renewal that has begun is finished, for its answer holds
// the only copy of the new refresh token.
func (c *credentialServer) close() {
	_ = c.server.Close()
	c.ends()
	c.asking.Lock()
	defer c.asking.Unlock()
}

// environment is the command's, which has the server in place of whatever else
// names credentials.
func (c *credentialServer) environment(environ []string) []string {
	return put(drop(environ,
		// These go before it in some SDK each: the short names in Go's and Java's, the
		// file in boto3.
		"AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_CREDENTIAL_FILE",
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
	), append(accountVariables(c.profile),
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://"+c.host+servedPath,
		"AWS_CONTAINER_AUTHORIZATION_TOKEN="+c.token.Reveal())...)
}

// ServeHTTP answers the command and nobody else: neither a scanner nor a page that
// the person has open in a browser, which can send requests here but not read the
// environment.
func (c *credentialServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	authorization := r.Header["Authorization"]
	switch {
	case len(authorization) != 1 || !c.token.Equal(secret.New(authorization[0])):
		w.WriteHeader(http.StatusUnauthorized)
		return
	case r.Host != c.host, r.RequestURI != servedPath:
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	credentials, err := c.look()
	writeAnswer(w, credentials, err)
}

// look ends as daypass process would. Several at a time are like several processes: one
// renews and asks a person, and the others share the outcome. A client that gives up
// earlier asks again, and finds it.
func (c *credentialServer) look() (credentials process.Credentials, err error) {
	c.asking.RLock()
	defer c.asking.RUnlock()
	ctx, cancel := c.env.withTimeout(c.until, c.profile.IDP.ProcessTimeout)
	defer cancel()
	err = c.env.withSession(c.profile, func(s *session) (err error) {
		s.Waiting = nil // the look that asks a person writes to the same terminal
		credentials, err = s.Credentials(ctx, process.ForSDK)
		return err
	})
	return credentials, err
}

// writeAnswer writes an answer of the protocol.
func writeAnswer(w http.ResponseWriter, c process.Credentials, err error) {
	status, document := http.StatusOK, map[string]string{
		"AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey.Reveal(), "Token": c.SessionToken.Reveal(),
		"Expiration": c.Expires.UTC().Format(time.RFC3339), "AccountId": c.AccountID,
	}
	if err != nil {
		f := failure.From(err)
		// 4xx: most SDKs do not repeat those at once, and they show the message.
		status, document = http.StatusForbidden, map[string]string{"code": strconv.Itoa(f.Exit), "message": strings.TrimSpace(prompt.CleanLines(f.Error()))}
	}
	body, _ := json.Marshal(document) // of text alone
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
