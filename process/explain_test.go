package process

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// What Entra refuses reads as a cause and whom to ask, with the number that finds
// it in Microsoft's list and the id that finds it in the sign-in log.
func TestEntraRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	for number, want := range map[string][2]string{
		"53003":   {"your company's sign-in policy blocks device codes", "allow device code flow for application CLIENT"},
		"530036":  {"your company's sign-in policy blocks device codes", "allow device code flow for application CLIENT"},
		"53000":   {"wants a managed device", "Ask the Entra admin about application CLIENT"},
		"53001":   {"wants a managed device", "Ask the Entra admin about application CLIENT"},
		"53002":   {"wants a managed device", "Ask the Entra admin about application CLIENT"},
		"50105":   {"you are not assigned to application CLIENT in Entra", "assign you or your group"},
		"700016":  {"there is no application CLIENT in this Entra tenant", "Check client_id, and the tenant in issuer"},
		"7000218": {"Entra wants a secret from application CLIENT", `"Allow public client flows"`},
	} {
		w := newWorld(t, sandbox.Options{})
		id := "c0ffee00-0000-4000-8000-000000000000"
		w.answerWith("/device_authorization", 400, fmt.Sprintf(
			`{"error":"invalid_grant","error_description":"AADSTS%s: some words.\r\nTrace ID: x","correlation_id":%q}`, number, id))
		_, err := w.run(func(p *Provider) { p.Profile.IDP.Support = "Ask #cloud-help." })
		w.failsWith(err, failure.ExitRefused, strings.ReplaceAll(want[0], "CLIENT", w.box.ClientID))
		text := err.Error()
		for _, part := range []string{"(AADSTS" + number + ", id " + id + ")", strings.ReplaceAll(want[1], "CLIENT", w.box.ClientID), "Ask #cloud-help."} {
			if !strings.Contains(text, part) {
				t.Errorf("AADSTS%s: %q is not in\n%s", number, part, text)
			}
		}
	}
	// On renewal the login has ended, whatever the reason.
	w := dueWorld(t, sandbox.Options{})
	w.answerRefresh(400, `{"error":"invalid_grant","error_description":"AADSTS53003: Access has been blocked."}`)
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "your company's sign-in policy blocks device codes (AADSTS53003).")
	// A number that is not in the table is told in the provider's words.
	w = newWorld(t, sandbox.Options{})
	w.answerWith("/device_authorization", 400, `{"error":"invalid_request","error_description":"AADSTS90002: Tenant not found."}`)
	_, err = w.run()
	w.failsWith(err, failure.ExitRefused, "AADSTS90002: Tenant not found.")
}

// The company's own line follows each refusal, shares the last of three, and is
// not added to what is nobody's refusal.
func TestSupportLine(t *testing.T) {
	t.Parallel()
	const line = "Ask #cloud-help."
	support := func(p *Provider) { p.Profile.IDP.Support = line }
	for _, c := range []struct {
		name  string
		set   func(*world)
		lines int // 0: without the line
	}{
		{"two lines", func(w *world) { w.answerWith("/device_authorization", 400, `{"error":"access_denied"}`) }, 3},
		{"three lines", func(w *world) { w.answerWith("/device_authorization", 401, `{"error":"invalid_client"}`) }, 3},
		{"bad ID token", func(w *world) { w.box.Set(func(o *sandbox.Options) { o.Algorithm = "HS256" }) }, 3},
		{"AWS refuses", func(w *world) { w.box.FailSTS(sandbox.STSError{Code: "AccessDenied"}) }, 3},
		{"network", func(w *world) { w.box.Close() }, 0},
	} {
		w := newWorld(t, sandbox.Options{})
		c.set(w)
		_, err := w.run(support)
		lines := failure.From(err).Lines
		if c.lines == 0 {
			if strings.Contains(err.Error(), line) {
				t.Errorf("%s:\n%v", c.name, err)
			}
			continue
		}
		if len(lines) != c.lines || !strings.HasSuffix(lines[len(lines)-1], line) {
			t.Errorf("%s: %d lines, want %d:\n%v", c.name, len(lines), c.lines, err)
		}
	}
	f := (&Provider{}).supported(failure.New(failure.ExitRefused, nil, "no."))
	if len(f.Lines) != 1 {
		t.Errorf("without a line of the company's: %q", f.Lines)
	}
}

