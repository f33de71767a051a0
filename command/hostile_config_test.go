package command

import (
	"maps"
	"os"
	"strings"
	"testing"
)

// A configuration file and an environment that somebody has written in a hurry, or
// somebody else has written. Whatever stands there, daypass asks nobody that the
// configuration did not name, and says which line it means.
func TestHostileConfig(t *testing.T) {
	const dev = "CONFIG: [profile dev] "
	const corp = "CONFIG: [daypass-idp corp] "
	var rows []hostile
	file := func(name string, change func(good string) string, says string) {
		rows = append(rows, hostile{name: name, at: "config", exit: 2, says: says, fault: func(a *attack) func() {
			good := a.config()
			a.write(".aws/config", change(good))
			return func() { a.write(".aws/config", good) }
		}})
	}
	whole := func(name, text, says string) { file(name, func(string) string { return text }, says) }
	// line puts a line below the header of a section.
	line := func(section, line, says string) {
		file(line[:min(len(line), 60)], func(good string) string {
			return strings.Replace(good, "["+section+"]\n", "["+section+"]\n"+line+"\n", 1)
		}, says)
	}
	// value changes the value of a key.
	value := func(key, value, says string) {
		name := key + " = " + value
		file(strings.ToValidUTF8(name[:min(len(name), 80)], "?"), func(good string) string {
			var changed []string
			for _, l := range strings.Split(good, "\n") {
				if k, _, _ := strings.Cut(l, " = "); k == key {
					l = key + " = " + value
				}
				changed = append(changed, l)
			}
			return strings.Join(changed, "\n")
		}, says)
	}

	whole("empty", "", "CONFIG: ")
	whole("17 MB", strings.Repeat("# "+marker+strings.Repeat("x", 1000)+"\n", 17<<10), "CONFIG: larger than ")
	whole("zero bytes", "[profile dev]\n\x00\x00\n", "CONFIG: not a text file in UTF-8")
	whole("UTF-16", "\xff\xfe[\x00p\x00", "CONFIG: not a text file in UTF-8")
	whole("not UTF-8", "[profile dev]\nregion = \xe9\n", "CONFIG: not a text file in UTF-8")
	whole("a program", "#!/bin/sh\nrm -rf ~\n", "CONFIG: ")
	whole("JSON", `{"profile dev": {"region": "x"}}`, "CONFIG: ")
	whole("a header without an end", "[profile dev\nregion = x\n", "CONFIG: line 1: ")
	whole("a header with an escape sequence", "[\x1b[2J\n", "CONFIG: line 1: ")
	whole("100000 sections", strings.Repeat("[x]\n", 100000), "CONFIG: ")
	whole("a value of 340000 lines", "[profile dev]\nregion = x\n"+strings.Repeat(" a\n", 340000), dev+"region: longer than ")
	whole("2000 settings", "[profile dev]\n"+strings.Repeat("x = y\n", 2000), dev+"x: the key is there twice")
	file("the profile twice", func(good string) string { return good + "\n[profile dev]\nregion = us-east-1\n" }, dev[:len(dev)-1]+": the section is there twice")
	file("the section twice", func(good string) string { return good + "\n[daypass-idp corp]\nissuer = https://evil.example\n" }, corp[:len(corp)-1]+": the section is there twice")
	file("no section", func(good string) string { return good[strings.Index(good, "[profile dev]"):] }, dev+"daypass_idp ")

	for _, issuer := range []string{"http://corp.example", "ftp://corp.example", "javascript:alert(1)", "file:///etc/passwd", "https://user:hunter2@corp.example", "https://corp.example?x=" + marker,
		"https://corp.example#x", "https://", "corp.example", "--help", "https://corp.example/.well-known/openid-configuration", `"https://corp.example"`} {
		value("issuer", issuer, corp+"issuer")
	}
	value("issuer", "https://corp.example/\x1b[2J", corp+"issuer: holds a control character")
	value("issuer", strings.Repeat("x", 9000), corp+"issuer: longer than 8192 bytes")
	value("client_id", `"quoted"`, corp+"client_id: ")
	value("client_id", "cli\u202eent", corp+"client_id ")
	value("client_id", "", corp+"client_id: missing")
	value("storage", "cloud", corp+`storage "cloud": want auto, keyring, kernel, file`)
	value("region", "evil.example/#", dev+"region ")
	for _, arn := range []string{"Developer", "arn:aws:iam::111122223333:user/x", "arn:aws:sts::111122223333:assumed-role/x/y", "arn:aws:iam::1:role/x", "arn:aws:iam::111122223333:role/", "arn:aws:iam::111122223333:role/x y",
		"arn:aws:iam::111122223333:role/x\u202ey", "arn:evil:iam::111122223333:role/x", "arn:aws:iam::111122223333:role/" + strings.Repeat("x", 65)} {
		value("daypass_role_arn", arn, dev+"daypass_role_arn ")
	}
	for _, endpoint := range []string{"http://sts.evil.example", "https://u:p@sts.evil.example", "ftp://x", "https://x/?y=" + marker, "sts.evil.example", "//x"} {
		value("daypass_sts_endpoint", endpoint, dev+"daypass_sts_endpoint")
		value("daypass_signin_endpoint", endpoint, dev+"daypass_signin_endpoint")
	}
	value("daypass_idp", "other", dev+"daypass_idp ")
	value("daypass_idp", "../corp", dev+"daypass_idp ")

	line("daypass-idp corp", "client_secret = \"hunter2hunter2\"", corp+"client_secret: has quotes around it")
	line("daypass-idp corp", "clientid = x", corp+"clientid: unknown key; did you mean client_id?")
	line("daypass-idp corp", "role_arn = x", corp+"role_arn: unknown key; did you mean daypass_role_arn, which belongs in [profile NAME]?")
	line("daypass-idp corp", "scopes = \"openid email\"", corp+"scopes: ")
	line("daypass-idp corp", "extra_params = client_id=x", corp+"extra_params: client_id is a parameter of the protocol")
	line("daypass-idp corp", "extra_params = %zz", corp+"extra_params: want k=v&k=v")
	line("daypass-idp corp", "device_authorization_endpoint = http://corp.example/", corp+"device_authorization_endpoint: ")
	line("daypass-idp corp", "browser_command = \"unclosed", corp+"browser_command ")
	line("daypass-idp corp", "ca_bundle = /no/such/file", "ca_bundle of [daypass-idp corp]: ")
	line("daypass-idp corp", "ca_bundle = "+os.Args[0], "ca_bundle of [daypass-idp corp]: ")
	line("daypass-idp corp", "process_timeout = -5s", corp+"process_timeout ")
	line("daypass-idp corp", "process_timeout = 1e999s", corp+"process_timeout ")
	line("daypass-idp corp", "process_timeout = 99999999999999999999", corp+"process_timeout ")
	value("prompt", "always", corp+"prompt ")
	line("daypass-idp corp", "flow = password", corp+`flow "password": want auto, device, browser`)
	for _, bad := range []string{
		"https://127.0.0.1/callback", "http://10.0.0.1/callback", "http://corp.example/", "http://127.0.0.1:0/", "http://127.0.0.1:08400/", "http://127.0.0.1:65536/", "http://127.0.0.1:/",
		"http://127.0.0.1/?x=1", "http://127.0.0.1/#x", "http://me@127.0.0.1/", "127.0.0.1/callback", "http://127.0.0.1/a,http://127.0.0.1/b x", "http://localhost.corp.example/", "app:/callback",
	} {
		line("daypass-idp corp", "redirect_uri = http://127.0.0.1:8400/ "+bad, corp+"redirect_uri")
	}
	line("profile dev", "daypass_duration = 13h", dev+"daypass_duration ")
	line("profile dev", "daypass_duration = 1e9", dev+"daypass_duration ")
	line("profile dev", "daypass_duration = -1h", dev+"daypass_duration ")
	line("profile dev", "daypass_session_name = {email", dev+"daypass_session_name ")
	line("profile dev", "daypass_session_name = {}", dev+"daypass_session_name ")
	line("profile dev", "daypass_session_name = {no_such_claim}", "profile dev: daypass_session_name ")
	line("profile dev", "daypass_policy = {\"Version\":", dev+"daypass_policy ")
	line("profile dev", "daypass_policy = {\"x\":\""+strings.Repeat("x", 3000)+"\"}", dev+"daypass_policy ")
	line("profile dev", "daypass_policy_arns = arn:aws:iam::999999999999:policy/x", dev+"daypass_policy_arns ")
	line("profile dev", "daypass_policy_arns = x", dev+"daypass_policy_arns ")
	line("profile dev", "credential_process = /usr/local/bin/daypass process --profile prod", dev+"credential_process")
	line("profile dev", "daypass_rolearn = x", dev+"daypass_rolearn: unknown key; did you mean daypass_role_arn?")

	environment := func(name string, variables map[string]string, says string) {
		rows = append(rows, hostile{name: name, at: "environment", exit: 2, says: says, fault: func(a *attack) func() {
			good, env := a.config(), maps.Clone(a.env)
			a.write(".aws/config", strings.NewReplacer("daypass_sts_endpoint", "# ", "daypass_signin_endpoint", "# ").Replace(good))
			maps.Copy(a.env, variables)
			return func() { a.env = env; a.write(".aws/config", good) }
		}})
	}
	for _, endpoint := range []string{"https://sts.evil.example", "http://sts.eu-west-1.amazonaws.com", "https://sts.amazonaws.com.evil.example", "https://x.execute-api.eu-west-1.amazonaws.com", "https://u@sts.amazonaws.com",
		"https://sts.amazonaws.com@evil.example", "javascript:x", "http://169.254.169.254", "http://localhost.evil.example", "https://sts.cn-north-1.amazonaws.com.cn", "\x1b[2J"} {
		environment("AWS_ENDPOINT_URL_STS="+endpoint, map[string]string{"AWS_ENDPOINT_URL_STS": endpoint}, "AWS_ENDPOINT_URL_STS")
	}
	environment("AWS_ENDPOINT_URL", map[string]string{"AWS_ENDPOINT_URL": "https://evil.example"}, "AWS_ENDPOINT_URL ")
	environment("AWS_ENDPOINT_URL_SIGNIN", map[string]string{"AWS_ENDPOINT_URL_SIGNIN": "https://evil.example"}, "AWS_ENDPOINT_URL_SIGNIN ")
	environment("AWS_CA_BUNDLE, no such file", map[string]string{"AWS_CA_BUNDLE": "/no/such/file", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1"}, "the CA bundle for AWS cannot be used: ")
	environment("AWS_CA_BUNDLE, no PEM", map[string]string{"AWS_CA_BUNDLE": os.Args[0], "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1"}, "the CA bundle for AWS cannot be used: ")
	for _, bad := range []struct{ name, command, says string }{
		{"a profile with an escape sequence", "process --profile \x1b[2Jdev", ""},
		{"a profile of 100 kB", "process --profile " + strings.Repeat("x", 100000), ""},
		{"a profile that is a path", "process --profile ../../etc/passwd", ""},
		{"no profile", "process", "--profile: missing"},
		{"an argument", "process --profile dev extra", "unexpected argument \"extra\""},
		{"an unknown flag", "process --profile dev --no-such-flag=\x1b[2J", "unknown flag: --no-such-flag"},
		{"an issuer on the command line", "process --profile dev --issuer http://evil.example", "--issuer: "},
		{"an STS endpoint on the command line", "process --profile dev --sts-endpoint http://evil.example", "--sts-endpoint: "},
		{"a role on the command line", "process --profile dev --role-arn x", "--role-arn "},
	} {
		rows = append(rows, hostile{name: bad.name, at: "flags", command: bad.command, exit: 2, says: bad.says, fault: func(a *attack) func() {
			a.env["AWS_PROFILE"] = "dev" // which SDKs do not hand on, and process does not read
			return nil
		}})
	}
	runHostile(t, rows)
}
