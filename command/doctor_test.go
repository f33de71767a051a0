package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/internal/sandbox"
)

// newHealthyLaptop is a laptop with daypass installed, its profile complete and
// somebody logged in.
func newHealthyLaptop(t *testing.T, o sandbox.Options) *laptop {
	t.Helper()
	l := newLaptop(t, o)
	l.write("bin/daypass.exe", "")
	must(t, os.Chmod(l.program(), 0o755))
	l.setLine(l.program() + " process --profile dev")
	l.login()
	return l
}

func (l *laptop) program() string { return filepath.Join(l.home(), "bin", "daypass.exe") }

// setLine sets the credential_process of profile dev.
func (l *laptop) setLine(line string) {
	l.write(".aws/config", l.config()+"credential_process = "+line+"\n")
}

// checkup is what the doctor said.
type checkup struct {
	exit     int
	findings []finding
	text     string // everything that was printed
}

func (l *laptop) doctor(args ...string) checkup {
	l.t.Helper()
	var stdout, stderr bytes.Buffer
	e := l.environment(&stdout, &stderr, append([]string{"doctor", "--profile", "dev", "--json"}, args...)...)
	e.Executable = l.program()
	c := checkup{exit: Run(l.t.Context(), e), text: stdout.String() + stderr.String()}
	if err := json.Unmarshal(stdout.Bytes(), &c.findings); err != nil {
		l.t.Fatalf("%v\n%s", err, c.text)
	}
	if (c.exit == 0) != (stderr.Len() == 0) {
		l.t.Errorf("exit %d, stderr %q", c.exit, stderr.String())
	}
	for _, secret := range l.box.Issued() {
		if strings.Contains(c.text, secret) {
			l.t.Errorf("the doctor prints a secret of %d bytes:\n%s", len(secret), c.text)
		}
	}
	return c
}

func (c checkup) links(state string) []string {
	var links []string
	for _, f := range c.findings {
		if f.State == state {
			links = append(links, f.Link)
		}
	}
	return links
}

func (c checkup) find(link string) finding {
	i := slices.IndexFunc(c.findings, func(f finding) bool { return f.Link == link })
	if i < 0 {
		return finding{}
	}
	return c.findings[i]
}

func TestDoctorFindsNothing(t *testing.T) {
	l := newHealthyLaptop(t, sandbox.Options{IssuerSlash: true})
	records := func() int {
		files, err := os.ReadDir(filepath.Join(l.home(), ".local/state/daypass/items"))
		if err != nil && runtime.GOOS == "linux" {
			t.Fatal(err)
		}
		return len(files)
	}
	before := records()
	c := l.doctor()
	if ok := c.links(stateOK); len(ok) != 16 || len(c.findings) != 16 || c.exit != 0 {
		t.Errorf("exit %d; ok: %q\n%s", c.exit, ok, c.text)
	}
	if records() != before {
		t.Error("a record is left behind")
	}
	for link, part := range map[string]string{
		"login": "taro@example.com", "role": "assumed-role/Developer/taro@example.com", "issuer": l.box.Issuer,
		"claims":  "iss=" + l.box.Issuer + " aud=" + l.box.ClientID + " azp=(none) sub=sandbox|taro alg=RS256",
		"renewal": "renews by itself",
	} {
		if got := c.find(link).Detail; !strings.Contains(got, part) {
			t.Errorf("%s: %q lacks %q", link, got, part)
		}
	}
}

