package prompt

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestCheckURL(t *testing.T) {
	for _, good := range []string{
		"https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT",
		"https://microsoft.com/devicelogin",
		"HTTPS://Idp.Example:8443/a;b,c/$(x)?q='1'&r=(2)#top",
		"https://xn--bcher-kva.example/",
		"https://idp_internal.example.",
		"https://10.0.0.1/device",
		"https://[2001:db8::1]:8443/device",
		"http://127.0.0.1:5556/dex/device?user_code=A%20B",
		"http://127.8.9.10/",
		"http://[::1]:8080/",
		"http://localhost:8080/idp/device",
		"http://LOCALHOST/",
		"https://idp.example/" + strings.Repeat("a", 2048-len("https://idp.example/")),
	} {
		if err := CheckURL(good); err != nil {
			t.Errorf("CheckURL(%q): %v", good, err)
		}
	}
	for _, test := range []struct{ name, in, want string }{
		{"empty", "", "empty"},
		{"plain http", "http://idp.example/device", "not https"},
		{"plain http on a name like loopback", "http://localhost.evil.example/", "not this machine"},
		{"plain http on a number like loopback", "http://127.0.0.1.evil.example/", "not this machine"},
		{"plain http on the unspecified address", "http://0.0.0.0/", "not this machine"},
		{"short loopback", "http://127.1/", "not this machine"},
		{"file", "file:///etc/passwd", "does not name a host"},
		{"another program", "vscode://evil.example/x", "not https"},
		{"script", "javascript:alert(1)", "does not name a host"},
		{"no scheme", "idp.example/device", "does not name a host"},
		{"relative to the scheme", "//idp.example/device", "not https"},
		{"an option", "--renderer-cmd-prefix=sh", "does not name a host"},
		{"no host", "https:///device", "does not name a host"},
		{"opaque", "https:idp.example/device", "does not name a host"},
		{"dots for a host", "https://../", "does not name a host"},
		{"user name", "https://corp.example@evil.example/", "user name"},
		{"empty user name", "https://@evil.example/", "user name"},
		{"backslash", `https://evil.example\@corp.example/`, "no URL may hold"},
		{"another script", "https://\u0441orp.example/", "no URL may hold"},
		{"another script, encoded", "https://%d1%81orp.example/", "does not name a host"},
		{"zone", "http://[::1%25lo]/", "does not name a host"},
		{"space", "https://idp.example/a b", "no URL may hold"},
		{"line break", "https://idp.example/\nRun: evil", "no URL may hold"},
		{"escape sequence", "https://idp.example/\x1b[2J", "no URL may hold"},
		{"DEL", "https://idp.example/\x7f", "no URL may hold"},
		{"bidi override", "https://idp.example/\u202e", "no URL may hold"},
		{"quote", `https://idp.example/"&calc`, "no URL may hold"},
		{"back quote", "https://idp.example/`id`", "no URL may hold"},
		{"wrong percent sign", "https://idp.example/%zz", "cannot be read"},
		{"wrong port", "https://idp.example:port/", "cannot be read"},
		{"too long", "https://idp.example/" + strings.Repeat("a", 2048), "longer than 2048"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := CheckURL(test.in)
			if err == nil {
				t.Fatalf("CheckURL(%+q) accepted it", test.in)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if text := err.Error(); Clean(text) != text || len(text) > 500 {
				t.Errorf("error %+q is not fit to be printed", text)
			}
		})
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://idp.example/device?user_code=A", "http://127.0.0.1:1/", "http://[::1]/", "https://a@b/", "https://a\\@b/",
		"https://%41/", "https://[::1%25a]/", "https://a:b/", "javascript:x", "https://\u0441.example", "HTTP://localhost",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if CheckURL(raw) != nil {
			return
		}
		if len(raw) > 2048 || strings.Contains(raw, " ") || !printableASCII(raw) || strings.ContainsAny(raw, "\"\\<>`") {
			t.Errorf("CheckURL accepted %+q", raw)
		}
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatalf("CheckURL accepted %q: %v", raw, err)
		}
		host := u.Hostname()
		if u.User != nil || host == "" || strings.HasPrefix(raw, "-") {
			t.Errorf("CheckURL accepted %q", raw)
		}
		addr, err := netip.ParseAddr(host)
		local := err == nil && addr.IsLoopback() || strings.ToLower(host) == "localhost"
		if u.Scheme != "https" && (u.Scheme != "http" || !local) {
			t.Errorf("CheckURL accepted %q: neither https nor loopback", raw)
		}
	})
}
