//go:build e2e && linux && amd64

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// windows is a person's Windows computer, played by Wine: a registry and a
// Credential Manager of its own, and daypass.exe. The provider and AWS are a
// sandbox outside of it. There is no console, as in an IDE, but a browser.
type windows struct {
	t          *testing.T
	folder     string
	env        []string
	wineserver string
}

// newWindows sets a Windows computer up. When the test ends, all of it ends.
func newWindows(t *testing.T) *windows {
	t.Helper()
	program(t, "wine")
	program(t, "x86_64-w64-mingw32-gcc")
	folder, err := os.MkdirTemp("", "daypass-e2e-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	for _, name := range []string{"home", "prefix"} {
		must(t, os.Mkdir(filepath.Join(folder, name), 0o700))
	}
	w := &windows{t: t, folder: folder, wineserver: program(t, "wineserver", "wineserver-stable"), env: []string{
		"PATH=/usr/bin:/bin",
		"HOME=" + filepath.Join(folder, "home"), // Wine links "My Documents" to it
		"WINEPREFIX=" + filepath.Join(folder, "prefix"),
		"TMPDIR=" + folder, // wineserver leaves a folder there
		"WINEDEBUG=-all",
		"WINEDLLOVERRIDES=mscoree=;mshtml=", // else it offers to download them
		"DISPLAY=",
		marker + "=" + folder,
	}}
	t.Cleanup(func() { checkStrays(t, folder) })
	t.Cleanup(w.shutDown)
	w.unix("wine", "wineboot", "--init")
	w.compile("bcryptprimitives.c", w.path("windows/system32/bcryptprimitives.dll"), "-shared", "-ladvapi32")
	return w
}

// path is where a file of drive C lies.
func (w *windows) path(name string) string {
	return filepath.Join(w.folder, "prefix/drive_c", name)
}

// unix runs a program of this system's in Wine's environment.
func (w *windows) unix(argv ...string) {
	w.t.Helper()
	if r := w.start(argv...); r.code != 0 {
		w.t.Fatalf("%q: %+v", argv, r)
	}
}

// start runs a program for two minutes at most, also at the test's end.
func (w *windows) start(argv ...string) result {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = w.env
	cmd.Dir = w.folder
	// Files, not pipes: what Wine leaves running keeps them open.
	var outputs [2]*os.File
	for i := range outputs {
		var err error
		if outputs[i], err = os.CreateTemp(w.folder, "output"); err != nil {
			w.t.Error(err) // not Fatal: a crowd's goroutines are here
			return result{code: -1}
		}
		defer outputs[i].Close()
	}
	cmd.Stdout, cmd.Stderr = outputs[0], outputs[1]
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		w.t.Errorf("%q: %v", argv, err)
	}
	if ctx.Err() != nil {
		w.t.Errorf("%q hangs", argv)
	}
	return result{cmd.ProcessState.ExitCode(), read(w.t, outputs[0].Name()), read(w.t, outputs[1].Name())}
}

// compile makes a Windows program from a file of folder wine.
func (w *windows) compile(source, output string, options ...string) {
	w.t.Helper()
	argv := append([]string{"x86_64-w64-mingw32-gcc", "-Wall", "-Werror", "-o", output, installed.in("wine/" + source)}, options...)
	w.unix(argv...)
}

// goBuild runs the go command for Windows.
func (w *windows) goBuild(args ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Minute) // it may have to compile everything
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Dir = filepath.Dir(installed.folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("go %q: %v\n%s", args, err, out)
	}
}

// run runs a Windows program.
func (w *windows) run(argv ...string) result {
	w.t.Helper()
	return w.start(append([]string{"wine"}, argv...)...)
}

func (w *windows) daypass(args ...string) result {
	w.t.Helper()
	return w.run(append([]string{`C:\daypass.exe`}, args...)...)
}

// shutDown ends all programs and writes the registry to its files.
func (w *windows) shutDown() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// It says that it failed where no server runs any more.
	cmd := exec.CommandContext(ctx, w.wineserver, "--kill")
	cmd.Env = w.env
	_ = cmd.Run()
	w.unix(w.wineserver, "--wait")
}

// credentials are the names of the items that Credential Manager keeps for
// daypass, as the registry has them.
func (w *windows) credentials() []string {
	w.t.Helper()
	w.shutDown()
	var names []string
	for line := range strings.Lines(read(w.t, filepath.Join(w.folder, "prefix/user.reg"))) {
		if _, name, found := strings.Cut(line, `Credential Manager\\Generic: daypass:`); found {
			name, _, _ = strings.Cut(name, "]")
			names = append(names, name)
		}
	}
	return names
}

