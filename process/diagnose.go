package process

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// The links of the pipeline, one by one, for daypass doctor. None of them asks a
// person or stores role credentials. Every error is a [*failure.Error].

// diagnoseTime bounds the wait for another process that holds the login.
const diagnoseTime = 20 * time.Second

// CheckStorage writes a record of the size of a large login, reads it back and
// deletes it. It has a key of its own.
func (p *Provider) CheckStorage(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, diagnoseTime)
	defer cancel()
	lock, err := p.Locks.Lock(bounded, "doctor")
	if err != nil {
		return p.lockFailure(ctx, err)
	}
	defer lock.Unlock()
	key := cache.Key("doctor")
	record := strings.Repeat(rand.Text(), 300) // 7.8 kB: more than one item of most keyrings
	if err := p.Store.Set(ctx, key, []byte(record), p.Now().Add(diagnoseTime)); err != nil {
		return p.keyringFailure(ctx, err)
	}
	read, err := p.Store.Get(ctx, key)
	if deleted := p.Store.Delete(context.WithoutCancel(ctx), key); err == nil {
		err = deleted
	}
	if err == nil && string(read) != record {
		err = &cache.UnreadableError{Where: p.Store.Name(), Err: errors.New("what was read is not what was written")}
	}
	if err != nil {
		return p.keyringFailure(ctx, err)
	}
	return nil
}

// Diagnose asks the provider what it publishes, whatever is remembered of it.
// The diagnosis holds what is known of the clock with an error too.
func (p *Provider) Diagnose(ctx context.Context) (deviceflow.Diagnosis, error) {
	flow, err := p.flow()
	if err != nil {
		return deviceflow.Diagnosis{}, failure.From(err)
	}
	d, err := flow.Diagnose(ctx)
	if err != nil {
		return d, p.explainProvider(err)
	}
	return d, nil
}

// Identity is a login as AWS sees it.
type Identity struct {
	Who             string // for people
	Issuer          string
	Subject         string
	Audience        []string
	AuthorizedParty string // azp, "" if the token has none
	Algorithm       string // of the signature, as RFC 7518 names it
	Until           time.Time
	Renews          bool // there is a refresh token
}

// Identity returns the login that stands, renewed if it must be and can be
// without a person.
func (p *Provider) Identity(ctx context.Context) (Identity, error) {
	l, err := p.silentLogin(ctx, secret.String{})
	if err != nil {
		return Identity{}, err
	}
	_, algorithm, _ := deviceflow.Inspect(l.IDToken.String) // it was verified when it came
	return Identity{
		Who: l.Claims.who(), Issuer: l.Issuer, Subject: l.Claims.Subject, Audience: l.Claims.Audience,
		AuthorizedParty: l.Claims.AuthorizedParty, Algorithm: algorithm,
		Until: l.Expires, Renews: !l.RefreshToken.Empty(),
	}, nil
}

// TryRole assumes the role with the login that stands and drops the credentials.
// It returns the ARN of the session that they were for.
func (p *Provider) TryRole(ctx context.Context) (string, error) {
	l, err := p.silentLogin(ctx, secret.String{})
	if err != nil {
		return "", err
	}
	r, err := p.assumeRole(ctx, l)
	if isExpiredToken(err) {
		if l, err = p.silentLogin(ctx, l.IDToken.String); err != nil {
			return "", err
		}
		r, err = p.assumeRole(ctx, l)
	}
	if err != nil {
		return "", p.explainSTS(ctx, l, err)
	}
	return r.AssumedRole, nil
}

// silentLogin is idToken without a person and with an end: another process may
// hold the login for as long as a code is good. It is a timer that ends it and no
// deadline, for what is left to a deadline decides whether an exchange may start.
func (p *Provider) silentLogin(ctx context.Context, rejected secret.String) (*login, error) {
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(diagnoseTime, cancel).Stop()
	l, err := p.idToken(bounded, p.Now(), silently, rejected)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return nil, failure.New(failure.ExitNetwork, err, "another daypass has been busy with the login for "+whole(diagnoseTime)+".",
			"It may be waiting for an approval; see: daypass status"+p.profileFlag())
	}
	return l, err
}

// Reach makes one request to a server of AWS, with nothing in it. Any answer over
// HTTP will do.
func (p *Provider) Reach(ctx context.Context, address string) error {
	transport, err := newTransport(p.Profile.AWSCABundle)
	if err != nil {
		return failure.New(failure.ExitUsage, err, "AWS_CA_BUNDLE: "+reason(err)+".", "Point it at a PEM file, or unset it.")
	}
	bounded, cancel := context.WithTimeout(ctx, stsRequestTime)
	defer cancel()
	request, err := http.NewRequestWithContext(bounded, http.MethodGet, address, nil)
	if err != nil {
		return failure.From(err)
	}
	response, err := newClient(transport, stsAnswerMax).Do(request)
	if err != nil {
		return failure.New(failure.ExitNetwork, err, "cannot reach "+request.URL.Host+": "+reason(err)+".",
			"Check the network. Behind a proxy, set HTTPS_PROXY; behind a company CA, set",
			"AWS_CA_BUNDLE.")
	}
	return response.Body.Close()
}
