// Command clouds reads a secret of Key Vault with Azure's own libraries, as a program
// does that daypass exec --azure has started. It is a module of its own, so that the
// clouds' libraries stay out of daypass's dependencies; its tests hold daypass's own
// requests against them.
//
//	clouds workload|default VAULT-URL NAME
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

func main() {
	value, err := read(context.Background(), os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(value)
}

func read(ctx context.Context, kind, vault, name string) (string, error) {
	var credential azcore.TokenCredential
	var err error
	if kind == "workload" {
		credential, err = azidentity.NewWorkloadIdentityCredential(nil)
	} else {
		credential, err = azidentity.NewDefaultAzureCredential(nil)
	}
	if err != nil {
		return "", err
	}
	client, err := azsecrets.NewClient(vault, credential, nil)
	if err != nil {
		return "", err
	}
	answer, err := client.GetSecret(ctx, name, "", nil)
	if err != nil {
		return "", err
	}
	return *answer.Value, nil
}
