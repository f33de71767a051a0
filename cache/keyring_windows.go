package cache

// openKeyring opens the person's Credential Manager, which is unlocked as long
// as the person is logged in, and never asks.
func openKeyring(o Options) (Store, error) {
	return &recordStore{items: goKeyring{title: "Windows Credential Manager"}, limit: windowsItemLimit, read: readBound, write: writeBound, now: o.Now}, nil
}
