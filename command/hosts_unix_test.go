//go:build unix

package command

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// internet is a proxy, the only way out for a daypass in a process of its own. It
// knows a provider with a host for each endpoint and AWS's own hosts, and writes
// down every host that is asked for, whether it knows it or not.
type internet struct {
	t         *testing.T
	box       *sandbox.Sandbox
	address   string
	authority *x509.Certificate
	key       *ecdsa.PrivateKey

	mu    sync.Mutex
	hosts map[string]int
}

const corpIssuer = "https://login.corp.example/idp"

func newInternet(t *testing.T) *internet {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{IDTokenLife: time.Second, Claims: map[string]any{"iss": corpIssuer}})
	must(t, err)
	t.Cleanup(box.Close)
	box.AutoApprove("taro")
	n := &internet{t: t, box: box, hosts: map[string]int{}}
	n.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	n.authority = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "daypass test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	n.address = listener.Addr().String()
	server := &http.Server{Handler: n}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return n
}

// certificate signs a certificate for a host, the authority's own for "".
func (n *internet) certificate(host string) []byte {
	c := n.authority
	if host != "" {
		c = &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
			NotBefore: n.authority.NotBefore, NotAfter: n.authority.NotAfter,
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, n.authority, n.key.Public(), n.key)
	if err != nil {
		n.t.Error(err)
	}
	return der
}

// ServeHTTP is the proxy: what it is asked to connect to, it plays itself.
func (n *internet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect {
		host = "plain http: " + r.URL.Host
	}
	n.mu.Lock()
	n.hosts[host]++
	n.mu.Unlock()
	if r.Method != http.MethodConnect {
		http.Error(w, "not without TLS", http.StatusForbidden)
		return
	}
	plain, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		n.t.Error(err)
		return
	}
	defer plain.Close()
	_, _ = io.WriteString(plain, "HTTP/1.1 200 OK\r\n\r\n")
	conn := tls.Server(plain, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{n.certificate(host)}, PrivateKey: n.key}}})
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	for requests := bufio.NewReader(conn); ; {
		request, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(request.Body)
		answer := n.play(host, request, body)
		response := &http.Response{StatusCode: answer.Code, ProtoMajor: 1, ProtoMinor: 1, Header: answer.Header(), Body: io.NopCloser(answer.Body), ContentLength: int64(answer.Body.Len())}
		if response.Write(conn) != nil || request.Close {
			return
		}
	}
}

// play answers in the place of a host.
func (n *internet) play(host string, r *http.Request, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	switch {
	case strings.HasSuffix(host, ".corp.example"):
		own, err := http.NewRequest(r.Method, n.box.URL+r.URL.Path, strings.NewReader(string(body)))
		if err != nil {
			n.t.Error(err)
			return w
		}
		own.Header = r.Header
		answer, err := http.DefaultTransport.RoundTrip(own)
		if err != nil {
			n.t.Error(err)
			return w
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		maps.Copy(w.Header(), answer.Header)
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.StatusCode)
		_, _ = w.WriteString(n.named(string(text)))
	case host == "sts.eu-west-1.amazonaws.com" && r.Method == http.MethodPost:
		stsAnswer(nil)(&attack{laptop: &laptop{t: n.t, clock: sandbox.NewClock(time.Now())}}, w, r)
	case host == "eu-west-1.signin.aws.amazon.com" && r.Method == http.MethodPost:
		asJSON(http.StatusOK, `{"SigninToken":"x"}`)(nil, w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	return w
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

// asked returns the hosts that were asked for since the last call.
func (n *internet) asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	hosts := slices.Sorted(maps.Keys(n.hosts))
	n.hosts = map[string]int{}
	return hosts
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
	bundle := write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.certificate("")})))
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
	env := []string{"DAYPASS_TEST_IS_PROGRAM=1", "GORACE=atexit_sleep_ms=0", "HOME=" + home, "PATH=" + os.Getenv("PATH"), "AWS_CA_BUNDLE=" + bundle, "HTTPS_PROXY=http://" + n.address, "HTTP_PROXY=http://" + n.address}

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
		{"configure --yes --dry-run --idp corp --role-arn arn:aws:iam::111122223333:role/Admin --profile admin", nil, -1, nil},
		{"login -p dev", nil, 0, []string{device, keys, issuer, tokens}},
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
		cmd := exec.Command(os.Args[0], strings.Fields(step.command)...) // daypass itself, see TestMain
		var stderr bytes.Buffer
		cmd.Env, cmd.Stderr = env, &stderr
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		code := cmd.ProcessState.ExitCode()
		want := append([]string{}, step.hosts...)
		slices.Sort(want)
		if got := n.asked(); code != step.exit && step.exit >= 0 || !slices.Equal(got, want) {
			t.Errorf("daypass %s: exit %d, asked %q, want %q\n%s", step.command, code, got, want, stderr.String())
		}
	}
}

// Whatever goes out goes out through the one transport that holds the proxy
// variables, and so through the proxy of TestHostsContacted: nothing else in the
// program makes connections.
func TestNothingElseConnects(t *testing.T) {
	root := ".."
	allowed := map[string][]string{
		"process/http.go":              {"http.Client", "http.Transport", "net.Dialer"},
		"cache/secretservice_linux.go": {"net.Dialer"}, // the session bus
		"console/handover.go":          {"net.Listen"}, // on loopback, for the browser
		"command/exec_serve.go":        {"net.Listen"}, // on loopback, for the command
	}
	connects := func(name string) bool {
		pkg, what, _ := strings.Cut(name, ".")
		switch pkg {
		case "net":
			return strings.HasPrefix(what, "Dial") || strings.HasPrefix(what, "Listen") || strings.HasPrefix(what, "Lookup") || what == "Resolver" || what == "DefaultResolver"
		case "http":
			return slices.Contains([]string{"Get", "Head", "Post", "PostForm", "Client", "DefaultClient", "Transport", "DefaultTransport", "ListenAndServe"}, what)
		case "tls", "smtp", "rpc", "textproto":
			return strings.HasPrefix(what, "Dial") || strings.HasPrefix(what, "Listen")
		}
		return false
	}
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		name = filepath.ToSlash(name)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (slices.Contains([]string{"internal", "e2e", "examples"}, name) || strings.HasPrefix(entry.Name(), ".") && name != "."):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if s, ok := node.(*ast.SelectorExpr); ok {
				if pkg, ok := s.X.(*ast.Ident); ok && connects(pkg.Name+"."+s.Sel.Name) && !slices.Contains(found[name], pkg.Name+"."+s.Sel.Name) {
					found[name] = append(found[name], pkg.Name+"."+s.Sel.Name)
				}
			}
			return true
		})
		return nil
	})
	must(t, err)
	for name, uses := range found {
		slices.Sort(uses)
		if !slices.Equal(uses, allowed[name]) {
			t.Errorf("%s uses %q, want %q", name, uses, allowed[name])
		}
	}
	if len(found) != len(allowed) {
		t.Errorf("%d files make connections, want %d", len(found), len(allowed))
	}
}
