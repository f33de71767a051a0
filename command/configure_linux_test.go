package command

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/daypass/daypass/internal/ptytest"
	"github.com/daypass/daypass/internal/sandbox"
)

// typed is a daypass in the foreground of a terminal, at which a person types.
type typed struct {
	*ptytest.Terminal
	t      *testing.T
	stdout bytes.Buffer
}

// install puts this test binary into the home as daypass, as a link: what runs is
// a process of its own, with its real path elsewhere.
func (l *laptop) install() {
	l.t.Helper()
	self, err := filepath.Abs(os.Args[0])
	must(l.t, err)
	must(l.t, os.Remove(l.installed()))
	must(l.t, os.Symlink(self, l.installed()))
	l.env["DAYPASS_PROMPT"] = "auto"
	l.env["DAYPASS_TEST_IS_PROGRAM"] = "1"
	l.env["GORACE"] = "atexit_sleep_ms=0"
	l.env["GOCOVERDIR"] = l.t.TempDir() // else go test -cover has it warn on stderr
	l.env["TERM"] = "xterm"
}

func (l *laptop) environ() []string {
	var all []string
	for name, value := range l.env {
		all = append(all, name+"="+value)
	}
	return all
}

// terminal starts daypass on a terminal of its own.
func (l *laptop) terminal(args ...string) *typed {
	l.t.Helper()
	p, cmd := &typed{Terminal: ptytest.Open(l.t, 80, 24), t: l.t}, exec.Command(l.installed(), args...)
	cmd.Env, cmd.Stdout = l.environ(), &p.stdout
	p.Start(cmd)
	return p
}

// answer waits for a question and types an answer to it.
func (p *typed) answer(question, keys string) {
	p.Await(regexp.QuoteMeta(question))
	p.Type(keys)
}

func TestConfigureByHand(t *testing.T) {
	l := newBareLaptop(t, sandbox.Options{IssuerSlash: true, OmitComplete: true})
	l.box.Set(func(o *sandbox.Options) { o.Now = nil }) // the program has the real time
	l.install()
	l.box.AutoApprove("taro")

	p := l.terminal("configure", "--storage", "file")
	const issuer = "Issuer URL of your company's login, such as https://corp.eu.auth0.com/: "
	p.answer(issuer, "ftp://x\n")
	p.answer("is not https\n", "")
	l.box.Intercept(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
	p.answer(issuer, l.box.Issuer+"\n")
	p.answer("cannot reach 127.0.0.1:", "")
	l.box.Intercept(nil)
	p.answer(issuer, strings.TrimSuffix(l.box.Issuer, "/")+"\n")
	p.answer("The provider calls itself "+l.box.Issuer+", and AWS compares each letter. Use that? [Y/n]: ", "\n")
	p.answer("Client id: ", "nobody\n")
	p.answer("Client secret, Enter if the client has none (not shown): ", "s3cret\n")
	p.answer("does not accept client nobody (invalid_client: the client is not known, or its secret is wrong).\n  Its application must be a public (native) one", "")
	p.answer("Client id: ", l.box.ClientID+"\n")
	p.answer("Client secret, Enter if the client has none (not shown): ", "\n")
	p.answer("Role, as arn:aws:iam::ACCOUNT:role/NAME: ", "Developer\n")
	p.answer("want the ARN of a role", "")
	p.answer("Role, as arn:aws:iam::ACCOUNT:role/NAME: ", "  "+l.box.RoleARN+" \n")
	p.answer("Name of the profile [default]: ", "\n")
	p.answer("Region, such as eu-west-1, Enter for none: ", "eu-west-1\n")
	p.answer("Name of the login, which profiles can share [company]: ", "corp\n")
	p.answer("Write this? [Y/n]: ", "perhaps\n")
	p.answer("y or n, please.\nWrite this? [Y/n]: ", "y\n")
	p.answer("Log in and try the role now? [Y/n]: ", "\n")
	code, seen := p.End()
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, seen)
	}
	for _, want := range []string{"daypass: logged in to corp as taro@example.com", "daypass: AWS gives you role Developer in account 111122223333 until "} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("stdout lacks %q:\n%s", want, p.stdout.String())
		}
	}
	if got := strings.Count(l.read(".aws/config"), "\n"); got != 10 {
		t.Errorf("~/.aws/config:\n%s", l.read(".aws/config"))
	}

	// A second role takes the login that is there.
	p = l.terminal("configure")
	p.answer("or a login that you already have (corp): ", "corp\n")
	p.answer("Role, as arn:aws:iam::ACCOUNT:role/NAME: ", "arn:aws-cn:iam::111122223333:role/Admin\n")
	p.answer("Name of the profile [admin]: ", "\n")
	p.answer("Region, such as eu-west-1, Enter for none: ", "\n")
	p.answer("Write this? [Y/n]: ", "n\n")
	if code, seen := p.End(); code != 4 || strings.Contains(l.read(".aws/config"), "Admin") {
		t.Errorf("after no: exit %d\n%s\n%s", code, seen, l.read(".aws/config"))
	}
}

