package deviceflow

import (
	"testing"
	"time"

	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/internal/idptest"
	"github.com/daypass/daypass/secret"
)

const (
	issuer   = idptest.Issuer
	clientID = idptest.ClientID
)

type reply = idptest.Reply

var (
	noon       = idptest.Noon
	ok         = idptest.OK
	status     = idptest.Status
	page       = idptest.Page
	withHeader = idptest.WithHeader
	refusal    = idptest.Refusal
	checkWords = idptest.CheckWords
)

type roundTripper = idptest.RoundTripper

// fake is a pretend provider and its clients.
type fake struct{ *idptest.Provider }

func newFake(t *testing.T) *fake { return &fake{idptest.New(t)} }

func (p *fake) flow() *Flow {
	return &Flow{Client: &idp.Client{Issuer: p.Document["issuer"].(string), ClientID: clientID, Transport: p, Now: p.Clock.Now, Sleep: p.Clock.Sleep}}
}

// remembering is a Flow whose Memory outlives it.
func (p *fake) remembering() *Flow {
	f := p.flow()
	f.Memory = idp.Memory{Load: p.Load, Save: p.Save}
	return f
}

// open is an authorization that was just given out.
func (p *fake) open() *Authorization {
	return &Authorization{
		DeviceCode: secret.Keep(secret.New("dev1ce-c0de")), UserCode: "LBJX-WZVT", VerificationURI: issuer + "/activate",
		Interval: 5 * time.Second, NextPoll: p.Clock.Now().Add(5 * time.Second),
		Issued: p.Clock.Now(), Expires: p.Clock.Now().Add(10 * time.Minute),
	}
}
