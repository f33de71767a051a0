package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// Metadata is a question for a token to a service that tells a workload who it is:
// the metadata servers of Azure and Google Cloud, and the token endpoint of a GitHub
// job. It is a GET with a header that no web page can make a browser send.
type Metadata struct {
	Service string // for people, as the beginning of a sentence
	URL     string
	Header  string // the one that the service insists on
	Value   secret.String
	Advice  string // the line below what went wrong
}

// Get has read look at the answer, as [Client.Do] does.
func (c Client) Get(ctx context.Context, m Metadata, read func(body []byte) error) error {
	q := Question{
		Who: m.Service, What: "a token", Advice: m.Advice, Sent: []secret.String{m.Value}, Read: readMetadata, Pause: pauseMetadata,
		Refusals: []failure.Refusal{{Lines: []string{m.Service + " refuses to give a token ({said}).", m.Advice}}},
	}
	return c.Do(ctx, q, func() (*http.Request, error) {
		request, err := http.NewRequest(http.MethodGet, m.URL, nil)
		if err == nil {
			request.Header.Set(m.Header, m.Value.Reveal())
		}
		return request, err
	}, read)
}

// pauseMetadata goes by the services' documentation. With pauses of 1, 2, 4, 8 and
// then 16 s, six tries are 31 s, and nine are more than the 70 s that Azure's service
// may take to come back after an update (410).
//
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
// https://cloud.google.com/compute/docs/troubleshooting/troubleshoot-metadata-server
func pauseMetadata(r *Refused, try int) time.Duration {
	tries := 1
	switch {
	case r == nil:
		tries = 3
	case r.Status < 400: // there is something else in its place
	case r.Status == http.StatusGone:
		tries = 9
	case r.Passing || r.Status == http.StatusNotFound:
		tries = 6
	}
	if try >= tries {
		return 0
	}
	return time.Second << min(try-1, 4)
}

// readMetadata takes the code and the text of JSON, or the body as it is.
func readMetadata(r *Refused) {
	var e struct {
		Error, Message string
		Description    string `json:"error_description"`
	}
	r.Message = string(r.Body[:min(len(r.Body), 4<<10)])
	if json.Unmarshal(r.Body, &e) == nil {
		r.Message = strings.Trim(e.Error+": "+e.Description+e.Message, ": ")
	}
	r.Code = r.Error()
	r.Passing = r.Passing || r.Status == http.StatusGone || r.Status < 400
}

// Base returns the address of a metadata server: the first of its own, unless the
// environment names another one. That is for emulators and tests, on this machine
// alone: the answer decides whose token is sent to AWS.
func (c Client) Base(variable string, own ...string) (string, error) {
	named := c.Getenv(variable)
	with := named
	if with != "" && !strings.Contains(with, "://") {
		with = "http://" + with
	}
	with = strings.TrimSuffix(with, "/")
	switch {
	case named == "":
		return own[0], nil
	case slices.Contains(own, with), address.Check(with, true) == nil && address.OnLoopback(with) && !strings.ContainsAny(with, "?#"):
		return with, nil
	}
	return "", failure.New(failure.ExitUsage, nil, fmt.Sprintf("%s %q: want an address on this machine (loopback).", variable, named), "Unset it: the metadata server's own address is then used.")
}
