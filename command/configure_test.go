package command

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

// newBareLaptop is a laptop on which nothing is configured, with daypass
// installed in ~/bin.
func newBareLaptop(t *testing.T, o sandbox.Options) *laptop {
	t.Helper()
	l := newLaptop(t, o)
	must(t, os.RemoveAll(filepath.Join(l.home(), ".aws")))
	l.env["AWS_ENDPOINT_URL_STS"] = l.box.STSEndpoint
	l.write(filepath.Join("bin", executableName()), "")
	return l
}

func (l *laptop) installed() string {
	return filepath.Join(l.home(), "bin", executableName())
}

// configure runs daypass configure.
func (l *laptop) configure(args ...string) (code int, stdout, stderr string) {
	l.t.Helper()
	var out, errs bytes.Buffer
	e := l.environment(&out, &errs, append([]string{"configure"}, args...)...)
	e.Executable, e.Invoked = l.installed(), l.installed()
	code = Run(l.t.Context(), e)
	return code, out.String(), errs.String()
}

// answers are the flags for a profile dev.
func (l *laptop) answers(more ...string) []string {
	return append([]string{"--issuer", l.box.Issuer, "--client-id", l.box.ClientID, "--role-arn", l.box.RoleARN,
		"--profile", "dev", "--storage", "file"}, more...)
}

func (l *laptop) read(name string) string {
	l.t.Helper()
	text, err := os.ReadFile(filepath.Join(l.home(), name))
	must(l.t, err)
	return string(text)
}

// serves checks that the profile's credential_process line, split as a shell
// would, gives credentials.
func (l *laptop) serves(profile string) {
	l.t.Helper()
	line := regexp.MustCompile(`credential_process\s*= (.*--profile ` + profile + `)\n`).FindStringSubmatch(l.read(".aws/config"))
	if line == nil {
		l.t.Fatalf("no credential_process for %s in:\n%s", profile, l.read(".aws/config"))
	}
	words := strings.Split(line[1], " ")
	if words[0] != l.installed() {
		l.t.Errorf("credential_process runs %s, want %s", words[0], l.installed())
	}
	l.box.AutoApprove("taro")
	l.mustRun("login", "--profile", profile)
	if out := l.mustRun(words[1:]...); !strings.Contains(out, `"Version":1`) {
		l.t.Errorf("%s printed %d bytes without a Version", line[1], len(out))
	}
}

func TestConfigureFromFlagsOnABareHome(t *testing.T) {
	l := newBareLaptop(t, sandbox.Options{IssuerSlash: true})
	answers := func(more ...string) []string { // --yes takes the provider's spelling of a slash
		return l.answers(append([]string{"--yes", "--issuer", strings.TrimSuffix(l.box.Issuer, "/")}, more...)...)
	}
	if code, stdout, stderr := l.configure(answers("--dry-run")...); code != 0 || !strings.Contains(stdout, "+ [profile dev]\n") || strings.Contains(stdout, "Next:") {
		t.Errorf("--dry-run: exit %d, stdout:\n%s\nstderr:\n%s", code, stdout, stderr)
	}
	if _, err := os.Stat(filepath.Join(l.home(), ".aws")); err == nil {
		t.Error("--dry-run made ~/.aws")
	}
	must(t, os.Chmod(l.installed(), 0o700))
	browser := "~/bin/" + executableName() + " {url}"
	code, stdout, stderr := l.configure(answers("--duration", "2h", "--scopes", "openid  email", "--browser-command", browser)...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d, stderr:\n%s", code, stderr)
	}
	want := `[daypass-idp company]
issuer = ` + l.box.Issuer + `
client_id = daypass-sandbox
scopes = openid  email
storage = file
browser_command = ` + browser + `

[profile dev]
credential_process = ` + l.installed() + ` process --profile dev
daypass_idp = company
daypass_role_arn = arn:aws:iam::111122223333:role/Developer
daypass_duration = 2h
`
	if diff := cmp.Diff(want, l.read(".aws/config")); diff != "" {
		t.Errorf("~/.aws/config (-want +got)\n%s", diff)
	}
	if !strings.Contains(stdout, "+ [profile dev]\n") || !strings.HasSuffix(stdout, "Next: daypass login --profile dev\n") {
		t.Errorf("stdout:\n%s", stdout)
	}
	l.box.Set(func(o *sandbox.Options) { o.RoleMaxDuration = 7200e9 })
	l.serves("dev")

	// A further role with the same login.
	before := l.read(".aws/config")
	for _, want := range []string{"+ [profile prod]\n", "already has these settings"} {
		code, stdout, stderr := l.configure("--idp", "company", "--role-arn", l.box.RoleARN, "--profile", "prod", "--region", "eu-west-1", "--yes")
		if added, kept := strings.CutPrefix(l.read(".aws/config"), before); code != 0 || !strings.Contains(stdout, want) || !kept || strings.Count(added, "[profile prod]\nregion ") != 1 {
			t.Fatalf("second profile: exit %d\n%s%s\n%s", code, stdout, stderr, l.read(".aws/config"))
		}
	}
	l.serves("prod")

	// A role that another profile's assumes.
	const spoke = "arn:aws:iam::444455556666:role/Spoke"
	before = l.read(".aws/config")
	code, _, stderr = l.configure("--profile", "spoke", "--source-profile", "prod", "--role-arn", spoke, "--external-id", "ours", "--yes")
	want = `
[profile spoke]
credential_process = ` + l.installed() + ` process --profile spoke
daypass_role_arn = ` + spoke + `
daypass_source_profile = prod
daypass_external_id = ours
`
	if added, _ := strings.CutPrefix(l.read(".aws/config"), before); code != 0 || added != want {
		t.Errorf("exit %d\n%s\n%s", code, stderr, added)
	}
	for source, want := range map[string]string{"nobody": "no section [profile nobody]", "spoke": "leads back"} {
		if code, _, stderr := l.configure("--profile", "spoke", "--source-profile", source, "--role-arn", spoke, "--yes"); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %s", source, code, stderr)
		}
	}
}

