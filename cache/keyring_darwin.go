package cache

import "time"

// dialogBound is what a read may take where the system may ask the person for
// the keychain's password before it answers.
const dialogBound = 60 * time.Second

// openKeyring opens the login keychain, by the system's own security tool.
func openKeyring(o Options) (Store, error) {
	read := dialogBound
	// Over SSH the system shows no dialog: a locked keychain is refused.
	if o.Getenv("SSH_CONNECTION") != "" {
		read = readBound
	}
	return &recordStore{items: goKeyring{title: "macOS keychain"}, limit: macItemLimit, read: read, write: writeBound, now: o.Now}, nil
}
