package sandbox

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// The metadata services refuse what the real ones refuse.
func TestMetadataServicesRefuse(t *testing.T) {
	s, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	gitHub := httptest.NewTLSServer(s.Handler())
	t.Cleanup(gitHub.Close)
	secret := s.WorkloadEnvironment("app-service", "")["IDENTITY_HEADER"]
	var (
		vm    = s.URL + metadataPath + "?api-version=2018-02-01&resource=" + url.QueryEscape(AppIDURI)
		app   = s.URL + appServicePath + "?api-version=2019-08-01&resource=" + url.QueryEscape(AppIDURI)
		gcp   = s.URL + gcpIdentityPath + "?audience=sts.amazonaws.com"
		job   = gitHub.URL + gitHubPath + "?api-version=2.0&audience=sts.amazonaws.com"
		proxy = "X-Forwarded-For: 192.0.2.1"
	)
	for _, c := range []struct {
		name, url string
		header    string // lines
		status    int
		body      string
	}{
		{"VM", vm, "Metadata: true", 200, "access_token"},
		{"VM, without header", vm, "", 400, "bad_request_102"},
		{"VM, by proxy", vm, "Metadata: true\n" + proxy, 400, "bad_request_102"},
		{"VM, without version", strings.Replace(vm, "api-version=2018-02-01", "", 1), "Metadata: true", 400, "api-version"},
		{"VM, without resource", strings.Replace(vm, "resource", "x", 1), "Metadata: true", 400, "invalid_request"},
		{"VM, another resource", vm + "x", "Metadata: true", 400, "AADSTS500011"},
		{"VM, an identity", vm + "&client_id=" + UserClientID, "Metadata: true", 200, "access_token"},
		{"VM, another identity", vm + "&client_id=" + SystemObjectID, "Metadata: true", 400, "Identity not found"},
		{"VM, App Service's selector", vm + "&mi_res_id=" + UserResourceID, "Metadata: true", 400, "Identity not found"},
		{"App Service", app, "X-IDENTITY-HEADER: " + secret, 200, "access_token"},
		{"App Service, a VM's header", app, "Metadata: true", 401, "X-IDENTITY-HEADER"},
		{"App Service, another secret", app, "X-IDENTITY-HEADER: x", 401, "X-IDENTITY-HEADER"},
		{"App Service, by proxy", app, "X-IDENTITY-HEADER: " + secret + "\n" + proxy, 401, "X-IDENTITY-HEADER"},
		{"App Service, a VM's version", strings.Replace(app, "2019-08-01", "2018-02-01", 1), "X-IDENTITY-HEADER: " + secret, 400, "api-version"},
		{"App Service, a VM's selector", app + "&msi_res_id=" + UserResourceID, "X-IDENTITY-HEADER: " + secret, 400, "Identity not found"},
		{"Google", gcp, "Metadata-Flavor: Google", 200, "."},
		{"Google, without header", gcp, "", 403, "Metadata-Flavor"},
		{"Google, by proxy", gcp, "Metadata-Flavor: Google\n" + proxy, 403, "proxy"},
		{"Google, without audience", strings.Replace(gcp, "audience", "x", 1), "Metadata-Flavor: Google", 400, "audience"},
		{"GitHub", job, "Authorization: bearer " + secret, 200, `"value"`},
		{"GitHub, without token", job, "", 401, "Unauthorized"},
		{"GitHub, another token", job, "Authorization: bearer x", 401, "Unauthorized"},
		{"GitHub, in plain text", s.URL + gitHubPath, "Authorization: bearer " + secret, 401, "Unauthorized"},
	} {
		request, err := http.NewRequest(http.MethodGet, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(c.header) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			request.Header.Set(name, value)
		}
		response, err := gitHub.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != c.status || !strings.Contains(string(body), c.body) {
			t.Errorf("%s: status %d, %s; want %d, %s", c.name, response.StatusCode, body, c.status, c.body)
		}
	}

	// A proxy asks for the whole address.
	through := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(s.URL) }}
	request, _ := http.NewRequest(http.MethodGet, "http://metadata.google.internal"+gcpIdentityPath+"?audience=a", nil)
	request.Header.Set("Metadata-Flavor", "Google")
	response, err := through.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("through a real proxy: status %d", response.StatusCode)
	}
}