// At a provider without device codes, the redirect address to register is named.
func TestConfigureForTheBrowser(t *testing.T) {
	for redirect, o := range map[string]sandbox.Options{
		"": {NoDeviceCodes: "unauthorized_client"}, "http://localhost:8400/cb http://localhost:8401/cb": {OmitDeviceEndpoint: true},
	} {
		l := newBareLaptop(t, o)
		answers := l.answers("--yes")
		if redirect != "" {
			answers = append(answers, "--redirect-uri", redirect)
		}
		code, stdout, stderr := l.configure(answers...)
		want := "the client needs the\nredirect address http://127.0.0.1/callback\n"
		if redirect != "" {
			want = "http://localhost:8400/cb and http://localhost:8401/cb\n"
		}
		if code != 0 || !strings.Contains(stdout, want) || strings.Contains(l.read(".aws/config"), "redirect_uri = "+redirect) != (redirect != "") {
			t.Errorf("exit %d, stdout:\n%s\nstderr:\n%s\n%s", code, stdout, stderr, l.read(".aws/config"))
		}
	}
}

func TestConfigureRefuses(t *testing.T) {
	const other = "[profile dev]\nsource_profile = x\nrole_arn = y\n"
	without := func(flag string) func(*laptop, []string) []string {
		return func(_ *laptop, answers []string) []string {
			at := slices.Index(answers, flag)
			return slices.Delete(answers, at, at+2)
		}
	}
	for _, test := range []struct {
		name   string
		config string
		box    sandbox.Options
		more   string // flags after the answers
		change func(l *laptop, answers []string) []string
		exit   int // 2, if it is less
		want   string
	}{
		{name: "role chain in the profile", config: other, want: "[profile dev] has role_arn, source_profile."},
		{name: "access keys of the same name", want: "[dev] has aws_access_key_id.",
			change: func(l *laptop, answers []string) []string {
				l.write(".aws/credentials", "[dev]\naws_access_key_id = AKIA\n")
				return answers
			}},
		{name: "another credential_process", config: "[profile dev]\ncredential_process = /usr/bin/other process --profile dev\n", want: "its credential_process runs another program"},
		{name: "another login of that name", config: "[daypass-idp company]\nissuer = https://other.example\n", more: "--idp company", want: "[daypass-idp company] is the login at https://other.example."},
		{name: "another client beside a secret", want: "[daypass-idp company] has the client secret of another client, old.",
			change: func(l *laptop, answers []string) []string {
				l.write(".aws/config", "[daypass-idp company]\nissuer = "+l.box.Issuer+"\nclient_id = old\nclient_secret = hunter2\n")
				return append(answers, "--idp", "company", "--dry-run")
			}},
		{name: "no endpoint to log in at", box: sandbox.Options{OmitDeviceEndpoint: true, OmitAuthorization: true}, want: "names no device_authorization_endpoint"},
		{name: "no endpoint for the flow", box: sandbox.Options{OmitAuthorization: true}, more: "--flow browser", want: "names no authorization_endpoint"},
		{name: "no issuer", want: "--issuer is missing", change: without("--issuer")},
		{name: "no role", want: "--role-arn is missing", change: without("--role-arn")},
		{name: "bad role", more: "--role-arn Developer", want: "want the ARN of a role"},
		{name: "region of another partition", more: "--region cn-north-1", want: "--region"},
		{name: "bad duration", more: "--duration 99h", want: "--duration"},
		{name: "bad duration, before anything is asked", want: "--duration", change: func(*laptop, []string) []string { return []string{"--duration", "99h"} }},
		{name: "a provider that hangs up", exit: 6, want: "cannot reach 127.0.0.1:",
			change: func(l *laptop, answers []string) []string {
				l.box.Intercept(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
				return answers
			}},
		{name: "nobody there", more: "--issuer http://127.0.0.1:1", exit: 6, want: "cannot reach 127.0.0.1:1:"},
		{name: "a proxy that is none", more: "--issuer https://corp.invalid", exit: 6, want: "In a password, write # as %23",
			change: func(l *laptop, answers []string) []string {
				l.t.Setenv("HTTPS_PROXY", "foo bar")
				return answers
			}},
		{name: "no such scope", more: "--scopes nope", exit: 4, want: "Ask its admin which scopes the application may use"},
		{name: "not an issuer", want: ".\nIs the address right, and does it open in a browser on this machine?\n",
			change: func(l *laptop, answers []string) []string { return append(answers, "--issuer", l.box.URL+"/other") }},
		{name: "another way to the same host", box: sandbox.Options{IssuerSlash: true}, want: "the provider calls itself",
			change: func(l *laptop, answers []string) []string {
				return append(answers, "--issuer", strings.Replace(l.box.Issuer, "127.0.0.1", "localhost", 1))
			}},
		{name: "name of a profile for a shell", more: "--profile a;b", want: "the name \"a;b\": want letters"},
		{name: "no such client", more: "--client-id nobody", exit: 4, want: "does not accept client nobody (invalid_client: "},
		{name: "no such client, dry run", more: "--client-id nobody --dry-run", exit: 4, want: "does not accept client nobody (invalid_client: "},
		{name: "no such login", config: "[daypass-idp corp]\nissuer = https://corp.example\n", more: "--idp nope", want: `--idp "nope": there is no section [daypass-idp nope] in `,
			change: func(_ *laptop, answers []string) []string { return answers[4:] }},
		{name: "browser that is not there", want: `browser_command of [daypass-idp company] would not start: "no-such-firefox {url}": not found in PATH.`,
			change: func(_ *laptop, answers []string) []string {
				return append(answers, "--browser-command", "no-such-firefox {url}")
			}},
		{name: "file that the AWS CLI refuses", config: "[default]\njunk\n", want: "config: line 2: this is neither a setting nor a section header"},
		{name: "import of a folder", want: "this is a folder, not a file", change: func(l *laptop, _ []string) []string { return []string{"--import", l.home()} }},
		{name: "dry run of what does not load", config: "[profile dev]\ndaypass_duration = 99h\n", more: "--dry-run", want: "[profile dev] daypass_duration"},
		{name: "questions without a terminal", want: "configure has questions, and nobody may be asked (CI is set).",
			change: func(l *laptop, answers []string) []string {
				l.env["CI"] = "1"
				return answers[:len(answers)-1]
			}},
		{name: "import with answers", more: "--import x", want: "--import takes every setting from the file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newBareLaptop(t, test.box)
			l.write(".aws/config", test.config)
			answers := l.answers("--yes")
			if test.change != nil {
				answers = test.change(l, answers)
			}
			before := l.read(".aws/config")
			code, stdout, stderr := l.configure(append(answers, strings.Fields(test.more)...)...)
			if test.exit = max(test.exit, 2); code != test.exit || stdout != "" || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") > 3 {
				t.Errorf("exit %d, want %d; stdout %q, stderr, which lacks %q:\n%s", code, test.exit, stdout, test.want, stderr)
			}
			if got := l.read(".aws/config"); got != before {
				t.Errorf("the file was changed:\n%s", got)
			}
		})
	}
}

