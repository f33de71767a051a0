package process

import (
	"cmp"
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/azure"
	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/profile"
)

// workloadWorld is a machine on which nobody logs in, with a token in a file and in
// a variable.
type workloadWorld struct {
	*world
	env    map[string]string
	bundle string // trusts GitHub's endpoint
	file   string
}

func newWorkload(t *testing.T, platforms ...string) *workloadWorld {
	t.Helper()
	w := &workloadWorld{world: newWorld(t, sandbox.Options{}), env: map[string]string{}}
	w.person, w.answer = Person{}, nil
	gitHub := httptest.NewTLSServer(w.box.Handler())
	t.Cleanup(gitHub.Close)
	w.bundle, w.file = filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "token")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: gitHub.Certificate().Raw})
	must(t, os.WriteFile(w.bundle, authority, 0o600))
	for _, platform := range platforms {
		for name, value := range w.box.WorkloadEnvironment(platform, gitHub.URL) {
			w.env[name] = value
		}
	}
	w.put(nil)
	return w
}

// put gives the file and the variable a new token, with these claims over the usual.
func (w *workloadWorld) put(change map[string]any) {
	w.t.Helper()
	claims := map[string]any{
		"iss": w.box.Issuer, "aud": w.box.ClientID, "sub": "system:serviceaccount:ci:deploy",
		"iat": w.clock.Now().Unix(), "exp": w.clock.Now().Add(time.Hour).Unix(),
	}
	for name, value := range change {
		claims[name] = value
	}
	token, err := w.box.WorkloadToken(claims)
	must(w.t, err)
	w.putText(token + "\n")
}

func (w *workloadWorld) putText(text string) {
	w.t.Helper()
	w.env["CI_TOKEN"] = text
	must(w.t, os.WriteFile(w.file, []byte(text), 0o600))
}

// from has a pipeline get its tokens from a source.
func (w *workloadWorld) from(source, identity string) func(*Pipeline) {
	return func(p *Pipeline) {
		i := &p.Profile.IDP
		i.Source, i.AzureIdentity, i.Issuer, i.ClientID = source, identity, "", ""
		switch source {
		case "file":
			i.Source = "file:" + w.file
		case "azure-imds":
			i.Audience = sandbox.AppIDURI
		case "github-actions":
			i.Audience, i.CABundle = "sts.amazonaws.com", w.bundle
		case "gcp-metadata":
			i.Audience = "sts.amazonaws.com"
		}
		p.Getenv = func(name string) string { return w.env[name] }
	}
}

// trusted has the role trust what daypass trust-policy prints for the source, and
// nothing else.
func (w *workloadWorld) trusted(source, identity string) string {
	w.t.Helper()
	policy, err := w.pipeline(w.from(source, identity)).TrustPolicy(w.t.Context(), "")
	must(w.t, err)
	must(w.t, w.box.Trust(w.box.RoleARN, string(policy.Document)))
	return string(policy.Document)
}