// What a provider refuses is told with what to change, by its code.
func TestRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status      int
		body        string
		exit        int
		first, then string
	}{
		{401, `{"error":"invalid_client"}`, failure.ExitRefused, "does not accept client daypass-sandbox (invalid_client).", "check client_id in [daypass-idp corp]."},
		{400, `{"error":"unauthorized_client","error_description":"Device flow is off"}`, failure.ExitRefused, "(unauthorized_client: Device flow is off)", "device code grant"},
		{400, `{"error":"unsupported_grant_type"}`, failure.ExitRefused, "does not let client daypass-sandbox use device codes", "Ask its admin"},
		{400, `{"error":"invalid_request","error_description":"client_secret is missing."}`, failure.ExitRefused, "wants a client secret", "Set client_secret"},
		{400, `{"error":"invalid_target"}`, failure.ExitRefused, "does not know the audience", "Leave audience out"},
		{403, `{"error":"access_denied","error_description":"Service not found: x"}`, failure.ExitRefused, "does not know the audience", "Leave audience out"},
		{403, `{"error":"access_denied"}`, failure.ExitRefused, "was refused (access_denied).", "daypass login --profile dev"},
		{429, `{"error":"access_denied"}`, failure.ExitNetwork, "asks to wait a few minutes: too many logins.", "Try again later."},
		{400, `{"error":"slow_down"}`, failure.ExitNetwork, "asks to wait a few minutes (slow_down).", "Try again later."},
		{502, ``, failure.ExitNetwork, "status 502", ""},
		{418, ``, failure.ExitNetwork, "does not answer as it should (an empty answer instead of JSON; device authorization).", "Is there a proxy"},
		{400, `{"error":"brand_new"}`, failure.ExitRefused, "refused: brand_new (device authorization).", "Check the settings of"},
	} {
		w := newWorld(t, sandbox.Options{})
		w.answerWith("/device_authorization", c.status, c.body)
		_, err := w.run()
		w.failsWith(err, c.exit, c.first)
		if !strings.Contains(err.Error(), c.then) {
			t.Errorf("%d %s: %q is not in\n%v", c.status, c.body, c.then, err)
		}
	}
}

// The cause of an error is told without the address of the request, whose query is
// not for every eye.
func TestReason(t *testing.T) {
	cause := errors.New("connection refused")
	for want, err := range map[string]error{
		"connection refused":             fmt.Errorf("wrapped: %w", &url.Error{Op: "Get", URL: "https://x.example/?token=secret", Err: cause}),
		`open "/a": file does not exist`: &fs.PathError{Op: "open", Path: "/a", Err: fs.ErrNotExist},
		"first":                          errors.New("first\nsecond"),
		strings.Repeat("a", 300) + "...": errors.New(strings.Repeat("a", 5000)),
		"corp.example answered the refresh request with invalid_grant": &deviceflow.ProviderError{Op: "refresh", Host: "corp.example", Code: "invalid_grant"},
	} {
		if got := reason(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWhole(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 1600 * time.Millisecond: "2 s", 50 * time.Second: "50 s", time.Minute: "60 s", 2 * time.Minute: "2 min",
		90 * time.Second: "90 s", time.Hour: "60 min", 2 * time.Hour: "2 h", 12 * time.Hour: "12 h", 150 * time.Minute: "150 min",
	} {
		if got := whole(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

// A text from outside is one line of bounded length, without a run of characters
// that could be a token.
func FuzzShortened(f *testing.F) {
	jwt := "eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("abcDEF123-_", 20) + ".c2ln"
	for _, seed := range []string{
		"", "plain words", "two\nlines\x1b[31m", "Value '" + jwt + "' at 'webIdentityToken'", jwt, jwt + jwt, strings.Repeat("word ", 200),
		strings.Repeat("é", 200), "a" + strings.Repeat("é", 200), "\xff\xfe" + jwt + "\xff", "a" + jwt + "/" + jwt + "!", strings.Repeat("a/", 300), "ends with dots...",
		strings.Repeat("0", 75) + "\xec\xec" + strings.Repeat("0", 79) + strings.Repeat(" x", 200),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := shortened(text)
		if len(got) > 303 {
			t.Errorf("%d bytes", len(got))
		}
		if strings.ContainsAny(got, "\n\r\t\v\f") {
			t.Errorf("more than one line: %q", got)
		}
		if !utf8.ValidString(got) {
			t.Errorf("a character was cut: %q", got)
		}
		run := 0
		for _, r := range got {
			if run++; !isTokenRune(r) {
				run = 0
			}
			if run > 90 {
				t.Fatalf("a run of %d characters of a token in %q", run, got)
			}
		}
	})
}
