//go:build unix

package command

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
)

// A state folder in which something else lies than daypass has put there: of a
// crash, another version, a backup, a careless hand. What can be made again is
// made again in silence; what cannot is a login; and what is not ours is not
// followed, read or written.
func TestHostileStorage(t *testing.T) {
	var rows []hostile
	storage := func(name string, fault func(*attack) func(), exit int, says string, after after) {
		rows = append(rows, hostile{name: name, at: "storage", fault: fault, exit: exit, says: says, after: after})
	}
	const (
		needsLogin = "profile dev needs a login"
		outOfReach = "file is out of reach: "
	)

	// What a record holds, in place of it. A login that cannot be read is a new
	// login; anything else costs a request.
	for name, change := range map[string]func(record string) string{
		"rubbish":   func(string) string { return "rubbish\x00\x01\xff" },
		"empty":     func(string) string { return "" },
		"truncated": func(record string) string { return record[:len(record)/2] },
		"one byte changed": func(record string) string {
			return strings.NewReplacer(`"v":1`, `"v":7`, "\nv 1\n", "\nv 7\n").Replace(record)
		},
		"another form":   func(record string) string { return strings.Replace(record, "daypass1", "daypass9", 1) },
		"zeros":          func(record string) string { return strings.Repeat("\x00", len(record)) },
		"1 MB longer":    func(record string) string { return record + strings.Repeat("x", 1<<20) },
		"a header alone": func(record string) string { return record[:strings.IndexByte(record, '\n')+1] },
	} {
		storage("login record, "+name, damaged("refresh_token", change), 3, needsLogin, loginGone)
		storage("role record, "+name, damaged("session_token", change), 0, "", loginStands)
	}
	// Whole records of another daypass, or of nobody.
	for name, change := range map[string]func(record map[string]any) any{
		"of version 2":      func(r map[string]any) any { r["v"] = 2; return r },
		"without a version": func(r map[string]any) any { delete(r, "v"); return r },
		"a list":            func(map[string]any) any { return []any{} },
		"null":              func(map[string]any) any { return nil },
		"a text":            func(map[string]any) any { return "x" },
		"of wrong types":    func(r map[string]any) any { r["expires"] = 5; return r },
		"an empty object":   func(map[string]any) any { return map[string]any{} },
	} {
		storage("login record, whole, "+name, rewritten("refresh_token", change), 3, needsLogin, loginGone)
		storage("role record, whole, "+name, rewritten("session_token", change), 0, "", loginStands)
	}
	for name, change := range map[string]func(record map[string]any) any{
		"expires in the year 9999": func(r map[string]any) any { r["expires"] = "9999-12-31T23:59:59Z"; return r },
		"issued tomorrow": func(r map[string]any) any {
			r["issued"] = "2999-01-01T00:00:00Z"
			r["expires"] = "2999-01-01T01:00:00Z"
			return r
		},
		"of another login":      func(r map[string]any) any { r["login_id"] = "x"; return r },
		"without an access key": func(r map[string]any) any { r["access_key_id"] = ""; return r },
	} {
		storage("role record, "+name, rewritten("session_token", change), 0, "", loginStands)
	}
	storage("login record, obtained tomorrow", rewritten("refresh_token", func(r map[string]any) any {
		r["obtained"], r["expires"] = "2999-01-01T00:00:00Z", "2999-01-02T00:00:00Z"
		return r
	}), 0, "", loginStands)
	storage("login record, refresh started long ago", rewritten("refresh_token", func(r map[string]any) any {
		r["refresh_started"] = "2001-01-01T00:00:00Z"
		return r
	}), 0, "", loginStands)
	storage("login record, without its ID token", rewritten("refresh_token", func(r map[string]any) any { r["id_token"] = ""; return r }), 0, "", loginStands)

	// An attempt record.
	outcome := func(kind string, exit int, lines ...string) func(*attack) func() {
		return attempt(func(a *attack) map[string]any {
			return map[string]any{"v": 1, "outcome": map[string]any{"kind": kind, "at": a.now().Add(-10 * time.Second), "exit": exit, "lines": lines}}
		})
	}
	storage("attempt record, a failure that is none", outcome("renewal_failed", 0), 1, "", loginStands)
	storage("attempt record, lines with escape sequences", outcome("renewal_failed", 6, "x\x1b[2J\r\ny\u202e", "z"), 6, "x", loginStands)
	storage("attempt record, 1000 lines", outcome("renewal_failed", 6, strings.Split(strings.Repeat("x\n", 1000), "\n")...), 6, "x", loginStands)
	storage("attempt record, an outcome of no kind", outcome("", 6, "x", "y"), 0, "", loginStands)
	storage("attempt record, rubbish", attempt(func(*attack) map[string]any { return map[string]any{"v": 1, "open": 5} }), 0, "", loginStands)
	// An open code of a provider that daypass would not have believed today.
	open := func(name, member string, value any, exit int, says string) {
		rows = append(rows, hostile{name: "attempt record, an open code with " + name, at: "storage", command: "login --profile dev --force", exit: exit, says: says,
			fault: openCode(map[string]any{member: value})})
	}
	open("an address that cannot be shown", "verification_uri", "javascript:alert(1)", 1, "the login at HOST cannot be shown: ")
	open("an address with a control character", "verification_uri", "https://corp.example/\x1b[2J", 1, "the login at HOST cannot be shown: ")
	open("an escape sequence", "user_code", "\x1b[2J", 1, "the login at HOST cannot be shown: ")
	open("a token endpoint without TLS", "token_endpoint", "http://corp.example/token", 1, "the login at HOST went wrong: token endpoint: ")
	open("an expiry in the year 9999", "expires", "9999-12-31T23:59:59Z", 3, "the code ABCD-EFGH ")
	open("a negative interval", "interval", -5, 3, "the code ABCD-EFGH ")
	open("no device code", "device_code", "", 4, "HOST refused: invalid_request")

	// Something else in the place of files and folders.
	const state = ".local/state/daypass"
	folder := func(path string) error { return os.Mkdir(path, 0o700) }
	plain := func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) }
	toNowhere := func(path string) error { return os.Symlink("/no/such/place", path) }
	toItself := func(path string) error { return os.Symlink(path, path) }
	toTheFolder := func(path string) error { return os.Symlink(path+".aside", path) }
	places := map[string]func(path string) error{"a file": plain, "a link to nowhere": toNowhere, "a link to itself": toItself, "a link to it": toTheFolder}
	for name, put := range places {
		storage("state folder, "+name, inStateFolder("", put), 7, outOfReach, loginStands)
		storage("folder of records, "+name, inStateFolder("records", put), 7, outOfReach, loginStands)
	}
	places["a folder"] = folder
	delete(places, "a file")
	for name, put := range places {
		storage("login record, "+name, inPlaceOfRecord("refresh_token", put), 7, outOfReach, loginStands)
		storage("role record, "+name, inPlaceOfRecord("session_token", put), 7, outOfReach, loginStands)
		storage("index, "+name, inStateFolder("index.json", put), 0, "", loginStands)
		storage("what is remembered of the provider, "+name, inStateFolder("provider-*.json", put), 0, "", loginStands)
		if name != "a link to it" {
			storage("lock of the login, "+name, inStateFolder("login-*.lock", put), 1, "no lock could be taken in the folder ", loginStands)
		}
	}
	for name, text := range map[string]string{"rubbish": "\x00\xff", "empty": "", "null": "null", "1 MB": strings.Repeat("x", 2<<20), "a list": "[]",
		"of version 2": `{"v":2,"version":2}`, "of wrong types": `{"v":1,"version":1,"records":5,"fetched":5,"discovery":5}`, "100000 levels": deep(100000)} {
		text := text
		put := func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
		storage("index, "+name, inStateFolder("index.json", put), 0, "", loginStands)
		storage("what is remembered of the provider, "+name, inStateFolder("provider-*.json", put), 0, "", loginStands)
	}
	if os.Geteuid() == 0 { // nobody else can give a folder away
		another := func(path string) func(*attack) func() {
			return func(a *attack) func() {
				path := filepath.Join(a.home(), state, path)
				if err := os.Chown(path, 12345, -1); err != nil {
					a.t.Error(err)
				}
				return func() { _ = os.Chown(path, 0, -1) }
			}
		}
		storage("state folder, another's", another(""), 7, outOfReach, loginStands)
		storage("folder of records, another's", another("records"), 7, outOfReach, loginStands)
	}
	runHostile(t, rows)
}

