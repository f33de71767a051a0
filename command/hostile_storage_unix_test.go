//go:build unix

package command

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
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
		outOfReach = "the files of the login of corp cannot be read or stored: "
	)

	// What a record holds, in place of it. A login that cannot be read is a new
	// login; anything else costs a request.
	for name, change := range map[string]func(record string) string{
		"rubbish":   func(string) string { return "rubbish\x00\x01\xff" },
		"empty":     func(string) string { return "" },
		"truncated": func(record string) string { return record[:len(record)/2] },
		"one byte changed": func(record string) string {
			at := len(record) / 2
			return record[:at] + string(record[at]^1) + record[at+1:]
		},
		"zeros":       func(record string) string { return strings.Repeat("\x00", len(record)) },
		"1 MB longer": func(record string) string { return record + strings.Repeat("x", 1<<20) },
	} {
		if name != "one byte changed" { // of the ID token, which is over
			storage("login record, "+name, damaged(loginRecord, change), 3, needsLogin, loginGone)
		}
		storage("role record, "+name, damaged(roleRecord, change), 0, "", loginKept)
	}
	// Whole records of another daypass, or of nobody.
	for name, change := range map[string]func(record map[string]any) any{
		"of version 1":      func(r map[string]any) any { r["v"] = 1; return r },
		"without a version": func(r map[string]any) any { delete(r, "v"); return r },
		"a list":            func(map[string]any) any { return []any{} },
		"null":              func(map[string]any) any { return nil },
		"a text":            func(map[string]any) any { return "x" },
		"of wrong types":    func(r map[string]any) any { r["expires"] = 5; return r },
		"an empty object":   func(map[string]any) any { return map[string]any{} },
	} {
		storage("login record, whole, "+name, rewritten(loginRecord, change), 3, needsLogin, loginGone)
		storage("role record, whole, "+name, rewritten(roleRecord, change), 0, "", loginKept)
	}
	for name, change := range map[string]func(record map[string]any) any{
		"expires in the year 9999": func(r map[string]any) any { r["expires"] = "9999-12-31T23:59:59Z"; return r },
		"issued tomorrow": func(r map[string]any) any {
			r["issued"] = "2999-01-01T00:00:00Z"
			r["expires"] = "2999-01-01T01:00:00Z"
			return r
		},
		"without an access key": func(r map[string]any) any { r["access_key_id"] = ""; return r },
	} {
		storage("role record, "+name, rewritten(roleRecord, change), 0, "", loginKept)
	}
	storage("login record, obtained tomorrow", rewritten(loginRecord, func(r map[string]any) any {
		r["obtained"], r["expires"] = "2999-01-01T00:00:00Z", "2999-01-02T00:00:00Z"
		return r
	}), 0, "", loginKept)
	storage("login record, refresh started long ago", rewritten(loginRecord, func(r map[string]any) any {
		r["refresh_started"] = "2001-01-01T00:00:00Z"
		return r
	}), 0, "", loginKept)
	storage("login record, without its ID token", rewritten(loginRecord, func(r map[string]any) any { r["id_token"] = ""; return r }), 0, "", loginKept)

	// The note of how asking ended last.
	note := func(exit int, lines ...string) func(*attack) func() {
		return noteOf(func(a *attack) any {
			return map[string]any{"at": a.clock.Now().Add(-10 * time.Second), "exit": exit, "lines": lines, "failed": true}
		})
	}
	storage("note, a failure without an exit code", note(0, "x"), 0, "", loginKept)
	storage("note, an exit code that is none", note(999, "x"), 0, "", loginKept)
	storage("note, lines with escape sequences", note(6, "x\x1b[2J\r\ny\u202e", "z"), 6, "x", loginKept)
	storage("note, 1000 lines", note(6, strings.Split(strings.Repeat("x\n", 1000), "\n")...), 0, "", loginKept)
	storage("note, placeholders", note(6, "profile {profile} {nothing}", "{flag}"), 6, "profile dev {nothing}", loginKept)
	storage("note, of wrong types in it", noteOf(func(*attack) any { return map[string]any{"exit": "x"} }), 0, "", loginKept)
	storage("note, null in it", noteOf(func(*attack) any { return nil }), 0, "", loginKept)
	// An open code of a provider that daypass would not have believed today.
	open := func(name, member string, value any, exit int, says string) {
		rows = append(rows, hostile{name: "open code with " + name, at: "storage", command: "login --profile dev --force", exit: exit, says: says,
			fault: openCode(map[string]any{member: value})})
	}
	open("an address that cannot be shown", "verification_uri", "javascript:alert(1)", 1, "the login at HOST cannot be shown: ")
	open("an address with a control character", "verification_uri", "https://corp.example/\x1b[2J", 1, "the login at HOST cannot be shown: ")
	open("an escape sequence", "user_code", "\x1b[2J", 1, "the login at HOST cannot be shown: ")
	open("an expiry in the year 9999", "expires", "9999-12-31T23:59:59Z", 4, "HOST refused the login: ")
	open("a negative interval", "interval", -5, 4, "HOST refused the login: ")
	open("no device code", "device_code", "", 4, "HOST refused the login: device_code is missing (")

	// Something else in the place of files and folders.
	const state = ".local/state/daypass"
	folder := func(path string) error { return os.Mkdir(path, 0o700) }
	plain := func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) }
	toNowhere := func(path string) error { return os.Symlink("/no/such/place", path) }
	toItself := func(path string) error { return os.Symlink(path, path) }
	toTheFolder := func(path string) error { return os.Symlink(path+".aside", path) }
	places := map[string]func(path string) error{"a file": plain, "a link to nowhere": toNowhere, "a link to itself": toItself, "a link to it": toTheFolder}
	for name, put := range places {
		exit, says := 1, "no lock could be taken in the folder "
		if name == "a file" || name == "a link to itself" {
			exit, says = 7, outOfReach
		}
		storage("state folder, "+name, inState("", put), exit, says, loginKept)
		storage("folder of items, "+name, inState("items", put), 7, outOfReach, loginKept)
	}
	places["a folder"] = folder
	delete(places, "a file")
	for name, put := range places {
		storage("login record, "+name, inState(loginRecord, put), 7, outOfReach, loginKept)
		storage("role record, "+name, inState(roleRecord, put), 7, outOfReach, loginKept)
		storage("note, "+name, inState(noteFile, put), 0, "", loginKept)
		storage("what is remembered of the provider, "+name, inState("provider-*.json", put), 0, "", loginKept)
		if name != "a link to it" {
			storage("lock of the login, "+name, inState("login-*.lock", put), 1, "no lock could be taken in the folder ", loginKept)
		}
	}
	for name, text := range map[string]string{"rubbish": "\x00\xff", "empty": "", "null": "null", "1 MB": strings.Repeat("x", 2<<20), "a list": "[]",
		"of version 2": `{"v":2,"version":2}`, "of wrong types": `{"v":1,"version":1,"id":5,"earlier":5,"exit":"x","fetched":5,"discovery":5}`, "100000 levels": deep(100000)} {
		text := text
		put := func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
		storage("note, "+name, inState(noteFile, put), 0, "", loginKept)
		if name != "100000 levels" { // which is rubbish too, and stays as it was put there
			storage("place, "+name, inState("*/place.json", put), 3, needsLogin, loginKept) // it is found again
		}
		storage("what is remembered of the provider, "+name, inState("provider-*.json", put), 0, "", loginKept)
	}
	if os.Geteuid() == 0 { // nobody else can give a folder away
		another := func(path string) func(*attack) func() {
			return func(a *attack) func() {
				path := filepath.Join(a.home(), state, path)
				a.ok(os.Chown(path, 12345, -1))
				return func() { _ = os.Chown(path, 0, -1) }
			}
		}
		storage("state folder, another's", another(""), 2, `"`, loginKept)
		storage("folder of items, another's", another("items"), 7, outOfReach, loginKept)
	}
	runHostile(t, rows)
}

