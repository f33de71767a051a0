package profile

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// chained is a profile whose role another one assumes.
func chained(name, source string, more ...string) string {
	return fmt.Sprintf("\n[profile %[1]s]\ndaypass_source_profile = %[2]s\ndaypass_role_arn = arn:aws:iam::444455556666:role/%[1]s\n%[3]s\n",
		name, source, strings.Join(more, "\n"))
}

func TestChain(t *testing.T) {
	text := with(inIDP, "support = none today") + chained("spoke", "dev", "daypass_external_id = a:b/c@d", "region = us-west-2", "daypass_duration = 30m") + chained("rim", "spoke")
	rim, err := load(t, text, "rim", nil, map[string]string{"prompt": "never", "support": "", "policy-arns": "arn:aws:iam::aws:policy/A"})
	must(t, err)
	spoke := rim.Source
	if spoke == nil || spoke.Source == nil || spoke.Name != "spoke" || spoke.Source.Name != "dev" || spoke.Source.Source != nil {
		t.Fatalf("%+v", rim)
	}
	if spoke.ExternalID != "a:b/c@d" || spoke.Region != "us-west-2" || spoke.Duration != 30*time.Minute || rim.Duration != time.Hour || rim.AccountID != "444455556666" {
		t.Errorf("%+v", spoke)
	}
	c, err := Open(source(t, text+chained("stray", "nobody"), nil, nil))
	if must(t, err); strings.Join(c.NamesUsing("corp"), " ") != "dev spoke rim" {
		t.Errorf("%q log in with corp", c.NamesUsing("corp"))
	}
	// Flags about the role are the profile's own, and those about the login are the
	// login's.
	if len(rim.PolicyARNs) != 1 || spoke.PolicyARNs != nil || rim.IDP.Prompt != "never" || rim.IDP.Support != "" || rim.IDP.Name != "corp" {
		t.Errorf("%+v", rim)
	}
}

func TestChainRefused(t *testing.T) {
	long := config + chained("p0", "dev")
	for i := 1; i <= 1000; i++ {
		long += chained(fmt.Sprint("p", i), fmt.Sprint("p", i-1))
	}
	for name, c := range map[string]struct {
		text, profile string
		want          []string
	}{
		"missing source":       {chained("spoke", "nobody"), "spoke", []string{"no section [profile nobody], which profile spoke names"}},
		"another tool's":       {chained("spoke", "hub") + "[profile hub]\nsso_session = x\n", "spoke", []string{"[profile hub] daypass_idp: missing"}},
		"itself":               {chained("spoke", "spoke"), "spoke", []string{"the chain leads back to this profile"}},
		"a cycle":              {chained("a", "b") + chained("b", "c") + chained("c", "a"), "a", []string{"[profile c]", "the chain leads back to this profile"}},
		"six links":            {long, "p5", []string{"the chain is longer than 5 links"}},
		"a thousand":           {long, "p1000", []string{"the chain is longer than 5 links"}},
		"a login beside it":    {config + chained("spoke", "dev", "daypass_idp = corp"), "spoke", []string{"daypass_idp", "are those of profile dev"}},
		"a name beside it":     {config + chained("spoke", "dev", "daypass_session_name = x"), "spoke", []string{"daypass_session_name", "are those of profile dev"}},
		"more than an hour":    {config + chained("spoke", "dev", "daypass_duration = 61m"), "spoke", []string{"daypass_duration", "after an hour"}},
		"another partition":    {strings.NewReplacer("arn:aws:", "arn:aws-cn:", "eu-west-1", "cn-north-1").Replace(config) + chained("spoke", "dev"), "spoke", []string{"it is in partition aws, but"}},
		"external id":          {config + chained("spoke", "dev", "daypass_external_id = a b"), "spoke", []string{"daypass_external_id", "2 to 1224 characters"}},
		"external id for none": {config + "daypass_external_id = abc\n", "dev", []string{"daypass_external_id", "only a role that assumes another one"}},
		"an error in the hub":  {strings.Replace(config, "role/dev", "user/dev", 1) + chained("spoke", "dev"), "spoke", []string{"[profile dev] daypass_role_arn"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.text, c.profile, nil, nil)
			wantError(t, err, c.want...)
		})
	}
	if _, err := load(t, long, "p4", nil, nil); err != nil {
		t.Errorf("five links: %v", err)
	}
}