// record finds the record that has a member of that name.
func (a *attack) record(member string) string {
	a.t.Helper()
	if member == "session_token" {
		a.mustRun("process", "--profile", "dev") // makes one
		a.advance(2 * time.Hour)                 // and it ends
	}
	for name, text := range a.filesKept() {
		if strings.Contains(name, "records") && (strings.Contains(text, `"`+member+`"`) || strings.Contains(text, "\n"+member+" ")) {
			return filepath.Join(a.home(), name)
		}
	}
	a.t.Fatalf("no record has a %s", member)
	return ""
}

// damaged changes the bytes of a record.
func damaged(member string, change func(record string) string) func(*attack) func() {
	return func(a *attack) func() {
		path := a.record(member)
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(change(string(text))), 0o600)
		}
		if err != nil {
			a.t.Error(err)
		}
		return nil
	}
}

// rewritten changes what a record says, under a digest that fits.
func rewritten(member string, change func(record map[string]any) any) func(*attack) func() {
	return func(a *attack) func() {
		path := a.record(member)
		store := a.store()
		text, err := store.Get(a.t.Context(), filepath.Base(path))
		if err != nil {
			a.t.Fatal(err)
		}
		fields := map[string]any{}
		isRole := strings.HasPrefix(string(text), "v 1\n") // lines of a name and a value
		if isRole {
			for line := range strings.Lines(string(text)) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
				fields[name] = value
			}
		} else if err := json.Unmarshal(text, &fields); err != nil {
			a.t.Fatal(err)
		}
		changed := change(fields)
		if lines, whole := changed.(map[string]any); whole && isRole {
			text = nil
			for _, name := range slices.SortedFunc(maps.Keys(lines), func(a, b string) int { return cmp.Compare(len(a), len(b)) }) { // v first
				text = fmt.Appendf(text, "%s %v\n", name, lines[name])
			}
		} else {
			text, err = json.Marshal(changed)
		}
		if err == nil {
			err = store.Set(a.t.Context(), filepath.Base(path), text, time.Time{})
		}
		if err != nil {
			a.t.Fatal(err)
		}
		return nil
	}
}

