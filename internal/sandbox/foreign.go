package sandbox

import (
	"context"
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

// RegisterForeignProvider has IAM know a real identity provider on loopback, as
// [Sandbox.RegisterProvider] does, and fetches the keys that its tokens are
// verified with. Unlike AWS, STS does not fetch them again when they change.
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
	s.RegisterProvider(issuer, audiences...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.foreignKeys[issuer] = keys
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
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, response.Status)
	}
	return json.NewDecoder(io.LimitReader(response.Body, maxBody)).Decode(document)
}

// issuerKey finds the key of an ID token by its issuer and key id; s.mu is held.
func (s *Sandbox) issuerKey(issuer, id string) (crypto.PublicKey, bool) {
	if issuer == s.Issuer {
		return s.verificationKey(id)
	}
	keys := s.foreignKeys[issuer]
	if found := keys.Key(id); len(found) > 0 {
		return found[0].Key, true
	}
	return nil, false
}
