package profile

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// with is config with lines added to a section.
func with(section, lines string) string {
	return strings.Replace(config, section+"\n", section+"\n"+lines+"\n", 1)
}

// instead is config with the line of a key replaced.
func instead(key, line string) string {
	lines := strings.Split(config, "\n")
	for i := range lines {
		if strings.HasPrefix(lines[i], key+" ") {
			lines[i] = line
		}
	}
	return strings.Join(lines, "\n")
}

// sourced is config whose login has a source.
func sourced(value string) string {
	return strings.Replace(instead("issuer", "source = "+value), "client_id = J1oXg0", "", 1)
}

const (
	inIDP     = "[daypass-idp corp]"
	inProfile = "[profile dev]"
	role      = "arn:aws:iam::111122223333:role/dev"
)

// Each file has one fault. The error names the place and what is wanted.
func TestFaults(t *testing.T) {
	tests := map[string]struct {
		text  string
		parts []string
	}{
		"section without word":  {strings.Replace(config, "[profile dev]", "[dev]", 1), []string{"it must be [profile dev]"}},
		"others to choose from": {strings.Replace(config, "[profile dev]", "[profile prod]", 1), []string{"no section [profile dev]", "prod"}},
		"login missing":         {instead("daypass_idp", ""), []string{"[profile dev] daypass_idp: missing", "--idp"}},
		"issuer missing":        {instead("issuer", ""), []string{"[daypass-idp corp] issuer: missing", "--issuer"}},

		"dashes in the profile":           {with(inProfile, "daypass-role-arn = x"), []string{"did you mean daypass_role_arn?"}},
		"near to no key":                  {with(inIDP, "typo = x"), []string{"typo: unknown key\n", "Remove the line."}},
		"key of the login in the profile": {with(inProfile, "daypass_storage = file"), []string{"did you mean storage, which belongs in [daypass-idp NAME]?"}},

		"client secret odd":      {with(inIDP, "client_secret = hunter2\u00e4"), []string{"client_secret: want"}},
		"issuer with password":   {instead("issuer", "issuer = https://me:hunter2@idp.example"), []string{"user name"}},
		"issuer of odd form":     {instead("issuer", "issuer = https://me:hunter2@idp.example:x"), []string{"not a URL"}},
		"client secret twice":    {with(inIDP, "client_secret = hunter2\nclient_secret = hunter2"), []string{"client_secret: the key is there twice"}},
		"extra, not assigned":    {with(inIDP, "extra_params = hunter2"), []string{"extra_params: want k=v&k=v"}},
		"client secret, control": {with(inIDP, "client_secret = hunter2\x01"), []string{"client_secret: holds a control"}},
		"extra, semicolon":       {with(inIDP, "extra_params = a=hunter2;b=c"), []string{"extra_params: want k=v&k=v"}},
		"extra, twice":           {with(inIDP, "extra_params = a=b&a=hunter2"), []string{`"a" is there twice`}},
		"extra, audience":        {with(inIDP, "audience = x\nextra_params = audience=y"), []string{"audience is set"}},
		"browser command":        {with(inIDP, "browser_command = firefox"), []string{`"firefox"`, "{url}"}},
		"browser command, one":   {with(inIDP, `browser_command = "firefox {url}"`), []string{"quotes around it", "Leave them out"}},
		"browser command, shell": {with(inIDP, "browser_command = sh -c 'firefox {url}'"), []string{"sh would read the address as a part of a script", "firefox {url}"}},
		"ca bundle":              {with(inIDP, "ca_bundle = corp.pem"), []string{`"corp.pem"`, "absolute"}},
		"process timeout, short": {with(inIDP, "process_timeout = 14s"), []string{`"14s"`, "15s to 10m"}},

		"support":                {with(inIDP, "support = "+strings.Repeat("x", 301)), []string{"300"}},
		"source":                 {sourced("file:"), []string{`"file:"`, "want device, file:PATH, env:NAME"}},
		"source with a name":     {sourced("gcp-metadata:x"), []string{"want device, file:PATH"}},
		"source, relative":       {sourced("file:token"), []string{"absolute"}},
		"source, odd variable":   {sourced("env:A=B"), []string{"env:NAME"}},
		"file and audience":      {sourced("file:/x\naudience = a"), []string{"audience: it has no meaning with source = file:/x"}},
		"Azure without audience": {sourced("azure-imds"), []string{"audience: missing", "App ID URI"}},
		"Azure identity":         {sourced("azure-imds\naudience = api://a\nazure_identity = name:x"), []string{"want system, client_id:X"}},
		"Azure identity, empty":  {sourced("azure-imds\naudience = api://a\nazure_identity = client_id:"), []string{"want system, client_id:X"}},
		"Azure identity, login":  {with(inIDP, "azure_identity = system"), []string{"azure_identity: it has no meaning with source = device"}},
		"issuer beside a source": {sourced("gcp-metadata\nissuer = http://idp.example"), []string{"issuer", "not https"}},

		"role, no path": {instead("daypass_role_arn", "daypass_role_arn = arn:aws:iam::111122223333:role//a"), []string{"role/NAME"}},
		"role, long":    {instead("daypass_role_arn", "daypass_role_arn = arn:aws:iam::111122223333:role/"+strings.Repeat("a/", 1100)+"b"), []string{"role/NAME"}},
		"role, region":  {instead("daypass_role_arn", "daypass_role_arn = arn:aws:iam:eu-west-1:111122223333:role/a"), []string{"role/NAME"}},
		"chained role":  {"[profile dev]\nrole_arn = x\nsource_profile = hub\n" + config[:strings.Index(config, "[profile")], []string{"source_profile = hub", "Use --profile hub", "daypass_source_profile = hub and daypass_role_arn = x."}},
		"name with a space in the login": {strings.Replace(strings.Replace(config, inIDP, "[daypass-idp my corp]", 1), "= corp", "= my corp", 1),
			[]string{"[daypass-idp my corp]", "Rename it"}},
		"role, session":        {instead("daypass_role_arn", "daypass_role_arn = arn:aws:sts::111122223333:assumed-role/a/b"), []string{"session of a role"}},
		"key twice":            {with(inProfile, "REGION = b"), []string{"region: the key is there twice"}},
		"key twice, empty":     {with(inProfile, "output =\noutput = b"), []string{"output: the key is there twice"}},
		"no header":            {config + "[]\nregion = a\n", []string{"this is not a section header"}},
		"duration, fraction":   {with(inProfile, "daypass_duration = 15m0.5s"), []string{"whole seconds"}},
		"session name, closed": {with(inProfile, "daypass_session_name = email}"), []string{"{claim}"}},
		"session name, nested": {with(inProfile, "daypass_session_name = {a{b}}"), []string{"{claim}"}},
		"session name, long":   {with(inProfile, "daypass_session_name = "+strings.Repeat("a", 257)), []string{"256"}},
		"11 policies":          {with(inProfile, "daypass_policy_arns = "+strings.Repeat("arn:aws:iam::aws:policy/A,", 11)), []string{"at most 10 policies, not 11"}},
		"policy ARN of a role": {with(inProfile, "daypass_policy_arns = "+role), []string{"ARN of a policy"}},
		"policy, partition":    {with(inProfile, "daypass_policy_arns = arn:aws-cn:iam::aws:policy/A"), []string{"partition of the role"}},
		"policy, file":         {with(inProfile, "daypass_policy = file://policy.json"), []string{"JSON"}},
		"policy, characters":   {with(inProfile, `daypass_policy = {"a":"`+"\u20ac"+`"}`), []string{"Latin-1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, tt.text, "dev", nil, nil)
			wantError(t, err, tt.parts...)
		})
	}
	for _, line := range []string{"client_id = c", "client_secret = hunter2", "flow = auto", "redirect_uri = http://127.0.0.1", "scopes = openid",
		"extra_params = a=hunter2", "device_authorization_endpoint = https://a.example", "prompt = terminal", "browser_command = x {url}"} {
		key, _, _ := strings.Cut(line, " ")
		_, err := load(t, sourced("gcp-metadata\n"+line), "dev", nil, nil)
		wantError(t, err, key+": it has no meaning with source = gcp-metadata", "Remove it")
	}
	for name := range strings.FieldsSeq("client_id client_secret scope grant_type device_code refresh_token code_challenge code_challenge_method code_verifier " +
		"client_assertion client_assertion_type redirect_uri state nonce response_type response_mode code request request_uri") {
		_, err := load(t, with(inIDP, "extra_params = a=b&"+name+"=hunter2"), "dev", nil, nil)
		wantError(t, err, name+" is a parameter of the protocol")
	}
}