// A role from each source: one request for a token and one to STS, however many ask
// at once, then none until it is renewed; and its trust policy pins who asked.
func TestRoleFromEachSource(t *testing.T) {
	t.Parallel()
	const system, user = sandbox.SystemObjectID, sandbox.UserObjectID
	azure := func(sub string) []string {
		return []string{`"sts.windows.net/72f988bf-0000-4000-8000-2d7cd011db47/:aud": "api://daypass-aws"`, `/:sub": "` + sub + `"`}
	}
	for _, c := range []struct {
		source, identity, platform string
		policy                     []string
	}{
		{"file", "", "", []string{`:aud": "daypass-sandbox"`, `:sub": "system:serviceaccount:ci:deploy"`}},
		{"env:CI_TOKEN", "", "", []string{`:sub": "system:serviceaccount:ci:deploy"`}},
		{"github-actions", "", "github-actions", []string{`oidc-provider/token.actions.githubusercontent.com"`,
			`.com:aud": "sts.amazonaws.com"`, `.com:sub": "repo:octo-org/octo-repo:ref:refs/heads/main"`}},
		{"gcp-metadata", "", "gcp-metadata", []string{`"Federated": "accounts.google.com"`, `.com:aud": "107517467455664443765"`,
			`.com:oaud": "sts.amazonaws.com"`, `.com:sub": "107517467455664443765"`}},
		{"azure-imds", "system", "azure-imds", azure(system)},
		{"azure-imds", "client_id:" + sandbox.UserClientID, "azure-imds", azure(user)},
		{"azure-imds", "object_id:" + user, "azure-imds", azure(user)},
		{"azure-imds", "resource_id:" + sandbox.UserResourceID, "azure-imds", azure(user)},
		{"azure-imds", "system", "app-service", azure(system)},
		{"azure-imds", "client_id:" + sandbox.UserClientID, "app-service", azure(user)},
		{"azure-imds", "object_id:" + user, "app-service", azure(user)},
		{"azure-imds", "resource_id:" + sandbox.UserResourceID, "app-service", azure(user)},
	} {
		t.Run(c.source+"/"+c.platform+"/"+c.identity, func(t *testing.T) {
			w := newWorkload(t, c.platform)
			document := w.trusted(c.source, c.identity)
			for _, part := range c.policy {
				if !strings.Contains(document, part) {
					t.Errorf("the trust policy lacks %s:\n%s", part, document)
				}
			}
			from, endpoint := w.from(c.source, c.identity), cmp.Or(c.platform, "no endpoint")
			asked := w.box.Count(endpoint)
			for _, err := range w.storm(20, from) {
				if err != nil {
					t.Fatal(err)
				}
			}
			tokens := min(1, asked) // a file is no endpoint
			w.counts(map[string]int{endpoint: asked + tokens, "sts": 1})
			w.clock.Advance(50 * time.Minute)
			w.put(nil)
			w.mustRun(from)
			w.counts(map[string]int{endpoint: asked + 2*tokens, "sts": 2, "discovery": 0, "device": 0})
			s := w.pipeline(from).Status(t.Context())
			if s.Source != w.pipeline(from).Profile.IDP.Source || s.Login != nil || s.NeedsPerson || s.Credentials == nil {
				t.Errorf("status: %+v", s)
			}
			if items := w.ring.(*memory).items; len(items) != 1 {
				t.Errorf("%d items are kept, want the key alone", len(items))
			}
			if out, err := w.pipeline(from).Logout(t.Context()); err != nil || !out.Found || len(w.ring.(*memory).items) != 0 {
				t.Errorf("logout: %+v, %v", out, err)
			}
			if w.shown != nil || w.told != nil {
				t.Errorf("somebody was asked: %v, %v", w.shown, w.told)
			}
		})
	}
}

