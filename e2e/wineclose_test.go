//go:build e2e && linux && amd64

package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// testClosedConsole closes the console while the provider has the refresh token:
// the exchange is finished, and its answer stored, before the process ends.
func (w *windows) testClosedConsole(t *testing.T) {
	w.t = t
	box, err := sandbox.Start(sandbox.Options{Rotate: true, IDTokenLife: time.Second})
	must(t, err)
	t.Cleanup(box.Close)
	w.compile("close.c", w.path("close.exe"))
	_ = os.Remove(w.path("tabs")) // of another test
	startPerson(t, box, w.path("tabs"))
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
