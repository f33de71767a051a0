package cloud

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
)

// AskMetadata is [Ask] for a token from a service that tells a workload who it is: the
// metadata servers of Azure and Google Cloud, and the token endpoint of a GitHub job.
// The question's header is one that no web page can make a browser send. Its Advice is
// also that after a refusal.
func AskMetadata[T any](ctx context.Context, c Client, q Question, read func(body []byte) (T, error)) (T, error) {
	q.What, q.Read, q.Pause = "a token", readMetadata, pauseMetadata
	q.Refusals = []failure.Refusal{{Lines: []string{q.Who + " refuses to give a token ({said}).", q.Advice}}}
	return Ask(ctx, c, q, read)
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

// readMetadata takes the text of JSON, or the body as it is.
func readMetadata(r *Refused) {
	said := strings.Trim(r.Text("error")+": "+r.Text("error_description", "message"), ": ")
	r.Code, r.Message = r.Error(), cmp.Or(said, string(r.Body[:min(len(r.Body), 4<<10)]))
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