// What the doctor says of a link, apart from what is wrong with it: which flow is used
// and why, whether a fixed port is free, and why a login does not renew.
func TestDoctorTells(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	for _, test := range []struct {
		o     sandbox.Options
		lines string // added to [daypass-idp corp]
		link  string
		state string
		says  string
	}{
		{sandbox.Options{}, "", "flow", stateOK, "device (the provider has a device endpoint): http://127.0.0.1:"},
		{sandbox.Options{}, "flow = browser\n", "flow", stateOK, "browser (the configuration says so), which comes back to http://127.0.0.1/callback"},
		{sandbox.Options{OmitDeviceEndpoint: true}, "", "flow", stateOK, "browser (the provider has no device endpoint), which"},
		{sandbox.Options{OmitDeviceEndpoint: true}, "flow = device\n", "flow", stateBroken, "names no device_authorization_endpoint"},
		{sandbox.Options{OmitAuthorization: true}, "flow = browser\n", "flow", stateBroken, "names no authorization_endpoint"},
		{sandbox.Options{}, "flow = browser\nredirect_uri = http://" + taken.Addr().String() + "/\n", "flow", stateBroken, "nothing can listen on the redirect_uri of [daypass-idp corp] (listen tcp " + taken.Addr().String()},
		{sandbox.Options{NoRefreshToken: true}, "", "renewal", stateOK, "to enable refresh tokens for client daypass-sandbox"},
		{sandbox.Options{}, "scopes = openid email\n", "renewal", stateOK, "The scopes in [daypass-idp corp] lack offline_access"},
		{sandbox.Options{NoRefreshToken: true, Scopes: []string{"openid", "email"}}, "", "renewal", stateOK, "offers no scope offline_access"},
		// Nobody can be asked here, and one day somebody must be.
		{sandbox.Options{NoRefreshToken: true}, "", "prompt", stateBroken, "nobody may be asked (prompt = never)"},
	} {
		l := newLaptop(t, test.o)
		l.write("bin/daypass.exe", "")
		l.write(".aws/config", strings.Replace(l.config(), "storage =", test.lines+"storage =", 1))
		if test.link != "flow" {
			l.login()
		}
		if f := l.doctor().find(test.link); f.State != test.state || !strings.Contains(f.Detail+f.Advice, test.says) {
			t.Errorf("%+v: %+v", test, f)
		}
	}
}

// garbled is a keyring whose items are damaged.
type garbled struct{ absent }

func (g garbled) Get(context.Context, string) ([]byte, error) {
	return nil, &cache.UnreadableError{Where: g.Name(), Err: errors.New("garbled")}
}
func (garbled) Set(context.Context, string, string, []byte) error { return nil }
func (garbled) Remove(context.Context, string) error              { return nil }

