package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/daypass/daypass/secret"
)

const value = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0"

type record struct {
	Token  secret.String
	hidden secret.String
}

// leaks reports whether text holds the value in any form that a print verb makes
// of a string.
func leaks(text string) bool {
	lower := strings.ToLower(text)
	return strings.Contains(text, value) ||
		strings.Contains(lower, fmt.Sprintf("%x", value)) ||
		strings.Contains(lower, fmt.Sprintf("% x", value)) ||
		strings.Contains(text, strings.Trim(fmt.Sprint([]byte(value)), "[]"))
}

func TestNoVerbPrintsTheValue(t *testing.T) {
	s := secret.New(value)
	r := record{Token: s, hidden: s}
	shapes := map[string]any{
		"value": s, "pointer": &s, "struct": r, "pointer to struct": &r,
		"slice": []secret.String{s}, "map": map[string]secret.String{"k": s}, "array": [1]record{r},
		"kept": secret.Keep(s), "struct with a kept one": struct{ Kept secret.Kept }{secret.Keep(s)},
	}
	for name, shape := range shapes {
		for _, verb := range strings.Split("v +v #v s q x X d t T p b c e U w 20s -40v 010d", " ") {
			if got := fmt.Sprintf("%"+verb, shape); leaks(got) {
				t.Errorf("%s under %%%s prints the value: %s", name, verb, got)
			}
		}
		if got := fmt.Sprint(shape) + fmt.Sprintln(shape); leaks(got) {
			t.Errorf("%s under Sprint prints the value: %s", name, got)
		}
	}
	if got := fmt.Sprintf("%s", s); got != secret.Redacted {
		t.Errorf("%%s = %q, want %q", got, secret.Redacted)
	}
}

func TestNoEncodingHoldsTheValue(t *testing.T) {
	s := secret.New(value)
	asJSON, err := json.Marshal(map[string]any{"r": record{Token: s, hidden: s}, "p": &s})
	if err != nil || leaks(string(asJSON)) || !strings.Contains(string(asJSON), secret.Redacted) {
		t.Errorf("json.Marshal = %s, %v", asJSON, err)
	}
	asXML, err := xml.Marshal(record{Token: s})
	if err != nil || leaks(string(asXML)) {
		t.Errorf("xml.Marshal = %s, %v", asXML, err)
	}
	for _, handler := range []func(*bytes.Buffer) slog.Handler{
		func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(handler(&b)).Info("m", "s", s, "p", &s, "r", record{Token: s, hidden: s}, "kept", secret.Keep(s))
		if leaks(b.String()) {
			t.Errorf("slog prints the value: %s", b.String())
		}
	}
}

func TestEmptyAndEqual(t *testing.T) {
	s, zero := secret.New(value), secret.String{}
	if zero.Reveal() != "" || !zero.Empty() || !secret.New("").Empty() || s.Empty() || !s.Equal(secret.New(value)) || s.Equal(secret.New(value[1:]+"x")) {
		t.Error("the zero String is not the empty secret, or Equal does not compare values")
	}
}

func TestRepeats(t *testing.T) {
	const sent = "r3fresh/t0ken+of=27chars.abcdefgh_23456789"
	for text, want := range map[string]bool{
		"":                             false,
		"the token is no longer good":  false,
		"bad " + sent + ".":            true,
		"bad " + url.QueryEscape(sent): true,
		"bad " + url.PathEscape(sent):  true,
		strings.Join(strings.Split(sent, ""), "\n "):    true,
		strings.Join(strings.Split(sent, ""), "\u200b"): true,
		strings.Join(strings.Split(sent, ""), "\u00e9"): true,
		"begins with " + sent[:24] + " ...":             true,
		"ends with " + sent[len(sent)-24:]:              true,
		"begins with " + sent[:15]:                      false,
		"sh0rt":                                         true,
		"the s h 0 r t secret":                          true,
		"sh0r":                                          false,
	} {
		if got := secret.Repeats(text, "sh0rt", sent, "", "--"); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