// Not beside other tests: a crowd keeps the machine busy, and a read of Credential
// Manager that takes more than two seconds fails.
func TestWindows(t *testing.T) {
	w := newWindows(t)
	w.goBuild("build", "-o", w.path("daypass.exe"), ".")
	w.compile("browser.c", w.path("browser.exe"))
	t.Run("the tests of package cache", w.testCache)
	t.Run("the whole trip", w.testTrip)
	t.Run("the console is closed during a renewal", w.testClosedConsole)
}

func (w *windows) testCache(t *testing.T) {
	w.t = t
	// Wine 8 knows no POSIX deletion, and answers as no Windows does, so that
	// os.RemoveAll does not fall back to the plain one: testing.T.TempDir would
	// fail. This is the switch of package os's own tests.
	source := filepath.Join(w.folder, "removeall.go")
	write(t, source, `package cache

import _ "unsafe"

//go:linkname deletePlainly internal/syscall/windows.TestDeleteatFallback
var deletePlainly bool

func init() { deletePlainly = true }
`)
	folder := filepath.Join(filepath.Dir(installed.folder), "cache")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(folder, "removeall_wine_test.go"): source}})
	must(t, err)
	write(t, filepath.Join(w.folder, "overlay.json"), string(overlay))
	w.goBuild("test", "-c", "-tags", "e2e", "-overlay", filepath.Join(w.folder, "overlay.json"), "-ldflags=-checklinkname=0",
		"-o", w.path("cache.test.exe"), "./cache")

	r := w.run(`C:\cache.test.exe`, "-test.v", "-test.timeout=90s")
	if r.code != 0 {
		var failed strings.Builder
		for line := range strings.Lines(r.stdout) {
			if !strings.HasPrefix(line, "=== RUN") && !strings.Contains(line, "--- PASS") {
				failed.WriteString(line)
			}
		}
		t.Fatalf("exit code %d\n%s%s", r.code, failed.String(), r.stderr)
	}
	for _, test := range []string{"TestCredentialManager", "TestLockOfKilledProcess", "TestStateFileWriters"} {
		if !strings.Contains(r.stdout, "--- PASS: "+test+" ") {
			t.Errorf("%s did not run", test)
		}
	}
	if names := w.credentials(); len(names) != 0 {
		t.Errorf("the tests left items in Credential Manager: %q", names)
	}
}

// testTrip is a login, calls from Credential Manager, renewals, a crowd, a logout. The tokens are so long that the login record lies in several items.
func (w *windows) testTrip(t *testing.T) {
	w.t = t
	box, err := sandbox.Start(sandbox.Options{Rotate: true, TokenPadding: 6000, SessionTokenSize: 2400, IDTokenLife: time.Second})
	must(t, err)
	t.Cleanup(box.Close)
	box.AutoApprove("taro")
	w.configure(box)

	in := w.daypass("login", "--profile", "dev")
	if want := "daypass: logged in to corp as taro@example.com; renews by itself.\n"; in.code != 0 || strings.ReplaceAll(in.stdout, "\r\n", "\n") != want {
		t.Fatalf("login: %+v", in)
	}
	if tab := strings.TrimSpace(read(t, w.path("tabs"))); tab == "" || !strings.Contains(in.stderr, tab) {
		t.Errorf("without a console, login must show the code on standard error:\n%s", in.stderr)
	}

	time.Sleep(time.Second)
	box.Set(func(o *sandbox.Options) { o.IDTokenLife = time.Hour })
	first := w.daypass("process", "--profile", "dev")
	document := credentials(t, first)
	if n := box.Count("token:refresh"); n != 1 {
		t.Errorf("%d renewals of the expired ID token, want 1", n)
	}
	asked := box.Count("")
	if again := w.daypass("process", "--profile", "dev"); again != first || box.Count("") != asked {
		t.Errorf("a warm call: exit code %d, %d requests\n%s", again.code, box.Count("")-asked, again.stderr)
	}
	split := 0
	for _, name := range w.credentials() {
		if strings.Contains(name, ".a.") || strings.Contains(name, ".b.") {
			split++
		}
	}
	if split < 4 {
		t.Errorf("the login record lies in %d chunks: too few for its size", split)
	}
	if again := w.daypass("process", "--profile", "dev"); again != first || box.Count("") != asked {
		t.Errorf("after a restart of Windows: exit code %d, %d requests\n%s", again.code, box.Count("")-asked, again.stderr)
	}
	if r := w.daypass("exec", "--profile", "dev", "--", "cmd", "/c", "echo %AWS_ACCESS_KEY_ID%& exit 9"); r.code != 9 || strings.TrimSpace(r.stdout) != document.AccessKeyId {
		t.Errorf("exec: %+v", r)
	}

	box.Set(func(o *sandbox.Options) { o.IDTokenLife = time.Second })
	if r := w.daypass("login", "--profile", "dev"); r.code != 0 || !strings.HasPrefix(r.stdout, "daypass: still logged in") {
		t.Fatalf("login: %+v", r)
	}
	time.Sleep(time.Second)
	box.Set(func(o *sandbox.Options) { o.IDTokenLife = time.Hour })
	refreshes, roles := box.Count("token:refresh"), box.Count("sts")
	results := make([]result, 20)
	var crowd sync.WaitGroup
	for i := range results {
		crowd.Go(func() {
			for range 2 {
				results[i] = w.daypass("process", "--profile", "dev", "--duration", "40m") // a record that is not there yet
				if results[i].code != 7 || !wineMisread(results[i].stderr) {
					break
				}
			}
		})
	}
	crowd.Wait()
	for _, r := range results {
		if credentials(t, r) != credentials(t, results[0]) {
			t.Error("not the same credentials for all of a crowd")
		}
	}
	if n, m := box.Count("token:refresh")-refreshes, box.Count("sts")-roles; n != 1 || m != 1 {
		t.Errorf("20 processes on an expired ID token: %d renewals and %d requests to STS, want 1 and 1", n, m)
	}
	if n := box.Reused(); n != 0 {
		t.Errorf("%d refresh tokens were sent twice", n)
	}

	if r := w.daypass("logout", "--profile", "dev"); r.code != 0 || box.Count("revoke") != 1 {
		t.Errorf("logout: %+v, %d revocations", r, box.Count("revoke"))
	}
	if names := w.credentials(); len(names) != 0 {
		t.Errorf("left in Credential Manager after the logout: %q", names)
	}
	for _, secret := range box.Issued() {
		if strings.Contains(in.stderr, secret) {
			t.Error("a secret on standard error")
		}
	}
}

