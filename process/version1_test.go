package process

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

func TestVersion1(t *testing.T) {
	c := Credentials{
		AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: secret.New(`wJal<&>"rX\Utn`), SessionToken: secret.New("IQoJ=="),
		AccountID: "012345678901", Expires: time.Date(2026, 11, 22, 13, 11, 28, 987, time.FixedZone("", 9*3600)),
	}
	document := c.Version1()
	if strings.Count(string(document), "\n") != 1 || !strings.HasSuffix(string(document), "\n") {
		t.Fatalf("not one line: %q", document)
	}
	var got map[string]any
	if err := json.Unmarshal(document, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"Version": 1.0, "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": `wJal<&>"rX\Utn`, "SessionToken": "IQoJ==",
		"Expiration": "2026-11-22T04:11:28Z", "AccountId": "012345678901",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// The Go SDK v1 reads 8 KiB and no more.
func TestVersion1OfALargeSessionToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{SessionTokenSize: 4096, TokenPadding: 9000})
	if document := w.mustRun().Version1(); len(document) >= 8192 || len(document) < 4096 {
		t.Errorf("%d bytes", len(document))
	}
}