// Of a chain in which one thing is broken, the doctor names that thing.
func TestDoctorNamesTheBreak(t *testing.T) {
	down := func(part string) func(*laptop) {
		return func(l *laptop) {
			l.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, part) {
					panic(http.ErrAbortHandler)
				}
				return false
			})
		}
	}
	clock := func(off time.Duration) func(*laptop) {
		return func(l *laptop) {
			l.box.Set(func(o *sandbox.Options) { o.Now = func() time.Time { return l.clock.Now().Add(off) } })
		}
	}
	set := func(change func(*sandbox.Options)) func(*laptop) {
		return func(l *laptop) { l.box.Set(change) }
	}
	for _, test := range []struct {
		name   string
		damage func(*laptop)
		exit   int
		broken []string // links; the first is the break, the others follow from it
		detail string   // part of that link's detail
		advice string   // part of its advice
	}{
		{"no such profile", func(l *laptop) { l.write(".aws/config", "[profile other]\nregion = x\n") }, 2,
			[]string{"configuration"}, "no section [profile dev]", "Set one up: daypass configure"},
		{"wrong issuer slash", func(l *laptop) {
			l.write(".aws/config", strings.Replace(l.config(), "issuer = "+l.box.Issuer, "issuer = "+l.box.Issuer+"/", 1)+
				"credential_process = "+l.program()+" process --profile dev\n")
		}, 2, []string{"issuer", "login", "prompt"}, "set issuer = http://127.0.0.1:", "[daypass-idp corp]"},
		{"no such issuer", func(l *laptop) {
			l.write(".aws/config", strings.Replace(l.config(), "issuer = "+l.box.Issuer, "issuer = "+l.box.URL+"/gone", 1)+
				"credential_process = "+l.program()+" process --profile dev\n")
		}, 2, []string{"issuer", "login", "prompt"}, "there is no discovery document below it", "[daypass-idp corp]"},
		{"no endpoint to log in at", set(func(o *sandbox.Options) { o.OmitDeviceEndpoint, o.OmitAuthorization = true, true }), 2,
			[]string{"flow"}, "names no device_authorization_endpoint", "device_authorization_endpoint in [daypass-idp corp]"},
		{"HS256 tokens", set(func(o *sandbox.Options) { o.Algorithm = "HS256" }), 4,
			[]string{"signing"}, "signs with HS256, which AWS STS does not accept", "RS256 or ES256"},
		{"HS256 tokens on renewal", func(l *laptop) {
			l.box.Set(func(o *sandbox.Options) { o.Algorithm = "HS256" })
			l.clock.Advance(11 * time.Hour)
		}, 4, []string{"signing", "login", "prompt"}, "HS256", ""},
		{"clock 10 minutes behind", clock(10 * time.Minute), 2, []string{"clock"}, "clock is 10m0s behind 127.0.0.1:", "Set the clock"},
		{"clock 10 minutes ahead", clock(-10 * time.Minute), 2, []string{"clock"}, "clock is 10m0s ahead of 127.0.0.1:", "Set the clock"},
		{"stale keys", func(l *laptop) {
			l.write(".aws/credentials", "[dev]\naws_access_key_id = AKIASTALE\naws_secret_access_key = s3cret\n")
		}, 2, []string{"other keys"}, "[dev] has aws_access_key_id, aws_secret_access_key", "Remove them"},
		{"AWS_ACCESS_KEY_ID set", func(l *laptop) { l.env["AWS_ACCESS_KEY_ID"] = "AKIASTALE" }, 2,
			[]string{"other keys"}, "the environment has AWS_ACCESS_KEY_ID", "instead of the profile"},
		{"keyring unreachable", func(l *laptop) {
			// A file where the folder of the items should be.
			state, err := cache.StateDir(func(name string) string { return l.env[name] }, l.home())
			must(l.t, err)
			must(l.t, os.RemoveAll(filepath.Join(state, "items")))
			must(l.t, os.WriteFile(filepath.Join(state, "items"), nil, 0o600))
		}, 7, []string{"keyring", "prompt"}, "is not a folder", ""},
		{"keyring that does not keep its word", func(l *laptop) {
			l.keyrings = []cache.Keyring{garbled{}}
			l.write(".aws/config", strings.Replace(l.read(".aws/config"), "storage = file\n", "", 1))
		}, 7, []string{"keyring", "prompt"}, "the login of corp cannot be read or stored: ", "set storage = file in [daypass-idp corp]"},
		{"session name of a claim that is not there", func(l *laptop) {
			l.write(".aws/config", l.read(".aws/config")+"daypass_session_name = {nobody}\n")
		}, 2, []string{"role"}, `the ID token has no claim "nobody".`, "such as {sub}"},
		{"role denied", func(l *laptop) {
			must(l.t, l.box.Trust(l.box.RoleARN, `{"Statement":{"Effect":"Deny","Principal":"*","Action":"sts:*"}}`))
		}, 5, []string{"role"}, "its trust policy does not match this login", "daypass trust-policy --profile dev"},
		{"provider down", down("/idp"), 6, []string{"provider"}, "cannot reach 127.0.0.1:", "Behind a proxy, set HTTPS_PROXY."},
		{"proxy that is none", func(l *laptop) {
			l.t.Setenv("HTTPS_PROXY", "foo bar")
			l.write(".aws/config", strings.Replace(l.read(".aws/config"), "issuer = "+l.box.Issuer, "issuer = https://corp.invalid", 1))
		}, 6, []string{"provider", "login", "prompt"}, "HTTPS_PROXY is not the address of a proxy", "In a password, write # as %23"},
		{"provider in trouble", func(l *laptop) {
			l.box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, "/idp") {
					w.WriteHeader(http.StatusServiceUnavailable)
					return true
				}
				return false
			})
		}, 6, []string{"provider"}, "does not answer as it should (status 503)", ""},
		{"STS down", down("/sts"), 6, []string{"STS"}, "cannot reach 127.0.0.1:", "AWS_CA_BUNDLE"},
		{"console down", down("/signin"), 6, []string{"console"}, "cannot reach 127.0.0.1:", "AWS_CA_BUNDLE"},
		{"login ended", func(l *laptop) { l.box.EndLogins(); l.clock.Advance(11 * time.Hour) }, 3,
			[]string{"login", "prompt"}, "has ended (invalid_grant)", "daypass login --profile dev"},
		{"browser that is not there", func(l *laptop) { l.env["DAYPASS_PROMPT"], l.env["BROWSER"] = "browser", "no-such-firefox -P x" }, 2,
			[]string{"prompt"}, `the browser would not start ("no-such-firefox -P x": not found in PATH).`, "Correct browser_command in [daypass-idp corp], or BROWSER."},
		{"config file that the AWS CLI refuses", func(l *laptop) { l.write(".aws/config", l.config()+"junk\n") }, 2,
			[]string{"configuration"}, "config: line 13: this is neither a setting nor a section header", "the AWS CLI refuses the whole file"},
		{"credentials file that the AWS CLI refuses", func(l *laptop) { l.write(".aws/credentials", "[dev]\njunk\n") }, 2,
			[]string{"other keys"}, "credentials: line 2: this is neither a setting nor a section header", "the AWS CLI refuses the whole file"},
		{"web identity in the environment", func(l *laptop) { l.env["AWS_ROLE_ARN"], l.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = "x", "y" }, 2,
			[]string{"other keys"}, "the environment has AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE.", "instead of the profile"},
		{"parts in the environment that no SDK takes, never logged in", func(l *laptop) {
			l.env["AWS_ROLE_ARN"], l.env["AWS_SECRET_ACCESS_KEY"], l.env["AWS_SESSION_TOKEN"] = "x", "y", "z"
			l.mustRun("logout", "-p", "dev")
		}, 3,
			[]string{"login", "prompt"}, "needs a login", ""},
		{"never logged in", func(l *laptop) { l.mustRun("logout", "-p", "dev") }, 3,
			[]string{"login", "prompt"}, "needs a login", "daypass login --profile dev"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newHealthyLaptop(t, sandbox.Options{})
			test.damage(l)
			c := l.doctor()
			if diff := cmp.Diff(test.broken, c.links(stateBroken)); diff != "" || c.exit != test.exit {
				t.Errorf("exit %d, want %d; broken: want -, got +:\n%s\n%s", c.exit, test.exit, diff, c.text)
			}
			f := c.find(test.broken[0])
			if !strings.Contains(f.Detail, test.detail) || !strings.Contains(f.Advice, test.advice) || f.Advice == "" || strings.Contains(c.text, ": daypass doctor") {
				t.Errorf("%s: %q, advice %q;\nwant %q and %q", f.Link, f.Detail, f.Advice, test.detail, test.advice)
			}
			if strings.Contains(c.text, "s3cret") || strings.Contains(c.text, "AKIASTALE") {
				t.Errorf("the value of a key is shown:\n%s", c.text)
			}
			// What needs a broken link is not checked, and so is what needs that.
			unsound := slices.Concat(c.links(stateBroken), c.links(stateUnchecked))
			for _, f := range c.findings {
				need, needs := strings.CutPrefix(f.Detail, "needs ")
				need, _, _ = strings.Cut(need, ";")
				if needs && (f.State != stateUnchecked || !slices.Contains(unsound, need)) {
					t.Errorf("%s is %s: %s", f.Link, f.State, f.Detail)
				}
			}
		})
	}
}

