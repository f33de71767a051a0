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

// The numbers are text at one service and numbers at the other.
func TestReadToken(t *testing.T) {
	for _, on := range []string{`"1506484173"`, `1506484173`, `1506484173.7`} {
		got, err := readToken([]byte(`{"access_token":"a.b.c","expires_in":"3599","expires_on":` + on + `}`))
		if err != nil || got.Value.Reveal() != "a.b.c" || !got.Expires.Equal(time.Unix(1506484173, 0)) {
			t.Errorf("%s: %v, %v", on, got.Expires, err)
		}
	}
}

func FuzzReadToken(f *testing.F) {
	for _, seed := range []string{"", "[]", `{"access_token":"a"}`, `{"access_token":"a","expires_on":"1e99"}`, `{"access_token":"hunter2","expires_on":{}}`, `{"access_token":7,"expires_on":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := readToken(body)
		switch {
		case err == nil && (got.Value.Empty() || got.Expires.Unix() < 0):
			t.Errorf("%q: %v", body, got)
		case err != nil && (len(err.Error()) > 100 || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%q: %v", body, err)
		}
	})
}
