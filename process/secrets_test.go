package process

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// secretsWorld is a world whose clouds keep secrets.
func secretsWorld(t *testing.T) *world {
	t.Helper()
	w := azureWorld(t, sandbox.Options{})
	w.box.PutSecret("eu-west-1", "dev/db", `{"user":"app","password":"p-4711","port":5432,"tls":true,"big":12345678901234567890,"none":null,"list":[{"a/b~c":"deep"}],"nul":"a\u0000b"}`)
	w.box.PutSecret("eu-west-1", "dev/text", "just a text")
	w.box.PutBinarySecret("eu-west-1", "dev/binary")
	w.box.PutSecret("us-east-2", "far", "in ohio")
	w.box.PutParameter("eu-west-1", "/a/b", "p-0815")
	w.box.PutParameter("eu-west-1", "plain", "without a slash")
	w.box.PutVaultSecret(tenant, "corp-kv", "db", "vault value")
	w.box.PutVaultSecret(tenant, "corp-kv", "db/0123456789abcdef0123456789abcdef", "old vault value")
	w.box.PutVaultSecret("7777abcd-0000-4000-8000-000000000000", "other-kv", "db", "of another tenant")
	return w
}

// secrets resolves an environment as daypass exec does.
func (w *world) secrets(environ []string, change ...func(*Pipeline)) ([]string, error) {
	w.t.Helper()
	p := w.pipeline(append([]func(*Pipeline){w.inAzure}, change...)...)
	wanted, err := p.References(environ)
	if err != nil {
		return nil, err
	}
	var c Credentials
	if p.Profile.RoleARN != "" {
		if c, err = p.Credentials(w.ctx(), ForSession); err != nil {
			w.t.Fatal(err)
		}
	}
	return p.Secrets(w.ctx(), wanted, c)
}

func TestSecrets(t *testing.T) {
	w := secretsWorld(t)
	if got, err := w.secrets([]string{"A=b", "URL=https://example.com/"}); err != nil || got != nil {
		t.Errorf("nothing to resolve: %q, %v", got, err)
	}
	w.counts(map[string]int{"secretsmanager": 0, "entra": 0})
	// Throttling and server errors pass.
	w.box.FailCall("secretsmanager", sandbox.STSError{Code: "ThrottlingException"}, sandbox.STSError{Code: "InternalServiceError", Status: 500})
	w.box.FailCall("keyvault", sandbox.STSError{Code: "Throttled", Status: 429}, sandbox.STSError{Code: "Busy", Status: 503})
	got, err := w.secrets([]string{
		"PATH=/bin", "URL=https://example.com/#x", "OP=op://vault/item", "EMPTY=", "MINE=ref+mine",
		"A=awssecrets://dev/text", "B=ref+awssecrets://dev/db#password", "C=awssecrets://dev/db#port", "D=awssecrets://dev/db#tls",
		"E=awssecrets://dev/db#/list/0/a~1b~0c", "F=awssecrets://dev/db#big",
		"G=awssecrets://arn:aws:secretsmanager:us-east-2:111122223333:secret:far-AbCdEf",
		"H=awsssm:///a/b", "I=ref+awsssm://a/b", "J=awsssm://plain",
		"K=azurekeyvault://corp-kv/db", "L=azurekeyvault://CORP-kv/db/0123456789abcdef0123456789abcdef", "M=azurekeyvault://corp-kv/db",
	})
	want := []string{
		"A=just a text", "B=p-4711", "C=5432", "D=true", "E=deep", "F=12345678901234567890", "G=in ohio",
		"H=p-0815", "I=p-0815", "J=without a slash", "K=vault value", "L=old vault value", "M=vault value",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%q, want\n%q", err, got, want)
	}
	// Equal ones once; the token of Key Vault once.
	w.counts(map[string]int{"secretsmanager": 5, "ssm": 2, "keyvault": 4, "entra": 1, "webidentity": 1, "sts": 1})
}

