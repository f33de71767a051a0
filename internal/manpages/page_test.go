package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/daypass/daypass/command"
)

func TestPagesHoldEveryCommandAndFlag(t *testing.T) {
	root := command.Tree()
	all := pages(root, "2026-11-22")
	for _, cmd := range append(root.Commands(), root) {
		page, there := all[pageName(cmd)+".1"]
		if there == cmd.Hidden {
			t.Errorf("%s: hidden %v, page there %v", cmd.CommandPath(), cmd.Hidden, there)
		}
		if cmd.Hidden {
			continue
		}
		plain := strings.NewReplacer(`\-`, "-", `\fB`, "", `\fR`, "", `\fI`, "", `\e`, `\`, `\(aq`, "'", `\(dq`, `"`, `\&`, "", `\(ti`, "~", `\(ha`, "^", `\(ga`, "`").Replace(page)
		for _, part := range strings.Split(cmd.Short+"\n"+cmd.Long+"\n"+cmd.Example, "\n") {
			if !strings.Contains(plain, part) {
				t.Errorf("%s lacks %q", cmd.CommandPath(), part)
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if listed := strings.Contains(plain, "\n--"+f.Name) || strings.Contains(plain, ", --"+f.Name); listed == f.Hidden {
				t.Errorf("%s --%s: hidden %v, listed %v", cmd.CommandPath(), f.Name, f.Hidden, listed)
			}
		})
		// Whatever else begins with a full stop would be a request, and vanish.
		for _, line := range strings.Split(page, "\n") {
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !regexp.MustCompile(`^\.(TH|SH|PP|TP|BR|nf|fi)( |$)`).MatchString(line) {
				t.Errorf("%s: line %q", cmd.CommandPath(), line)
			}
		}
	}
	if !strings.Contains(all["daypass.1"], ".BR daypass\\-login (1)\nLog in at the identity provider\n") {
		t.Errorf("daypass.1 does not list login:\n%s", all["daypass.1"])
	}
}

func TestPageOfAwkwardText(t *testing.T) {
	cmd := &cobra.Command{Use: "x", Short: "It's", Long: ".SH not\n'tis\n\n  C:\\x --y\n  .z\n\nafter `^~\"", Run: func(*cobra.Command, []string) {}}
	got := page(cmd, "2026-11-22")
	want := `.TH X 1 2026\-11\-22 daypass "daypass manual"
.SH NAME
x \- It\(aqs
.SH SYNOPSIS
x
.SH DESCRIPTION
\&.SH not
\(aqtis
.PP
.nf
  C:\ex \-\-y
  .z
.PP
.fi
after \(ga\(ha\(ti\(dq
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestWrite(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "man1")
	if err := write(folder, "86400", time.Now()); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(folder, "daypass-configure.1"))
	if err != nil || !strings.HasPrefix(string(page), `.TH DAYPASS\-CONFIGURE 1 1970\-01\-02 `) {
		t.Errorf("%v: %.80s", err, page)
	}
	if err := write(folder, "yesterday", time.Now()); err == nil {
		t.Error("a date that is none was taken")
	}
	// A machine without groff has checked the requests above, at least.
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Logf("no groff: %v", err)
		return
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.1"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d pages, %v", len(files), err)
	}
	for _, file := range files {
		cmd := exec.Command(groff, "-ww", "-man", "-Tascii", "-z", file)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("groff -ww %s: %v\n%s", filepath.Base(file), err, out)
		}
	}
}
