package cache

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
)

// Place says in which storage a login is.
type Place struct {
	ID      string   `json:"id"`                // random; part of the items' names
	Storage string   `json:"storage"`           // secret-service, kernel, keychain, credential-manager or file
	Earlier []string `json:"earlier,omitempty"` // storages in which items of it may still be
	Machine string   `json:"machine,omitempty"` // a hash of the [MachineID]; "" in older files
	IDP     string   `json:"idp,omitempty"`     // the section's name, for people
}

const placeFile = "place.json"

func newID() string { return Name(rand.Text())[:32] }

func isID(id string) bool { return isHex(id, 32) }

// Place returns where the login is, with errors as those of [ReadFile].
func (l *Login) Place() (Place, error) {
	data, err := ReadFile(l.Dir(), placeFile, 4<<10)
	if err != nil {
		return Place{}, err
	}
	var place Place
	if err := json.Unmarshal(data, &place); err != nil || !isID(place.ID) || place.Storage == "" {
		return Place{}, &UnreadableError{Where: filepath.Join(l.Dir(), placeFile), Err: errors.New("it does not name a place")}
	}
	return place, nil
}

// Where is the name, for people, of the storage that the login is kept in, or
// would be.
func (l *Login) Where() string {
	if items, _, err := l.Present(); err == nil {
		return items.Name()
	}
	name := l.candidates[0].Name()
	for _, other := range l.candidates[1:] {
		name += " or " + other.Name()
	}
	return name
}

// Present returns the place and the items in it. It is ErrMiss if the setting
// names another one: the login there is not used any more.
func (l *Login) Present() (Items, Place, error) {
	place, err := l.Place()
	if err != nil {
		return Items{}, place, err
	}
	kept, err := l.storages.find(place.Storage)
	if !l.auto && !slices.Contains(l.candidates, kept) {
		return Items{}, place, ErrMiss
	}
	return Items{kept, place.ID}, place, err
}

// Choose makes sure that there is a place to write to: the present one if the
// setting allows it, else a storage that can be used now, or one that unlock unlocks.
// That gets the login's items and why they are locked, and is nil if nobody can be
// asked. idp is the section's name. Without a place, the error is an *UnreachableError,
// or unlock's. The caller holds the login's lock.
func (l *Login) Choose(ctx context.Context, idp string, unlock func(Items, error) error) error {
	_, place, err := l.Present()
	// The items of a damaged place are found by [Storages.Strays] alone.
	if _, damaged := errors.AsType[*UnreadableError](err); !damaged && err != ErrMiss {
		return err
	}
	if place.ID == "" {
		place.ID = newID()
	} else {
		place.Earlier = append(place.Earlier, place.Storage)
	}
	chosen, err := l.choose(ctx, place.ID, unlock)
	if err != nil {
		return err
	}
	if i := slices.Index(place.Earlier, chosen.Kind()); i >= 0 {
		// A login of an earlier time may be there, with a refresh token that was used.
		items := Items{chosen, place.ID}
		if err := items.Delete(ctx); err != nil {
			return err
		}
		place.Earlier = slices.Delete(place.Earlier, i, i+1)
	}
	place.Storage, place.IDP, place.Machine = chosen.Kind(), idp, machine()
	data, _ := json.Marshal(place) // strings
	return WriteFile(l.Dir(), placeFile, data)
}

func (l *Login) choose(ctx context.Context, id string, unlock func(Items, error) error) (Keyring, error) {
	var failed error // of the last candidate
	for _, candidate := range l.candidates {
		items := Items{candidate, id}
		_, failed = items.Get(ctx, items.key())
		if _, out := errors.AsType[*UnreachableError](failed); !out {
			return candidate, nil
		}
		if NeedsUnlock(failed) && unlock != nil && candidate.CanAsk() {
			return candidate, unlock(items, failed)
		}
	}
	return nil, failed
}

// Items returns the login's items in the storage in use, then those that may be
// left in earlier ones. Without a place there are none.
func (l *Login) Items() (all []Items, err error) {
	place, err := l.Place()
	if err != nil {
		return nil, ignoreMiss(err)
	}
	for _, kind := range append([]string{place.Storage}, place.Earlier...) {
		kept, err := l.storages.find(kind)
		if err != nil {
			return nil, err
		}
		all = append(all, Items{kept, place.ID})
	}
	return all, nil
}
