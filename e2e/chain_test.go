//go:build e2e && linux

package e2e

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// The AWS CLI and SDKs have a chained role by credential_process, which each starts in
// its own way, and renewed twice while one command runs by daypass exec --serve. The
// first start brings the tab.
func TestChainedRoleInTheSDKs(t *testing.T) {
	t.Parallel()
	const spoke = "arn:aws:iam::111122223333:role/spoke"
	// Old versions do not read the variable.
	identity := installed.aws + " sts get-caller-identity --query Arn --output text --endpoint-url $AWS_ENDPOINT_URL_STS"
	type client struct{ once, often []string }
	both := func(argv ...string) client {
		return client{append(slices.Clone(argv), "spoke"), append(slices.Clone(argv), "", "3")}
	}
	for name, client := range map[string]client{
		"aws":        {[]string{"sh", "-c", identity + " --profile spoke"}, []string{"sh", "-c", "for i in 1 2 3 4; do " + identity + "; sleep 3; done"}},
		"boto3":      both("/usr/bin/python3", installed.in("identity.py")),
		"go":         both(installed.module("gosdk")),
		"javascript": both(installed.node, installed.in("jssdk/identity.mjs")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newComputer(t, nil, sandbox.Options{})
			c.writeConfig(c.section("corp"), c.profile("hub", "corp"),
				strings.Replace(c.profile("spoke", "corp"), "daypass_idp = corp", "daypass_source_profile = hub", 1))
			tabs := c.startPerson()
			must(t, c.aws.Trust(spoke, c.say("trust-policy", "--profile", "spoke").stdout))
			c.env["AWS_ENDPOINT_URL_STS"] = c.aws.STSEndpoint // for the SDKs
			c.aws.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if r.PostForm.Get("Action") != "AssumeRole" {
					return false
				}
				answer := httptest.NewRecorder()
				c.aws.Serve(answer, r)
				passOn(w, answer, 4*time.Second)
				return true
			})
			const want = "arn:aws:sts::111122223333:assumed-role/spoke/taro@example.com\n"
			if r := c.run(client.once...); r.code != 0 || r.stdout != want || r.stderr != "" || len(tabs()) != 1 {
				t.Errorf("%+v, tabs %q", r, tabs())
			}
			before := c.aws.Count("sts:chained")
			r := c.say(append([]string{"exec", "--serve", "--profile", "spoke", "--"}, client.often...)...)
			if r.code != 0 || r.stdout != strings.Repeat(want, 4) {
				t.Errorf("%+v", r)
			}
			if n := c.aws.Count("sts:chained") - before; n < 3 {
				t.Errorf("%d sessions, want it renewed twice", n)
			}
			if n := c.aws.Count("sts"); n != 1 {
				t.Errorf("%d sessions of the hub", n)
			}
		})
	}
}

// A login that the command needs while it runs is asked for on its terminal, and
// Ctrl-C there reaches the command once.
func TestServeAsksOnTheTerminal(t *testing.T) {
	t.Parallel()
	c := newComputer(t, nil, sandbox.Options{})
	c.writeConfig(c.section("corp"), c.profile("dev", "corp"))
	c.login("dev")
	client := "/usr/bin/python3 " + installed.in("identity.py") + ` ""`
	c.env["AWS_ENDPOINT_URL_STS"], c.env["DAYPASS"] = c.aws.STSEndpoint, installed.daypass
	// A shell takes two signals for one.
	const counts = `
import os, signal, time
signals, writer = os.pipe()
os.set_blocking(signals, False), os.set_blocking(writer, False)
signal.set_wakeup_fd(writer)
signal.signal(signal.SIGINT, lambda *_: None)
print("counting", flush=True)
signal.pause()
time.sleep(1)
print("caught", len(os.read(signals, 9)))
os._exit(7)`
	term := c.inTerminal(installed.daypass, "exec", "--serve", "--profile", "dev", "--", "sh", "-c",
		"$DAYPASS logout --profile dev; "+client+"; sleep 2; "+client+"; exec /usr/bin/python3 -u -c '"+counts+"'")
	code := term.Await(`Approve only if the page shows ([A-Z]{4}-[A-Z]{4})`)[1]
	must(t, c.aws.Approve(code, "taro"))
	term.Await("assumed-role/dev/taro@example.com")
	term.Await("counting")
	term.Type("\x03")
	if status, screen := term.End(); status != 7 || !strings.Contains(screen, "caught 1") {
		t.Errorf("exit %d:\n%s", status, screen)
	}
}
