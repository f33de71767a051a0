package profile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// config is the smallest useful file: one login, one profile.
const config = `
[daypass-idp corp]
issuer    = https://dev-xyz.us.auth0.com/
client_id = J1oXg0

[profile dev]
region             = eu-west-1
credential_process = /usr/local/bin/daypass process --profile dev
daypass_idp        = corp
daypass_role_arn   = arn:aws:iam::111122223333:role/dev
`

// must ends a test whose own steps do not work.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// source is a Source with this config file, these variables and flags.
func source(t testing.TB, text string, env, flags map[string]string) Source {
	t.Helper()
	home := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(home, ".aws"), 0o700))
	must(t, os.WriteFile(filepath.Join(home, ".aws", "config"), []byte(text), 0o600))
	return Source{Getenv: func(name string) string { return env[name] }, Home: home, Flags: flags}
}

func load(t testing.TB, text, name string, env, flags map[string]string) (Profile, error) {
	t.Helper()
	return Load(source(t, text, env, flags), name)
}

// wantError checks what holds of every error: its type, at most two lines, no
// control characters, no secret (hunter2), and each of the parts in it.
func wantError(t testing.TB, err error, parts ...string) *failure.Error {
	t.Helper()
	var e *failure.Error
	if !errors.As(err, &e) || e.Exit != failure.ExitUsage || len(e.Lines) == 0 || len(e.Lines) > 2 {
		t.Fatalf("error = %v (%T), want a *failure.Error with exit 2 and two lines at most", err, err)
	}
	for _, text := range e.Lines {
		if strings.Contains(text, "hunter2") || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("error holds a secret or a control character: %q", text)
		}
	}
	for _, part := range parts {
		if !strings.Contains(e.Error(), part) {
			t.Errorf("error = %q; want %q in it", e.Lines, part)
		}
	}
	return e
}

// anyPort is the default of redirect_uri.
var anyPort = []string{"http://127.0.0.1/callback"}

var plainProfile = Profile{
	Name: "dev",
	IDP: IDP{
		Name: "corp", Issuer: "https://dev-xyz.us.auth0.com/", ClientID: "J1oXg0",
		Flow: "auto", RedirectURIs: anyPort, Storage: "auto", Prompt: "auto", ProcessTimeout: 45 * time.Second,
	},
	RoleARN: "arn:aws:iam::111122223333:role/dev", AccountID: "111122223333", RoleName: "dev", Partition: "aws",
	Region: "eu-west-1", Duration: time.Hour,
}

