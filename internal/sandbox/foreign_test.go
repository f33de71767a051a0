package sandbox_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daypass/daypass/internal/sandbox"
)

// TestForeignProvider logs in at one sandbox and assumes a role at another.
func TestForeignProvider(t *testing.T) {
	cloud, _ := start(t, sandbox.Options{})
	elsewhere, _ := start(t, sandbox.Options{IssuerSlash: true})
	if err := elsewhere.RotateKeys(); err != nil { // sandboxes of one process share their first key
		t.Fatal(err)
	}
	const roleARN = "arn:aws:iam::111122223333:role/Guest"
	if err := cloud.Trust(roleARN, document(elsewhere, `"sts:AssumeRoleWithWebIdentity"`, "")); err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		_, err := assume(t, cloud, sts.AssumeRoleWithWebIdentityInput{
			RoleArn:          aws.String(roleARN),
			RoleSessionName:  aws.String("taro"),
			WebIdentityToken: aws.String(logIn(t, elsewhere).string("id_token")),
		})
		return err
	}
	checkError(t, ask(), "InvalidIdentityToken", 400, "No OpenIDConnect provider found")
	cloud.RegisterProvider(elsewhere.Issuer, elsewhere.ClientID)
	checkError(t, ask(), "InvalidIdentityToken", 400, "Couldn't retrieve verification key")
	if err := cloud.RegisterForeignProvider(elsewhere.Issuer, elsewhere.ClientID); err != nil {
		t.Fatal(err)
	}
	checkError(t, ask(), "", 0, "")

	if err := cloud.RegisterForeignProvider("https://idp.example/", "x"); err == nil {
		t.Error("a provider that is not on loopback was asked")
	}
}