func TestDoctorOnTheCredentialProcess(t *testing.T) {
	l := newHealthyLaptop(t, sandbox.Options{})
	program := l.program()
	l.write("bin/other", "")
	l.write("bin/a b", "")
	must(t, os.Chmod(filepath.Join(l.home(), "bin", "other"), 0o755))
	tests := []struct{ line, want string }{
		{"", "has no credential_process"},
		{"daypass process --profile dev", "is not an absolute path"},
		{"bin/daypass.exe process --profile dev", "is not an absolute path"},
		{filepath.Join(l.home(), "bin", "a b") + " process --profile dev", "SDKs end the path at the first space"},
		{`"` + program + `" process --profile dev`, `do not agree on what "`},
		{"'" + program + "' process --profile dev", "do not agree on what '"},
		{program + " process --region $R --profile dev", "do not agree on what $"},
		{program + " process --profile dev | cat", "do not agree on what |"},
		{program + " process --profile dev # mine", "takes the comment"},
		{filepath.Join(l.home(), "bin", "other") + " process --profile dev", "that is another program than this daypass"},
		{filepath.Dir(program) + " process --profile dev", "that can be run"},
		{program + " --profile dev", "does not run daypass process"},
		{program + " process", "does not say --profile"},
	}
	if runtime.GOOS != "windows" {
		tests = append(tests,
			struct{ line, want string }{"~/bin/daypass.exe process --profile dev", "do not agree on what ~"},
			struct{ line, want string }{`/usr\ local/daypass process --profile dev`, `do not agree on what \`},
			struct{ line, want string }{filepath.Join(l.home(), ".aws/config") + " process --profile dev", "that can be run"})
	}
	for _, test := range tests {
		l.setLine(test.line)
		c := l.doctor()
		f := c.find("credential_process")
		if c.exit != 2 || f.State != stateBroken || !strings.Contains(f.Detail, test.want) || !strings.Contains(f.Advice, "credential_process = "+program+" process --profile dev") {
			t.Errorf("%s\nexit %d: %+v\nwant %q", test.line, c.exit, f, test.want)
		}
	}
	for _, line := range []string{program + " process --profile=dev", program + " process --region eu-west-1 -p dev"} {
		l.setLine(line)
		if c := l.doctor(); c.exit != 0 {
			t.Errorf("%s\nexit %d: %+v", line, c.exit, c.find("credential_process"))
		}
	}

	// A name with a space: advice that would break the line is none.
	for line, exit := range map[string]int{program + ` process --profile "my dev"`: 0, program + " process": 2} {
		l.setLine(line)
		l.write(".aws/config", strings.Replace(l.read(".aws/config"), "[profile dev]", `[profile "my dev"]`, 1))
		c := l.doctor("--profile", "my dev")
		f := c.find("credential_process")
		if c.exit != exit || exit != 0 && !strings.HasSuffix(f.Advice, "[profile \"my dev\"]:\ncredential_process = "+program+` process --profile "my dev"`) {
			t.Errorf("%s\nexit %d: %+v", line, c.exit, f)
		}
	}
	l.mustRun("logout", "--profile", "my dev")
	for _, command := range []string{"process", "status", "doctor"} {
		if _, stdout, stderr := l.run(command, "--profile", "my dev"); !strings.Contains(stdout+stderr, `daypass login --profile "my dev"`) {
			t.Errorf("%s advises:\n%s%s", command, stdout, stderr)
		}
	}
}

// As text, it is one line a link, with the advice below.
func TestDoctorText(t *testing.T) {
	l := newHealthyLaptop(t, sandbox.Options{})
	l.env["AWS_ACCESS_KEY_ID"], l.env["AWS_SESSION_TOKEN"] = "x", "y"
	var stdout, stderr bytes.Buffer
	e := l.environment(&stdout, &stderr, "doctor")
	e.Executable = l.program()
	if code := Run(t.Context(), e); code != 2 || stderr.String() != "daypass: broken: other keys.\n" {
		t.Errorf("exit %d, stderr %q", code, stderr.String())
	}
	want := "\nFAIL  other keys          the environment has AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN.\n      SDKs take these instead of the profile.\n      "
	if runtime.GOOS != "windows" {
		want += "Run: unset AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN\nok    keyring "
	}
	if text := stdout.String(); !strings.Contains(text, want) || strings.Count(text, "\n") != 16+2 {
		t.Errorf("want %q in\n%s", want, text)
	}
}