// configure writes the config file where Windows has it.
func (w *windows) configure(box *sandbox.Sandbox) {
	w.t.Helper()
	homes, err := filepath.Glob(w.path("users/*/AppData"))
	if err != nil || len(homes) != 1 {
		w.t.Fatalf("%d home folders, %v", len(homes), err)
	}
	folder := filepath.Join(filepath.Dir(homes[0]), ".aws")
	must(w.t, os.MkdirAll(folder, 0o700))
	write(w.t, filepath.Join(folder, "config"), fmt.Sprintf(`[daypass-idp corp]
issuer          = %s
client_id       = %s
browser_command = C:\browser.exe C:\tabs {url}

[profile dev]
region               = eu-west-1
daypass_idp          = corp
daypass_role_arn     = %s
daypass_sts_endpoint = %s
`, box.Issuer, box.ClientID, box.RoleARN, box.STSEndpoint))
}

// wineMisread reports whether an error is one of Wine's Credential Manager, of an
// item that is being written: it reads in steps what Windows hands out whole.
func wineMisread(text string) bool {
	return strings.Contains(text, "Key deleted") || strings.Contains(text, "More data available") || strings.Contains(text, "Registry is corrupt")
}

// testClosedConsole closes the console while the provider has the refresh token:
// the exchange is finished, and its answer stored, before the process ends.
func (w *windows) testClosedConsole(t *testing.T) {
	w.t = t
	box, err := sandbox.Start(sandbox.Options{Rotate: true, IDTokenLife: time.Second})
	must(t, err)
	t.Cleanup(box.Close)
	w.compile("close.c", w.path("close.exe"))
	box.AutoApprove("taro")
	w.configure(box)
	if r := w.daypass("login", "--profile", "dev"); r.code != 0 {
		t.Fatalf("login: %+v", r)
	}
	time.Sleep(time.Second)
	box.Set(func(o *sandbox.Options) { o.IDTokenLife = time.Hour })

	var closed result
	box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/token") {
			return false
		}
		closed = w.run(`C:\close.exe`, "daypass.exe")
		time.Sleep(500 * time.Millisecond)
		box.Serve(rw, r)
		return true
	})
	r := w.daypass("process", "--profile", "dev", "--duration", "30m")
	if closed.code != 0 {
		t.Fatalf("the console was not closed: %+v", closed)
	}
	if r.code != 143 || r.stdout != "" { // as SIGTERM
		t.Errorf("exit code %d, want 143; %d bytes on standard output\n%s", r.code, len(r.stdout), r.stderr)
	}
	box.Intercept(nil)
	if r := w.daypass("process", "--profile", "dev", "--duration", "30m"); r.code != 0 {
		t.Errorf("the next process: %+v", r)
	}
	if renewals, logins := box.Count("token:refresh"), box.Count("device"); renewals != 1 || logins != 1 || box.Reused() != 0 {
		t.Errorf("%d renewals, %d logins, %d tokens sent twice; want 1, 1, 0", renewals, logins, box.Reused())
	}
}
