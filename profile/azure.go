package profile

import (
	"cmp"
	"strings"

	"github.com/daypass/daypass/address"
)

// What Azure trusts, see [Azure.Via].
const (
	ViaAWS     = "aws"
	ViaCognito = "cognito"
	ViaIMDS    = "imds"
)

// Azure is how a profile signs in to Azure.
type Azure struct {
	// Via is ViaAWS (a token that AWS STS signs for the role), ViaCognito (one that an
	// identity pool signs for a developer identity) or ViaIMDS (the machine's managed
	// identity, which needs no AWS); "" if the profile does not use Azure.
	Via              string
	Tenant, ClientID string // of the application in Entra ID; "" with ViaIMDS
	Identity         string // of ViaIMDS: system, client_id:X, object_id:X or resource_id:X

	CognitoPool, CognitoProvider, CognitoUser string // the pool is REGION:GUID
}

// azure reads and checks each setting of Azure.
func (s *settings) azure() Azure {
	if !s.usesAzure() {
		return Azure{}
	}
	const via = "daypass_azure_via"
	a := Azure{Via: s.oneOf(via, ViaAWS, ViaCognito, ViaIMDS)}
	if a.Via == ViaIMDS {
		a.Identity = s.azureIdentity("daypass_azure_identity")
		s.noneOf(via, a.Via, "daypass_azure_tenant", "daypass_azure_client_id", "daypass_cognito_pool", "daypass_cognito_provider", "daypass_cognito_user")
		return a
	}
	s.noneOf(via, a.Via, "daypass_azure_identity")
	a.Tenant = s.text(s.required("daypass_azure_tenant", "the tenant's id or its domain"), isTenant, "the tenant's id or its domain")
	a.ClientID = s.text(s.required("daypass_azure_client_id", "the client id of the application"), isGUID, "the client id of the application, a GUID")
	if a.Via == ViaAWS {
		s.noneOf(via, a.Via, "daypass_cognito_pool", "daypass_cognito_provider", "daypass_cognito_user")
		return a
	}
	const pool = "the id of an identity pool, REGION:GUID"
	a.CognitoPool = s.text(s.required("daypass_cognito_pool", pool), isPool, pool)
	a.CognitoProvider = s.text(s.required("daypass_cognito_provider", "the developer provider of the pool"), printableASCII, "the name of the developer provider")
	// One user for all persons is one subject at Entra ID, which takes 20 of them.
	a.CognitoUser = cmp.Or(s.text(s.get("daypass_cognito_user"), printableASCII, "printable ASCII"), a.ClientID)
	return a
}

// usesAzure is on the way to each cached answer, which hardly ever needs Azure.
func (s *settings) usesAzure() bool {
	for key, value := range s.values {
		if value != "" && (strings.HasPrefix(key, "daypass_azure_") || strings.HasPrefix(key, "daypass_cognito_")) {
			return true
		}
	}
	return s.src.given("azure-via") || s.src.given("azure-tenant") || s.src.given("azure-client-id")
}

// isTenant accepts what can be a part of the path at Entra ID.
func isTenant(text string) bool {
	return len(text) <= 253 && strings.Trim(text, nameCharacters) == "" && strings.Trim(text, ".") != "" && !strings.ContainsAny(text, "_+=,@")
}

func isGUID(text string) bool {
	for i, r := range text {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (r == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return false
		}
	}
	return len(text) == 36
}

func isPool(text string) bool {
	region, id, _ := strings.Cut(text, ":")
	return address.IsRegion(region) && isGUID(id)
}