// With --yes, whatever is left out has a default, but [default] is never changed
// unasked: every AWS tool without --profile uses it.
func TestConfigureDefaults(t *testing.T) {
	for _, test := range []struct{ name, variable, config, want string }{ // want "": it is refused
		{"the environment's region", "eu-west-3", "[default]\nregion = us-west-1\n", "\n[profile dev]\nregion = eu-west-3\n"},
		{"the region of [default]", "", "[default]\nregion = us-west-1\n", "\n[profile dev]\nregion = us-west-1\n"},
		{"another cloud's region", "cn-north-1", "", "\n[profile dev]\ncredential_process = "},
		{"no region", "", "", "\n[profile dev]\ncredential_process = "},
		{"[default] is new", "", "[profile x]\n", "\n[default]\ncredential_process = "},
		{"[default] with SSO", "", "[default]\nsso_start_url = x\n", ""},
		{"[default] with a region", "", "[default]\nregion = eu-west-1\n", ""},
		{"[default] as a profile", "", "[profile default]\n", ""},
	} {
		l := newBareLaptop(t, sandbox.Options{})
		l.env["AWS_REGION"] = test.variable
		l.write(".aws/config", test.config)
		answers, exit := l.answers("--yes"), 0
		if !strings.Contains(test.want, "dev") {
			answers = append(answers[:6], answers[8:]...) // without --profile
		}
		if test.want == "" {
			test.want, exit = test.config, 2
		}
		code, _, stderr := l.configure(answers...)
		if got := l.read(".aws/config"); code != exit || !strings.Contains(got, test.want) || code != 0 && (got != test.config || !strings.Contains(stderr, "--profile is missing")) {
			t.Errorf("%s: exit %d, want %q in\n%s\n%s", test.name, code, test.want, got, stderr)
		}
	}
}

