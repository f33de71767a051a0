//go:build e2e && linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The limits are on figures that repeat, on any machine and under any load. Times
// do neither: make bench measures them.
const (
	// maxInstructions is for the median of several runs on the file path. Runs
	// differ by 4 %, by how the Go runtime's threads meet.
	maxInstructions = 2_800_000
	// maxSize is of the stripped binary, in bytes; 600 kB of them are for the clouds
	// other than AWS, and for secrets.
	maxSize = 11_600_000
	// maxInitialised is what all packages together allocate before main, in bytes.
	// The time that they take is 1 ms at most where this was written, but only the
	// bytes are the same each time; a regular expression at package level, say,
	// makes 5 kB.
	maxInitialised = 200 << 10
)

func TestLimits(t *testing.T) {
	folder := t.TempDir()
	daypass := filepath.Join(folder, "daypass")
	root, err := projectRoot()
	if err == nil {
		err = release(root, daypass)
	}
	if err != nil {
		t.Fatal(err)
	}
	h, err := newHome(filepath.Join(folder, "home"), daypass, "", "file")
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	info, err := os.Stat(h.daypass)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("binary: %d bytes", info.Size())
	if info.Size() > maxSize {
		t.Errorf("the binary has %d bytes, more than %d; go tool nm -size tells of what", info.Size(), maxSize)
	}

	process := []string{h.daypass, "process", "--profile", "file"}
	counts, err := instructions(h.env, process, 7)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("instructions: %v", counts)
	if median := counts[len(counts)/2]; median > maxInstructions {
		t.Errorf("daypass process takes %d instructions, more than %d; callgrind_annotate --inclusive=yes tells for what", median, maxInstructions)
	}

	packages, err := initialisation(h.env, process, 1)
	if err != nil {
		t.Fatal(err)
	}
	allocated := 0
	for _, p := range packages {
		allocated += p.bytes
		if strings.HasPrefix(p.name, "github.com/daypass/") {
			t.Errorf("package %s does something before main", p.name)
		}
	}
	t.Logf("initialisation: %d packages, %d bytes", len(packages), allocated)
	if allocated > maxInitialised {
		t.Errorf("packages allocate %d bytes before main, more than %d; GODEBUG=inittrace=1 tells which", allocated, maxInitialised)
	}
}
