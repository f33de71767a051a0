package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// gate is a storage that answers every call with err, if there is one.
type gate struct {
	*memory
	title string
	err   error
	sets  int
}

func (g *gate) name() string { return g.title }

func (g *gate) answer() error {
	if g.err == nil {
		return nil
	}
	var reason lockedError
	return &UnreachableError{Where: g.title, Locked: errors.As(g.err, &reason), Err: g.err}
}

func (g *gate) get(ctx context.Context, name string) ([]byte, error) {
	if err := g.answer(); err != nil {
		return nil, err
	}
	return g.memory.get(ctx, name)
}

func (g *gate) set(ctx context.Context, name string, value []byte, until time.Time) error {
	if err := g.answer(); err != nil {
		return err
	}
	g.sets++
	return g.memory.set(ctx, name, value, until)
}

func (g *gate) remove(ctx context.Context, name string) error {
	if err := g.answer(); err != nil {
		return err
	}
	return g.memory.remove(ctx, name)
}

func (g *gate) canAsk() bool { return true }

func (g *gate) unlock(context.Context) error {
	g.err = nil
	return nil
}

// session is a person's machine; each call of process is another process on it.
type session struct {
	kernel, service *gate
	dir             string
	display         bool
}

func newSession(t *testing.T) *session {
	_, kernel := newMemory(kernelItemLimit)
	_, service := newMemory(0)
	return &session{
		kernel:  &gate{memory: kernel, title: "kernel keyring"},
		service: &gate{memory: service, title: "Secret Service"},
		dir:     t.TempDir(),
	}
}

func (s *session) process() *pair {
	return &pair{
		kernel:      &recordStore{items: s.kernel, limit: kernelItemLimit, write: writeBound, now: time.Now},
		service:     &recordStore{items: s.service, read: readBound, write: writeBound, now: time.Now},
		canAsk:      func() bool { return s.display },
		kernelInUse: func() bool { return len(s.kernel.items) > 0 },
		stateDir:    s.dir,
	}
}

// put lays a record into one storage, written at a time.
func put(g *gate, written int64, value string) {
	h := header{}.next(time.Unix(0, written), time.Time{}, []byte(value))
	g.items["k"] = append(h.line(), value...)
}

// places says which storages hold the record.
func (s *session) places() string {
	var places []string
	for _, g := range []*gate{s.kernel, s.service} {
		if _, ok := g.items["k"]; ok {
			places = append(places, g.title)
		}
	}
	return strings.Join(places, ", ")
}

var (
	errSeccomp   = fmt.Errorf("keyctl is blocked here (%w)", unix.EPERM)
	errHangs     = errors.New("no answer within 2s")
	errDeadBus   = deadBusError{errors.New("connection refused")}
	errNoService = dbus.Error{Name: "org.freedesktop.DBus.Error.ServiceUnknown", Body: []any{"not provided by any .service files"}}
)

