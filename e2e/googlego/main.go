// Command googlego prints the access token of Google Cloud that a Go library gets
// with GOOGLE_APPLICATION_CREDENTIALS. It is a module of its own, so that the
// libraries stay out of daypass's dependencies.
//
//	googlego oauth2|auth
package main

import (
	"context"
	"fmt"
	"os"

	"cloud.google.com/go/auth/credentials"
	"golang.org/x/oauth2/google"
)

const scope = "https://www.googleapis.com/auth/cloud-platform"

func main() {
	token, err := accessToken(context.Background(), os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(token)
}

func accessToken(ctx context.Context, library string) (string, error) {
	if library == "oauth2" {
		found, err := google.FindDefaultCredentials(ctx, scope)
		if err != nil {
			return "", err
		}
		token, err := found.TokenSource.Token()
		if err != nil {
			return "", err
		}
		return token.AccessToken, nil
	}
	found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{scope}})
	if err != nil {
		return "", err
	}
	token, err := found.Token(ctx)
	if err != nil {
		return "", err
	}
	return token.Value, nil
}
