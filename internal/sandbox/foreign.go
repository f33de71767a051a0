package sandbox

import (
	"crypto"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// iamProvider is an identity provider that IAM knows, in every account.
type iamProvider struct {
	audiences []string
	builtIn   bool // IAM knows it without being told, and checks the audience by the trust policy alone
	key       func(id string) (crypto.PublicKey, bool)
}

// RegisterForeignProvider has IAM know a real identity provider on loopback,
// under exactly this URL and with these audiences, and fetches the keys that its
// tokens are verified with. Unlike AWS, STS does not fetch them again when they
// change.
func (s *Sandbox) RegisterForeignProvider(issuer string, audiences ...string) error {
	var discovery struct {
		KeysURL string `json:"jwks_uri"`
	}
	if err := fetchJSON(strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &discovery); err != nil {
		return fmt.Errorf("discovery of %q: %w", issuer, err)
	}
	var keys jose.JSONWebKeySet
	if err := fetchJSON(discovery.KeysURL, &keys); err != nil {
		return fmt.Errorf("keys of %q: %w", issuer, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.providers[issuer] = iamProvider{audiences: audiences, key: func(id string) (crypto.PublicKey, bool) {
		if found := keys.Key(id); len(found) > 0 {
			return found[0].Key, true
		}
		return nil, false
	}}
	return nil
}

// fetchJSON gets a document from a server on loopback, and from nowhere else.
func fetchJSON(address string, document any) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	if u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" {
		return fmt.Errorf("%q is not on loopback", address)
	}
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, response.Status)
	}
	return json.NewDecoder(io.LimitReader(response.Body, maxBody)).Decode(document)
}