// Files of profile dev, as patterns in the state folder.
const (
	loginRecord = "items/login-*"
	roleRecord  = "*/role2-*.sealed"
	noteFile    = "*/note.json" // which is made if there is none
)

// record finds a file of the state folder.
func (a *attack) record(pattern string) string {
	a.t.Helper()
	if pattern == roleRecord {
		a.mustRun("process", "--profile", "dev") // makes one
		a.clock.Advance(2 * time.Hour)           // and it ends
	}
	matches, err := filepath.Glob(filepath.Join(a.stateDir(), pattern))
	if err != nil || len(matches) != 1 {
		a.t.Fatalf("%d files are %s (%v)", len(matches), pattern, err)
	}
	return matches[0]
}

// damaged changes the bytes of a record.
func damaged(pattern string, change func(record string) string) func(*attack) func() {
	return func(a *attack) func() {
		path := a.record(pattern)
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(change(string(text))), 0o600)
		}
		a.ok(err)
		return nil
	}
}

// rewritten changes what a record says; a sealed one is sealed again.
func rewritten(pattern string, change func(record map[string]any) any) func(*attack) func() {
	return func(a *attack) func() {
		path, login := a.record(pattern), a.kept()
		rewrite := func(text []byte, err error) []byte {
			fields := map[string]any{}
			if err == nil {
				err = json.Unmarshal(text, &fields)
			}
			must(a.t, err)
			text, err = json.Marshal(change(fields))
			must(a.t, err)
			return text
		}
		if pattern == loginRecord {
			must(a.t, os.WriteFile(path, rewrite(os.ReadFile(path)), 0o600))
			return nil
		}
		key, err := login.Key(a.t.Context())
		must(a.t, err)
		name := strings.TrimSuffix(filepath.Base(path), ".sealed")
		must(a.t, login.Seal(key, name, rewrite(login.Unseal(key, name))))
		return nil
	}
}

