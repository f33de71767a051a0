package process

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/azure"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/profile"
)

const (
	tenant = "9f1c0000-0000-4000-8000-000000000000"
	app    = "1b9e0000-0000-4000-8000-000000000001"
	pool   = "eu-west-1:5c4d0000-0000-4000-8000-00000000000f"
)

// inAzure makes p a process whose profile signs in to Azure, on a network where the
// sandbox is Azure.
func (w *world) inAzure(p *Pipeline) {
	p.Profile.Azure = profile.Azure{Via: profile.ViaAWS, Tenant: tenant, ClientID: app}
	p.Clouds = w.box.Transport()
	p.Getenv = w.getenv
}

func (w *world) viaCognito(p *Pipeline) {
	w.inAzure(p)
	a := &p.Profile.Azure
	a.Via, a.CognitoPool, a.CognitoProvider, a.CognitoUser = profile.ViaCognito, pool, "azure-access", app
}

// onVM makes p a process on a virtual machine, whose profile has nothing of AWS.
func (w *world) onVM(p *Pipeline) {
	p.Profile = profile.Profile{Name: "vm", IDP: profile.IDP{Storage: "auto", ProcessTimeout: 45 * time.Second}, Azure: profile.Azure{Via: profile.ViaIMDS, Identity: "system"}}
	p.Clouds = w.box.Transport()
	p.Getenv = w.getenv
}

func (w *world) getenv(name string) string {
	return map[string]string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": w.box.URL + "/secretsmanager", "AWS_ENDPOINT_URL_SSM": w.box.URL + "/ssm",
		"AWS_ENDPOINT_URL_COGNITO_IDENTITY": w.box.URL + "/cognito-identity", "AZURE_POD_IDENTITY_AUTHORITY_HOST": w.box.URL,
	}[name]
}

// federated is the federated credential of the role.
func (w *world) federated() sandbox.FederatedCredential {
	return sandbox.FederatedCredential{Tenant: tenant, ClientID: app, Issuer: sandbox.OutboundIssuer, Subject: w.box.RoleARN, Audience: federationAudience}
}

// azureWorld is a world with a login whose role Azure trusts.
func azureWorld(t *testing.T, o sandbox.Options) *world {
	t.Helper()
	w := newWorld(t, o)
	w.box.Federate(w.federated())
	w.mustRun()
	return w
}

func (w *world) azureToken(change ...func(*Pipeline)) (azure.Token, error) {
	return w.pipeline(append([]func(*Pipeline){w.inAzure}, change...)...).AzureToken(w.ctx(), azure.VaultScope)
}

func (w *world) mustAzureToken(change ...func(*Pipeline)) azure.Token {
	w.t.Helper()
	token, err := w.azureToken(change...)
	if err != nil || token.Value.Empty() || !token.Expires.After(w.clock.Now()) {
		w.t.Fatalf("azure-token: %v, until %v", err, token.Expires)
	}
	return token
}

// A token is kept while it is fresh, sealed with the login, and gone with it.
func TestAzureTokenIsKept(t *testing.T) {
	w := azureWorld(t, sandbox.Options{RoleMaxDuration: 12 * time.Hour})
	if until, err := w.pipeline(w.inAzure).TryAzure(w.ctx()); err != nil || !until.After(w.clock.Now()) { // the doctor's try leaves nothing
		t.Errorf("%v, %v", until, err)
	}
	first := w.mustAzureToken()
	w.clock.Advance(20 * time.Minute)
	if again := w.mustAzureToken(); !again.Value.Equal(first.Value) || again.Expires != first.Expires {
		t.Error("another token, although the first is fresh")
	}
	w.counts(map[string]int{"entra": 2, "webidentity": 2, "sts": 2})
	if other, err := w.pipeline(w.inAzure).AzureToken(w.ctx(), "https://graph.microsoft.com/.default"); err != nil || other.Value.Equal(first.Value) {
		t.Errorf("a token for another scope: %v", err)
	}
	w.clock.Advance(25 * time.Minute) // 15 minutes are left
	if again := w.mustAzureToken(); again.Value.Equal(first.Value) {
		t.Error("the token was not renewed in time")
	}
	w.counts(map[string]int{"entra": 4, "sts": 3})
	// Credentials of the role that AWS has stopped taking are renewed, once.
	w.clock.Advance(time.Second)
	w.box.FailCall("webidentity", sandbox.STSError{Code: "InvalidClientTokenId"})
	_, err := w.pipeline(w.inAzure).AzureToken(w.ctx(), "https://management.azure.com/.default")
	must(t, err)
	w.counts(map[string]int{"entra": 5, "sts": 4})
	w.mustLogout()
	w.person = Person{}
	_, err = w.azureToken()
	w.failsWith(err, failure.ExitLogin, "profile dev needs a login")
	w.counts(map[string]int{"entra": 5})
}

