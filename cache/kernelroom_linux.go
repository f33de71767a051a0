package cache

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kernelFreeing is how long the quota of an unlinked key may stay used: until
// every reader is past it (an RCU grace period, 15 ms where it was measured).
const kernelFreeing = 100 * time.Millisecond

// withRoom runs store and, while the user's quota of keys is used up, drops
// records that have an until: first those that are past it, then the others, the
// soonest first. Records without one, logins among them, are never dropped.
func (k kernelItems) withRoom(name string, store func() error) error {
	err := store()
	if !errors.Is(err, unix.EDQUOT) {
		return err
	}
	own, _, _ := strings.Cut(name, "#")
	dated := k.dated(own)
	for len(dated) > 0 && errors.Is(err, unix.EDQUOT) {
		past := max(1, k.countPast(dated))
		for _, r := range dated[:past] {
			for _, id := range r.ids {
				_ = drop(id)
			}
		}
		dated = dated[past:]
		err = whenFreed(store)
	}
	return err
}

// whenFreed runs store until the quota that was just freed can be had.
func whenFreed(store func() error) error {
	err := store()
	for waited := time.Duration(0); errors.Is(err, unix.EDQUOT) && waited < kernelFreeing; waited += kernelFreeing / 10 {
		time.Sleep(kernelFreeing / 10)
		err = store()
	}
	return err
}

// datedRecord is a record that may be dropped.
type datedRecord struct {
	until int64 // as of its header
	ids   []int // of its keys, the head's first
}

func (k kernelItems) countPast(dated []datedRecord) int {
	now := k.now().Unix()
	n := slices.IndexFunc(dated, func(r datedRecord) bool { return r.until > now })
	if n < 0 {
		return len(dated)
	}
	return n
}

// dated returns the records that have an until, the soonest first. The record of
// key own is not among them. Keys that have timed out count as such records, of
// whomever they are: the kernel unlinks them itself some minutes later, and does
// not tell any more what they were.
func (k kernelItems) dated(own string) []datedRecord {
	byKey := map[string]*datedRecord{}
	chunks := map[string][]int{}
	var all []datedRecord
	for _, id := range userKeyring() {
		name, err := k.nameOf(id)
		if gone(err) {
			all = append(all, datedRecord{ids: []int{id}})
		}
		key, _, chunk := strings.Cut(name, "#")
		if err != nil || key == own {
			continue
		}
		if chunk {
			chunks[key] = append(chunks[key], id)
			continue
		}
		item, err := readKey(id)
		if err != nil {
			continue
		}
		if h, _, err := parseHead(item); err == nil && h.until > 0 {
			byKey[key] = &datedRecord{until: h.until, ids: []int{id}}
		}
	}
	for key, r := range byKey {
		r.ids = append(r.ids, chunks[key]...)
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b datedRecord) int { return cmp.Compare(a.until, b.until) })
	return all
}

// inUse reports whether a record of ours is there.
func (k kernelItems) inUse() bool {
	return slices.ContainsFunc(userKeyring(), func(id int) bool {
		_, err := k.nameOf(id)
		return err == nil
	})
}

// userKeyring returns the ids of the keys in the user keyring.
func userKeyring() []int {
	list, err := readKey(unix.KEY_SPEC_USER_KEYRING)
	if err != nil {
		return nil
	}
	var ids []int
	for ; len(list) >= 4; list = list[4:] {
		ids = append(ids, int(int32(binary.NativeEndian.Uint32(list))))
	}
	return ids
}

// nameOf returns the name of an item of ours; ErrMiss for another key.
func (k kernelItems) nameOf(id int) (string, error) {
	text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, id)
	if err != nil {
		return "", err
	}
	// type;uid;gid;permissions;description
	fields := strings.SplitN(text, ";", 5)
	if len(fields) < 5 {
		return "", ErrMiss
	}
	name, ours := strings.CutPrefix(fields[4], k.prefix)
	if !ours || fields[0] != bigKey && fields[0] != userKey {
		return "", ErrMiss
	}
	return name, nil
}