func TestConfigureImport(t *testing.T) {
	l := newBareLaptop(t, sandbox.Options{})
	company := l.config() + "credential_process = /opt/elsewhere/daypass process --profile dev\noutput = json\n" +
		"daypass_azure_tenant = contoso.example\ndaypass_azure_client_id = 1b9e0000-0000-4000-8000-000000000001\n"
	l.write("company.ini", company)
	file := filepath.Join(l.home(), "company.ini")

	code, stdout, stderr := l.configure("--import", file)
	if code != 2 || !strings.Contains(stderr, "configure has questions") {
		t.Errorf("without --yes and a terminal: exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = l.configure("--import", file, "--dry-run")
	if code != 0 || stderr != "" {
		t.Errorf("--dry-run: exit %d\n%s", code, stderr)
	}
	for _, want := range []string{
		"+ [daypass-idp corp]\n", "+ output = json\n",
		"Warning: [profile dev] daypass_sts_endpoint = " + l.box.STSEndpoint + ", which gets your ID token.\n",
		"Warning: [profile dev] daypass_signin_endpoint = " + l.box.SigninEndpoint + ", which gets your AWS credentials.\n",
		"Warning: [profile dev] daypass_azure_tenant = contoso.example, which is where your commands sign in to Azure.\n",
		"Warning: [daypass-idp corp] storage = file, which keeps logins outside the keyring.\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the difference lacks %q:\n%s", want, stdout)
		}
	}
	for _, flags := range [][]string{{"--yes"}, {"--yes", "--dry-run"}} {
		code, _, stderr = l.configure(append(flags, "--import", file)...)
		if code != 2 || !strings.Contains(stderr, "--yes does not answer the warnings about this file (4); nothing was written.") {
			t.Errorf("%v: exit %d\n%s", flags, code, stderr)
		}
	}
	if code, _, stderr := l.configure("--import", file, "--yes", "--force"); code != 0 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	if strings.Contains(l.read(".aws/config"), "elsewhere") {
		t.Errorf("the company's path was taken:\n%s", l.read(".aws/config"))
	}
	l.serves("dev")

	// Ctrl-C ends it while nothing comes on standard input.
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	nothing, other := io.Pipe()
	hanging := time.AfterFunc(10*time.Second, func() { _ = other.Close() })
	var out, errs bytes.Buffer
	e := l.environment(&out, &errs, "configure", "--import", "-")
	e.Executable, e.Invoked, e.Stdin = l.installed(), l.installed(), nothing
	if code := Run(ctx, e); code != 130 || !hanging.Stop() || errs.String() != "daypass: interrupted; nothing was written.\n" {
		t.Errorf("interrupted: exit %d\n%s", code, &errs)
	}

	// A profile that exists is changed only with a yes for each of its settings.
	before := l.read(".aws/config")
	l.write("company.ini", strings.Replace(company, l.box.RoleARN, "arn:aws:iam::444455556666:role/Admin", 1))
	code, _, stderr = l.configure("--import", file, "--yes")
	if want := "[profile dev] daypass_role_arn = arn:aws:iam::444455556666:role/Admin, which was " + l.box.RoleARN; code != 2 || !strings.Contains(stderr, want) {
		t.Errorf("with another role: exit %d\n%s", code, stderr)
	}
	l.write("company.ini", strings.Replace(company, l.box.Issuer, "https://other.example", 1))
	if code, _, stderr := l.configure("--import", file, "--yes", "--force"); code != 2 || !strings.Contains(stderr, "[daypass-idp corp] is the login at") {
		t.Errorf("with another issuer: exit %d\n%s", code, stderr)
	}
	if l.read(".aws/config") != before {
		t.Errorf("the file was changed:\n%s", l.read(".aws/config"))
	}
}