// What can be told without asking is told without asking.
func TestReferencesOutOfReach(t *testing.T) {
	w := secretsWorld(t)
	for _, tt := range []struct {
		value, first string
		change       func(*Pipeline)
	}{
		{value: "ref+op://a/b", first: "DB: this reference to a secret cannot be followed: ref+ must be followed by"},
		{value: "awssecrets://dev/db?region=x", first: "it may not have parameters (?)"},
		{value: "awssecrets://", first: "no secret after awssecrets://"},
		{value: "azurekeyvault://evil.example/x", first: `"evil.example" is not a vault`},
		{value: "azurekeyvault://corp-kv/db", first: "DB: profile dev does not say how to sign in to Azure", change: func(p *Pipeline) { p.Profile.Azure.Via = "" }},
		{value: "awssecrets://dev/db", first: "DB: no region is set in which AWS could look for awssecrets://dev/db", change: func(p *Pipeline) { p.Profile.Region = "" }},
		{value: "awssecrets://dev/db", first: "DB: no region is set", change: func(p *Pipeline) { p.Profile.Region = "aws-global" }},
		{value: "awssecrets://dev/db", first: "DB: a secret of AWS needs a role, and profile vm has none", change: w.onVM},
		{value: "awssecrets://arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:x", first: "partition aws-cn of", change: func(*Pipeline) {}},
	} {
		if tt.change == nil {
			tt.change = func(*Pipeline) {}
		}
		before := w.box.Count("")
		_, err := w.secrets([]string{"DB=" + tt.value}, tt.change)
		w.failsWith(err, failure.ExitUsage, tt.first)
		if w.box.Count("") != before {
			t.Errorf("%s: somebody was asked", tt.value)
		}
	}
}

// Each refusal names the variable and the secret, with the cloud's words and never
// with a value.
func TestSecretRefusals(t *testing.T) {
	fail := func(service string, status int, code string) func(*world) {
		return func(w *world) {
			w.box.FailCall(service, sandbox.STSError{Code: code, Status: status, Message: "In the cloud's words."})
		}
	}
	thrice := func(service string, status int, code string) func(*world) {
		return func(w *world) {
			for range 3 {
				fail(service, status, code)(w)
			}
		}
	}
	const refused, network = failure.ExitAWS, failure.ExitNetwork
	for _, tt := range []struct {
		name, value string
		set         func(*world)
		exit        int
		first       string
	}{
		{"missing", "awssecrets://nope", nil, refused, "DB: AWS knows nothing of the secret nope in eu-west-1 (ResourceNotFoundException: Secrets Manager can't find"},
		{"in another region", "awssecrets://far", nil, refused, "nothing of the secret far in eu-west-1"},
		{"binary", "awssecrets://dev/binary", nil, refused, "DB: the secret dev/binary in eu-west-1 holds binary data, not text"},
		{"no JSON", "awssecrets://dev/text#a", nil, refused, "DB: the secret awssecrets://dev/text cannot be used: it is not JSON"},
		{"no key", "awssecrets://dev/db#nope", nil, refused, `it has no key "nope"`},
		{"no pointer", "awssecrets://dev/db#/list/1/x", nil, refused, `it has no key "/list/1/x"`},
		{"null", "awssecrets://dev/db#none", nil, refused, `its key "none" is null`},
		{"object", "awssecrets://dev/db#list", nil, refused, `its key "list" is not text`},
		{"NUL", "awssecrets://dev/db#nul", nil, refused, "NUL character"},
		{"denied", "awssecrets://dev/text", fail("secretsmanager", 400, "AccessDeniedException"), refused, "DB: the role of profile dev may not have the secret dev/text in eu-west-1 (AccessDeniedException: In the cloud's words)"},
		{"not decrypted", "awssecrets://dev/text", fail("secretsmanager", 400, "DecryptionFailure"), refused, "AWS cannot decrypt the secret dev/text"},
		{"deleted", "awssecrets://dev/text", fail("secretsmanager", 400, "InvalidRequestException"), refused, "AWS refuses the secret dev/text in eu-west-1 (InvalidRequestException: In the cloud's words)"},
		{"clock", "awssecrets://dev/text", fail("secretsmanager", 400, "InvalidSignatureException"), refused, "does not accept the signature"},
		{"throttled", "awssecrets://dev/text", thrice("secretsmanager", 400, "ThrottlingException"), network, "AWS cannot give the secret dev/text in eu-west-1 now (ThrottlingException"},
		{"down", "awsssm://plain", thrice("ssm", 503, ""), network, "AWS cannot give the parameter plain in eu-west-1 now"},
		{"no parameter", "awsssm://nope", nil, refused, "nothing of the parameter nope in eu-west-1 (ParameterNotFound)"},
		{"no vault", "azurekeyvault://nope/db", nil, network, "DB: cannot ask nope.vault.azure.net for the secret db: "},
		{"no vault secret", "azurekeyvault://corp-kv/nope", nil, refused, "DB: corp-kv.vault.azure.net knows nothing of the secret nope (SecretNotFound"},
		{"vault of another tenant", "azurekeyvault://other-kv/db", nil, refused, "DB: other-kv.vault.azure.net does not accept the token of profile dev (Unauthorized"},
		{"forbidden", "azurekeyvault://corp-kv/db", fail("keyvault", 403, "Forbidden/ForbiddenByRbac"), refused, "profile dev may not read the secret db in corp-kv.vault.azure.net (Forbidden"},
		{"disabled", "azurekeyvault://corp-kv/db", fail("keyvault", 403, "Forbidden/SecretDisabled"), refused, "the secret db in corp-kv.vault.azure.net is disabled"},
		{"vault's firewall", "azurekeyvault://corp-kv/db", fail("keyvault", 403, "Forbidden/ForbiddenByFirewall"), refused, "the firewall of corp-kv.vault.azure.net"},
		{"vault throttled", "azurekeyvault://corp-kv/db", thrice("keyvault", 429, "Throttled"), network, "corp-kv.vault.azure.net cannot give the secret db now (Throttled"},
		{"the first of several", "awsssm:///a/b B=awssecrets://nope C=azurekeyvault://corp-kv/nope", nil, refused, "B: AWS knows nothing of the secret nope"},
		{"no token", "azurekeyvault://corp-kv/db", fail("entra", 400, "700016"), refused, "DB: there is no application " + app},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := secretsWorld(t)
			if tt.set != nil {
				tt.set(w)
			}
			got, err := w.secrets(strings.Fields("DB=" + tt.value))
			w.failsWith(err, tt.exit, tt.first)
			if got != nil {
				t.Errorf("%d values came along", len(got))
			}
			for _, issued := range w.box.Issued() {
				if len(issued) > 4 && strings.Contains(err.Error(), issued) {
					t.Errorf("a secret is in %v", err)
				}
			}
			if tt.name == "vault of another tenant" && !strings.Contains(err.Error(), "The vault is in tenant 7777abcd-0000-4000-8000-000000000000.") {
				t.Errorf("the tenant is not named: %v", err)
			}
		})
	}
}