// What is wrong with a source is said without asking STS, in three lines at most,
// and with the place to mend.
func TestSourceFaults(t *testing.T) {
	t.Parallel()
	const usage, network, refused = failure.ExitUsage, failure.ExitNetwork, failure.ExitAWS
	answers := func(path string, status int, body string) func(*workloadWorld) {
		return func(w *workloadWorld) { w.answerWith(path, status, body) }
	}
	unset := func(name string) func(*workloadWorld) { return func(w *workloadWorld) { delete(w.env, name) } }
	text := func(text string) func(*workloadWorld) { return func(w *workloadWorld) { w.putText(text) } }
	for _, c := range []struct {
		name, source, platform string
		set                    func(*workloadWorld)
		exit                   int
		first                  string
	}{
		{"no file", "file", "", func(w *workloadWorld) { _ = os.Remove(w.file) }, usage, "no such file"},
		{"a folder", "file", "", func(w *workloadWorld) { w.file = filepath.Dir(w.file) }, usage, "it is not a regular file"},
		{"endless file", "file", "", func(w *workloadWorld) { w.file = "/dev/zero" }, usage, "it is not a regular file"},
		{"huge file", "file", "", text(strings.Repeat("x", 70<<10)), usage, "it has 66560 bytes, more than 65536"},
		{"malformed file", "file", "", text("hunter2.hunter2"), usage, "not a signed JSON Web Token"},
		{"expired file", "file", "", func(w *workloadWorld) { w.clock.Advance(time.Hour) }, usage, "it expired at 2026-11-22T10:00:00Z"},
		{"unset variable", "env:CI_TOKEN", "", unset("CI_TOKEN"), usage, "the variable CI_TOKEN is not set"},
		{"job without permission", "github-actions", "github-actions", unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN"), usage, "it lacks a permission"},
		{"not https", "github-actions", "github-actions", func(w *workloadWorld) { w.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = w.box.URL + "/github/token" }, usage, "is not an https address"},
		{"job's token is wrong", "github-actions", "github-actions", func(w *workloadWorld) { w.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "another" }, refused, "status 401: Unauthorized"},
		{"job's answer is a page", "github-actions", "github-actions", answers("/github/token", 200, "<html>"), network, "it is not JSON"},
		{"clock is slow", "github-actions", "github-actions", func(w *workloadWorld) {
			at := w.clock.Now().Add(-11 * time.Minute)
			w.box.Set(func(o *sandbox.Options) { o.Now = func() time.Time { return at } })
		}, network, "it expired at"},
		{"no identity", "azure-imds", "azure-imds", answers("/oauth2/token", 400, `{"error":"invalid_request","error_description":"Identity not found"}`), refused, "status 400: invalid_request: Identity not found"},
		{"no token", "azure-imds", "azure-imds", answers("/oauth2/token", 200, `{"expires_on":"1"}`), network, "it holds no token that can be used"},
		{"redirect", "azure-imds", "azure-imds", answers("/oauth2/token", 302, ""), network, "status 302"},
		{"wrong header", "azure-imds", "app-service", func(w *workloadWorld) { w.env["IDENTITY_HEADER"] = "another" }, refused, "status 401: The X-IDENTITY-HEADER is missing"},
		{"endpoint elsewhere", "azure-imds", "app-service", func(w *workloadWorld) { w.env["IDENTITY_ENDPOINT"] = "http://192.0.2.1/msi" }, usage, `IDENTITY_ENDPOINT "http://192.0.2.1/msi" is not`},
		{"authority elsewhere", "azure-imds", "", func(w *workloadWorld) { w.env["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = "https://192.0.2.1" }, usage, "AZURE_POD_IDENTITY_AUTHORITY_HOST"},
		{"no service account", "gcp-metadata", "gcp-metadata", answers("/identity", 404, "not found"), refused, "refuses to give a token (status 404: not found)"},
		{"server elsewhere", "gcp-metadata", "", func(w *workloadWorld) { w.env["GCE_METADATA_HOST"] = "metadata.example" }, usage, `GCE_METADATA_HOST "metadata.example"`},
		{"not a token", "gcp-metadata", "gcp-metadata", answers("/identity", 200, "welcome"), network, "the ID token from Google's metadata server cannot be used"},
		{"too large", "gcp-metadata", "gcp-metadata", answers("/identity", 200, strings.Repeat("x", 300<<10)), network, "it has 307200 bytes, more than 65536"},
		{"repeats the job's token", "github-actions", "github-actions", func(w *workloadWorld) {
			answers("/github/token", 400, `{"message":"you sent `+w.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]+`"}`)(w)
		}, refused, "refuses to give a token (status 400)"},
		{"repeats the app's secret", "azure-imds", "app-service", func(w *workloadWorld) {
			answers("/msi/token", 400, "you sent "+w.env["IDENTITY_HEADER"])(w)
		}, refused, "refuses to give a token (status 400)"},
		{"down", "gcp-metadata", "gcp-metadata", answers("/identity", 503, "try again"), network, "cannot give a token now (status 503: try again)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "endless file" && runtime.GOOS == "windows" {
				t.Skip("Windows has no /dev/zero")
			}
			w := newWorkload(t, c.platform)
			if c.set != nil {
				c.set(w)
			}
			err := w.fails(c.exit, c.first, w.from(c.source, "system"))
			w.counts(map[string]int{"sts": 0})
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "{") {
				t.Errorf("it says: %v", err)
			}
		})
	}
}

// A file that is just being written anew is looked at again.
func TestTokenFileIsReplaced(t *testing.T) {
	t.Parallel()
	for name, until := range map[string]func(*workloadWorld){
		"truncated": func(w *workloadWorld) { w.putText("") },
		"half":      func(w *workloadWorld) { w.putText(w.env["CI_TOKEN"][:40]) },
		"removed":   func(w *workloadWorld) { _ = os.Remove(w.file) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkload(t)
			until(w)
			w.mustRun(w.from("file", ""), func(p *Pipeline) {
				p.Sleep = func(context.Context, time.Duration) error { w.put(nil); return nil }
			})
		})
	}
}

