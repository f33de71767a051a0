package process

import (
	"encoding/json"
	"time"
)

// Version1 is the document that the AWS SDKs read from a credential_process: one
// line, whole seconds, with the AccountId that newer SDKs use for endpoints.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
func (c Credentials) Version1() ([]byte, error) {
	document, err := json.Marshal(struct {
		Version         int
		AccessKeyId     string
		SecretAccessKey string
		SessionToken    string
		Expiration      string
		AccountId       string
	}{1, c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal(), c.Expires.UTC().Format(time.RFC3339), c.AccountID})
	return append(document, '\n'), err
}
