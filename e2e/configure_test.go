//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// A new computer: the questions of configure, answered at the keyboard, end in a
// role that the AWS CLI has, with nothing edited by hand.
func TestConfigureAtTheKeyboard(t *testing.T) {
	t.Parallel()
	c := newComputer(t, startProvider(t, providerOptions{Slash: true}), sandbox.Options{}) // as at Auth0
	c.trust("dev")
	must(t, os.RemoveAll(filepath.Join(c.env["HOME"], ".aws")))

	term := c.inTerminal(installed.daypass, "configure")
	for _, step := range []struct{ question, keys string }{
		{`Issuer URL of your company's login, such as .*: $`, strings.TrimSuffix(c.provider.issuer, "/") + "\r"},
		{`The provider calls itself ` + c.provider.issuer + `, .* Use that\? \[Y/n\]: $`, "\r"},
		{`Client id: $`, "daypass-e2x\x7f\x7f2e\r"}, // with a typing error, taken back
		{`Client secret, .*: $`, "\r"},
		{`Role, as .*: $`, "arn:aws:iam::111122223333:role/dev\r"},
		{`Name of the profile \[default\]: $`, "dev\r"},
		{`Region, .*Enter for none: $`, "eu-west-1\r"},
		{`Name of the login, .* \[company\]: $`, "corp\r"},
		{`Write this\? \[Y/n\]: $`, "\r"},
		{`Log in and try the role now\? \[Y/n\]: $`, "\r"},
	} {
		term.Await(step.question)
		term.Type(step.keys)
	}
	prompt := term.Await(promptLink)
	if page := c.approve(prompt[1]); page != prompt[2] {
		t.Errorf("the page shows code %q, the terminal %q", page, prompt[2])
	}
	code, screen := term.End()
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, screen)
	}
	for _, part := range []string{
		"daypass: logged in to corp as taro@example.com; renews by itself.\n",
		"daypass: AWS gives you role dev in account 111122223333 until ",
		"Try: aws sts get-caller-identity --profile dev\n",
	} {
		if !strings.Contains(screen, part) {
			t.Errorf("the terminal lacks %q:\n%s", part, screen)
		}
	}

	before, items, codes := c.asked(), c.items(), c.provider.count("/device/auth")
	if r := c.run(c.cli("dev")...); r.code != 0 || !strings.Contains(r.stdout, arn("dev")) {
		t.Errorf("the AWS CLI: %+v", r)
	}
	if n := c.asked() - before; n != 0 || items == 0 {
		t.Errorf("%d requests after configure, want 0; %d items in the keyring", n, items)
	}

	// With that, every link of the chain holds, and a check changes nothing.
	code, links := c.doctor("dev")
	if code != 0 || len(links) < 15 || !strings.Contains(links["keyring"].Detail, "Secret Service") {
		t.Errorf("doctor: exit code %d, %d links, %+v", code, len(links), links["keyring"])
	}
	for _, l := range links {
		if l.State != "ok" {
			t.Errorf("%+v", l)
		}
	}
	if n, m := c.items(), c.provider.count("/device/auth"); n != items || m != codes {
		t.Errorf("after doctor the keyring holds %d items, before %d; %d codes, before %d", n, items, m, codes)
	}
}

// checkedLink is one link of the chain as doctor --json tells it.
type checkedLink struct {
	Link, State, Detail, Advice string
}

func (c *computer) doctor(profile string) (int, map[string]checkedLink) {
	c.t.Helper()
	r := c.say("doctor", "--profile", profile, "--json")
	var list []checkedLink
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil {
		c.t.Fatalf("%v\n%s%s", err, r.stdout, r.stderr)
	}
	links := map[string]checkedLink{}
	for _, l := range list {
		links[l.Link] = l
	}
	return r.code, links
}
