//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// printTimes prints a table.
func printTimes(title string, results []result) {
	rounds := len(results[0].times)
	fmt.Printf("### %s (%d rounds)\n\n", title, rounds)
	fmt.Println("| | median ms | 10 to 90 % | ratio of medians | CPU ms | peak MiB | failed |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|")
	for _, r := range results {
		ratio, middle := "", r.quantile(50)
		for _, other := range results {
			if other.short != "" && other.short == r.yardstick {
				ratio = fmt.Sprintf("%.2f of %s", float64(middle)/float64(other.quantile(50)), other.short)
			}
		}
		fmt.Printf("| %s | %s | %s to %s | %s | %s | %.1f | %d |\n", r.name, milliseconds(middle),
			milliseconds(r.quantile(10)), milliseconds(r.quantile(90)), ratio, milliseconds(r.cpu), float64(r.memory)/1024, r.failed)
	}
	fmt.Println()
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()*1000) }

// printFigures prints what hardly differs from run to run.
func printFigures(b binaries, counts []int, packages []initialised) error {
	fmt.Println("### Figures that repeat")
	fmt.Println()
	fmt.Println("| | |")
	fmt.Println("|---|--:|")
	for _, binary := range []struct{ name, path string }{{"stripped binary", b.daypass}, {"the same as PIE", b.pie}} {
		info, err := os.Stat(binary.path)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.2f MB |\n", binary.name, float64(info.Size())/1e6)
	}
	fmt.Printf("| instructions on the file path, median of %d (callgrind) | %.2f million (%.2f to %.2f) |\n", len(counts),
		millions(counts[len(counts)/2]), millions(counts[0]), millions(counts[len(counts)-1]))
	var clock time.Duration
	bytes := 0
	for _, p := range packages {
		clock += p.clock
		bytes += p.bytes
	}
	fmt.Printf("| package initialisation: %d packages | %s ms, %d KiB |\n", len(packages), milliseconds(clock), bytes/1024)
	for _, p := range packages[:12] {
		fmt.Printf("| - %s | %.3f ms, %d bytes |\n", p.name, p.clock.Seconds()*1000, p.bytes)
	}
	return nil
}

func millions(n int) float64 { return float64(n) / 1e6 }

// machine names what was measured on, without naming whose it is.
func machine() string {
	model := "unknown CPU"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	system := "Linux"
	if release, err := os.ReadFile("/etc/os-release"); err == nil {
		for line := range strings.Lines(string(release)) {
			if value, found := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); found {
				system = strings.Trim(value, `"`)
			}
		}
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(kernel)), "-") // whose build it is, is nobody's business
	return fmt.Sprintf("%s, %d cores; %s, Linux %s; %s.", model, runtime.NumCPU(), system, version, runtime.Version())
}