func TestAutoGet(t *testing.T) {
	const none, kernel, service = "", "kernel", "service"
	tests := []struct {
		name                  string
		kernel, service       int64 // when the record was written; 0: none, -1: rubbish
		kernelErr, serviceErr error
		display, marked       bool
		others                bool // of our records in the kernel keyring

		want   string // the value, or none
		err    string // of none: miss, unreadable, locked or unreachable
		stored string // where a Set goes then, "": it fails
	}{
		{name: "nothing", err: "miss", stored: service},
		{name: "on the desktop", service: 1, want: service, stored: service},
		{name: "in the kernel", kernel: 1, want: kernel, stored: kernel},
		{name: "service newer", kernel: 1, service: 2, want: service, stored: service},
		{name: "kernel newer", kernel: 2, service: 1, want: kernel, stored: kernel},
		{name: "same time", kernel: 1, service: 1, want: kernel, stored: kernel},
		{name: "rubbish in the kernel", kernel: -1, service: 1, want: service, stored: service},
		{name: "rubbish in the service", kernel: 1, service: -1, want: kernel, stored: kernel},
		{name: "rubbish in both", kernel: -1, service: -1, err: "unreadable", stored: service},
		{name: "rubbish in the kernel alone", kernel: -1, err: "unreadable", stored: service},

		{name: "no bus", serviceErr: errNoBus, err: "miss", stored: kernel},
		{name: "no bus, once in the service", serviceErr: errNoBus, marked: true, err: "miss", stored: kernel},
		{name: "dead bus", serviceErr: errDeadBus, err: "miss", stored: kernel},
		{name: "no bus, in the kernel", kernel: 1, serviceErr: errNoBus, want: kernel, stored: kernel},
		{name: "no service", serviceErr: errNoService, err: "miss", stored: kernel},
		{name: "no collection", serviceErr: errNoCollection, err: "miss", stored: kernel},
		{name: "service restarts", serviceErr: errNoService, marked: true, err: "unreachable"},
		{name: "service hangs", serviceErr: errHangs, err: "unreachable"},
		{name: "service hangs, in the kernel", kernel: 1, serviceErr: errHangs, want: kernel, stored: kernel},

		{name: "locked with it", serviceErr: errItemLocked, err: "locked"},
		{name: "locked with it, in the kernel too", kernel: 1, serviceErr: errItemLocked, want: kernel, stored: kernel},
		{name: "locked without it", serviceErr: errCollectionLocked, err: "miss", stored: kernel},
		{name: "locked, was there yesterday", serviceErr: errCollectionLocked, marked: true, err: "locked"},
		{name: "locked, can be unlocked", serviceErr: errCollectionLocked, display: true, err: "locked"},
		{name: "locked, but others are in the kernel", serviceErr: errCollectionLocked, display: true, others: true, err: "miss", stored: kernel},

		{name: "keyctl blocked", kernelErr: errSeccomp, err: "miss", stored: service},
		{name: "keyctl blocked, on the desktop", kernelErr: errSeccomp, service: 1, want: service, stored: service},
		{name: "keyctl blocked, locked with it", kernelErr: errSeccomp, serviceErr: errItemLocked, err: "locked"},
		{name: "nothing to keep it in", kernelErr: errSeccomp, serviceErr: errNoBus, err: "unreachable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession(t)
			for g, written := range map[*gate]int64{s.kernel: tt.kernel, s.service: tt.service} {
				switch value := strings.Fields(g.title)[1]; {
				case written < 0:
					g.items["k"] = []byte("rubbish")
				case written > 0:
					put(g, written, map[string]string{"keyring": kernel, "Service": service}[value])
				}
			}
			if tt.others {
				s.kernel.items["other"] = nil
			}
			s.kernel.err, s.service.err, s.display = tt.kernelErr, tt.serviceErr, tt.display
			p := s.process()
			if tt.marked {
				p.mark("k")
			}

			got, err := p.Get(t.Context(), "k")
			var unreadable *UnreadableError
			var unreachable *UnreachableError
			kind := ""
			switch {
			case errors.Is(err, ErrMiss):
				kind = "miss"
			case errors.As(err, &unreadable):
				kind = "unreadable"
			case errors.As(err, &unreachable):
				kind = "unreachable"
				if unreachable.Locked {
					kind = "locked"
				}
			}
			if string(got) != tt.want || kind != tt.err {
				t.Errorf("got %q, %v, want %q, %q", got, err, tt.want, tt.err)
			}

			// A process that has looked, and one that has not, store alike.
			for _, p := range []*pair{s.process(), p} {
				before := [2]int{s.kernel.sets, s.service.sets}
				err := p.Set(t.Context(), "k", []byte("new"), time.Time{})
				stored := ""
				if s.kernel.sets > before[0] {
					stored += kernel
				}
				if s.service.sets > before[1] {
					stored += service
				}
				if stored != tt.stored || (err == nil) != (stored != "") {
					t.Errorf("stored in %q, %v, want %q", stored, err, tt.stored)
				}
				if tt.stored == "" {
					break // and only who has not looked can be refused
				}
				if got, err := s.process().Get(t.Context(), "k"); err != nil || string(got) != "new" {
					t.Errorf("after it: %q, %v", got, err)
				}
				if p.Where("k") != map[string]string{kernel: "kernel keyring", service: "Secret Service"}[stored] {
					t.Errorf("stored in %s, it says %s", stored, p.Where("k"))
				}
			}
			// What can be reached holds no older record.
			if places := s.places(); tt.serviceErr == nil && tt.kernelErr == nil && strings.Contains(places, ",") {
				t.Errorf("the record is in %s", places)
			}
		})
	}
}

