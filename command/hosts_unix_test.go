//go:build unix

package command

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

// internet is the only way out for a daypass in a process of its own. It knows a
// provider with a host for each endpoint and AWS's own hosts.
type internet struct {
	*sandbox.Internet
	t   *testing.T
	box *sandbox.Sandbox
}

const corpIssuer = "https://login.corp.example/idp"

func newInternet(t *testing.T) *internet {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{IDTokenLife: time.Second, Claims: map[string]any{"iss": corpIssuer}})
	must(t, err)
	t.Cleanup(box.Close)
	box.AutoApprove("taro")
	n := &internet{t: t, box: box}
	n.Internet, err = sandbox.StartInternet(http.HandlerFunc(n.play), "*.corp.example", "sts.eu-west-1.amazonaws.com", "eu-west-1.signin.aws.amazon.com")
	must(t, err)
	t.Cleanup(n.Close)
	return n
}

// play answers in the place of a host.
func (n *internet) play(w http.ResponseWriter, r *http.Request) {
	switch host := r.Host; {
	case strings.HasSuffix(host, ".corp.example"):
		_ = r.ParseForm()
		own := httptest.NewRecorder()
		n.box.Serve(own, r)
		maps.Copy(w.Header(), own.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(own.Code)
		_, _ = io.WriteString(w, n.named(own.Body.String()))
	case host == "sts.eu-west-1.amazonaws.com" && r.Method == http.MethodPost:
		stsAnswer(nil)(&attack{laptop: &laptop{t: n.t, clock: sandbox.NewClock(time.Now())}}, w, r)
	case host == "eu-west-1.signin.aws.amazon.com" && r.Method == http.MethodPost:
		asJSON(http.StatusOK, `{"SigninToken":"x"}`)(nil, w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// named gives each endpoint of the sandbox's provider a host of its own.
func (n *internet) named(text string) string {
	own := n.box.Issuer
	for endpoint, host := range map[string]string{"token": "token", "keys": "keys", "device_authorization": "device", "revoke": "revoke", "device": "approve"} {
		text = strings.ReplaceAll(text, `"`+own+"/"+endpoint+`"`, `"https://`+host+`.corp.example/idp/`+endpoint+`"`)
	}
	text = strings.ReplaceAll(text, own+"/device?", "https://approve.corp.example/idp/device?")
	return strings.ReplaceAll(text, own, corpIssuer)
}

// No command contacts a host but those that docs/security.md names for it: the
// issuer's, those that the issuer's discovery document names, AWS STS and AWS
// sign-in in the profile's region.
func TestHostsContacted(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	home := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(home, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, []byte(text), 0o700))
		return path
	}
	bundle := write("ca.pem", string(n.Certificate))
	write(".aws/config", fmt.Sprintf(`[daypass-idp corp]
issuer = %s
client_id = %s
storage = file
prompt = never
ca_bundle = %s

[profile dev]
region = eu-west-1
daypass_idp = corp
daypass_role_arn = arn:aws:iam::111122223333:role/Developer
credential_process = /usr/local/bin/daypass process --profile dev
`, corpIssuer, n.box.ClientID, bundle))
	daypass := filepath.Join(home, "daypass") // this program, see TestMain; configure refuses a path of go test's
	must(t, os.Symlink(os.Args[0], daypass))
	env := []string{"DAYPASS_TEST_IS_PROGRAM=1", "GORACE=atexit_sleep_ms=0", "HOME=" + home, "PATH=" + os.Getenv("PATH"), "AWS_CA_BUNDLE=" + bundle, "HTTPS_PROXY=" + n.Proxy, "HTTP_PROXY=" + n.Proxy}

	const (
		issuer, device, tokens, keys, revoke = "login.corp.example", "device.corp.example", "token.corp.example", "keys.corp.example", "revoke.corp.example"
		sts, signin                          = "sts.eu-west-1.amazonaws.com", "eu-west-1.signin.aws.amazon.com"
	)
	expired := func() { time.Sleep(1100 * time.Millisecond) } // the ID token: real time, for the process is real
	for _, step := range []struct {
		command string
		before  func()
		exit    int
		hosts   []string
	}{
		{"version", nil, 0, nil},
		{"--help", nil, 0, nil},
		{"completion bash", nil, 0, nil},
		{"status", nil, 3, nil},
		{"process --profile dev", nil, 3, nil}, // nobody to ask
		{"trust-policy -p dev", nil, 0, nil},
		{"logout -p dev", nil, 0, nil},
		{"configure --yes --dry-run --idp corp --role-arn arn:aws:iam::111122223333:role/Admin --profile admin", nil, 0, []string{issuer}},
		{"login -p dev", nil, 0, []string{device, keys, tokens}},
		{"process --profile dev", expired, 0, []string{sts, tokens}},
		{"process --profile dev", nil, 0, nil}, // from the cache
		{"exec -p dev -- true", nil, 0, nil},
		{"status -p dev", nil, 0, nil},
		{"trust-policy -p dev --sub", nil, 0, nil},
		{"console -p dev --print", nil, 0, []string{signin}},
		{"token -p dev", expired, 0, []string{tokens}},
		{"process --profile dev --duration 2h", expired, 0, []string{sts, tokens}},
		{"login -p dev", expired, 0, []string{tokens}},                              // still renews
		{"doctor -p dev", expired, -1, []string{signin, issuer, keys, sts, tokens}}, // all anew,
		{"login -p dev --force", nil, 0, []string{device, tokens}},                  // the rest is remembered
		{"logout -p dev", nil, 0, []string{revoke}},
		{"logout --all", nil, 0, nil},
	} {
		if step.before != nil {
			step.before()
		}
		cmd := exec.Command(daypass, strings.Fields(step.command)...)
		var stderr bytes.Buffer
		cmd.Env, cmd.Stderr = env, &stderr
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		code := cmd.ProcessState.ExitCode()
		want := append([]string{}, step.hosts...)
		slices.Sort(want)
		if got := n.Asked(); code != step.exit && step.exit >= 0 || !slices.Equal(got, want) {
			t.Errorf("daypass %s: exit %d, asked %q, want %q\n%s", step.command, code, got, want, stderr.String())
		}
	}
}

// Whatever goes out goes out through the one transport that holds the proxy
// variables, and so through the proxy of TestHostsContacted: nothing else in the
// program makes connections.
func TestNothingElseConnects(t *testing.T) {
	allowed := map[string]string{
		"process/http.go":       "http.Client http.Transport net.Dialer",
		"cache/bus_linux.go":    "net.Dialer",                             // the session bus
		"console/handover.go":   "net.Listen",                             // on loopback, for the browser
		"command/exec_serve.go": "net.Listen",                             // on loopback, for the command
		"browserflow/listen.go": "http.Transport net.Listen net.Listener", // likewise, and to bring it what is pasted
	}
	connects := regexp.MustCompile(`\b(net\.(Dial|Listen|Lookup)\w*|net\.(Default)?Resolver|(tls|smtp|rpc|textproto)\.(Dial|Listen)\w*|` +
		`http\.(Get|Head|Post|PostForm|Client|DefaultClient|Transport|DefaultTransport|ListenAndServe\w*))\b`)
	found := map[string]string{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		name := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (slices.Contains([]string{"internal", "e2e", "examples"}, name) || strings.HasPrefix(name, ".") && name != ".."):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		uses := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(strings.TrimSpace(line), "//") {
				for _, use := range connects.FindAllString(line, -1) {
					uses[use] = true
				}
			}
		}
		if len(uses) > 0 {
			found[name] = strings.Join(slices.Sorted(maps.Keys(uses)), " ")
		}
		return err
	})
	if diff := cmp.Diff(allowed, found); diff != "" || err != nil {
		t.Errorf("%v: what makes connections: want -, got +:\n%s", err, diff)
	}
}
