package prompt

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// never is a clock on which no second passes.
func never(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestBrowserArguments(t *testing.T) {
	const encoded = "https%3A%2F%2Fcorp.eu.auth0.com%2Factivate%3Fuser_code%3DLBJX-WZVT"
	for _, test := range []struct {
		name, profile string
		command, want []string
	}{
		{"template", "dev", []string{"firefox", "-P", "{profile}", "{url}"}, []string{"firefox", "-P", "dev", link}},
		{"within words", "dev", []string{"x", "--dir=AWS {profile}", "--app={url}"}, []string{"x", "--dir=AWS dev", "--app=" + link}},
		{"encoded", "dev", []string{"firefox", "ext+container:name={profile}&url={url_encoded}"}, []string{"firefox", "ext+container:name=dev&url=" + encoded}},
		{"values are not split", `my 'dev" \p`, []string{"x", "{profile}", "{url}"}, []string{"x", `my 'dev" \p`, link}},
		{"values are not templates", "{url}", []string{"x", "{profile}"}, []string{"x", "{url}", link}},
		{"address at the end", "dev", []string{"firefox", "-P", "work"}, []string{"firefox", "-P", "work", link}},
		{"hostile profile", "a\x1b\u202e\nb", []string{"x", "{profile}", "{url}"}, []string{"x", "a b", link}},
	} {
		got := Browser{Command: test.command, Profile: test.profile}.arguments(link)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
	}
}

func TestOpenFails(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct {
		name    string
		command []string
		target  string
		want    string
	}{
		{"plain http", []string{os.Args[0]}, "http://evil.example/", "not https"},
		{"not in PATH", []string{"no-such-firefox", "{url}"}, link, `"no-such-firefox {url}": not found in PATH`},
		{"no such file", []string{missing, "\x1b"}, link, `missing \x1b": `},
	} {
		b := Browser{Command: test.command, Self: "self-must-not-start", Getenv: environment(nil), Sleep: never}
		err := b.Open(t.Context(), test.target)
		if err == nil || !strings.Contains(err.Error(), test.want) || Clean(err.Error()) != err.Error() || strings.Contains(err.Error(), link) {
			t.Errorf("%s: error %v, want one line with %q", test.name, err, test.want)
		}
	}
	if err := RunOpener("file:///etc/passwd"); err == nil {
		t.Error("RunOpener takes any address")
	}
}
