package profile

import (
	"strings"
	"testing"
)

const (
	anApp  = "1b9e0000-0000-4000-8000-000000000001"
	aPool  = "eu-west-1:1b9e0000-0000-4000-8000-00000000000f"
	inApp  = "daypass_azure_tenant = contoso.onmicrosoft.com\ndaypass_azure_client_id = " + anApp
	inPool = "\ndaypass_azure_via = cognito\ndaypass_cognito_pool = " + aPool + "\ndaypass_cognito_provider = azure-access"
)

func TestAzure(t *testing.T) {
	app := Azure{Via: ViaAWS, Tenant: "contoso.onmicrosoft.com", ClientID: anApp}
	pool := app
	pool.Via, pool.CognitoPool, pool.CognitoProvider, pool.CognitoUser = ViaCognito, aPool, "azure-access", anApp
	own := pool
	own.CognitoUser = "me"
	for lines, want := range map[string]Azure{
		"":                                  {},
		inApp:                               app,
		inApp + "\ndaypass_azure_via = aws": app,
		inApp + inPool:                      pool,
		inApp + inPool + "\ndaypass_cognito_user = me":                   own,
		"daypass_azure_via = imds":                                       {Via: ViaIMDS, Identity: "system"},
		"daypass_azure_via = imds\ndaypass_azure_identity = client_id:x": {Via: ViaIMDS, Identity: "client_id:x"},
	} {
		p, err := load(t, with(inProfile, lines), "dev", nil, nil)
		if err != nil || p.Azure != want || p.RoleARN == "" {
			t.Errorf("%s:\n%+v, %v, want %+v", lines, p.Azure, err, want)
		}
	}
	p, err := load(t, config, "dev", nil, map[string]string{"azure-tenant": "t", "azure-client-id": anApp})
	if err != nil || p.Azure.Tenant != "t" {
		t.Errorf("by flags: %+v, %v", p.Azure, err)
	}
	// One flag serves the identity of both sections.
	for lines, flags := range map[string]map[string]string{"": {"azure-via": "imds"}, inApp: {"source": "azure-imds", "audience": "a"}} {
		flags["azure-identity"] = "client_id:x"
		text := strings.Replace(with(inProfile, lines), "client_id = J1oXg0", "", 1)
		if lines == "" {
			text = config
		}
		if p, err = load(t, text, "dev", nil, flags); err != nil || p.Azure.Identity+p.IDP.AzureIdentity != "client_id:x" {
			t.Errorf("%v: %+v, %v", flags, p, err)
		}
		delete(flags, "azure-via")
		delete(flags, "source")
		_, err = load(t, with(inProfile, lines), "dev", nil, flags)
		wantError(t, err, "--azure-identity: it has no meaning without ")
	}
	p, err = load(t, "[profile vm]\ndaypass_azure_via = imds\n", "vm", nil, nil)
	if err != nil || p.RoleARN != "" || p.IDP.Issuer != "" || p.Azure.Via != ViaIMDS {
		t.Errorf("a profile for Azure alone: %+v, %v", p, err)
	}
	for lines, part := range map[string]string{
		"daypass_azure_via = gcp":                                   "want aws, cognito, imds",
		"daypass_azure_tenant = t":                                  "daypass_azure_client_id: missing",
		"daypass_azure_client_id = " + anApp:                        "daypass_azure_tenant: missing",
		strings.Replace(inApp, anApp, "app", 1):                     "a GUID",
		strings.Replace(inApp, "contoso.onmicrosoft.com", "..", 1):  "the tenant's id",
		strings.Replace(inApp, "contoso.onmicrosoft.com", "a/b", 1): "the tenant's id",
		strings.Replace(inApp, "contoso.onmicrosoft.com", "a@b", 1): "the tenant's id",
		inApp + "\ndaypass_azure_via = cognito":                     "daypass_cognito_pool: missing",
		inApp + strings.Replace(inPool, aPool, "pool", 1):           "REGION:GUID",
		inApp + "\ndaypass_cognito_user = me":                       "has no meaning with daypass_azure_via = aws",
		inApp + "\ndaypass_azure_identity = system":                 "has no meaning with daypass_azure_via = aws",
		inApp + "\ndaypass_azure_via = imds":                        "has no meaning with daypass_azure_via = imds",
		"daypass_azure_via = imds\ndaypass_azure_identity = vm:x":   "want system, client_id:X",
	} {
		_, err := load(t, with(inProfile, lines), "dev", nil, nil)
		wantError(t, err, part)
	}
}

// Where a service is called: by the environment, within the rules for STS, else AWS.
func TestServiceURL(t *testing.T) {
	for _, tt := range []struct {
		name            string
		fips            bool
		env             map[string]string
		want, wantError string
	}{
		{name: "AWS's own", want: "https://secretsmanager.eu-west-1.amazonaws.com"},
		{name: "FIPS", fips: true, want: "https://secretsmanager-fips.eu-west-1.amazonaws.com"},
		{name: "a VPC endpoint", env: map[string]string{"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://vpce-0a-b.secretsmanager.eu-west-1.vpce.amazonaws.com"},
			want: "https://vpce-0a-b.secretsmanager.eu-west-1.vpce.amazonaws.com"},
		{name: "with FIPS", fips: true, env: map[string]string{"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://secretsmanager.eu-west-1.amazonaws.com"}, wantError: "cannot be combined with FIPS"},
		{name: "another service's host", env: map[string]string{"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://sts.eu-west-1.amazonaws.com"}, wantError: "want AWS's own secretsmanager host"},
	} {
		p := plainProfile
		p.UseFIPS = tt.fips
		got, err := p.ServiceURL(func(name string) string { return tt.env[name] }, "secretsmanager", "eu-west-1")
		switch {
		case tt.wantError != "":
			wantError(t, err, tt.wantError)
		case err != nil || got != tt.want:
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}
