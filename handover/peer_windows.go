package handover

// checkPeer has nothing to check: Windows shows the arguments of a program to its
// own user and to administrators alone
// (https://learn.microsoft.com/en-us/windows/win32/procthread/process-security-and-access-rights),
// and nobody can guess the address.
func checkPeer(_, _ string) error { return nil }