func TestConfigureEndedEarlyWritesNothing(t *testing.T) {
	for _, test := range []struct {
		name, keys string
		exit       int
		want       string
	}{
		{"Ctrl-C", "\x03", 130, "daypass: interrupted; nothing was written.\n"},
		{"Ctrl-D", "\x04", 2, "daypass: input ended; nothing was written.\n"},
		{"bad answers and Ctrl-D", strings.Repeat("ftp://x\n", 5) + "\x04", 2, "daypass: input ended; nothing was written.\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newBareLaptop(t, sandbox.Options{})
			l.install()
			p := l.terminal("configure")
			p.answer("such as https://corp.eu.auth0.com/: ", test.keys)
			code, seen := p.End()
			if code != test.exit || !strings.HasSuffix(seen, test.want) {
				t.Errorf("exit %d, want %d:\n%s", code, test.exit, seen)
			}
			if _, err := os.Stat(filepath.Join(l.home(), ".aws")); err == nil {
				t.Error("~/.aws was made")
			}
		})
	}
}

// Each warning about an imported file wants a yes of its own, and Enter is a no.
func TestImportAsksForEachWarning(t *testing.T) {
	l := newBareLaptop(t, sandbox.Options{})
	l.write(".aws/config", "[default]\nregion = eu-west-1\n\n[profile dev]\noutput = json\n")
	before := l.read(".aws/config")
	l.write("company.ini", "[daypass-idp corp]\nissuer = "+l.box.Issuer+"\nclient_id = x\nbrowser_command = "+os.Args[0]+" {url}\n"+
		"[profile dev]\ndaypass_idp = corp\noutput = text\ndaypass_role_arn = "+l.box.RoleARN+"\n")
	l.install()
	questions := []string{
		"Warning: [daypass-idp corp] browser_command = " + os.Args[0] + " {url}, which runs this program on your machine. Accept? [y/N]: ",
		"Warning: [profile dev] daypass_idp = corp, in a section that you already have. Accept? [y/N]: ",
		"Warning: [profile dev] output = text, which was json. Accept? [y/N]: ",
		"Warning: [profile dev] daypass_role_arn = " + l.box.RoleARN + ", in a section that you already have. Accept? [y/N]: ",
		"Write this? [y/N]: ",
	}
	for refused := range len(questions) + 1 {
		p := l.terminal("configure", "--import", filepath.Join(l.home(), "company.ini"))
		for i, question := range questions[:min(refused+1, len(questions))] {
			keys := "y\n"
			if i == refused {
				keys = "\n"
			}
			p.answer(question, keys)
		}
		if refused < len(questions) {
			if code, seen := p.End(); code != 4 || l.read(".aws/config") != before {
				t.Errorf("no to %q: exit %d\n%s\n%s", questions[refused], code, seen, l.read(".aws/config"))
			}
			continue
		}
		p.answer("Log in and try the role now? [Y/n]: ", "n\n")
		if code, seen := p.End(); code != 0 || !strings.Contains(l.read(".aws/config"), "output = text\n") {
			t.Errorf("exit %d\n%s\n%s", code, seen, l.read(".aws/config"))
		}
	}
}