// The issuer need not be set. If it is, another one's token goes nowhere.
func TestSourceIssuerIsCompared(t *testing.T) {
	t.Parallel()
	w := newWorkload(t)
	from := w.from("file", "")
	named := func(issuer string) func(*Pipeline) {
		return func(p *Pipeline) { from(p); p.Profile.IDP.Issuer = issuer }
	}
	w.put(map[string]any{"iss": "x\x1b[2J" + strings.Repeat("y", 9000)}) // whatever it says is quoted and bounded
	if err := w.fails(failure.ExitUsage, `its issuer is "x\x1b[2Jyyy`, named(w.box.Issuer)); len(failure.From(err).Lines[0]) > 400 {
		t.Error(err)
	}
	w.counts(map[string]int{"sts": 0})
	w.box.FailSTS(sandbox.STSError{Code: "InvalidIdentityToken", Message: "thumbprint"})
	if err := w.fails(failure.ExitAWS, "AWS does not trust the certificate of x", from); len(err.Error()) > 1000 {
		t.Errorf("%d bytes: %.200s", len(err.Error()), err)
	}
	w.put(nil)
	w.mustRun(named(w.box.Issuer))
}

// When STS refuses, an admin reads whose token it was.
func TestSTSRefusesASource(t *testing.T) {
	t.Parallel()
	w := newWorkload(t)
	w.put(map[string]any{"sub": "somebody else", "aud": "another"})
	err := w.fails(failure.ExitAWS, "does not accept client another", w.from("file", ""))
	if want := "Login: iss=" + w.box.Issuer + " aud=another azp=(none) sub=somebody else request="; !strings.Contains(err.Error(), want) {
		t.Errorf("it says:\n%v\nwithout %s", err, want)
	}
	// Of several audiences, the policy names one.
	w.clock.Advance(time.Second)
	w.put(map[string]any{"aud": []string{w.box.ClientID, "another"}})
	w.trusted("file", "")
	w.mustRun(w.from("file", ""))
	from, spoke := w.from("file", ""), w.spoke("spoke")
	w.answerChained(nil, sandbox.STSError{Code: "PackedPolicyTooLarge"})
	if err := w.fails(failure.ExitAWS, "AWS does not accept the session policy", from, spoke); !strings.Contains(err.Error(), "the tags that the file \""+w.file+"\" puts into the token.") {
		t.Error(err)
	}
}

// A container has no keyring, and perhaps no folder to write to. Everything else
// works, and each process asks anew.
func TestSourceWithoutStorage(t *testing.T) {
	t.Parallel()
	broken := map[string]func(*workloadWorld) func(*Pipeline){
		"no keyring": func(w *workloadWorld) func(*Pipeline) { return w.failing("get key").with(w.world) },
		"keyring lost": func(w *workloadWorld) func(*Pipeline) {
			w.mustRun(w.from("file", ""))
			return w.failing("get key").with(w.world)
		},
		"key not kept": func(w *workloadWorld) func(*Pipeline) { return w.failing("set key").with(w.world) },
		"no folder": func(w *workloadWorld) func(*Pipeline) {
			w.dir = filepath.Join(os.DevNull, "daypass")
			return func(p *Pipeline) {}
		},
	}
	for name, breaks := range broken {
		t.Run(name, func(t *testing.T) {
			w := newWorkload(t)
			broken, from := breaks(w), w.from("file", "")
			before := w.box.Count("sts")
			for range 2 {
				w.mustRun(from, broken)
			}
			w.counts(map[string]int{"sts": before + 2})
			if s := w.pipeline(from, broken).Status(t.Context()); s.Problem != "" || s.NeedsPerson {
				t.Errorf("status: %+v", s)
			}
		})
	}
}

