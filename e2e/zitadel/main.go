// Command zitadel is a second certified OpenID provider for the end-to-end tests: the
// example of github.com/zitadel/oidc, with both flows for one public client. It prints
// its issuer on one line, and ends when its standard input closes.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	issuer := "http://" + listener.Addr().String()
	storage.RegisterClients(storage.NativeClient("daypass-e2e", "http://127.0.0.1/callback"))
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	provider := exampleop.SetupServer(issuer, store{storage.NewStorage(users{})}, logger, false)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(issuer)
	server := &http.Server{Handler: provider, ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintln(os.Stderr, server.Serve(listener))
	os.Exit(1)
}

// users is the one user, whose password is "any".
type users struct{}

func (users) GetUserByID(id string) *storage.User {
	if id != "taro" {
		return nil
	}
	return &storage.User{ID: id, Username: id, Password: "any", Email: "taro@example.com", EmailVerified: true}
}
func (u users) GetUserByUsername(name string) *storage.User { return u.GetUserByID(name) }
func (users) ExampleClientID() string                       { return "" }

// store is the example's, with a client that has both flows.
type store struct{ *storage.Storage }

func (s store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	return client{c}, err
}

type client struct{ op.Client }

func (client) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeDeviceCode, oidc.GrantTypeRefreshToken}
}

// IDTokenUserinfoClaimsAssertion puts the e-mail address into the ID token.
func (client) IDTokenUserinfoClaimsAssertion() bool { return true }