func compare(t *testing.T, want, got Profile) {
	t.Helper()
	same := cmp.Comparer(func(a, b secret.String) bool { return a.Equal(b) })
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("profile differs (-want +got):\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	got, err := load(t, config, "dev", nil, nil)
	must(t, err)
	compare(t, plainProfile, got)
}

func TestEveryKey(t *testing.T) {
	got, err := load(t, `
[profile deploy]
daypass_idp = corp
daypass_role_arn = arn:aws-us-gov:iam::111122223333:role/team/a/Deploy
daypass_duration = 4h
daypass_session_name = {email}-{https://corp/id}
daypass_policy_arns = arn:aws-us-gov:iam::aws:policy/ReadOnlyAccess, arn:aws-us-gov:iam::111122223333:policy/x/Y
daypass_policy = {
    "Version": "2012-10-17",
    "Statement": []
  }
daypass_sts_endpoint = https://sts.corp.example/aws
daypass_signin_endpoint = http://[::1]:8080/signin
ca_bundle = /etc/profile.pem

[daypass-idp "corp"]
issuer = http://localhost:1234/realms/x
client_id = a b
client_secret = s3cr3t#x
flow = browser
redirect_uri = http://localhost:8400/back   http://[::1]
scopes = openid  email
audience = urn:x
extra_params = resource=a&resource=b&organization=o%20p
device_authorization_endpoint = https://gitlab.example/oauth/authorize_device?x=1
storage = file
prompt = never
browser_command = ~/bin/firefox -P "{profile}" {url}
ca_bundle = ~/corp.pem
process_timeout = 20
support = Ask #it-help, room 7
`, "deploy", map[string]string{
		"AWS_REGION": "us-gov-east-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_CA_BUNDLE": "/etc/aws.pem",
		"AWS_PROFILE": "dev", "AWS_ENDPOINT_URL": "https://evil.example", "AWS_ENDPOINT_URL_STS": "http://localhost",
	}, nil)
	must(t, err)
	browser := got.IDP.BrowserCommand[0]
	if !filepath.IsAbs(got.IDP.CABundle) || filepath.Base(got.IDP.CABundle) != "corp.pem" || !filepath.IsAbs(browser) || filepath.Base(browser) != "firefox" {
		t.Errorf("CABundle = %q, browser %q", got.IDP.CABundle, browser)
	}
	got.IDP.CABundle, got.IDP.BrowserCommand[0] = "", "firefox"
	compare(t, Profile{
		Name: "deploy",
		IDP: IDP{
			Name: "corp", Issuer: "http://localhost:1234/realms/x", ClientID: "a b",
			ClientSecret: secret.New("s3cr3t#x"), Flow: "browser", RedirectURIs: []string{"http://localhost:8400/back", "http://[::1]"}, Scopes: "openid email", Audience: "urn:x",
			ExtraParams:                 "resource=a&resource=b&organization=o%20p",
			DeviceAuthorizationEndpoint: "https://gitlab.example/oauth/authorize_device?x=1",
			Storage:                     "file", Prompt: "never", BrowserCommand: []string{"firefox", "-P", "{profile}", "{url}"},
			ProcessTimeout: 20 * time.Second, Support: "Ask #it-help, room 7",
		},
		RoleARN: "arn:aws-us-gov:iam::111122223333:role/team/a/Deploy", AccountID: "111122223333",
		RoleName: "Deploy", Partition: "aws-us-gov", Region: "us-gov-east-1", Duration: 4 * time.Hour,
		SessionName: "{email}-{https://corp/id}",
		PolicyARNs: []string{
			"arn:aws-us-gov:iam::aws:policy/ReadOnlyAccess", "arn:aws-us-gov:iam::111122223333:policy/x/Y",
		},
		Policy:      `{ "Version": "2012-10-17", "Statement": [] }`,
		STSEndpoint: "https://sts.corp.example/aws", SigninEndpoint: "http://[::1]:8080/signin",
		AWSCABundle: "/etc/aws.pem",
	}, got)
}

func TestFlagsWin(t *testing.T) {
	flags := map[string]string{
		"source": "device", "issuer": "https://other.example", "client-id": "c2", "flow": "device", "redirect-uri": "http://127.0.0.1:8400", "scopes": "openid", "audience": "a", "extra-params": "k=v",
		"device-authorization-endpoint": "https://other.example/d", "storage": "keyring", "prompt": "browser",
		"browser-command": "x {url}", "ca-bundle": "rel.pem", "process-timeout": "30s", "support": "s",
		"idp": "second", "role-arn": "arn:aws:iam::444455556666:role/other", "duration": "900", "session-name": "{sub}",
		"policy-arns": "arn:aws:iam::aws:policy/A", "policy": "{\n\t\"a\": 1\n}", "sts-endpoint": "https://a.example",
		"signin-endpoint": "https://b.example", "region": "us-west-2",
		"source-profile": "", "external-id": "", // see TestChain
		"azure-identity": "",                                                                                                         // see TestSources
		"azure-tenant":   "", "azure-client-id": "", "azure-via": "", "cognito-pool": "", "cognito-provider": "", "cognito-user": "", // see TestAzure
	}
	for _, doc := range Flags() {
		if _, tested := flags[doc.Name]; !tested {
			t.Errorf("flag %s is not tested here", doc.Name)
		}
	}
	if len(flags) != len(Flags()) {
		t.Errorf("%d flags, want %d", len(Flags()), len(flags))
	}
	got, err := load(t, with(inProfile, "ca_bundle = /etc/profile.pem")+"[daypass-idp second]\nclient_secret = x\n", "dev", map[string]string{"AWS_REGION": "us-east-2"}, flags)
	must(t, err)
	compare(t, Profile{
		Name: "dev",
		IDP: IDP{
			Name: "second", Issuer: "https://other.example", ClientID: "c2", ClientSecret: secret.New("x"), Flow: "device", RedirectURIs: []string{"http://127.0.0.1:8400"}, Scopes: "openid",
			Audience: "a", ExtraParams: "k=v", DeviceAuthorizationEndpoint: "https://other.example/d", Storage: "keyring",
			Prompt: "browser", BrowserCommand: []string{"x", "{url}"}, CABundle: "rel.pem", ProcessTimeout: 30 * time.Second, Support: "s",
		},
		RoleARN: "arn:aws:iam::444455556666:role/other", AccountID: "444455556666", RoleName: "other", Partition: "aws",
		Region: "us-west-2", Duration: 15 * time.Minute, SessionName: "{sub}", PolicyARNs: []string{"arn:aws:iam::aws:policy/A"},
		Policy: "{\n\t\"a\": 1\n}", STSEndpoint: "https://a.example", SigninEndpoint: "https://b.example", AWSCABundle: "/etc/profile.pem",
	}, got)
}

// A source needs no client, and its flags are enough where there is no file.
func TestSources(t *testing.T) {
	for value, want := range map[string]IDP{
		"file:~/token":                   {Source: "file:" + filepath.Join(source(t, "", nil, nil).Home, "token")},
		"env:CI_TOKEN":                   {Source: "env:CI_TOKEN"},
		"github-actions":                 {Source: "github-actions", Audience: "sts.amazonaws.com"},
		"gcp-metadata\naudience = x":     {Source: "gcp-metadata", Audience: "x"},
		"azure-imds\naudience = api://a": {Source: "azure-imds", Audience: "api://a", AzureIdentity: "system"},
		"azure-imds\naudience = a\nissuer = https://idp.example\nazure_identity = resource_id:/a b": {Source: "azure-imds", Audience: "a", AzureIdentity: "resource_id:/a b", Issuer: "https://idp.example"},
	} {
		p, err := load(t, sourced(value), "dev", nil, nil)
		if strings.HasPrefix(value, "file:") { // each load has a home of its own
			want.Source, p.IDP.Source = filepath.Base(want.Source), filepath.Base(p.IDP.Source)
		}
		want.Name, want.Storage, want.Prompt, want.ProcessTimeout = "corp", "auto", "auto", 45*time.Second
		want.Flow, want.RedirectURIs = "auto", []string{"http://127.0.0.1/callback"} // they have no meaning here
		if err != nil {
			t.Errorf("%s: %v", value, err)
		}
		compare(t, Profile{IDP: want}, Profile{IDP: p.IDP})
	}
	p, err := Load(Source{Flags: map[string]string{"source": "azure-imds", "audience": "api://a", "azure-identity": "object_id:x", "role-arn": role}}, "")
	if err != nil || p.IDP.Source != "azure-imds" || p.IDP.AzureIdentity != "object_id:x" || p.RoleName != "dev" {
		t.Errorf("from flags: %+v, %v", p, err)
	}
	_, err = load(t, sourced("file:/x\nissuer = https://idp.example"), "dev", map[string]string{"AWS_ENDPOINT_URL_STS": "http://localhost:4566"}, nil)
	wantError(t, err, "AWS_ENDPOINT_URL_STS")
}

func TestFlagsAreEnough(t *testing.T) {
	flags := map[string]string{"issuer": "https://idp.example", "client-id": "c", "role-arn": "arn:aws-cn:iam::111122223333:role/r"}
	nowhere := Source{Flags: flags}
	want := Profile{
		IDP:     IDP{Issuer: "https://idp.example", ClientID: "c", Flow: "auto", RedirectURIs: anyPort, Storage: "auto", Prompt: "auto", ProcessTimeout: 45 * time.Second},
		RoleARN: "arn:aws-cn:iam::111122223333:role/r", AccountID: "111122223333", RoleName: "r", Partition: "aws-cn",
		Duration: time.Hour,
	}
	got, err := Load(nowhere, "")
	must(t, err)
	compare(t, want, got)

	nowhere.Home = t.TempDir() // there is no file in it
	want.Name = "dev"
	if got, err = Load(nowhere, "dev"); err != nil {
		t.Fatal(err)
	}
	compare(t, want, got)
	file, err := Open(nowhere)
	must(t, err)
	if name, err := file.Choose(""); name != "" || err != nil {
		t.Errorf("Choose = %q, %v; want no name", name, err)
	}

	for _, needed := range []string{"issuer", "client-id", "role-arn"} {
		fewer := map[string]string{}
		for flag, value := range flags {
			if flag != needed {
				fewer[flag] = value
			}
		}
		_, err := load(t, config, "", map[string]string{"AWS_PROFILE": "dev"}, fewer)
		wantError(t, err, "--profile")
	}
	// A section for the login and a role as flags need no profile.
	p, err := load(t, config, "", nil, map[string]string{"idp": "corp", "role-arn": flags["role-arn"]})
	if err != nil || p.IDP.ClientID != "J1oXg0" || p.Name != "" || p.AccountID != "111122223333" {
		t.Errorf("Load = %+v, %v", p, err)
	}
}

func TestLoadIDP(t *testing.T) {
	c, err := Open(source(t, config+"client = unknown here, but not in use\n", nil, map[string]string{"prompt": "never"}))
	must(t, err)
	idp, err := c.LoadIDP("corp")
	if err != nil || idp.Name != "corp" || idp.ClientID != "J1oXg0" || idp.Prompt != "never" {
		t.Errorf("LoadIDP = %+v, %v", idp, err)
	}
	_, err = c.LoadIDP("crop")
	wantError(t, err, `"crop"`, "no section [daypass-idp crop]")
	c, err = Open(Source{Home: t.TempDir()})
	must(t, err)
	_, err = c.LoadIDP("corp")
	wantError(t, err, "no section [daypass-idp corp]", "daypass configure")
}

func TestConfigFile(t *testing.T) {
	home := filepath.Join(t.TempDir(), "me")
	for variable, want := range map[string]string{
		"":            filepath.Join(home, ".aws", "config"),
		"/etc/aws":    "/etc/aws",
		"~/x/aws":     filepath.Join(home, "x", "aws"),
		"~":           home,
		"~other/aws":  "~other/aws",
		"rel/~/aws":   "rel/~/aws",
		"$HOME/a/aws": "$HOME/a/aws",
	} {
		src := Source{Home: home, Getenv: func(name string) string {
			return map[string]string{"AWS_CONFIG_FILE": variable}[name]
		}}
		if got := src.ConfigFile(); got != want {
			t.Errorf("AWS_CONFIG_FILE=%q: ConfigFile = %q, want %q", variable, got, want)
		}
	}
	if got := (Source{}).ConfigFile(); got != "" {
		t.Errorf("without a home folder: ConfigFile = %q", got)
	}
	_, err := Load(Source{}, "dev")
	wantError(t, err, "home folder", "AWS_CONFIG_FILE")
}

func TestFilesThatCannotBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	tests := map[string]string{file + "missing": "no such file", os.DevNull: "no section [profile dev]"}
	if runtime.GOOS != "windows" { // where there are no such names
		tests[file+"x\x1b]y\nz"] = "no such file"
		tests[filepath.Join(file, "below a file")] = "cannot be read: not a directory"
	}
	for path, want := range tests {
		_, err := Load(Source{Getenv: func(name string) string {
			return map[string]string{"AWS_CONFIG_FILE": path}[name]
		}}, "dev")
		if e := wantError(t, err, want); len(e.Lines) != 2 {
			t.Errorf("%s: no next step", e)
		}
	}
}

