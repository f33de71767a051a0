//go:build e2e && linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A new computer: the questions of configure, answered at the keyboard, end in a
// role that the AWS CLI has, with nothing edited by hand.
func TestConfigureAtTheKeyboard(t *testing.T) {
	t.Parallel()
	c := newComputer(t, options{provider: providerOptions{Slash: true}}) // as at Auth0
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
		term.waitFor(step.question)
		term.press(step.keys)
	}
	prompt := term.waitFor(promptLink)
	if page := c.approve(prompt[1]); page != prompt[2] {
		t.Errorf("the page shows code %q, the terminal %q", page, prompt[2])
	}
	if code := term.wait(); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, term.Screen())
	}
	for _, part := range []string{
		"daypass: logged in to corp as taro@example.com; renews by itself.\n",
		"daypass: AWS gives you role dev in account 111122223333 until ",
		"Try: aws sts get-caller-identity --profile dev\n",
	} {
		if !strings.Contains(term.Screen(), part) {
			t.Errorf("the terminal lacks %q:\n%s", part, term.Screen())
		}
	}

	before := c.asked()
	if r := c.run(c.cli("dev")...); r.code != 0 || !strings.Contains(r.stdout, arn("dev")) {
		t.Errorf("the AWS CLI: %+v", r)
	}
	if n := c.asked() - before; n != 0 || c.items() == 0 {
		t.Errorf("%d requests after configure, want 0; %d items in the keyring", n, c.items())
	}
}
