package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// memory is items in a map. Once budget calls that change it are used up, each
// further one fails, as if its process had died there.
type memory struct {
	mu     sync.Mutex
	items  map[string][]byte
	limit  int // bytes of an item
	budget int // < 0: no end
}

func newMemory(limit int) (*recordStore, *memory) {
	m := &memory{items: map[string][]byte{}, limit: limit, budget: -1}
	return &recordStore{items: m, limit: limit, read: time.Minute, write: time.Minute, now: time.Now}, m
}

func (m *memory) name() string { return "memory" }

func (m *memory) unlock(context.Context) error { return nil }

func (m *memory) canAsk() bool { return false }

func (m *memory) get(ctx context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return nil, &UnreachableError{Where: "memory", Err: context.Cause(ctx)}
	}
	item, ok := m.items[name]
	if !ok {
		return nil, ErrMiss
	}
	return slices.Clone(item), nil
}

func (m *memory) spend() error {
	if m.budget == 0 {
		return &UnreachableError{Where: "memory", Err: errors.New("out of budget")}
	}
	m.budget--
	return nil
}

func (m *memory) set(_ context.Context, name string, value []byte, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limit > 0 && len(value) > m.limit {
		return &UnreachableError{Where: "memory", Err: fmt.Errorf("item of %d bytes", len(value))}
	}
	if err := m.spend(); err != nil {
		return err
	}
	m.items[name] = slices.Clone(value)
	return nil
}

func (m *memory) remove(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.items[name]; !ok {
		return ErrMiss
	}
	if err := m.spend(); err != nil {
		return err
	}
	delete(m.items, name)
	return nil
}

func (m *memory) names() []string { return slices.Sorted(maps.Keys(m.items)) }

// payload is n bytes, all of which tell which write they are from.
func payload(write, n int) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("%04d|", write), n/5+1)[:n])
}

func TestRecordSizes(t *testing.T) {
	for _, limit := range []int{0, 300, windowsItemLimit, macItemLimit} {
		for _, sizes := range [][]int{
			{0, 1, 100, 0},
			{2000, 12000, 100, 12000, 3000},
			{170, 171, 172, 173, 174, 175, 176, 177, 178, 179, 180, 181, 182, 183, 184, 185},
			{2560, 2561, 2900, 2901, 5120, 5121, 5800, 5801},
			{100_000, 0},
		} {
			store, items := newMemory(limit)
			for write, size := range sizes {
				if limit > 0 && size/limit >= maxChunks {
					t.Fatalf("size %d is too large for limit %d", size, limit)
				}
				want := payload(write, size)
				if err := store.Set(t.Context(), "k", want, time.Time{}); err != nil {
					t.Fatalf("limit %d: set %d bytes: %v", limit, size, err)
				}
				got, err := store.Get(t.Context(), "k")
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("limit %d: %d bytes came back as %d, %v", limit, size, len(got), err)
				}
				h, _, err := parseHead(items.items["k"])
				if err != nil {
					t.Fatal(err)
				}
				if h.generation != uint64(write)+1 {
					t.Errorf("generation %d after %d writes", h.generation, write+1)
				}
				wantNames := []string{"k"}
				for n := range h.chunks {
					wantNames = append(wantNames, chunkName("k", h.slot(), n))
				}
				slices.Sort(wantNames)
				if diff := cmp.Diff(wantNames, items.names()); diff != "" {
					t.Errorf("limit %d, %d bytes: items (-want +got):\n%s", limit, size, diff)
				}
			}
			if err := store.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			if len(items.items) > 0 {
				t.Errorf("limit %d: Delete leaves %q", limit, items.names())
			}
			if _, err := store.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
				t.Errorf("after Delete: %v, want ErrMiss", err)
			}
			if err := store.Delete(t.Context(), "k"); err != nil {
				t.Errorf("second Delete: %v", err)
			}
		}
	}
}