// They are asked for side by side.
func TestSecretsSideBySide(t *testing.T) {
	w := secretsWorld(t)
	var here sync.WaitGroup
	here.Add(sideBySide)
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/secretsmanager/") {
			here.Done()
			here.Wait() // returns if all are here at once
		}
		return false
	})
	var environ []string
	for i := range sideBySide {
		w.box.PutSecret("eu-west-1", fmt.Sprint("s", i), fmt.Sprint("value ", i))
		environ = append(environ, fmt.Sprintf("V%d=awssecrets://s%d", i, i))
	}
	if got, err := w.secrets(environ); err != nil || len(got) != sideBySide || got[3] != "V3=value 3" {
		t.Errorf("%q, %v", got, err)
	}
}

// Ctrl-C is about no variable.
func TestSecretsInterrupted(t *testing.T) {
	w := secretsWorld(t)
	ctx, interrupt := context.WithCancel(t.Context())
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/secretsmanager/") {
			interrupt()
			<-r.Context().Done()
		}
		return false
	})
	p := w.pipeline(w.inAzure)
	wanted, err := p.References([]string{"DB=awssecrets://dev/text"})
	must(t, err)
	if _, err = p.Secrets(ctx, wanted, w.mustRun()); err == nil || err.Error() != "interrupted." {
		t.Error(err)
	}
}

// A managed identity's token is for all of a resource.
func TestScopeOfAManagedIdentity(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	_, err := w.pipeline(w.onVM).AzureToken(w.ctx(), "https://vault.azure.net/secrets.read")
	w.failsWith(err, failure.ExitUsage, "a managed identity has no token for the scope")
}