// Jobs that share a machine do not fill it with the tokens of each.
func TestAzureTokensOfJobs(t *testing.T) {
	w := newWorkload(t)
	w.box.Federate(w.federated())
	from := w.from("env:CI_TOKEN", "")
	var kept, locks []int
	for range 3 {
		w.clock.Advance(time.Second)
		w.put(nil)
		w.mustAzureToken(from)
		files, err := w.pipeline(from).Kept.Sealed()
		must(t, err)
		held, err := filepath.Glob(filepath.Join(w.dir, "*.lock"))
		must(t, err)
		kept, locks = append(kept, len(files)), append(locks, len(held))
	}
	if w.counts(map[string]int{"entra": 3, "sts": 3}); kept[2] != kept[0] || locks[2] != locks[0] {
		t.Errorf("files %v, locks %v", kept, locks)
	}
}

// The assertion is never asked for longer than the session lives, and the session is
// renewed where it would be too short.
func TestAssertionEndsWithTheSession(t *testing.T) {
	for _, left := range []time.Duration{time.Hour, 25 * time.Minute, 30 * time.Second} {
		w := azureWorld(t, sandbox.Options{})
		role := w.mustReadRole()
		w.clock.Advance(time.Hour - left)
		p := w.pipeline(w.inAzure)
		c, err := p.Credentials(w.ctx(), ForSDK)
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.Assertion(w.ctx(), c)
		if err != nil || a.Expires.After(c.Expires) || a.Subject != w.box.RoleARN || a.Issuer != sandbox.OutboundIssuer || strings.Join(a.Audience, ",") != federationAudience {
			t.Errorf("with %v left: %v, %+v", left, err, a)
		}
		if renewed := !c.Expires.Equal(role.Expires); renewed != (left < 16*time.Minute) {
			t.Errorf("with %v left: renewed %v", left, renewed)
		}
	}
}

// Cognito's token serves too: one subject for all persons.
func TestAzureViaCognito(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.box.Federate(sandbox.FederatedCredential{Tenant: tenant, ClientID: app, Issuer: "https://cognito-identity.amazonaws.com", Subject: w.box.CognitoSubject(pool, app), Audience: pool})
	w.mustRun()
	w.mustAzureToken(w.viaCognito)
	w.counts(map[string]int{"cognito-identity": 1, "webidentity": 0, "entra": 1})

	w.box.FailCall("cognito-identity", sandbox.STSError{Code: "NotAuthorizedException", Message: "You do not have required role"})
	_, err := w.azureToken(w.viaCognito, func(p *Pipeline) { p.Profile.Azure.CognitoUser = "another" })
	w.failsWith(err, failure.ExitAWS, "may not have a token of the identity pool "+pool)
	w.clock.Advance(time.Second) // whoever waited has gone by now
	_, err = w.azureToken(w.viaCognito, func(p *Pipeline) { p.Profile.Azure.CognitoUser = "another" })
	w.failsWith(err, failure.ExitAWS, "Entra ID does not trust the subject of this token for application "+app+" (AADSTS700213)")
	w.clock.Advance(time.Second)
	w.answerWith("/cognito-identity/", http.StatusOK, `{"Token":"x"}`)
	_, err = w.azureToken(w.viaCognito, func(p *Pipeline) { p.Profile.Azure.CognitoUser = "another" })
	w.failsWith(err, failure.ExitNetwork, "AWS gave no token for Azure that can be used.")
}