// largeConfig is a file of n profiles with one login.
func largeConfig(n int) string {
	var b strings.Builder
	b.WriteString(config)
	for i := range n {
		name := fmt.Sprintf("team%d", i)
		b.WriteString("\n[profile " + name + "]\nregion = eu-west-1\ndaypass_idp = corp\n" +
			"daypass_role_arn = arn:aws:iam::111122223333:role/" + name + "\n" +
			"credential_process = /usr/local/bin/daypass process --profile " + name + "\n")
	}
	return b.String()
}

const several = `
[daypass-idp corp]
[profile b]
daypass_role_arn = x
daypass_idp = corp
[profile plain]
region = eu-west-1
[profile a]
daypass_idp = other
[profile plain.sub]
[profile a.sub]
[profile c]
daypass_idp = corp # login
`

func TestNames(t *testing.T) {
	tests := map[string]struct {
		text       string
		all, using []string
	}{
		"several":       {several, []string{"b", "a", "c"}, []string{"b", "c"}},
		"none":          {"[profile x]\nregion = a\n", nil, nil},
		"default twice": {"[default]\ndaypass_idp = corp\n[profile default]\ndaypass_idp = corp\n", []string{"default"}, []string{"default"}},
		"default, later one is not ours": {
			"[default]\ndaypass_idp = corp\n[profile default]\nregion = a\n", nil, nil},
		"section twice":                       {"[profile x]\n[profile x]\ndaypass_idp = corp\n", []string{"x"}, []string{"x"}},
		"name that a terminal should not see": {"[profile x\x1b[31m]\ndaypass_idp = corp\n", nil, nil},
	}
	for name, tt := range tests {
		src := source(t, tt.text, nil, nil)
		file, err := Open(src)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all, using := file.Names(), file.NamesUsing("corp")
		if diff := cmp.Diff([][]string{tt.all, tt.using}, [][]string{all, using}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	file, err := Open(source(t, several+"[daypass-idp 'b']\n", nil, nil))
	must(t, err)
	if got := file.NamesUsing(""); got != nil {
		t.Errorf("NamesUsing(\"\") = %q", got)
	}
	if diff := cmp.Diff([]string{"corp", "b"}, file.IDPNames()); diff != "" {
		t.Errorf("IDPNames (-want +got)\n%s", diff)
	}
	if file, err = Open(Source{Home: t.TempDir()}); err != nil || file.Names() != nil {
		t.Errorf("without a file: %v, %v", file, err)
	}
	_, err = Open(source(t, "[x\n", nil, nil))
	wantError(t, err, "line 1")
}

func TestChoose(t *testing.T) {
	one := "[profile plain]\nregion = a\n[profile only]\ndaypass_idp = x\n"
	var many strings.Builder
	for i := range 20 {
		fmt.Fprintf(&many, "[profile p%d]\ndaypass_idp = x\n", i)
	}
	env := map[string]string{"AWS_PROFILE": "from-env"}
	tests := []struct {
		name, text string
		env        map[string]string
		want       string
		parts      []string
	}{
		{"given", several, env, "given", nil},
		{"", several, env, "from-env", nil},
		{"", one, nil, "only", nil},
		{"", several + "[default]\ndaypass_idp = corp\n", nil, "default", nil},
		{"", one + "[default]\nregion = a\n", nil, "only", nil},
		{"", one, map[string]string{"AWS_PROFILE": "", "AWS_DEFAULT_PROFILE": "x"}, "only", nil},
		{"", several, nil, "", []string{"--profile: missing", "b, a, c"}},
		{"", many.String(), nil, "", []string{"one of 20 profiles", "p11 and 8 more"}},
		{"", "[profile plain]\n", nil, "", []string{"uses daypass", "Set one up: daypass configure"}},
	}
	for _, tt := range tests {
		file, err := Open(source(t, tt.text, tt.env, nil))
		must(t, err)
		got, err := file.Choose(tt.name)
		if tt.parts != nil {
			wantError(t, err, tt.parts...)
		} else if got != tt.want || err != nil {
			t.Errorf("Choose(%q) = %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}
