package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

var sameSecret = cmp.Comparer(secret.String.Equal)

func TestRoleRecordsSurviveStorage(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 123456789, time.UTC)
	whole := benchmarkRole(now)
	failed := benchmarkRole(now)
	failed.Failed = &outcome{Kind: renewalFailed, At: now, Exit: failure.ExitNetwork, Lines: []string{"cannot \"reach\"\n", "é"}}
	for name, want := range map[string]*role{
		"whole": whole, "with a failure": failed,
		"a failure alone": {LoginID: "a login", Failed: failed.Failed},
	} {
		data, err := want.text()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRole(data, "file")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(want, got, sameSecret); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
		if text := fmt.Sprintf("%v %+v %#v", want, want, want); strings.Contains(text, strings.Repeat("t", 9)) {
			t.Errorf("%s: a record prints its tokens: %s", name, text)
		}
	}
}

func TestRoleRecordsThatCannotBeRead(t *testing.T) {
	data, err := benchmarkRole(time.Now().UTC()).text()
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for name, text := range map[string]string{
		"nothing":                       "",
		"another version":               strings.Replace(good, "v 1\n", "v 2\n", 1),
		"no version":                    strings.Replace(good, "v 1\n", "", 1),
		"JSON":                          `{"v":1}`,
		"unknown name":                  good + "colour red\n",
		"name without value":            good + "login_id\n",
		"empty line":                    good + "\n",
		"a time that is none":           strings.Replace(good, "expires 2", "expires x", 1),
		"a failure that is none":        good + "failed {\n",
		"a quote in a key":              strings.Replace(good, "access_key_id ASIA", "access_key_id AS IA", 1),
		"a token of control characters": strings.Replace(good, "session_token t", "session_token \x1b", 1),
		"a token outside of ASCII":      strings.Replace(good, "session_token t", "session_token é", 1),
	} {
		var unreadable *cache.UnreadableError
		if r, err := decodeRole([]byte(text), "file"); !errors.As(err, &unreadable) {
			t.Errorf("%s: %+v, %v, want an UnreadableError", name, r, err)
		} else if strings.Contains(err.Error(), "ttt") {
			t.Errorf("%s: the error holds a secret: %v", name, err)
		}
	}
}

// What is read serves as credentials, or does not: nothing in between reaches an SDK.
func FuzzDecodeRole(f *testing.F) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	good, err := benchmarkRole(now).text()
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", "v 1", "v 1\n", "v 2\n", "{}", string(good), string(good) + "failed {\"kind\":\"refused\",\"lines\":[]}\n",
		"v 1\nexpires 9999-12-31T23:59:59Z\naccess_key_id A\n", "v 1\nissued yesterday\n", "v 1\nlogin_id\n", "v 1\n\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRole(data, "file")
		if err != nil {
			if !errors.As(err, new(*cache.UnreadableError)) {
				t.Errorf("%T is not an UnreadableError: %v", err, err)
			}
			return
		}
		if r.left(now) > 0 && r.Issued.After(now) {
			t.Error("credentials from the future count")
		}
		document := r.credentials("111122223333").Version1()
		var read struct{ AccessKeyId, SecretAccessKey, SessionToken string }
		if err := json.Unmarshal(document, &read); err != nil || bytes.Count(document, []byte("\n")) != 1 {
			t.Fatalf("%q is printed as %q: %v", data, document, err)
		}
		if read.AccessKeyId != r.AccessKeyID || read.SecretAccessKey != r.SecretAccessKey.Reveal() || read.SessionToken != r.SessionToken.Reveal() {
			t.Errorf("%q is printed as %q", data, document)
		}
		again, err := r.text()
		if err != nil {
			return // a time beyond what JSON can say, in a failure
		}
		if second, err := decodeRole(again, "file"); err != nil || !cmp.Equal(r, second, sameSecret) {
			t.Errorf("%q is stored as %q: %v", data, again, err)
		}
	})
}
