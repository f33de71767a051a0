package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/internal/sandbox"
)

// laptop is a machine with a fresh home, no terminal and no browser, and a
// provider and an AWS on loopback. Its logins are kept in files of that home.
type laptop struct {
	t        *testing.T
	box      *sandbox.Sandbox
	env      map[string]string
	keyrings []cache.Keyring // nil: this system's
	clock    *sandbox.Clock  // on the laptop and at the provider
}

// newLaptop makes a laptop whose profile dev works, once somebody has logged in.
func newLaptop(t *testing.T, o sandbox.Options) *laptop {
	t.Helper()
	l := &laptop{t: t, keyrings: noKeyring(), clock: sandbox.NewClock(time.Now().Add(400 * 24 * time.Hour).UTC().Truncate(time.Second))}
	o.Now = l.clock.Now
	box, err := sandbox.Start(o)
	must(t, err)
	t.Cleanup(box.Close)
	home := t.TempDir()
	l.box = box
	l.env = map[string]string{
		"HOME": home, "USERPROFILE": home, "LocalAppData": filepath.Join(home, "AppData"),
	}
	l.write(".aws/config", l.config())
	return l
}

func (l *laptop) config() string {
	return fmt.Sprintf(`[daypass-idp corp]
issuer = %s
client_id = %s
storage = file
prompt = never

[profile dev]
region = eu-west-1
daypass_idp = corp
daypass_role_arn = %s
daypass_sts_endpoint = %s
daypass_signin_endpoint = %s
`, l.box.Issuer, l.box.ClientID, l.box.RoleARN, l.box.STSEndpoint, l.box.SigninEndpoint)
}

func (l *laptop) home() string { return l.env["HOME"] }

// write writes a file below the home.
func (l *laptop) write(name, text string) {
	l.t.Helper()
	path := filepath.Join(l.home(), name)
	must(l.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(l.t, os.WriteFile(path, []byte(text), 0o600))
}

// environment is what a command of this laptop touches.
func (l *laptop) environment(stdout, stderr *bytes.Buffer, args ...string) Environment {
	return Environment{
		Args: args, Stdout: stdout, Stderr: stderr,
		Getenv: func(name string) string { return l.env[name] },
		Environ: func() []string {
			var all []string
			for name, value := range l.env {
				all = append(all, name+"="+value)
			}
			return all
		},
		Home: l.home(), Executable: "", Now: l.clock.Now, Sleep: l.clock.Sleep,
		Keyrings: l.keyrings, Clouds: l.box.Transport(),
	}
}

// run runs a command line.
func (l *laptop) run(args ...string) (code int, stdout, stderr string) {
	l.t.Helper()
	var out, errs bytes.Buffer
	code = Run(l.t.Context(), l.environment(&out, &errs, args...))
	return code, out.String(), errs.String()
}

// mustRun runs a command line that has to succeed, and returns its stdout.
func (l *laptop) mustRun(args ...string) string {
	l.t.Helper()
	code, stdout, stderr := l.run(args...)
	if code != 0 {
		l.t.Fatalf("daypass %s: exit %d\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// login logs in with a person who approves every code.
func (l *laptop) login() {
	l.t.Helper()
	l.box.AutoApprove("taro")
	l.mustRun("login", "--profile", "dev")
	l.box.AutoApprove("")
}

// must ends a test whose own steps do not work.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until something is there.
func waitFor(t *testing.T, what string, there func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !there(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// pieceSize is how many bytes of a secret in a row are a leak. All that people may
// see of one is its kind, and the beginnings of session tokens are all the same.
const pieceSize = 20

// leaked returns a piece of a secret that text holds, or "".
func leaked(text string, secrets []string) string {
	pieces := map[string]bool{}
	for i := range max(len(text)-pieceSize+1, 0) {
		pieces[text[i:i+pieceSize]] = true
	}
	for _, secret := range secrets {
		if len(secret) < pieceSize && strings.Contains(text, secret) {
			return secret
		}
		for i := range max(len(secret)-pieceSize+1, 0) {
			if piece := secret[i : i+pieceSize]; pieces[piece] {
				return piece
			}
		}
	}
	return ""
}

// TestMain lets the test binary be daypass, for tests that start it as a program.
func TestMain(m *testing.M) {
	if os.Getenv("DAYPASS_TEST_IS_PROGRAM") != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		e := OS()
		e.Keyrings = noKeyring()
		code := Run(ctx, e)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// noKeyring is in place of this system's keyrings: logout --all must not reach what
// whoever runs the tests keeps there.
func noKeyring() []cache.Keyring { return []cache.Keyring{absent{}} }

// absent is a keyring that nothing can be stored in.
type absent struct{}

func (a absent) err() error {
	return &cache.UnreachableError{Where: a.Name(), Err: errors.New("there is none in this test")}
}

func (absent) Kind() string                                        { return "absent" }
func (absent) Name() string                                        { return "absent keyring" }
func (a absent) Get(context.Context, string) ([]byte, error)       { return nil, a.err() }
func (a absent) Set(context.Context, string, string, []byte) error { return a.err() }
func (a absent) Remove(context.Context, string) error              { return a.err() }
func (a absent) List(context.Context) ([]string, error)            { return nil, a.err() }
func (a absent) CanAsk() bool                                      { return false }
func (a absent) Unlock(context.Context, ...string) error           { return a.err() }
