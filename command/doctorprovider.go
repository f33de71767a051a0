package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
)

// The links at the identity provider, and the login that it gave.

func (x *examination) checkProvider(ctx context.Context) finding {
	x.diagnosis, x.diagnosisErr = x.session.Diagnose(ctx)
	var document *deviceflow.DiscoveryError
	if err := x.diagnosisErr; err != nil && !(x.diagnosis.Answered && errors.As(err, &document)) {
		f := brokenBy(err)
		var unreachable *deviceflow.UnreachableError
		if errors.As(err, &unreachable) {
			f.Advice = "Check the network. Behind a proxy, set HTTPS_PROXY; behind a company CA, set\n" +
				"ca_bundle in " + x.section() + "."
		}
		return f
	}
	return ok(x.diagnosis.Host + " answers")
}

// section is where the settings of the login stand.
func (x *examination) section() string {
	if name := x.session.Profile.IDP.Name; name != "" {
		return "[daypass-idp " + name + "]"
	}
	return "the flags"
}

// checkClock compares this machine's clock with the provider's.
func (x *examination) checkClock(context.Context) finding {
	const (
		noticed  = time.Minute     // less may come of a slow answer
		harmless = 5 * time.Minute // the leeway of the ID token's times
	)
	d := x.diagnosis
	if !d.SkewKnown {
		return unchecked(d.Host + " tells no time")
	}
	side, off := "behind", d.Skew
	if off < 0 {
		side, off = "ahead of", -off
	}
	switch {
	case off < noticed:
		return ok("agrees with " + d.Host)
	case off < harmless:
		return ok(fmt.Sprintf("%s %s %s", off, side, d.Host))
	}
	return broken(failure.ExitUsage, fmt.Sprintf("this machine's clock is %s %s %s.", off, side, d.Host),
		"Set the clock, or switch on that it is set by the network (NTP).")
}

// checkIssuer is about the discovery document: that it is there, and calls the
// provider as the configuration does.
func (x *examination) checkIssuer(context.Context) finding {
	if x.diagnosisErr == nil {
		return ok(x.session.Profile.IDP.Issuer)
	}
	return brokenBy(x.diagnosisErr)
}

func (x *examination) checkDeviceEndpoint(context.Context) finding {
	idp := x.session.Profile.IDP
	switch {
	case idp.DeviceAuthorizationEndpoint != "":
		return ok(idp.DeviceAuthorizationEndpoint + ", from the configuration")
	case x.diagnosis.DeviceAuthorizationEndpoint != "":
		return ok(x.diagnosis.DeviceAuthorizationEndpoint)
	}
	return broken(failure.ExitUsage, x.diagnosis.Host+" names no device_authorization_endpoint.",
		"Have the device grant (device code) switched on there. If it is on, set",
		"device_authorization_endpoint in "+x.section()+".",
		"GitLab's is "+strings.TrimSuffix(idp.Issuer, "/")+"/oauth/authorize_device")
}

// checkSigning is about the algorithms that the provider signs ID tokens with.
func (x *examination) checkSigning(context.Context) finding {
	d := x.diagnosis
	switch {
	case len(d.SigningAlgorithms) == 0:
		return ok(d.Host + " lists no algorithms of its ID tokens")
	case len(d.STSAlgorithms) > 0:
		return ok(strings.Join(d.STSAlgorithms, ", "))
	}
	return broken(failure.ExitRefused, d.Host+" signs with "+strings.Join(d.SigningAlgorithms, ", ")+", which AWS STS does not take.",
		"Give the client a signing key for RS256 or ES256. (Authentik signs with the",
		"client secret, HS256, where there is none.)")
}

// checkLogin is about the login that stands, renewed if it must be and can be
// without a person.
func (x *examination) checkLogin(ctx context.Context) finding {
	identity, err := x.session.Identity(ctx)
	if err != nil {
		return brokenBy(err)
	}
	x.identity = &identity
	return ok(fmt.Sprintf("%s, ID token until %s", identity.Who, clock(identity.Until, x.env.Now())))
}

// checkClaims shows what an AWS admin compares with the trust policy.
func (x *examination) checkClaims(context.Context) finding {
	i := x.identity
	azp := i.AuthorizedParty
	if azp == "" {
		azp = "(none)"
	}
	return ok(fmt.Sprintf("iss=%s aud=%s azp=%s sub=%s alg=%s", i.Issuer, strings.Join(i.Audience, ","), azp, i.Subject, i.Algorithm))
}

// checkRenewal says whether there is a refresh token, and if not, why. A login
// without one works, until it ends.
func (x *examination) checkRenewal(context.Context) finding {
	if x.identity.Renews {
		return ok("there is a refresh token: it renews by itself")
	}
	const offline = "offline_access"
	d, idp := x.diagnosis, x.session.Profile.IDP
	ends := "no refresh token came: the login ends at " + clock(x.identity.Until, x.env.Now())
	again := "Then run: daypass login --force" + x.session.profileFlag()
	switch {
	case x.diagnosisErr != nil:
		return ok(ends, "Why is seen when the provider answers.")
	case slices.Contains(d.RequestedScopes, offline):
		return ok(ends, "Have refresh tokens switched on for client "+idp.ClientID+" at "+d.Host+".", again)
	case slices.Contains(d.Scopes, offline):
		return ok(ends, "The scopes in "+x.section()+" lack offline_access: add it.", again)
	}
	return ok(ends, d.Host+" offers no scope offline_access.",
		"Whether client "+idp.ClientID+" gets refresh tokens is set there.")
}
