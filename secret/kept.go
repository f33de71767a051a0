package secret

// Kept is a [String] in a record that is stored where only its owner can read it.
// It prints as [Redacted] like every String, but its text and JSON encodings hold
// the value: nothing but such a record may have a field of this type.
type Kept struct{ String }

// Keep returns s as a Kept.
func Keep(s String) Kept { return Kept{s} }

// MarshalText implements [encoding.TextMarshaler]: it reveals the secret.
func (k Kept) MarshalText() ([]byte, error) { return []byte(k.Reveal()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *Kept) UnmarshalText(text []byte) error {
	k.String = New(string(text))
	return nil
}
