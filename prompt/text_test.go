package prompt

import (
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/deviceflow"
	"github.com/google/go-cmp/cmp"
)

// openAuthorization is the one that the texts in this package's tests show.
func openAuthorization() deviceflow.Authorization {
	return deviceflow.Authorization{
		UserCode:                "LBJX-WZVT",
		VerificationURI:         "https://corp.eu.auth0.com/activate",
		VerificationURIComplete: "https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT",
		Expires:                 time.Date(2026, 11, 22, 8, 27, 31, 0, time.UTC),
	}
}

func TestText(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	for _, test := range []struct {
		name   string
		change func(*Request)
		want   string
	}{
		{
			name:   "complete link, tab opened",
			change: func(r *Request) { r.TabOpened = true },
			want: `daypass: log in at corp.eu.auth0.com for profile dev (Developer, 111122223333)
  https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT   (tab opened)
  Approve only if the page shows LBJX-WZVT. Good until 09:27.
`,
		},
		{
			name:   "complete link, no tab",
			change: func(*Request) {},
			want: `daypass: log in at corp.eu.auth0.com for profile dev (Developer, 111122223333)
  https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT
  Approve only if the page shows LBJX-WZVT. Good until 09:27.
`,
		},
		{
			name: "code to be entered",
			change: func(r *Request) {
				r.Auth.VerificationURI = "https://microsoft.com/devicelogin"
				r.Auth.VerificationURIComplete = ""
			},
			want: `daypass: log in at microsoft.com for profile dev (Developer, 111122223333)
  https://microsoft.com/devicelogin  and enter  LBJX-WZVT
  Good until 09:27.
`,
		},
		{
			name: "code to be entered, tab opened, end unknown",
			change: func(r *Request) {
				r.Auth.VerificationURI = "https://microsoft.com/devicelogin"
				r.Auth.VerificationURIComplete = ""
				r.Auth.Expires = time.Time{}
				r.TabOpened = true
			},
			want: `daypass: log in at microsoft.com for profile dev (Developer, 111122223333)
  https://microsoft.com/devicelogin  and enter  LBJX-WZVT   (tab opened)
`,
		},
		{
			name: "login of a section, without a role",
			change: func(r *Request) {
				r.Profile, r.RoleName, r.AccountID = "", "", ""
				r.Auth.VerificationURIComplete = "http://127.0.0.1:5556/device?user_code=LBJX-WZVT"
			},
			want: `daypass: log in at 127.0.0.1:5556
  http://127.0.0.1:5556/device?user_code=LBJX-WZVT
  Approve only if the page shows LBJX-WZVT. Good until 09:27.
`,
		},
		{
			name:   "account alone",
			change: func(r *Request) { r.RoleName = "" },
			want: `daypass: log in at corp.eu.auth0.com for profile dev (111122223333)
  https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT
  Approve only if the page shows LBJX-WZVT. Good until 09:27.
`,
		},
		{
			name: "names that do not fit in a line",
			change: func(r *Request) {
				r.Profile = "production-billing-reports"
				r.RoleName = strings.Repeat("R", 64)
			},
			want: `daypass: log in at corp.eu.auth0.com for profile production-billing-reports
  (RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR,
  111122223333)
  https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT
  Approve only if the page shows LBJX-WZVT. Good until 09:27.
`,
		},
		{
			name: "hostile names",
			change: func(r *Request) {
				r.Profile = "dev\x1b]0;x\a\nRun: evil"
				r.RoleName = "Dev\u202eeloper"
				r.AccountID = "1111\r2222"
			},
			want: `daypass: log in at corp.eu.auth0.com for profile dev Run: evil (Developer, 1111
  2222)
  https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT
  Approve only if the page shows LBJX-WZVT. Good until 09:27.
`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Request{Auth: openAuthorization(), Profile: "dev", RoleName: "Developer", AccountID: "111122223333"}
			test.change(&r)
			got, err := Text(r, berlin)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for line := range strings.Lines(got) {
				if len(strings.TrimSuffix(line, "\n")) > 80 && !strings.Contains(line, "://") {
					t.Errorf("line of %d columns: %q", len(line)-1, line)
				}
			}
		})
	}
}

// What a request holds may have come from a record that someone else wrote.
func TestUnfitRequestIsNotShown(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*deviceflow.Authorization)
		want   string
	}{
		{"plain http", func(a *deviceflow.Authorization) { a.VerificationURI = "http://evil.example/" }, "verification_uri: "},
		{"control character", func(a *deviceflow.Authorization) { a.VerificationURIComplete += "\x1b[2J" }, "verification_uri_complete: "},
		{"program's address", func(a *deviceflow.Authorization) { a.VerificationURIComplete = "file:///bin/sh" }, "verification_uri_complete: "},
		{"no address", func(a *deviceflow.Authorization) { a.VerificationURI, a.VerificationURIComplete = "", "" }, "verification_uri: "},
		{"code with a line break", func(a *deviceflow.Authorization) { a.UserCode = "A\nB" }, "user code"},
		{"no code", func(a *deviceflow.Authorization) { a.UserCode = "" }, "user code"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Request{Auth: openAuthorization(), Profile: "dev"}
			test.change(&r.Auth)
			text, err := Text(r, time.UTC)
			if err == nil || text != "" {
				t.Fatalf("Text = %q, %v; want only an error", text, err)
			}
			if !strings.Contains(err.Error(), test.want) || Clean(err.Error()) != err.Error() {
				t.Errorf("error %q, want one line with %q", err, test.want)
			}
			terminal, screen := newScreen(80, 24)
			if err := terminal.Show(r); err == nil || screen.text() != "" {
				t.Errorf("Show: %v, and it wrote %q", err, screen.text())
			}
		})
	}
}

func TestCountdownText(t *testing.T) {
	for _, test := range []struct {
		left  time.Duration
		width int
		want  string
	}{
		{13*time.Minute + 42*time.Second, 80, "waiting for approval of LBJX-WZVT, 13:42 left. Ctrl-C keeps the code."},
		{9*time.Second + 999*time.Millisecond, 80, "waiting for approval of LBJX-WZVT, 0:09 left. Ctrl-C keeps the code."},
		{time.Hour, 80, "waiting for approval of LBJX-WZVT, 60:00 left. Ctrl-C keeps the code."},
		{-time.Minute, 80, "waiting for approval of LBJX-WZVT, 0:00 left. Ctrl-C keeps the code."},
		{13*time.Minute + 42*time.Second, 68, "waiting for approval of LBJX-WZVT, 13:42 left."},
		{13*time.Minute + 42*time.Second, 20, "waiting for approval"},
		{13*time.Minute + 42*time.Second, 1, "w"},
	} {
		if got := countdownText("LBJX-WZVT", test.left, test.width); got != test.want {
			t.Errorf("%v in %d columns: %q, want %q", test.left, test.width, got, test.want)
		}
	}
}

func TestWaitingText(t *testing.T) {
	for _, test := range []struct {
		code  string
		width int
		want  string
	}{
		{"LBJX-WZVT", 80, "daypass: waiting for the login with code LBJX-WZVT, 41 s"},
		{"", 80, "daypass: waiting for another daypass to log in, 41 s"},
		{"A\nB\x1b[2J", 80, "daypass: waiting for the login with code A B, 41 s"},
		{"LBJX-WZVT", 10, "daypass: w"},
	} {
		if got := waitingText(test.code, 41*time.Second+time.Millisecond, test.width); got != test.want {
			t.Errorf("code %q in %d columns: %q, want %q", test.code, test.width, got, test.want)
		}
	}
}