// A record that cannot be stored where it is moves, and is the newer one from
// then on, whatever the clock says.
func TestAutoMoves(t *testing.T) {
	future := time.Now().Add(100 * time.Hour).UnixNano()
	for _, tt := range []struct {
		from, to func(*session) *gate
		err      error
	}{
		{func(s *session) *gate { return s.service }, func(s *session) *gate { return s.kernel }, errHangs},
		{func(s *session) *gate { return s.service }, func(s *session) *gate { return s.kernel }, errItemLocked},
		{func(s *session) *gate { return s.kernel }, func(s *session) *gate { return s.service }, unix.EDQUOT},
	} {
		s := newSession(t)
		from, to := tt.from(s), tt.to(s)
		put(from, future, "old")
		p := s.process()
		if got, err := p.Get(t.Context(), "k"); err != nil || string(got) != "old" {
			t.Fatalf("%q, %v", got, err)
		}
		from.err = tt.err
		// The time for it may be used up by the storage that hangs.
		ctx := t.Context()
		if to == s.kernel {
			var end context.CancelFunc
			ctx, end = context.WithCancel(ctx)
			end()
		}
		if err := p.Set(ctx, "k", []byte("new"), time.Time{}); err != nil {
			t.Fatalf("from %s: %v", from.title, err)
		}
		if got, err := s.process().Get(t.Context(), "k"); err != nil || string(got) != "new" || p.Where("k") != to.title {
			t.Errorf("from %s: %q, %v, kept in %s", from.title, got, err, p.Where("k"))
		}
		from.err = nil
		if got, err := s.process().Get(t.Context(), "k"); err != nil || string(got) != "new" {
			t.Errorf("with %s back: %q, %v", from.title, got, err)
		}
		// The next write takes the old one away.
		p = s.process()
		if err := p.Set(t.Context(), "k", []byte("newer"), time.Time{}); err != nil || s.places() != to.title {
			t.Errorf("then in %s, %v", s.places(), err)
		}
	}
	// Nowhere: the first storage's reason is told, and the old record stands.
	s := newSession(t)
	put(s.service, 1, "old")
	p := s.process()
	if _, err := p.Get(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	s.service.err, s.kernel.err = errHangs, errSeccomp
	if err := p.Set(t.Context(), "k", []byte("new"), time.Time{}); !errors.Is(err, errHangs) {
		t.Errorf("got %v, want %v", err, errHangs)
	}
	s.service.err = nil
	if got, err := s.process().Get(t.Context(), "k"); err != nil || string(got) != "old" {
		t.Errorf("got %q, %v", got, err)
	}
	// What is wrong with the record itself is no reason to move.
	if err := p.Set(t.Context(), "k", make([]byte, MaxRecord+1), time.Time{}); err == nil || s.places() != "Secret Service" {
		t.Errorf("too large: %v, in %s", err, s.places())
	}
	for _, err := range []error{p.Set(t.Context(), "../k", nil, time.Time{}), p.Delete(t.Context(), "../k")} {
		if err == nil || !strings.Contains(err.Error(), "bad record key") {
			t.Errorf("bad key: %v", err)
		}
	}
}

func TestAutoDelete(t *testing.T) {
	tests := []struct {
		name                  string
		kernelErr, serviceErr error
		marked                bool
		failed                error
	}{
		{name: "both"},
		{name: "no bus", serviceErr: errNoBus},
		{name: "no service", serviceErr: errNoService},
		{name: "no service, but it was there", serviceErr: errNoService, marked: true, failed: errNoService},
		{name: "locked without it", serviceErr: errCollectionLocked},
		{name: "locked, but it was there", serviceErr: errCollectionLocked, marked: true, failed: errCollectionLocked},
		{name: "locked with it", serviceErr: errItemLocked, failed: errItemLocked},
		{name: "hangs", serviceErr: errHangs, failed: errHangs},
		{name: "keyctl blocked", kernelErr: errSeccomp},
		{name: "kernel refuses", kernelErr: unix.EACCES, failed: unix.EACCES},
	}
	for _, tt := range tests {
		s := newSession(t)
		put(s.kernel, 1, "v")
		put(s.service, 2, "v")
		s.kernel.err, s.service.err = tt.kernelErr, tt.serviceErr
		p := s.process()
		if tt.marked {
			p.mark("k")
		}
		err := p.Delete(t.Context(), "k")
		if tt.failed == nil && err != nil || tt.failed != nil && (err == nil || !strings.HasSuffix(err.Error(), tt.failed.Error())) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.failed)
		}
		if _, ok := s.kernel.items["k"]; ok && tt.kernelErr == nil {
			t.Errorf("%s: the kernel keyring still has it", tt.name)
		}
		if _, ok := s.service.items["k"]; ok && tt.serviceErr == nil {
			t.Errorf("%s: the Secret Service still has it", tt.name)
		}
		if p.isMarked("k") != (tt.marked && tt.failed != nil) {
			t.Errorf("%s: marked: %v", tt.name, p.isMarked("k"))
		}
	}
}

