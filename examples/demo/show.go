package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/daypass/daypass/internal/sandbox"
)

// mask returns a Version-1 document, in its order, with the secret parts hidden.
func mask(document []byte) (string, error) {
	var credentials struct {
		Version         int
		AccessKeyId     string
		SecretAccessKey string
		SessionToken    string
		Expiration      string
		AccountId       string `json:",omitempty"`
	}
	if err := json.Unmarshal(document, &credentials); err != nil {
		// Not %w: the text of a JSON error can quote the document.
		return "", fmt.Errorf("daypass process printed %d bytes that are not a JSON object", len(document))
	}
	hidden := func(value string) string { return fmt.Sprintf("[%d characters, hidden]", len(value)) }
	credentials.SecretAccessKey = hidden(credentials.SecretAccessKey)
	credentials.SessionToken = hidden(credentials.SessionToken)
	text, err := json.MarshalIndent(credentials, "", "  ")
	return string(text), err
}

// tally counts the requests that daypass made; the browser's are left out.
func tally(requests []sandbox.Request) string {
	names := map[string]string{
		"discovery":     "discovery",
		"keys":          "signing keys",
		"device":        "device authorization",
		"token:device":  "poll",
		"token:refresh": "refresh",
		"sts":           "AssumeRoleWithWebIdentity",
	}
	counts := map[string]int{}
	var order []string
	for _, r := range requests {
		name, ours := names[r.Endpoint]
		if !ours {
			continue
		}
		if counts[name]++; !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	if len(order) == 0 {
		return "0"
	}
	for i, name := range order {
		order[i] = fmt.Sprintf("%d %s", counts[name], name)
	}
	return strings.Join(order, ", ")
}
