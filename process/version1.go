package process

import (
	"strconv"
	"time"
)

// Version1 is the document that the AWS SDKs read from a credential_process: one
// line, whole seconds, with the AccountId that newer SDKs use for endpoints.
//
// It is not left to encoding/json, which would look into a type by reflection, for
// the reason that rolerecord.go gives.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
func (c Credentials) Version1() []byte {
	document := []byte(`{"Version":1`)
	for _, member := range [][2]string{
		{"AccessKeyId", c.AccessKeyID},
		{"SecretAccessKey", c.SecretAccessKey.Reveal()},
		{"SessionToken", c.SessionToken.Reveal()},
		{"Expiration", c.Expires.UTC().Format(time.RFC3339)},
		{"AccountId", c.AccountID},
	} {
		document = append(document, `,"`+member[0]+`":`...)
		document = strconv.AppendQuote(document, member[1]) // of printable ASCII, Go's quotes are JSON's
	}
	return append(document, "}\n"...)
}
