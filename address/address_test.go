package address_test

import (
	"strings"
	"testing"

	"github.com/daypass/daypass/address"
)

func TestCheck(t *testing.T) {
	long := "https://corp.example/" + strings.Repeat("a", address.Max)
	for _, test := range []struct {
		raw      string
		loopback bool
		want     string // part of the error; "" if there must be none
	}{
		{"https://corp.example/activate?user_code=LBJX-WZVT", false, ""},
		{"https://corp.example:8443/a", false, ""},
		{"https://192.0.2.1/", false, ""},
		{"https://[2001:db8::1]/", false, ""},
		{"https://xn--bcher-kva.example/", false, ""},
		{"HTTPS://corp.example", false, ""},
		{"http://127.0.0.1:8080/", true, ""},
		{"http://localhost/", true, ""},
		{"http://LOCALHOST/", true, ""},
		{"http://[::1]:80/", true, ""},
		{"http://127.9.9.9/", true, ""},
		{"https://localhost/", true, ""},
		{"https://idp.localhost/", true, ""},

		{"", true, "empty"},
		{long, true, "bytes, more than 2048"},
		{"http://127.0.0.1:8080/", false, "on this machine"},
		{"http://localhost/", false, "on this machine"},
		{"https://localhost:8443/", false, "on this machine"},
		{"https://idp.LOCALHOST/", false, "on this machine"},
		{"https://idp.localhost.:8443/", false, "on this machine"},
		{"https://[::ffff:127.0.0.1]/", false, "on this machine"},
		{"http://corp.example/", true, "not https"},
		{"http://127.0.0.1.corp.example/", true, "not https"},
		{"http://a.localhost/", true, "not https"},
		{"https://localhost./", false, "does not name a host"},
		{"https://127.1/", false, "does not name a host"},
		{"https://127.0.0.1./", false, "does not name a host"},
		{"https://2130706433:8443/", false, "does not name a host"},
		{"https://0x7f000001/", false, "does not name a host"},
		{"https://0.0.0.0/", false, "does not name a host"},
		{"https://[::]/", false, "does not name a host"},
		{"https://[::ffff:0.0.0.0]/", false, "does not name a host"},
		{"http://10.0.0.1/", true, "not https"},
		{"http://[::1%25lo]/", true, "does not name a host"},
		// A query may hold a code or a token, so no error shows it.
		{"ftp://corp.example/?s3cret", true, "not https"},
		{"http://corp.example/?code=s3cret", true, "not https"},
		{"http://corp.example/#s3cret", true, "not https"},
		{"javascript:alert(1)", true, "does not begin with https://"},
		{"https:corp.example", true, "does not begin with https://"},
		{"https://", true, "does not name a host"},
		{"https:///path", true, "does not name a host"},
		{"https://./", true, "does not name a host"},
		{"https://corp.example:99999/", true, "does not name a host"},
		{"https://corp.example:123456/", true, "does not name a host"},
		{"https://corp%2eexample/", true, "not a URL"},
		{"https://corp.example@other.example/", true, "user name"},
		{"https://user:word@corp.example/", true, "user name"},
		{"https://b\u00fccher.example/", true, "no URL may hold"},
		{"https://corp.example/\u202e", true, "no URL may hold"},
		{"https://corp.example/a b", true, "no URL may hold"},
		{"https://corp.example/\n", true, "no URL may hold"},
		{"https://corp.example/\"onload=\"x", true, "no URL may hold"},
		{"https://corp.example/{tenant}", true, "no URL may hold"},
		{"https://corp.example/\x7f", true, "no URL may hold"},
		{"https://corp.example\\@other.example/", true, "no URL may hold"},
		{"corp.example", true, "does not begin with https://"},
	} {
		err := address.Check(test.raw, test.loopback)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("Check(%q, %v): %v", test.raw, test.loopback, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret")):
			t.Errorf("Check(%q, %v): %v, want an error that says %q", test.raw, test.loopback, err, test.want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("https://corp.example/", true)
	f.Add("http://127.0.0.1:1/a?b#c", false)
	f.Add("https://[::1%25eth0]/", true)
	f.Fuzz(func(t *testing.T, raw string, loopback bool) {
		if address.Check(raw, loopback) != nil {
			return
		}
		if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("accepted %q", raw)
		}
		if here := address.OnLoopback(raw); here && !loopback || !here && !strings.HasPrefix(strings.ToLower(raw), "https://") {
			t.Errorf("accepted %q with loopback %v", raw, loopback)
		}
	})
}
