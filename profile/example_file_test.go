package profile

import (
	"os"
	"strings"
	"testing"
)

// The file that users copy loads as it is, and also with every setting in it
// that is commented out.
func TestExampleFile(t *testing.T) {
	data, err := os.ReadFile("../examples/aws-config")
	must(t, err)
	asIs := strings.ReplaceAll(string(data), "\r\n", "\n")
	var all []string
	for _, line := range strings.Split(asIs, "\n") {
		bare := strings.TrimPrefix(line, "# ")
		if key, _, found := cutSetting(bare); found && (knows(idpKeys(), key) || knows(profileKeys(), key)) {
			line = bare
		}
		all = append(all, line)
	}
	whole := strings.Join(all, "\n")
	for _, k := range append(idpKeys(), profileKeys()...) {
		if !strings.Contains(whole, "\n"+k.Name+" ") && !strings.HasPrefix(k.Name, "use_") {
			t.Errorf("the example does not show %s", k.Name)
		}
	}
	for _, text := range []string{asIs, whole} {
		for _, name := range []string{"dev", "spoke", "audit"} {
			p, err := load(t, text, name, nil, nil)
			if err != nil {
				t.Errorf("%v", err)
			} else if p.IDP.Name != "corp" || p.Region != "eu-west-1" {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
	p, err := load(t, whole, "audit", nil, nil)
	if err != nil || p.IDP.Support != "Ask in #aws-help" || !strings.HasSuffix(p.Policy, "}] }") {
		t.Errorf("support %q, policy %q, %v", p.IDP.Support, p.Policy, err)
	}
}