// Each refusal in its words, in three lines, with its number.
func TestAzureRefusals(t *testing.T) {
	other := func(change func(*sandbox.FederatedCredential)) func(*world) {
		return func(w *world) {
			c := w.federated()
			change(&c)
			w.box.Federate(c)
		}
	}
	entra := func(code string) func(*world) {
		return func(w *world) {
			w.box.Federate(w.federated())
			w.box.FailCall("entra", sandbox.STSError{Code: code, Message: "Brand new."})
		}
	}
	sts := func(code string) func(*world) {
		return func(w *world) {
			w.box.FailCall("webidentity", sandbox.STSError{Code: code, Status: 403, Message: "No."})
		}
	}
	for _, tt := range []struct {
		name  string
		set   func(*world)
		exit  int
		lines []string // parts, one for each line
		asked int      // Entra ID
	}{
		{"issuer", other(func(c *sandbox.FederatedCredential) { c.Issuer += "/" }), failure.ExitAWS, []string{"(AADSTS700211)",
			"Federated credential of application " + app + ": issuer " + sandbox.OutboundIssuer + ", subject arn:aws:iam::111122223333:role/Developer, audience " + federationAudience, "byte for byte"}, 1},
		{"subject", other(func(c *sandbox.FederatedCredential) { c.Subject = strings.ToLower(c.Subject) }), failure.ExitAWS, []string{"(AADSTS700213)", "subject arn:aws:iam::111122223333:role/Developer", "AADSTS700213: No matching"}, 1},
		{"audience", other(func(c *sandbox.FederatedCredential) { c.Audience = "api://x" }), failure.ExitAWS, []string{"(AADSTS700212)", "audience " + federationAudience, "byte"}, 1},
		{"case", entra("7002138"), failure.ExitAWS, []string{"(AADSTS7002138)", "subject arn:", "upper and lower case"}, 1},
		{"application", other(func(c *sandbox.FederatedCredential) { c.ClientID = "another" }), failure.ExitAWS, []string{"no application " + app, "daypass_azure_client_id", "("}, 1},
		{"tenant", other(func(c *sandbox.FederatedCredential) { c.Tenant = "another" }), failure.ExitAWS, []string{"no tenant " + tenant, "daypass_azure_tenant", "("}, 1},
		{"clock", entra("700024"), failure.ExitAWS, []string{"not valid now", "clock", "Brand new"}, 1},
		{"blocked", entra("53003"), failure.ExitAWS, []string{"(AADSTS53003)", "Brand new", "tenant " + tenant}, 1},
		{"throttled by code", func(w *world) {
			w.box.Federate(w.federated())
			w.box.FailCall("entra", sandbox.STSError{Code: "90055"}, sandbox.STSError{Code: "90055"}, sandbox.STSError{Code: "90055"})
		}, failure.ExitNetwork, []string{"Entra ID cannot give a token now (AADSTS90055", "Try again later"}, 3},
		{"not federated at all", func(w *world) {
			w.box.Set(func(o *sandbox.Options) { o.NoOutboundFederation = true })
		}, failure.ExitAWS, []string{"account 111122223333", "aws iam enable-outbound-web-identity-federation"}, 0},
		{"denied", sts("AccessDenied"), failure.ExitAWS, []string{"role arn:aws:iam::111122223333:role/Developer may not get a token for Azure (AccessDenied: No)", "sts:GetWebIdentityToken"}, 0},
		{"escalation", sts("SessionDurationEscalationException"), failure.ExitAWS, []string{"outlive the session of profile dev", "clock"}, 0},
		{"unheard of", sts("BrandNew"), failure.ExitAWS, []string{"AWS refuses a token for Azure", "in brackets"}, 0},
		{"AWS is down", func(w *world) {
			w.box.FailCall("webidentity", sandbox.STSError{Code: "InternalFailure", Status: 500}, sandbox.STSError{Code: "InternalFailure", Status: 500}, sandbox.STSError{Code: "InternalFailure", Status: 500})
		}, failure.ExitNetwork, []string{"AWS STS cannot help now", "login is kept"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{})
			w.mustRun()
			tt.set(w)
			started := w.clock.Now()
			_, err := w.azureToken()
			w.failsWith(err, tt.exit, tt.lines[0])
			lines := failure.From(err).Lines
			if len(lines) != len(tt.lines) {
				t.Fatalf("%d lines, want %d:\n%v", len(lines), len(tt.lines), err)
			}
			for i, part := range tt.lines {
				if !strings.Contains(lines[i], part) {
					t.Errorf("line %d lacks %q:\n%v", i+1, part, err)
				}
			}
			w.counts(map[string]int{"entra": tt.asked})
			if waited := w.clock.Now().Sub(started); tt.exit == failure.ExitAWS && waited > 0 {
				t.Errorf("it waited %v for what does not pass", waited)
			}
		})
	}
}

// Only the system's certificates vouch for Entra ID.
func TestEntraCannotBeReached(t *testing.T) {
	w := azureWorld(t, sandbox.Options{})
	_, err := w.azureToken(func(p *Pipeline) {
		p.Clouds = roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, errors.New("certificate signed by unknown authority")
		})
	})
	if w.failsWith(err, failure.ExitNetwork, "cannot ask Entra ID for a token: certificate signed by unknown authority."); strings.Contains(err.Error(), "AWS_CA_BUNDLE") {
		t.Error(err)
	}
}

// A federated credential that Entra ID does not know yet is waited for, and not
// without end; what may pass is tried again.
func TestNewFederatedCredential(t *testing.T) {
	w := azureWorld(t, sandbox.Options{})
	unknown := sandbox.STSError{Code: "70021"}
	w.box.FailCall("entra", unknown, unknown, unknown, sandbox.STSError{Status: 429}, unknown)
	w.mustAzureToken()
	w.counts(map[string]int{"entra": 6, "webidentity": 1})

	w = azureWorld(t, sandbox.Options{})
	for range 100 {
		w.box.FailCall("entra", unknown)
	}
	started := w.clock.Now()
	_, err := w.azureToken()
	w.failsWith(err, failure.ExitAWS, "knows no federated credential for this token yet (AADSTS70021, waited 50s)")
	if advice := failure.From(err).Lines[2]; advice != "A new one takes some minutes to work. Repeat your command then." {
		t.Error(advice)
	}
	if waited := w.clock.Now().Sub(started); waited < 40*time.Second || waited > 50*time.Second {
		t.Errorf("waited %v", waited)
	}
}
