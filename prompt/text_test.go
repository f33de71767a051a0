package prompt

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/failure"
)

// must ends a test whose own steps do not work.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// morning is when the texts in this package's tests are shown, in a time zone that
// no test machine has.
var morning = time.Date(2026, 11, 22, 9, 13, 49, 0, time.FixedZone("", 3600))

// openRequest is the one that this package's tests show.
func openRequest() Request {
	return Request{
		UserCode:                "LBJX-WZVT",
		VerificationURI:         "https://corp.eu.auth0.com/activate",
		VerificationURIComplete: "https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT",
		Expires:                 time.Date(2026, 11, 22, 8, 27, 31, 0, time.UTC),
		Profile:                 "dev",
		RoleName:                "Developer",
		AccountID:               "111122223333",
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Request)
		want   string
	}{
		{"complete link, tab opened", func(r *Request) { r.TabOpened = true }, `daypass: log in at corp.eu.auth0.com for profile dev (Developer, 111122223333)
  https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT   (tab opened)
  Approve only if the page shows LBJX-WZVT. Good until 09:27.
`},
		{"browser flow, without a code", func(r *Request) {
			r.UserCode, r.VerificationURI, r.VerificationURIComplete = "", "http://127.0.0.1:41231/x", ""
		}, `daypass: log in at 127.0.0.1:41231 for profile dev (Developer, 111122223333)
  http://127.0.0.1:41231/x
  Open it in a browser on this machine. Good until 09:27.
`},
		{"browser flow, for a browser elsewhere", func(r *Request) {
			r.UserCode, r.VerificationURI, r.VerificationURIComplete, r.Elsewhere = "", "https://corp.example/authorize?state=x", "", true
		}, `daypass: log in at corp.example for profile dev (Developer, 111122223333)
  https://corp.example/authorize?state=x
  Open it in any browser, then paste the address where it ends up. Good until 09:27.
`},
		{"browser flow, tab opened", func(r *Request) {
			r.UserCode, r.VerificationURI, r.VerificationURIComplete, r.TabOpened = "", "https://corp.example/authorize?state=x", "", true
		}, `daypass: log in at corp.example for profile dev (Developer, 111122223333)
  in the browser tab that was opened
  Good until 09:27.
`},
		{"code to be entered, tab opened", func(r *Request) {
			r.VerificationURI = "https://microsoft.com/devicelogin"
			r.VerificationURIComplete = ""
			r.TabOpened = true
		}, `daypass: log in at microsoft.com for profile dev (Developer, 111122223333)
  https://microsoft.com/devicelogin  and enter  LBJX-WZVT   (tab opened)
  Good until 09:27.
`},
		{"login of a section, without a role", func(r *Request) {
			r.Profile, r.RoleName, r.AccountID = "", "", ""
			r.VerificationURIComplete = "http://127.0.0.1:5556/device?user_code=LBJX-WZVT"
		}, `daypass: log in at 127.0.0.1:5556
  http://127.0.0.1:5556/device?user_code=LBJX-WZVT
  Approve only if the page shows LBJX-WZVT. Good until 09:27.
`},
		{"hostile names", func(r *Request) {
			r.Profile = "dev\x1b\a\nRun: evil"
			r.RoleName = "Dev\u202eeloper"
			r.AccountID = "1111\r2222"
		}, `daypass: log in at corp.eu.auth0.com for profile dev Run: evil (Developer, 1111
  2222)
  https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT
  Approve only if the page shows LBJX-WZVT. Good until 09:27.
`},
	} {
		r := openRequest()
		test.change(&r)
		got, err := Text(r, morning)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", test.name, err, diff)
		}
	}
}

// What a request holds may have come from a record that someone else wrote.
func TestUnfitRequestIsNotShown(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Request)
		want   string
	}{
		{"plain http", func(r *Request) { r.VerificationURI, r.VerificationURIComplete = "http://evil.example/", "" }, "verification_uri: "},
		{"no address", func(r *Request) { r.VerificationURI, r.VerificationURIComplete = "", "" }, "verification_uri: "},
		{"code that draws nothing", func(r *Request) { r.UserCode = "A\u200bB" }, "user code"},
	} {
		r := openRequest()
		test.change(&r)
		terminal, screen := newScreen(80, 24)
		if err := terminal.Show(r, morning); err == nil || !strings.Contains(err.Error(), test.want) || Clean(err.Error()) != err.Error() || screen.text() != "" {
			t.Errorf("%s: %v, want one line with %q; and it wrote %q", test.name, err, test.want, screen.text())
		}
	}
}

func TestWrap(t *testing.T) {
	long := strings.Repeat("x", 30)
	for text, want := range map[string]string{
		"":                             "> ",
		"one two three four five":      "> one two three four\n    five",
		"one two three four fives six": "> one two three four\n    fives six",
		"a " + long + " b":             "> a\n    " + long + "\n    b",
	} {
		if got := Wrap("> ", text, "    ", 20); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestClock(t *testing.T) {
	for want, away := range map[string]time.Duration{
		"09:27":            14 * time.Minute,
		"23:13":            14 * time.Hour,
		"13:13":            -20 * time.Hour,
		"2026-11-23 09:13": 24 * time.Hour,
		"2026-11-21 09:13": -24 * time.Hour,
	} {
		if got := failure.Clock(morning.Add(away).UTC(), morning); got != want {
			t.Errorf("%v away: %q, want %q", away, got, want)
		}
	}
}