// What one job was given is not for the next one on the same machine, whose token
// AWS might refuse.
func TestJobsDoNotShareCredentials(t *testing.T) {
	t.Parallel()
	w := newWorkload(t, "github-actions")
	for _, source := range []string{"github-actions", "env:CI_TOKEN"} {
		w.put(nil)
		w.trusted(source, "")
		w.mustRun(w.from(source, ""))
		w.put(map[string]any{"aud": "another"})
		w.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "another"
		w.fails(failure.ExitAWS, "", w.from(source, ""))
	}

	// Nor is what one job was refused for the next that has waited for it.
	w.clock.Advance(time.Second)
	started := w.clock.Now()
	w.fails(failure.ExitAWS, "does not accept client another", w.from("env:CI_TOKEN", ""))
	w.put(nil)
	_, err := w.pipeline(w.from("env:CI_TOKEN", "")).renewedRole(w.ctx(), started, ForSDK, asking, nil, cache.ErrMiss)
	must(t, err)
}

// Old credentials serve while a source is down, a signal ends the wait, and those that
// waited for one that has failed do not try again.
func TestSourceIsDown(t *testing.T) {
	t.Parallel()
	w := newWorkload(t, "gcp-metadata")
	w.trusted("gcp-metadata", "")
	from := w.from("gcp-metadata", "")
	old := w.mustRun(from)
	w.clock.Advance(50 * time.Minute)
	w.answerWith("/identity", http.StatusServiceUnavailable, "down")
	if again := w.mustRun(from); again.AccessKeyID != old.AccessKeyID {
		t.Error("the old credentials were not served")
	}
	w.clock.Advance(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	w.during("/identity", cancel)
	_, err := w.pipeline(from).Credentials(ctx, ForSDK)
	if f := failure.From(err); f.Exit != failure.ExitInterrupt {
		t.Errorf("after a signal: exit %d, %v", f.Exit, err)
	}
	w.answerWith("/identity", http.StatusServiceUnavailable, "down")
	asked := w.box.Count("gcp-metadata")
	for _, err := range w.storm(20, from) {
		w.failsWith(err, failure.ExitNetwork, "Google's metadata server cannot give a token now")
	}
	w.counts(map[string]int{"gcp-metadata": asked + 6})
}

// Two profiles of one source that begin at once share the key.
func TestProfilesOfASourceBeginAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorkload(t)
	errs := make(chan error)
	for i := range 8 {
		go func() {
			_, err := w.pipeline(w.from("file", ""), func(p *Pipeline) { p.Profile.Duration = time.Duration(20+i) * time.Minute }).Credentials(w.ctx(), ForSDK)
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if names, err := w.pipeline(w.from("file", "")).Kept.Sealed(); err != nil || len(names) != 8 {
		t.Errorf("kept: %v, %v", names, err)
	}
}

// No proxy leads to the metadata services of a machine, nor is one of a section's
// certificates for them: also where GitHub's job gets the role on a machine of Azure's.
func TestMetadataGoesThroughNoProxy(t *testing.T) {
	w := newWorkload(t, "github-actions", "azure-imds")
	for source, want := range map[string]bool{"gcp-metadata": false, "azure-imds": false, "github-actions": true} {
		transport, err := w.pipeline(w.from(source, "")).metadata(source)
		must(t, err)
		if (transport.Proxy != nil) != want {
			t.Errorf("%s: through a proxy: %v, want %v", source, !want, want)
		}
	}
	w.bundle = "/no/such/bundle"
	_, err := w.pipeline(w.from("github-actions", ""), func(p *Pipeline) { p.Profile.Azure = profile.Azure{Via: profile.ViaIMDS, Identity: "system"} }).AzureToken(w.ctx(), azure.VaultScope)
	must(t, err)
}

// Where nothing can be kept, a token for Key Vault needs another token of the source
// while secrets of AWS are asked for.
func TestSecretsWithoutStorage(t *testing.T) {
	w := newWorkload(t)
	w.box.Federate(w.federated())
	w.box.PutVaultSecret(tenant, "corp-kv", "db", "of Azure")
	environ := []string{"V=azurekeyvault://corp-kv/db"}
	for i := range 2 * sideBySide {
		w.box.PutSecret("eu-west-1", fmt.Sprint("s", i), "of AWS")
		environ = append(environ, fmt.Sprintf("V%d=awssecrets://s%d", i, i))
	}
	if got, err := w.secrets(environ, w.from("file", ""), w.failing("get key").with(w.world), func(p *Pipeline) { p.Getenv, p.Profile.IDP.Issuer = w.getenv, w.box.Issuer }); err != nil || len(got) != len(environ) {
		t.Errorf("%q, %v", got, err)
	}
}
