// Package secret holds values that must not be printed.
//
// A token that is a plain string reaches a log or an error by one careless
// %v. A [String] has to be asked for its value by name, with [String.Reveal],
// which makes every place that handles the bytes easy to find.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted stands for the value wherever a String is printed.
const Redacted = "[redacted]"

// String is a secret text: a token, a device code, a secret key. It prints as
// [Redacted] under every verb of package fmt, in JSON, in text encodings and in
// package log/slog. The zero value is the empty secret.
//
// The value lies behind a pointer, so that it stays hidden even where fmt cannot
// call methods: as an unexported field of another struct.
type String struct {
	value *string
}

// New returns value as a secret.
func New(value string) String {
	if value == "" {
		return String{}
	}
	return String{value: &value}
}

// Reveal returns the secret itself, for the request or the record that needs it.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is no secret.
func (s String) Empty() bool { return s.value == nil }

// Equal reports whether both secrets are the same, in time that depends only on
// their lengths. The == operator does not compare values.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format implements [fmt.Formatter]: whatever the verb, the value is not shown.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// String implements [fmt.Stringer] for callers that do not go through fmt.
func (s String) String() string { return Redacted }

// MarshalText implements [encoding.TextMarshaler], and so keeps the value out of
// JSON, XML and slog output. Records that must hold it reveal it themselves.
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue implements [slog.LogValuer].
func (s String) LogValue() slog.Value { return slog.StringValue(Redacted) }
