package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// What ownerIn returns where there is no user ID.
const (
	notFound  int64 = -1
	halfEnded int64 = -2 // its program has closed the connection, or its own half of it
)

// checkPeer returns an error unless the far end of a connection over loopback,
// addresses with ports, is a socket of our own user. So an address that every user
// of the machine can read in an argument list serves nobody else. Any doubt is an
// error, which says in a few words who sent the request.
func checkPeer(theirs, ours string) error {
	uid := notFound
	// A row can be missed while others change.
	for try := 0; uid == notFound && try < 3; try++ {
		tcp, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			return fmt.Errorf("cannot tell which user opened the sign-in link (%w)", err)
		}
		tcp6, _ := os.ReadFile("/proc/net/tcp6") // none where IPv6 is switched off
		uid = ownerIn(string(tcp)+string(tcp6), theirs, ours)
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return judgePeer(uid, strings.Contains(strings.ToLower(string(release)), "microsoft"))
}

// judgePeer returns an error unless the other end, of which ownerIn says uid, is ours.
//
// On WSL the browser is a Windows program. Its connection comes from a relay of
// root's, or with mirrored networking from outside of Linux: then it is in no
// table. Other Linux users are in the table there as well.
func judgePeer(uid int64, wsl bool) error {
	switch {
	case uid == int64(os.Geteuid()), wsl && (uid == 0 || uid == notFound):
		return nil
	case uid < 0:
		return errors.New("cannot tell which user opened the sign-in link")
	}
	return fmt.Errorf("a program of another user (uid %d) opened the sign-in link", uid)
}

// ownerIn finds the row of an established connection in tables of the form of
// /proc/net/tcp and /proc/net/tcp6
// (https://docs.kernel.org/networking/proc_net_tcp.html), and returns the user ID of
// the socket whose own address is theirs and whose peer is ours: our own end has a
// row too, with the two the other way round. A socket in another state can be one
// that its program has closed, and then the table says that it is root's.
func ownerIn(tables, theirs, ours string) int64 {
	const established = "01"
	for row := range strings.Lines(tables) {
		// sl, local_address, rem_address, st, queues, timer, retransmits, uid
		column := strings.Fields(row)
		if len(column) < 8 || !isAddress(column[1], theirs) || !isAddress(column[2], ours) {
			continue
		}
		if column[3] != established {
			return halfEnded
		}
		if uid, err := strconv.ParseUint(column[7], 10, 32); err == nil {
			return int64(uid)
		}
	}
	return notFound
}

// isAddress reports whether a column of the table is the address a, also if an IPv6
// socket has it (::ffff:127.0.0.1). The table has the bytes of addresses as
// numbers of 32 bits in the order of the machine.
func isAddress(column, a string) bool {
	parsed, err := netip.ParseAddrPort(a)
	if err != nil {
		return false
	}
	mapped, hex := parsed.Addr().As16(), ""
	for i := 0; i < len(mapped); i += 4 {
		hex += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(mapped[i:]))
	}
	hex += fmt.Sprintf(":%04X", parsed.Port())
	return column == hex || parsed.Addr().Unmap().Is4() && column == hex[24:]
}
