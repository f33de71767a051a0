package cache

import (
	"bytes"
	"strings"
	"testing"
)

func TestHeaderRoundTrip(t *testing.T) {
	payload := []byte(`{"version":1}` + "\nsecond line")
	h := newHeader(7, payload)
	got, rest, err := parseHead(append(h.line(), payload...))
	if err != nil {
		t.Fatal(err)
	}
	if got != h || !bytes.Equal(rest, payload) {
		t.Errorf("got %+v %q, want %+v %q", got, rest, h, payload)
	}
	if err := got.check(rest); err != nil {
		t.Error(err)
	}
	if err := got.check(payload[1:]); err == nil {
		t.Error("a shorter payload passed the check")
	}
	if err := got.check(bytes.ToUpper(payload)); err == nil {
		t.Error("a changed payload passed the check")
	}
	h = header{generation: 1<<64 - 1, chunks: maxChunks, size: MaxRecord}
	if n := len(h.line()); n > maxHeader {
		t.Errorf("longest header has %d bytes, maxHeader is %d", n, maxHeader)
	}
}

func TestParseHeadRefuses(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	for _, item := range []string{
		"",
		"\n",
		"daypass1",
		`{"version":1}`,
		"daypass1\n",
		"daypass2 1 0 0 " + digest + "\n",
		"daypass1 1 0 0 " + digest,
		"daypass1 1 0 0 " + digest + " \n",
		"daypass1 1 0 0 " + digest + "\r\n",
		"daypass1 1 0 0  " + digest + "\n",
		"daypass1 01 0 0 " + digest + "\n",
		"daypass1 +1 0 0 " + digest + "\n",
		"daypass1 -1 0 0 " + digest + "\n",
		"daypass1 18446744073709551616 0 0 " + digest + "\n",
		"daypass1 1 -1 0 " + digest + "\n",
		"daypass1 1 1000 0 " + digest + "\n",
		"daypass1 1 0 -1 " + digest + "\n",
		"daypass1 1 0 262145 " + digest + "\n",
		"daypass1 1 0 0 " + digest[2:] + "\n",
		"daypass1 1 0 0 " + digest + "ab\n",
		"daypass1 1 0 0 " + strings.ToUpper(digest) + "\n",
		"daypass1 1 0 0 " + strings.Repeat("xy", 32) + "\n",
		strings.Repeat("a", 1<<20),
	} {
		if h, _, err := parseHead([]byte(item)); err == nil {
			t.Errorf("%.80q was taken for %+v", item, h)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	payload := []byte("payload")
	f.Add(append(newHeader(1, payload).line(), payload...))
	f.Add(header{generation: 2, chunks: 3, size: 7000}.line())
	f.Add([]byte("daypass1 1 0 0 \n"))
	f.Add([]byte("daypass2 \n\n"))
	f.Fuzz(func(t *testing.T, item []byte) {
		h, rest, err := parseHead(item)
		if err != nil {
			return
		}
		if got := append(h.line(), rest...); !bytes.Equal(got, item) {
			t.Errorf("%q is read as %q", item, got)
		}
		if h.chunks < 0 || h.chunks > maxChunks || h.size < 0 || h.size > MaxRecord {
			t.Errorf("%q passed with %d chunks, %d bytes", item, h.chunks, h.size)
		}
	})
}