func TestRecordTooLarge(t *testing.T) {
	store, items := newMemory(windowsItemLimit)
	if err := store.Set(t.Context(), "k", make([]byte, MaxRecord), time.Time{}); err != nil {
		t.Errorf("largest record: %v", err)
	}
	items.items = map[string][]byte{}
	err := store.Set(t.Context(), "k", make([]byte, MaxRecord+1), time.Time{})
	if err == nil || !strings.Contains(err.Error(), "262145") {
		t.Errorf("got %v, want an error that names the size", err)
	}
	if len(items.items) > 0 {
		t.Errorf("a refused record leaves %q", items.names())
	}
}

func TestBadKey(t *testing.T) {
	store, _ := newMemory(0)
	for _, key := range []string{"", ".", "../x", "a/b", `a\b`, "a#0.1", "a b", "a\n", "\u00e4", strings.Repeat("a", maxName+1)} {
		_, getErr := store.Get(t.Context(), key)
		for _, err := range []error{getErr, store.Set(t.Context(), key, nil, time.Time{}), store.Delete(t.Context(), key)} {
			if err == nil || errors.Is(err, ErrMiss) {
				t.Errorf("key %q: %v, want an error", key, err)
			}
		}
	}
}

// A writer that dies after any of its steps leaves the old record or the new
// one, and the next writer cleans up behind it.
func TestWriterDies(t *testing.T) {
	sizes := []int{50, 900, 2000}
	for _, before := range sizes {
		for _, after := range sizes {
			for steps := 0; ; steps++ {
				store, items := newMemory(300)
				old, next := payload(1, before), payload(2, after)
				if err := store.Set(t.Context(), "k", old, time.Time{}); err != nil {
					t.Fatal(err)
				}
				items.budget = steps
				setErr := store.Set(t.Context(), "k", next, time.Time{})
				spent := items.budget != 0
				items.budget = -1
				got, err := store.Get(t.Context(), "k")
				if err != nil {
					t.Fatalf("%d to %d bytes, dead after %d steps: %v", before, after, steps, err)
				}
				if setErr == nil && !bytes.Equal(got, next) || setErr != nil && !bytes.Equal(got, old) {
					t.Fatalf("%d to %d bytes, dead after %d steps: Set says %v, and %.10q is read", before, after, steps, setErr, got)
				}
				for write := range 2 {
					if err := store.Set(t.Context(), "k", payload(write, 700), time.Time{}); err != nil {
						t.Fatal(err)
					}
				}
				h, _, _ := parseHead(items.items["k"])
				if want := 1 + h.chunks; len(items.items) != want {
					t.Errorf("%d to %d bytes, dead after %d steps: %d items after two more writes, want %d", before, after, steps, len(items.items), want)
				}
				if err := store.Delete(t.Context(), "k"); err != nil || len(items.items) > 0 {
					t.Errorf("dead after %d steps: Delete leaves %q, %v", steps, items.names(), err)
				}
				if spent {
					break
				}
			}
		}
	}
}

func TestUnreadable(t *testing.T) {
	tests := []struct {
		name   string
		damage func(m map[string][]byte)
		want   string
	}{
		{"rubbish", func(m map[string][]byte) { m["k"] = []byte("hunter2") }, "no header line"},
		{"empty", func(m map[string][]byte) { m["k"] = nil }, "no header line"},
		{"chunk missing", func(m map[string][]byte) { delete(m, "k#1.1") }, "chunk 2 of 4 is missing"},
		{"chunk cut", func(m map[string][]byte) { m["k#1.3"] = m["k#1.3"][1:] }, "payload of 999 bytes, want 1000"},
		{"chunk longer", func(m map[string][]byte) { m["k#1.3"] = append(m["k#1.3"], '!') }, "chunk 4 of 4 is too long"},
		{"chunk of another generation", func(m map[string][]byte) { m["k#1.0"] = payload(9, 300) }, "payload does not match its digest"},
		{"head of another generation", func(m map[string][]byte) { m["k"] = header{generation: 2, chunks: 4, size: 1000}.line() }, "chunk 1 of 4 is missing"},
		{"head with payload", func(m map[string][]byte) { m["k"] = append(m["k"], '!') }, "chunk 4 of 4 is too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store, items := newMemory(300)
			if err := store.Set(t.Context(), "k", payload(1, 1000), time.Time{}); err != nil {
				t.Fatal(err)
			}
			tt.damage(items.items)
			_, err := store.Get(t.Context(), "k")
			var unreadable *UnreadableError
			if !errors.As(err, &unreadable) || unreadable.Err.Error() != tt.want || unreadable.Where != "memory" {
				t.Errorf("got %v, want an UnreadableError with %q", err, tt.want)
			}
			want := payload(2, 500)
			if err := store.Set(t.Context(), "k", want, time.Time{}); err != nil {
				t.Fatal(err)
			}
			if got, err := store.Get(t.Context(), "k"); err != nil || !bytes.Equal(got, want) {
				t.Errorf("after a new write: %.10q, %v", got, err)
			}
		})
	}
}

