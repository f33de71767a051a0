package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// The metadata services refuse what the real ones refuse.
func TestMetadataServicesRefuse(t *testing.T) {
	b := start(t, sandbox.Options{})
	gitHub := httptest.NewTLSServer(b.Handler())
	t.Cleanup(gitHub.Close)
	secret := b.WorkloadEnvironment("app-service", "")["IDENTITY_HEADER"]
	var (
		resource = "&resource=" + url.QueryEscape(sandbox.AppIDURI)
		vm       = b.URL + "/metadata/identity/oauth2/token?api-version=2018-02-01" + resource
		app      = b.URL + "/msi/token?api-version=2019-08-01" + resource
		gcp      = b.URL + "/computeMetadata/v1/instance/service-accounts/default/identity?audience=sts.amazonaws.com"
		job      = gitHub.URL + "/github/token?api-version=2.0&audience=sts.amazonaws.com"
		proxy    = "X-Forwarded-For: 192.0.2.1"
	)
	for _, c := range []struct {
		name, url string
		header    string // lines
		status    int
		body      string
	}{
		{"VM, without header", vm, "", 400, "bad_request_102"},
		{"VM, by proxy", vm, "Metadata: true\n" + proxy, 400, "bad_request_102"},
		{"VM, without version", strings.Replace(vm, "api-version=2018-02-01", "", 1), "Metadata: true", 400, "api-version"},
		{"VM, without resource", strings.Replace(vm, "resource", "x", 1), "Metadata: true", 400, "invalid_request"},
		{"VM, another resource", vm + "x", "Metadata: true", 400, "AADSTS500011"},
		{"VM, another identity", vm + "&client_id=" + sandbox.SystemObjectID, "Metadata: true", 400, "Identity not found"},
		{"VM, App Service's selector", vm + "&mi_res_id=" + sandbox.UserResourceID, "Metadata: true", 400, "Identity not found"},
		{"App Service, a VM's header", app, "Metadata: true", 401, "X-IDENTITY-HEADER"},
		{"App Service, by proxy", app, "X-IDENTITY-HEADER: " + secret + "\n" + proxy, 401, "X-IDENTITY-HEADER"},
		{"App Service, a VM's version", strings.Replace(app, "2019-08-01", "2018-02-01", 1), "X-IDENTITY-HEADER: " + secret, 400, "api-version"},
		{"App Service, a VM's selector", app + "&msi_res_id=" + sandbox.UserResourceID, "X-IDENTITY-HEADER: " + secret, 400, "Identity not found"},
		{"Google, without header", gcp, "", 403, "Metadata-Flavor"},
		{"Google, by proxy", gcp, "Metadata-Flavor: Google\n" + proxy, 403, "proxy"},
		{"Google, without audience", strings.Replace(gcp, "audience", "x", 1), "Metadata-Flavor: Google", 400, "audience"},
		{"GitHub, without token", job, "", 401, "Unauthorized"},
		{"GitHub, in plain text", b.URL + "/github/token", "Authorization: bearer " + secret, 401, "Unauthorized"},
	} {
		request, err := http.NewRequest(http.MethodGet, c.url, nil)
		must(t, err)
		for line := range strings.Lines(c.header) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			request.Header.Set(name, value)
		}
		if got := b.send(request, nil); got.status != c.status || !strings.Contains(got.text, c.body) {
			t.Errorf("%s: status %d, %s; want %d, %s", c.name, got.status, got.text, c.status, c.body)
		}
	}

	// A proxy asks for the whole address.
	through := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(b.URL) }}
	request, _ := http.NewRequest(http.MethodGet, "http://metadata.google.internal"+strings.TrimPrefix(gcp, b.URL), nil)
	request.Header.Set("Metadata-Flavor", "Google")
	response, err := through.RoundTrip(request)
	must(t, err)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("through a real proxy: status %d", response.StatusCode)
	}
}