func TestAccepted(t *testing.T) {
	for name, text := range map[string]string{
		"keys of other tools":          with(inProfile, "output = json\nsso_session = x\nmy_own = 1"),
		"unknown keys, not in use":     config + "[daypass-idp x]\nfoo = 1\n[profile x]\ndaypass_foo = 1\ndaypass_role_arn = no\n",
		"twice, not in use":            config + "[profile x]\na = 1\na = 2\n[profile x]\n[profile x]\n",
		"issuer with port and path":    instead("issuer", "issuer = https://idp.example:8443/realms/x"),
		"duration, least":              with(inProfile, "daypass_duration = 15m"),
		"duration, most":               with(inProfile, "daypass_duration = 43200"),
		"ten policies":                 with(inProfile, "daypass_policy_arns = "+strings.Repeat("arn:aws:iam::aws:policy/A ", 10)),
		"policy of 2048 characters":    with(inProfile, `daypass_policy = {"a":"`+strings.Repeat("\u00e9", 2040)+`"}`),
		"empty values are no values":   with(inIDP, "storage =\nprompt =\nprocess_timeout =\nextra_params =\nca_bundle ="),
		"audience by extra parameter":  with(inIDP, "extra_params = audience=x"),
		"session name without a claim": with(inProfile, "daypass_session_name = build"),
		"no credential_process":        instead("credential_process", ""),
		"source device":                with(inIDP, "source = device"),
		"source and its issuer":        sourced("github-actions\nissuer = https://idp.example\naudience = a\nca_bundle = ~/x\nsupport = s"),
	} {
		if _, err := load(t, text, "dev", nil, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFlagFaults(t *testing.T) {
	for flag, value := range map[string]string{
		"role-arn": "dev", "issuer": "http://idp.example", "duration": "1m", "storage": "\x1b[31m", "support": "a\nb",
		"scopes": "\xff", "region": "moon", "policy": strings.Repeat("x", maxValue+1), "idp": "nosuch",
	} {
		_, err := load(t, config, "dev", nil, map[string]string{flag: value})
		wantError(t, err, "--"+flag)
	}
	// An empty flag takes back what the file says.
	p, err := load(t, with(inProfile, "daypass_duration = 2h"), "dev", nil, map[string]string{"duration": ""})
	if err != nil || p.Duration != time.Hour {
		t.Errorf("duration %s, %v", p.Duration, err)
	}
	_, err = load(t, config, "dev", nil, map[string]string{"role-arn": ""})
	wantError(t, err, "--role-arn: missing")
	// No flag sets the client secret.
	p, err = load(t, config, "dev", nil, map[string]string{"client-secret": "x", "client_secret": "x"})
	if err != nil || !p.IDP.ClientSecret.Empty() {
		t.Errorf("client secret set by a flag, or %v", err)
	}
}

func TestPastedLine(t *testing.T) {
	for line, wrong := range map[string]bool{
		`daypass process --profile prod`:                   true,
		`daypass process --profile=prod`:                   true,
		`"/opt/my tools/daypass" process --profile "prod"`: true,
		`daypass process --profile dev --profile prod`:     true,
		`"daypass process --profile prod`:                  true,
		`daypass process -p prod`:                          true,
		`daypass process -pprod`:                           true,
		`daypass process -p=prod`:                          true,
		`daypass process -p=dev`:                           false,
		`daypass process "--profile" 'dev'`:                false,
		`C:\tools\daypass.exe process --profile dev`:       false,
		`daypass process --role-arn x`:                     false,
		`daypass process --profile`:                        false,
	} {
		_, err := load(t, instead("credential_process", "credential_process = "+line), "dev", nil, nil)
		if wrong {
			wantError(t, err, "credential_process", "this line gets the credentials of profile")
		} else if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// Expected words are those of Python's shlex.split; nil where it raises ValueError.
func TestSplitWords(t *testing.T) {
	for text, want := range map[string]string{
		`a b  c`: "a|b|c", `"a b" c`: "a b|c", `'a "b' c`: `a "b|c`, `a\ b`: "a b", `"a\"b"`: `a"b`, `"a\b"`: `a\b`,
		`'a\b'`: `a\b`, `a''b`: "ab", `C:\x y`: "C:x|y", "a\tb\n": "a|b", `"a`: "error", `a\`: "error", `'`: "error",
		`# x`: "#|x", `a ""`: "a|", ``: "",
	} {
		words, err := splitWords(text, true)
		got := strings.Join(words, "|")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("splitWords(%q) = %q, want %q", text, got, want)
		}
	}
	words, err := splitWords(`"C:\Program Files\x.exe" {url}`, false)
	if err != nil || strings.Join(words, "|") != `C:\Program Files\x.exe|{url}` {
		t.Errorf("on Windows: %q, %v", words, err)
	}
}

// A name is to a shell, and to botocore in a header, what it is.
func TestWord(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // cmd.exe knows double quotes alone
	}
	if out, err := exec.Command("sh", "-c", "printf %s "+Word("$(echo x)\x01")).Output(); string(out) != `"$(echo x)\x01"` {
		t.Errorf("a name that is not seen: %q, %v", out, err)
	}
	for _, name := range []string{"dev", "my dev", "a$b", "$(echo x)", "`echo x`", `a\b`, `"a"`, "it's $a", "jos\u00e9"} {
		out, err := exec.Command("sh", "-c", "printf %s "+Word(name)).Output()
		words, split := splitWords(Word(name), true)
		if err != nil || string(out) != name || split != nil || len(words) != 1 || words[0] != name {
			t.Errorf("%s became %s: %q (%v) and %q (%v)", name, Word(name), out, err, words, split)
		}
	}
}

// A URL may hold "&" and "$(", and a shell would run what follows them.
func TestCheckBrowserCommand(t *testing.T) {
	for line, refused := range map[string]bool{
		`firefox -P work {url}`:                                   false,
		`sh /opt/open.sh {url}`:                                   false,
		`sh -c 'exec firefox "$1"' sh {url}`:                      false,
		`env DISPLAY=:1 firefox {url}`:                            false,
		`firefox ext+container:url={url_encoded}`:                 false,
		`firefox 'ext+container:a b&url={url_encoded}'`:           false,
		`open -a "Google Chrome" --args --app={url}`:              false,
		`sudo -u me env DISPLAY=:1 firefox {url}`:                 false,
		`python3 -m webbrowser {url}`:                             false,
		`rundll32.exe url.dll,FileProtocolHandler {url}`:          false,
		`ssh host firefox {url_encoded}`:                          false,
		`ssh host firefox {url}`:                                  true,
		`/usr/bin/ssh -t host firefox {url}`:                      true,
		`nohup plink.exe host firefox {url}`:                      true,
		`adb shell am start -d {url}`:                             true,
		`wsl firefox {url}`:                                       true,
		`wslview {url}`:                                           true,
		`sudo -i firefox {url}`:                                   true,
		`sudo sh -c 'firefox {url}'`:                              true,
		`xargs -I_ sh -c 'firefox {url} _'`:                       true,
		`osascript -e 'open location "{url}"'`:                    true,
		`python3.11 -c 'import webbrowser as w; w.open("{url}")'`: true,
		`perl -e system(firefox,{url})`:                           true,
		`runuser -c {url} me`:                                     true,
		`sh -c 'firefox {url}'`:                                   true,
		`/bin/bash -lc 'firefox {url}'`:                           true,
		`sh -c -e 'firefox {url}'`:                                true,
		`env -S 'sh -c "firefox {url}"'`:                          true,
		`fish --command={url}`:                                    true,
		`sh -c -e {url}`:                                          true,
		`fish --command='open {url}'`:                             true,
		`su me -c "firefox {url}"`:                                true,
		`cmd /c start {url}`:                                      true,
		`cmd.exe /c start "" {url}`:                               true,
		`'C:\Windows\System32\CMD.EXE' /c start {url}`:            true,
		`powershell -Command Start-Process {url}`:                 true,
		`/mnt/c/x/powershell.exe Start-Process {url}`:             true,
	} {
		words, err := splitWords(line, true)
		must(t, err)
		if err := CheckBrowserCommand(words); (err != nil) != refused {
			t.Errorf("%s: %v, want an error: %v", line, err, refused)
		}
	}
}

// A name with a space works as botocore reads it, and is refused as it does not.
func TestNameWithASpace(t *testing.T) {
	text := strings.Replace(instead("credential_process", ""), inProfile, "[profile \"my dev\"]", 1)
	if p, err := load(t, text, "my dev", nil, nil); err != nil || p.Name != "my dev" {
		t.Errorf("%q, %v", p.Name, err)
	}
	_, err := load(t, strings.Replace(config, inProfile, "[profile my dev]", 1), "my dev", nil, nil)
	wantError(t, err, "[profile my dev]", "Rename it", `[profile "my dev"]`)

	text = strings.Replace(instead("daypass_idp", "daypass_idp = two words"), inIDP, "[daypass-idp \"two words\"]", 1)
	if p, err := load(t, text, "dev", nil, nil); err != nil || p.IDP.Name != "two words" {
		t.Errorf("%q, %v", p.IDP.Name, err)
	}
}

func TestProblemNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		config:                              "",
		"\ufeff" + config:                   "line 1: the file begins with a byte order mark",
		"x = 1\n" + config:                  "line 1: this setting is above the first section",
		config + "junk hunter2\n":           "line 11: this is neither a setting nor a section header",
		config + "[x\n":                     "line 11: this is not a section header",
		config + "[default]\n\n[default]\n": "line 13: the section [default] is there twice",
		config + "Region = x\n":             "line 11: the key region is there twice",
		"[DEFAULT]\n[DEFAULT]\n[default]\n[profile default]\n": "",
	} {
		got := newDocument(text).problem()
		if !strings.HasPrefix(got, want) || (got == "") != (want == "") || strings.Contains(got, "hunter2") {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
