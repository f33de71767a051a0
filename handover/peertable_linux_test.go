package handover

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestJudgePeer(t *testing.T) {
	me := int64(os.Geteuid())
	for _, test := range []struct {
		uid      int64
		wsl, own bool
	}{
		{me, false, true},
		{me + 1, false, false},
		{notFound, false, false},
		{halfEnded, false, false},
		{0, false, me == 0},
		{me, true, true},
		{me + 1, true, false},
		{0, true, true},
		{notFound, true, true},
		{halfEnded, true, false},
	} {
		if err := judgePeer(test.uid, test.wsl); (err == nil) != test.own {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func TestOwnerIn(t *testing.T) {
	const theirs, ours = "127.0.0.1:53210", "127.0.0.1:41231"
	local := fmt.Sprintf("%08X", binary.NativeEndian.Uint32([]byte{127, 0, 0, 1}))
	mapped := "0000000000000000" + fmt.Sprintf("%08X", binary.NativeEndian.Uint32([]byte{0, 0, 255, 255})) + local
	row := func(local, remote, state, uid string) string {
		return "   1: " + local + " " + remote + " " + state + " 00000000:00000000 00:00000000 00000000 " + uid + " 0 642 1 0 20 4 30 10 -1\n"
	}
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	good := row(local+":CFDA", local+":A10F", "01", "1000")
	for name, test := range map[string]struct {
		table string
		uid   int64
	}{
		"the peer's":            {good, 1000},
		"after our own end":     {row(local+":A10F", local+":CFDA", "01", "0") + good, 1000},
		"of an IPv6 socket":     {row(mapped+":CFDA", mapped+":A10F", "01", "1001"), 1001},
		"our own end alone":     {row(local+":A10F", local+":CFDA", "01", "0"), notFound},
		"another port":          {row(local+":CFDB", local+":A10F", "01", "0"), notFound},
		"another server":        {row(local+":CFDA", local+":A110", "01", "0"), notFound},
		"another address":       {row("0200007F:CFDA", local+":A10F", "01", "0"), notFound},
		"closed by its program": {row(local+":CFDA", local+":A10F", "05", "0"), halfEnded},
		"in TIME_WAIT":          {row(local+":CFDA", local+":A10F", "06", "0"), halfEnded},
		"not a number":          {row(local+":CFDA", local+":A10F", "01", "x"), notFound},
		"cut off":               {good[:60], notFound},
		"empty":                 {"", notFound},
	} {
		if uid := ownerIn(header+test.table, theirs, ours); uid != test.uid {
			t.Errorf("%s: user %d, want %d\n%s", name, uid, test.uid, strings.TrimSpace(test.table))
		}
	}
	one := binary.NativeEndian.Uint32([]byte{0, 0, 0, 1})
	ipv6 := fmt.Sprintf("000000000000000000000000%08X", one)
	if uid := ownerIn(header+row(ipv6+":CFDA", ipv6+":A10F", "01", "1002"), "[::1]:53210", "[::1]:41231"); uid != 1002 {
		t.Errorf("over IPv6: user %d", uid)
	}
	if ownerIn(header+good, "@", ours) != notFound || ownerIn(header+row("00000000:0000", "00000000:0000", "01", "0"), "", "") != notFound {
		t.Error("what is not an address has an owner")
	}
}