// A profile is logged in to if it has a role, and a login that has none gets one.
func TestImportOfALoginAlone(t *testing.T) {
	l := newBareLaptop(t, sandbox.Options{})
	l.write("azure.ini", "[profile vm]\ndaypass_azure_via = imds\n")
	if os.Geteuid() == 0 { // nobody else can give a folder away
		must(t, os.Chown(l.home(), 12345, -1))
		code, _, stderr := l.configure("--import", filepath.Join(l.home(), "azure.ini"), "--yes")
		if _, err := os.Stat(filepath.Join(l.home(), ".aws")); code != 2 || !strings.Contains(stderr, "belongs to another user") || err == nil {
			t.Errorf("as root for a user: exit %d\n%s", code, stderr)
		}
		must(t, os.Chown(l.home(), 0, -1))
	}
	if runtime.GOOS != "windows" { // a container may have no home folder, but a program elsewhere than in /tmp
		var out, errs bytes.Buffer
		e := l.environment(&out, &errs, "configure", "--import", filepath.Join(l.home(), "azure.ini"), "--yes")
		l.env["AWS_CONFIG_FILE"] = filepath.Join(l.home(), "config")
		e.Home, e.Executable = "", "/bin/sh"
		if code := Run(t.Context(), e); code != 0 || !strings.Contains(l.read("config"), "[profile vm]") {
			t.Errorf("without a home folder: exit %d\n%s%s", code, &out, &errs)
		}
		delete(l.env, "AWS_CONFIG_FILE")
	}
	if code, stdout, stderr := l.configure("--import", filepath.Join(l.home(), "azure.ini"), "--yes"); code != 0 || !strings.HasSuffix(stdout, "config.\n") {
		t.Errorf("for Azure alone: exit %d\n%s%s", code, stdout, stderr)
	}
	l.write("company.ini", "[daypass-idp corp]\nissuer = "+l.box.Issuer+"\nclient_id = x\nclient_secret = hunter2\nbrowser_command = "+os.Args[0]+" {url}\n")
	code, stdout, stderr := l.configure("--import", filepath.Join(l.home(), "company.ini"), "--yes", "--force")
	if code != 0 || !strings.HasSuffix(stdout, "Next: daypass configure --idp corp\n") || !strings.Contains(stdout, "browser_command = "+os.Args[0]+" {url}, which runs this program on your machine") {
		t.Errorf("exit %d, stdout:\n%s\nstderr:\n%s", code, stdout, stderr)
	}
	if strings.Contains(stdout, "hunter2") || !strings.Contains(l.read(".aws/config"), "hunter2") {
		t.Errorf("the client secret: stdout\n%s\nfile\n%s", stdout, l.read(".aws/config"))
	}
}

// A section of a workload is imported as it is, after a yes: it needs no provider.
func TestImportOfAWorkload(t *testing.T) {
	l := newBareLaptop(t, sandbox.Options{})
	l.write("company.ini", "[daypass-idp vm]\nsource = gcp-metadata\n[profile vm]\ndaypass_idp = vm\ndaypass_role_arn = "+l.box.RoleARN+"\n")
	code, stdout, stderr := l.configure("--import", filepath.Join(l.home(), "company.ini"), "--yes", "--force")
	if code != 0 || !strings.Contains(stdout, "source = gcp-metadata, which names what goes to AWS as your ID token") || !strings.Contains(l.read(".aws/config"), "source = gcp-metadata") || l.box.Count("") != 0 {
		t.Errorf("exit %d, %d requests, stdout:\n%s\nstderr:\n%s", code, l.box.Count(""), stdout, stderr)
	}
	for name, login := range map[string][]string{"second": {"--idp", "vm"}, "third": {"--source", "azure-imds", "--audience", "api://x"}} {
		code, _, stderr = l.configure(append(login, "--role-arn", l.box.RoleARN, "--profile", name, "--yes")...)
		if config := l.read(".aws/config"); code != 0 || !strings.Contains(config, "[profile "+name+"]") || !strings.Contains(config, "gcp-metadata") || l.box.Count("") != 0 {
			t.Errorf("%s role: exit %d, %d requests\n%s\n%s", name, code, l.box.Count(""), stderr, config)
		}
	}
}
