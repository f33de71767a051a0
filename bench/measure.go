//go:build linux

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is one command that is measured.
type row struct {
	name      string
	command   []string
	short     string // of a yardstick: how ratios call it
	yardstick string // the short name of what it is compared with; "" for nothing
}

// result is what a row's samples came to.
type result struct {
	row
	times  []time.Duration // sorted
	cpu    time.Duration   // of all processes of a sample, the median
	memory int             // peak resident set in KiB, the median of the samples
	failed int             // processes
}

// quantile returns the time that so many percent of the samples stay below.
func (r result) quantile(percent int) time.Duration { return r.times[len(r.times)*percent/100] }

// median returns the middle one of samples, which it sorts.
func median[T cmp.Ordered](samples []T) T {
	slices.Sort(samples)
	return samples[len(samples)/2]
}

// launcher measures with the program launch.
type launcher struct {
	program string
	env     []string
}

// measure runs the rows in turns, so many processes of each at once. The first
// round is not counted: it finds the disk's cache cold.
func (l launcher) measure(rounds, atOnce int, rows ...row) ([]result, error) {
	args := []string{strconv.Itoa(rounds + 1), strconv.Itoa(atOnce)}
	for _, r := range rows {
		args = append(append(args, "--"), r.command...)
	}
	cmd := exec.Command(l.program, args...)
	cmd.Env, cmd.Stderr = l.env, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	results := make([]result, len(rows))
	memory, cpu := make([][]int, len(rows)), make([][]time.Duration, len(rows))
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, line := range lines[len(rows):] {
		var i, kib, failed int
		var took, used time.Duration
		if _, err := fmt.Sscan(line, &i, (*int64)(&took), (*int64)(&used), &kib, &failed); err != nil {
			return nil, fmt.Errorf("launch prints %q: %w", line, err)
		}
		results[i].times = append(results[i].times, took)
		results[i].failed += failed
		memory[i], cpu[i] = append(memory[i], kib), append(cpu[i], used)
	}
	for i := range results {
		slices.Sort(results[i].times)
		results[i].row, results[i].memory, results[i].cpu = rows[i], median(memory[i]), median(cpu[i])
	}
	return results, nil
}

// instructions counts the machine instructions of a command, sorted. They hardly
// depend on what else the machine does.
func instructions(env, command []string, runs int) ([]int, error) {
	// Callgrind 3.19 stops at a signal that finds a thread being started, and Go
	// interrupts its own threads by signals. And each core costs instructions.
	env = append(slices.Clone(env), "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=2")
	var counts []int
	for range runs {
		cmd := exec.Command("valgrind", append([]string{"--tool=callgrind", "--callgrind-out-file=/dev/null"}, command...)...)
		cmd.Env = env
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("valgrind: %w\n%s", err, stderr.String())
		}
		_, after, _ := strings.Cut(stderr.String(), "Collected : ")
		text, _, _ := strings.Cut(after, "\n")
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("valgrind counts %q", text)
		}
		counts = append(counts, n)
	}
	slices.Sort(counts)
	return counts, nil
}

// initialised is what the initialisation of a package takes before main.
type initialised struct {
	name   string
	clock  time.Duration // the least of several starts
	bytes  int           // allocated
	allocs int
}

// initialisation asks the Go runtime, which tells in lines such as
//
//	init net/http @0.55 ms, 0.055 ms clock, 4712 bytes, 42 allocs
func initialisation(env, command []string, runs int) ([]initialised, error) {
	env = append(slices.Clone(env), "GODEBUG=inittrace=1")
	least := map[string]initialised{}
	for range runs {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = env
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%q: %w\n%s", command, err, stderr.String())
		}
		for line := range strings.Lines(stderr.String()) {
			var p initialised
			var at, clock float64
			if _, err := fmt.Sscanf(line, "init %s @%f ms, %f ms clock, %d bytes, %d allocs", &p.name, &at, &clock, &p.bytes, &p.allocs); err != nil {
				return nil, fmt.Errorf("the Go runtime prints %q: %w", line, err)
			}
			p.clock = time.Duration(clock * float64(time.Millisecond))
			if before, ok := least[p.name]; ok {
				p.clock = min(p.clock, before.clock)
			}
			least[p.name] = p
		}
	}
	var all []initialised
	for _, p := range least {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b initialised) int { return int(b.clock - a.clock) })
	return all, nil
}