// attempt writes an attempt record.
func attempt(record func(a *attack) map[string]any) func(*attack) func() {
	return func(a *attack) func() {
		name := cache.Key("attempt", filepath.Base(a.record("refresh_token")))
		text, err := json.Marshal(record(a))
		if err == nil {
			err = a.store().Set(a.t.Context(), name, text, time.Time{})
		}
		if err != nil {
			a.t.Fatal(err)
		}
		return nil
	}
}

// openCode is an attempt record with an open code, but for the members.
func openCode(members map[string]any) func(*attack) func() {
	return attempt(func(a *attack) map[string]any {
		open := map[string]any{
			"device_code": "x", "user_code": "ABCD-EFGH", "verification_uri": "https://corp.example/", "interval": 5e9,
			"token_endpoint": a.box.Issuer + "/token", "issued": a.now(), "expires": a.now().Add(5 * time.Minute), "code_verifier": "",
		}
		maps.Copy(open, members)
		return map[string]any{"v": 1, "open": open}
	})
}

// A code that cannot be shown, or that its provider knows nothing of, is in nobody's
// way: the next login begins a new one.
func TestABadOpenCodeIsDropped(t *testing.T) {
	t.Parallel()
	for member, value := range map[string]any{"verification_uri": "javascript:alert(1)", "user_code": "\u3164", "token_endpoint": "http://corp.example/", "device_code": "gone"} {
		a := hostile{}.prepare(t)
		openCode(map[string]any{member: value})(a)
		a.run("login", "--profile", "dev", "--force")
		if code, _, stderr := a.run("login", "--profile", "dev", "--force"); code != 0 {
			t.Errorf("%s %q: the second login ends with %d:\n%s", member, value, code, stderr)
		}
	}
}

// store is the file storage of the laptop.
func (a *attack) store() cache.Store {
	store, err := cache.Open(cache.Options{Storage: "file", StateDir: a.stateDir()})
	if err != nil {
		a.t.Fatal(err)
	}
	return store
}

func (a *attack) stateDir() string {
	dir, err := cache.StateDir(func(name string) string { return a.env[name] }, a.home())
	if err != nil {
		a.t.Fatal(err)
	}
	return dir
}

// inStateFolder puts something else where a file of the state folder is; "" is the
// folder itself.
func inStateFolder(pattern string, put func(path string) error) func(*attack) func() {
	return func(a *attack) func() {
		matches, err := filepath.Glob(filepath.Join(a.stateDir(), pattern))
		if err != nil || len(matches) != 1 {
			a.t.Fatalf("%d files are %s", len(matches), pattern)
		}
		return a.inPlaceOf(matches[0], put)
	}
}

func inPlaceOfRecord(member string, put func(path string) error) func(*attack) func() {
	return func(a *attack) func() { return a.inPlaceOf(a.record(member), put) }
}

// Something else in the place of the configuration file.
func TestHostileConfigFile(t *testing.T) {
	row := func(name, says string, put func(path string) error) hostile {
		return hostile{name: name, at: "config", exit: 2, says: "CONFIG: " + says, fault: func(a *attack) func() {
			return a.inPlaceOf(filepath.Join(a.home(), ".aws/config"), put)
		}}
	}
	runHostile(t, []hostile{
		row("a folder", "not a file", func(path string) error { return os.Mkdir(path, 0o700) }),
		row("a pipe", "not a file", func(path string) error { return syscall.Mkfifo(path, 0o600) }),
		row("a device", "not a file", func(path string) error { return os.Symlink("/dev/zero", path) }),
		row("a link to nowhere", "there is no such file", func(path string) error { return os.Symlink("/no/such/file", path) }),
		row("a link to itself", "cannot be read", func(path string) error { return os.Symlink(path, path) }),
	})
}

// inPlaceOf puts something else where a file or folder is, and that back afterwards.
func (a *attack) inPlaceOf(path string, put func(path string) error) (mend func()) {
	aside := path + ".aside"
	if err := os.Rename(path, aside); err != nil {
		a.t.Error(err)
	}
	if err := put(path); err != nil {
		a.t.Error(err)
	}
	return func() {
		if err := os.RemoveAll(path); err != nil {
			a.t.Error(err)
		}
		if err := os.Rename(aside, path); err != nil {
			a.t.Error(err)
		}
	}
}