// noteOf writes the login's note.
func noteOf(note func(a *attack) any) func(*attack) func() {
	return func(a *attack) func() {
		text, err := json.Marshal(note(a))
		if err == nil {
			err = cache.WriteFile(a.kept().Dir(), "note.json", text)
		}
		must(a.t, err)
		return nil
	}
}

// openCode seals an open code, but for the members.
func openCode(members map[string]any) func(*attack) func() {
	return func(a *attack) func() {
		open := map[string]any{
			"device_code": "x", "user_code": "ABCD-EFGH", "verification_uri": "https://corp.example/", "interval": 5e9,
			"token_endpoint": a.box.Issuer + "/token", "issued": a.clock.Now(), "expires": a.clock.Now().Add(5 * time.Minute), "code_verifier": "",
		}
		maps.Copy(open, members)
		text, err := json.Marshal(open)
		login := a.kept()
		key, keyErr := login.Key(a.t.Context())
		if err = errors.Join(err, keyErr); err == nil {
			err = login.Seal(key, "authorization2", text)
		}
		must(a.t, err)
		return nil
	}
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

// kept is where the one login of the laptop is kept.
func (a *attack) kept() *cache.Login {
	a.t.Helper()
	storages := cache.Open(a.stateDir(), os.Getenv, nil)
	keys, err := storages.Logins()
	if err != nil || len(keys) != 1 {
		a.t.Fatalf("%d logins are kept (%v)", len(keys), err)
	}
	login, err := storages.Login(keys[0], "file")
	must(a.t, err)
	return login
}

func (a *attack) stateDir() string {
	dir, err := cache.StateDir(func(name string) string { return a.env[name] }, a.home())
	must(a.t, err)
	return dir
}

// inState puts something else where a file of the state folder is; "" is the folder
// itself.
func inState(pattern string, put func(path string) error) func(*attack) func() {
	return func(a *attack) func() {
		if pattern == noteFile {
			noteOf(func(*attack) any { return nil })(a)
		}
		return a.inPlaceOf(a.record(pattern), put)
	}
}

// Something else in the place of the configuration file.
func TestHostileConfigFile(t *testing.T) {
	row := func(name, says string, put func(path string) error) hostile {
		return hostile{name: name, at: "config", exit: 2, says: "CONFIG: " + says, fault: func(a *attack) func() {
			return a.inPlaceOf(filepath.Join(a.home(), ".aws/config"), put)
		}}
	}
	runHostile(t, []hostile{
		row("a folder", "this is a folder, not a file", func(path string) error { return os.Mkdir(path, 0o700) }),
		row("a pipe", "not a regular file", func(path string) error { return syscall.Mkfifo(path, 0o600) }),
		row("a device", "not a regular file", func(path string) error { return os.Symlink("/dev/zero", path) }),
		row("a link to nowhere", "no section [profile dev]", func(path string) error { return os.Symlink("/no/such/file", path) }),
		row("a link to itself", "cannot be read", func(path string) error { return os.Symlink(path, path) }),
	})
}

// inPlaceOf puts something else where a file or folder is, and that back afterwards.
func (a *attack) inPlaceOf(path string, put func(path string) error) (mend func()) {
	aside := path + ".aside"
	a.ok(os.Rename(path, aside))
	a.ok(put(path))
	return func() {
		a.ok(os.RemoveAll(path))
		a.ok(os.Rename(aside, path))
	}
}
