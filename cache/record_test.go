package cache

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

// headerOf is the header of a first record.
func headerOf(payload []byte) header { return header{}.next(time.Now(), time.Time{}, payload) }

func TestHeaderRoundTrip(t *testing.T) {
	payload := []byte(`{"version":1}` + "\nsecond line")
	h := header{generation: 6}.next(time.Unix(1e9, 5), time.Unix(2e9, 7), payload)
	if want := "daypass1 7 1000000000000000005 2000000000 0 25 "; !strings.HasPrefix(string(h.line()), want) {
		t.Errorf("header line %q, want %q...", h.line(), want)
	}
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
	h = header{generation: 1<<64 - 1, written: math.MaxInt64, until: math.MaxInt64, chunks: maxChunks, size: MaxRecord}
	if n := len(h.line()); n > maxHeader {
		t.Errorf("longest header has %d bytes, maxHeader is %d", n, maxHeader)
	}
}

// A record is newer than the one it replaces also where the clock was set back.
func TestWrittenGrows(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, tt := range []struct {
		now       time.Time
		old, want int64
	}{
		{now, 0, 1e18},
		{now, 1e18 - 1, 1e18},
		{now, 1e18, 1e18 + 1},
		{now, 2e18, 2e18 + 1},
		{now, math.MaxInt64, 1e18}, // damaged: nothing is newer
		{time.Unix(-5, 0), 0, 1},
	} {
		h := header{written: tt.old}.next(tt.now, time.Time{}, nil)
		if h.written != tt.want || h.until != 0 {
			t.Errorf("%v after %d: written %d, until %d, want %d, 0", tt.now.Unix(), tt.old, h.written, h.until, tt.want)
		}
	}
	if h := (header{}).next(now, time.Unix(-9, 0), nil); h.until != 1 {
		t.Errorf("until long ago is stored as %d, want 1: 0 is never", h.until)
	}
}

func TestParseHeadRefuses(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	if _, _, err := parseHead([]byte("daypass1 1 5 6 0 0 " + digest + "\n")); err != nil {
		t.Fatalf("the header that those below differ from: %v", err)
	}
	for _, item := range []string{
		"",
		"\n",
		"daypass1",
		`{"version":1}`,
		"daypass1\n",
		"daypass2 1 5 6 0 0 " + digest + "\n",
		"daypass1 1 5 6 0 0 " + digest,
		"daypass1 1 5 6 0 0 " + digest + " \n",
		"daypass1 1 5 6 0 0 " + digest + "\r\n",
		"daypass1 1 5 6 0 0  " + digest + "\n",
		"daypass1 01 5 6 0 0 " + digest + "\n",
		"daypass1 +1 5 6 0 0 " + digest + "\n",
		"daypass1 -1 5 6 0 0 " + digest + "\n",
		"daypass1 18446744073709551616 5 6 0 0 " + digest + "\n",
		"daypass1 1 0 0 " + digest + "\n", // five fields
		"daypass1 1 -5 6 0 0 " + digest + "\n",
		"daypass1 1 5 -6 0 0 " + digest + "\n",
		"daypass1 1 05 6 0 0 " + digest + "\n",
		"daypass1 1 9223372036854775808 6 0 0 " + digest + "\n",
		"daypass1 1 5 6 -1 0 " + digest + "\n",
		"daypass1 1 5 6 1000 0 " + digest + "\n",
		"daypass1 1 5 6 0 -1 " + digest + "\n",
		"daypass1 1 5 6 0 262145 " + digest + "\n",
		"daypass1 1 5 6 0 0 " + digest[2:] + "\n",
		"daypass1 1 5 6 0 0 " + digest + "ab\n",
		"daypass1 1 5 6 0 0 " + strings.ToUpper(digest) + "\n",
		"daypass1 1 5 6 0 0 " + strings.Repeat("xy", 32) + "\n",
		strings.Repeat("a", 1<<20),
	} {
		if h, _, err := parseHead([]byte(item)); err == nil {
			t.Errorf("%.80q was taken for %+v", item, h)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	payload := []byte("payload")
	f.Add(append(headerOf(payload).line(), payload...))
	f.Add(header{generation: 2, written: 1e18, until: 2e9, chunks: 3, size: 7000}.line())
	f.Add([]byte("daypass1 1 5 6 0 0 \n"))
	f.Add([]byte("daypass2 \n\n"))
	f.Fuzz(func(t *testing.T, item []byte) {
		h, rest, err := parseHead(item)
		if err != nil {
			return
		}
		if got := append(h.line(), rest...); !bytes.Equal(got, item) {
			t.Errorf("%q is read as %q", item, got)
		}
		if h.written < 0 || h.until < 0 {
			t.Errorf("%q passed with time %d, %d", item, h.written, h.until)
		}
		if h.chunks < 0 || h.chunks > maxChunks || h.size < 0 || h.size > MaxRecord {
			t.Errorf("%q passed with %d chunks, %d bytes", item, h.chunks, h.size)
		}
	})
}
