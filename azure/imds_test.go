package azure

import (
	"strings"
	"testing"
	"time"
)

// The secret of App Service goes over https, or to this host's own network.
func TestCheckEndpoint(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"http://127.0.0.1:41564/msi/token": true, "http://169.254.131.2:8081/msi/token": true, "http://172.16.0.2:8081/msi/token": true,
		"http://localhost:42356/msi/token": true, "https://identity.example/msi/token": true, "http://[fd00::1]/msi/token": true,
		"http://192.0.2.1/msi/token": false, "http://identity.example/msi/token": false, "http://a@10.0.0.1/": false, "http://10.0.0.1/?x=y": false,
		"http://10.0.0.1/#x": false, "ftp://10.0.0.1/": false, "10.0.0.1": false, "http://0.0.0.0/": false, "http://[fe80::1%25eth0]/": false,
	} {
		if err := checkEndpoint(endpoint); (err == nil) != want {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

// The numbers are text at one service and numbers at the other, and any of it may be
// something else.
func TestReader(t *testing.T) {
	now := time.Unix(1506484173, 0)
	read := reader(func() time.Time { return now })
	for body, want := range map[string]time.Duration{
		`{"access_token":"a.b.c","expires_in":"3599","expires_on":"1506484233"}`: time.Minute,
		`{"access_token":"a.b.c","expires_on":1506484233.7}`:                     time.Minute,
		`{"access_token":"a.b.c","expires_in":60,"expires_on":1506484000}`:       -173 * time.Second, // our clock may be ahead
		`{"access_token":"a.b.c","expires_in":3599}`:                             3599 * time.Second,
		`{"access_token":"a.b.c","expires_in":"3599"}`:                           3599 * time.Second,
		"": 0, "[]": 0, "<html>": 0, "{}": 0, `{"access_token":"a"}`: 0, `{"access_token":"","expires_in":60}`: 0,
		`{"access_token":"a b","expires_in":60}`: 0, `{"access_token":"a\u0000","expires_in":60}`: 0, `{"access_token":"` + strings.Repeat("a", 70_000) + `","expires_in":60}`: 0,
		`{"access_token":"a","expires_in":-1}`: 0, `{"access_token":"a","expires_in":0}`: 0, `{"access_token":"a","expires_in":"x"}`: 0, `{"access_token":"a","expires_in":1e300}`: 0,
		`{"access_token":"a","expires_on":{}}`: 0, `{"access_token":"a","expires_on":-1}`: 0, `{"access_token":"a","expires_on":"NaN"}`: 0, `{"access_token":"a","expires_on":"Infinity"}`: 0, `{"access_token":"a","expires_on":"1e99"}`: 0, `{"access_token":"a","expires_on":"soon"}`: 0,
	} {
		got, err := read([]byte(body))
		if (err == nil) != (want != 0) || err == nil && (got.Value.Reveal() != "a.b.c" || got.Expires.Sub(now) != want) || err != nil && err.Error() != "it holds no token that can be used" {
			t.Errorf("%.80s: until %v, %v", body, got.Expires, err)
		}
	}
}
