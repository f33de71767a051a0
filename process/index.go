package process

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/daypass/daypass/cache"
)

// The index lists the names of the records that daypass has stored: which roles
// were made from a login, so that they go with it, and which logins there are at
// all, so that logout --all needs no configuration. It holds no secrets; names of
// records are hashes.

const (
	indexFile = "index.json"
	indexMax  = 1 << 20 // bytes
	indexTime = 5 * time.Second

	kindLogin = "login"
	kindRole  = "role"
)

type index struct {
	Version int          `json:"v"`
	Records []indexEntry `json:"records"`
}

type indexEntry struct {
	Kind    string `json:"kind"`
	Key     string `json:"key"`
	Login   string `json:"login"` // key of the login record it belongs to
	IDP     string `json:"idp,omitempty"`
	Profile string `json:"profile,omitempty"`
}

// readIndex reads the index; an unreadable one is an empty one.
func (p *Provider) readIndex() index {
	var i index
	data, err := cache.ReadFile(p.Locks.Dir, indexFile, indexMax)
	if err != nil || json.Unmarshal(data, &i) != nil || i.Version != formVersion {
		return index{Version: formVersion}
	}
	return i
}

// remember adds an entry to the index, before its record is stored. It is no
// reason to fail: what the index misses is still found by its own key.
func (p *Provider) remember(entry indexEntry) {
	if p.readIndex().has(entry) {
		return
	}
	p.changeIndex(func(i *index) {
		if !i.has(entry) {
			i.Records = append(i.Records, entry)
		}
	})
}

// forget removes the entries of a login and of the roles made from it.
func (p *Provider) forget(loginKey string) {
	p.changeIndex(func(i *index) {
		var rest []indexEntry
		for _, e := range i.Records {
			if e.Login != loginKey {
				rest = append(rest, e)
			}
		}
		i.Records = rest
	})
}

func (p *Provider) changeIndex(change func(*index)) {
	ctx, cancel := context.WithTimeout(context.Background(), indexTime)
	defer cancel()
	lock, err := p.Locks.Lock(ctx, "index")
	if err != nil {
		return
	}
	defer lock.Unlock()
	i := p.readIndex()
	change(&i)
	if data, err := json.Marshal(i); err == nil && len(data) < indexMax {
		_ = cache.WriteFile(p.Locks.Dir, indexFile, data)
	}
}

func (i index) has(entry indexEntry) bool {
	for _, e := range i.Records {
		if e == entry {
			return true
		}
	}
	return false
}

// roles are the keys of the role records made from a login.
func (i index) roles(loginKey string) []string {
	return i.keys(func(e indexEntry) bool { return e.Kind == kindRole && e.Login == loginKey })
}

// logins are the keys of the login records.
func (i index) logins() []string {
	return i.keys(func(e indexEntry) bool { return e.Kind == kindLogin })
}

func (i index) keys(want func(indexEntry) bool) []string {
	var keys []string
	seen := map[string]bool{}
	for _, e := range i.Records {
		if want(e) && !seen[e.Key] {
			seen[e.Key] = true
			keys = append(keys, e.Key)
		}
	}
	return keys
}

// rolesOf are the keys of the role records made from a login: those of the index,
// those that the login's own record lists, and the profile's.
func (p *Provider) rolesOf(l *login) []string {
	roles := p.readIndex().roles(loginKey(p.Profile.IDP))
	if l != nil {
		roles = append(roles, l.Roles...)
	}
	if p.Profile.RoleARN != "" {
		roles = append(roles, roleKey(p.Profile))
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

// dropRoles deletes the role records made from a login.
func (p *Provider) dropRoles(ctx context.Context, l *login) {
	for _, key := range p.rolesOf(l) {
		_ = p.remove(ctx, key)
	}
}