func TestAutoName(t *testing.T) {
	s := newSession(t)
	p := s.process()
	for _, tt := range []struct {
		kernelErr, serviceErr error
		want                  string
	}{
		{nil, nil, "Secret Service and kernel keyring"},
		{nil, errItemLocked, "Secret Service and kernel keyring"},
		{nil, errNoBus, "kernel keyring (no Secret Service in this session)"},
		{nil, errNoService, "kernel keyring (no Secret Service in this session)"},
		{errSeccomp, nil, "Secret Service"},
	} {
		s.kernel.err, s.service.err = tt.kernelErr, tt.serviceErr
		_, _ = p.Get(t.Context(), "k")
		if p.Name() != tt.want || p.Where("k") != tt.want {
			t.Errorf("%v, %v: name %q, where %q, want %q", tt.kernelErr, tt.serviceErr, p.Name(), p.Where("k"), tt.want)
		}
	}
}

// The mark goes with the record, and no state folder is left with marks alone.
func TestAutoMarks(t *testing.T) {
	s := newSession(t)
	p := s.process()
	marks := func(want ...string) {
		t.Helper()
		var names []string
		entries, err := os.ReadDir(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		if !slices.Equal(names, want) {
			t.Errorf("the state folder holds %q, want %q", names, want)
		}
	}
	set := func() {
		t.Helper()
		if err := p.Set(t.Context(), "k", []byte("v"), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	set()
	set()
	marks("k.secret-service")
	s.service.err = errHangs
	set() // moves
	marks()
	s.service.err = nil
	if err := p.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	set()
	marks("k.secret-service")
	if err := p.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	marks()
}

// While the kernel keyring has an answer, nobody waits for a service that hangs.
func TestAutoDoesNotWait(t *testing.T) {
	s := newSession(t)
	put(s.kernel, 1, "v")
	p := s.process()
	p.service.items = hanging{s.service}
	start := time.Now()
	if got, err := p.Get(t.Context(), "k"); err != nil || string(got) != "v" {
		t.Errorf("%q, %v", got, err)
	}
	if took := time.Since(start); took > readBound/2 {
		t.Errorf("it took %v", took)
	}
}

// hanging answers when the time is over.
type hanging struct{ *gate }

func (h hanging) get(ctx context.Context, name string) ([]byte, error) {
	<-ctx.Done()
	return nil, &UnreachableError{Where: h.title, Err: context.Cause(ctx)}
}