// rewriting replaces the record each time its head has been read, so that the
// chunks that the head names are gone.
type rewriting struct {
	*memory
	store *recordStore
	times int
}

func (r *rewriting) get(ctx context.Context, name string) ([]byte, error) {
	item, err := r.memory.get(ctx, name)
	if name == "k" && r.times > 0 {
		r.times--
		if err := r.store.Set(ctx, "k", payload(r.times, 900), time.Time{}); err != nil {
			return nil, err
		}
	}
	return item, err
}

func TestReaderIsOvertaken(t *testing.T) {
	for times := range 5 {
		writer, items := newMemory(300)
		if err := writer.Set(t.Context(), "k", payload(9, 900), time.Time{}); err != nil {
			t.Fatal(err)
		}
		reader := &recordStore{items: &rewriting{items, writer, times}, limit: 300, read: time.Minute}
		got, err := reader.Get(t.Context(), "k")
		if times <= 3 {
			want := payload(0, 900)
			if times == 0 {
				want = payload(9, 900)
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("overtaken %d times: %.10q, %v", times, got, err)
			}
			continue
		}
		var unreadable *UnreadableError
		if !errors.As(err, &unreadable) {
			t.Errorf("overtaken %d times: %v, want an UnreadableError", times, err)
		}
	}
}

func TestReadersSeeNoMix(t *testing.T) {
	store, _ := newMemory(300)
	if err := store.Set(t.Context(), "k", payload(0, 900), time.Time{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			whole := 0
			for stop := false; !stop; {
				select {
				case <-done:
					stop = true // after one more read, which nothing disturbs
				default:
				}
				got, err := store.Get(t.Context(), "k")
				var unreadable *UnreadableError
				if errors.As(err, &unreadable) && !stop {
					continue // overtaken four times in a row
				}
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				var write int
				if _, err := fmt.Sscanf(string(got[:4]), "%d", &write); err != nil || !bytes.Equal(got, payload(write, len(got))) {
					t.Errorf("a mix of records, or half of one: %.20q", got)
					return
				}
				whole++
			}
			if whole < 2 {
				t.Errorf("a reader saw %d whole records while they were written", whole)
			}
		})
	}
	for write := range 1000 {
		if err := store.Set(t.Context(), "k", payload(write, []int{900, 50, 4000, 310}[write%4]), time.Time{}); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}

// slowMemory answers when it is too late.
type slowMemory struct{ *memory }

func (m slowMemory) get(ctx context.Context, name string) ([]byte, error) {
	<-ctx.Done()
	return m.memory.get(ctx, name)
}

func TestUnreachableIsNoMiss(t *testing.T) {
	store, items := newMemory(300)
	store.items, store.read = slowMemory{items}, time.Nanosecond
	_, err := store.Get(t.Context(), "k")
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || errors.Is(err, ErrMiss) || unreachable.Locked {
		t.Errorf("got %v, want an UnreachableError", err)
	}
	if want := "memory cannot be used: no answer within 1ns"; err != nil && err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