// What is tried of a workload is its role: nobody logs in, and nothing says so.
func TestConfigureTriesAWorkload(t *testing.T) {
	l := newBareLaptop(t, sandbox.Options{})
	onVM(l)
	must(t, l.box.Trust(l.box.RoleARN, l.mustRun("trust-policy", "-p", "dev")))
	l.box.Set(func(o *sandbox.Options) { o.Now = nil }) // the program has the real time
	l.install()
	must(t, os.Rename(filepath.Join(l.home(), ".aws", "config"), filepath.Join(l.home(), "company.ini")))
	p := l.terminal("configure", "--force", "--import", filepath.Join(l.home(), "company.ini"))
	p.answer("Write this? [Y/n]: ", "\n")
	p.answer("Log in and try the role now? [Y/n]: ", "\n")
	if code, seen := p.End(); code != 0 || !strings.HasPrefix(p.stdout.String(), "daypass: wrote ") || strings.Contains(p.stdout.String(), "logged in") {
		t.Errorf("exit %d, seen:\n%s\nstdout:\n%s", code, seen, p.stdout.String())
	}
}

func TestConfigureHidesTheClientSecret(t *testing.T) {
	l := newBareLaptop(t, sandbox.Options{ClientSecret: "hunter2"})
	l.install()
	p := l.terminal("configure", "--client-id", l.box.ClientID, "--role-arn", l.box.RoleARN, "--region", "eu-west-1", "--profile", "dev", "--idp", "corp")
	p.answer("such as https://corp.eu.auth0.com/: ", l.box.Issuer+"\n")
	p.answer("(not shown): ", "hunter2\n")
	p.answer("Write this? [Y/n]: ", "\n")
	p.answer("Log in and try the role now? [Y/n]: ", "\x03")
	code, seen := p.End()
	if code != 130 || !strings.Contains(p.stdout.String(), "Next: daypass login --profile dev\n") || strings.Contains(seen+p.stdout.String(), "hunter2") || !strings.Contains(seen, "client_secret = (hidden)") {
		t.Errorf("exit %d, seen:\n%s\nstdout:\n%s", code, seen, p.stdout.String())
	}
	if !strings.Contains(l.read(".aws/config"), "client_secret = hunter2\n") {
		t.Errorf("~/.aws/config:\n%s", l.read(".aws/config"))
	}

	// Given a client as a flag, it is asked for when the provider has refused the client.
	p = l.terminal("configure", "--issuer", l.box.Issuer, "--client-id", "x", "--profile", "other", "--idp", "other", "--role-arn", l.box.RoleARN)
	p.answer("does not accept client x", "")
	p.answer("Client id: ", "second\n")
	p.answer("(not shown): ", "")
	p.answer("", "\x04")
	if code, seen := p.End(); code != 2 || !strings.HasSuffix(seen, "input ended; nothing was written.\n") {
		t.Errorf("exit %d\n%s", code, seen)
	}

	// Ctrl-C at the secret gives the terminal its echo back.
	p = l.terminal("configure", "--client-id", "x")
	p.answer("or a login that you already have (corp): ", l.box.Issuer+"\n")
	p.answer("(not shown): ", "")
	if p.echoes() {
		t.Error("the terminal shows what is typed")
	}
	p.answer("", "\x03")
	if code, seen := p.End(); code != 130 || !p.echoes() {
		t.Errorf("after Ctrl-C: exit %d, echo %v\n%s", code, p.echoes(), seen)
	}
}

// echoes reports whether the terminal shows what is typed.
func (p *typed) echoes() bool {
	state, err := unix.IoctlGetTermios(int(p.Master.Fd()), unix.TCGETS)
	must(p.t, err)
	return state.Lflag&unix.ECHO != 0
}
