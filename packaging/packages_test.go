//go:build e2e && linux

// Package packaging_test holds what `make dist` builds to what the people who
// install it expect.
package packaging_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const version = "1.98.7"

// TestPackages builds a release twice, in two clones, and looks into everything.
func TestPackages(t *testing.T) {
	origin := filepath.Join(t.TempDir(), "origin") // what is committed meanwhile does not count
	run(t, "..", "git", "clone", "--quiet", "--bare", ".", origin)
	run(t, origin, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "tag", "--no-sign", "--message", "x", "v"+version)
	dist := release(t, origin, "Europe/Berlin", "022")
	clone := filepath.Dir(dist)
	says := saysVersion(t, clone)

	t.Run("reproducible", func(t *testing.T) {
		again := release(t, origin, "Asia/Tokyo", "077")
		if diff := cmp.Diff(sums(t, dist), sums(t, again)); diff != "" {
			t.Errorf("the second build differs:\n%s", diff)
		}
	})
	t.Run("checksums", func(t *testing.T) {
		run(t, dist, "sha256sum", "--check", "--strict", "SHA256SUMS")
		var got []string
		for line := range strings.Lines(read(t, dist, "SHA256SUMS")) {
			got = append(got, strings.Fields(line)[1])
		}
		var want []string
		for _, target := range targets() {
			want = append(want, target.file("cdx.json"), target.archive())
			if target.os == "linux" {
				want = append(want, target.file("apk"), target.file("deb"), target.file("rpm"))
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	for _, target := range targets() {
		t.Run(target.os+" "+target.arch, func(t *testing.T) { checkBinary(t, dist, target) })
	}
	t.Run("manifests", func(t *testing.T) { checkManifests(t, dist) })

	t.Run("make build", func(t *testing.T) {
		worktree := filepath.Join(t.TempDir(), "worktree")
		run(t, clone, "git", "worktree", "add", "--quiet", worktree)
		archive := filepath.Join(clone, "dist", "source") // what is around it is another repository
		run(t, clone, "sh", "-ec", `mkdir "$0" && git archive HEAD | tar -x -C "$0"`, archive)
		for folder, want := range map[string]string{clone: says, worktree: says, archive: "daypass (devel) (commit not recorded, date not recorded)"} {
			run(t, folder, "make", "build")
			if said := run(t, folder, "./daypass", "version"); !strings.HasPrefix(said, want) {
				t.Errorf("in %s it says %q, want %q", folder, said, want)
			}
		}
	})

	here := target{"linux", runtime.GOARCH}
	for format, unpack := range map[string][]string{
		"deb": {"sh", "-ec", `mkdir -p var/lib/dpkg/info var/lib/dpkg/updates && touch var/lib/dpkg/status
			dpkg --root=. --force-not-root --log=/dev/null --install "$0" && test -z "$(dpkg-deb --field "$0" Depends Pre-Depends Recommends)"
			rm -r var`},
		"rpm": {"sh", "-ec", `test -z "$(rpm -qp --requires "$0" | grep -v '^rpmlib(')" && rpm2cpio "$0" | cpio -idm --no-absolute-filenames --quiet`},
		"apk": {"sh", "-ec", `tar -xzf "$0" && ! grep -E '^(depend|provides) = ' .PKGINFO && rm .PKGINFO`},
	} {
		t.Run(format, func(t *testing.T) {
			root := t.TempDir()
			run(t, root, append(unpack, filepath.Join(dist, here.file(format)))...)
			checkInstalled(t, root, format, says)
		})
	}
}

// release builds version 1.98.7, which is the last commit, in a clone, and returns its
// dist. Nothing of what differs between two machines may count.
func release(t *testing.T, origin, zone, umask string) string {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "daypass")
	run(t, origin, "git", "clone", "--quiet", ".", clone)
	run(t, clone, "git", "remote", "remove", "origin")
	t.Setenv("GOFLAGS", "-buildvcs=false")
	t.Setenv("TZ", zone)
	t.Setenv("MAKEFLAGS", "")
	run(t, clone, "sh", "-c", `umask "$0" && make dist`, umask)
	return filepath.Join(clone, "dist")
}

type target struct{ os, arch string }

func targets() (all []target) {
	for _, os := range []string{"linux", "darwin", "windows"} {
		all = append(all, target{os, "amd64"}, target{os, "arm64"})
	}
	return all
}

func (t target) file(ending string) string {
	return fmt.Sprintf("daypass_%s_%s_%s.%s", version, t.os, t.arch, ending)
}

func (t target) archive() string {
	if t.os == "windows" {
		return t.file("zip")
	}
	return t.file("tar.gz")
}

func (t target) program() string {
	if t.os == "windows" {
		return "daypass.exe"
	}
	return "daypass"
}

// checkBinary looks at what is released for one system.
func checkBinary(t *testing.T, dist string, target target) {
	found, err := filepath.Glob(filepath.Join(dist, fmt.Sprintf("daypass_%s_%s_*", target.os, target.arch), target.program()))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d programs, %v", len(found), err)
	}
	info, err := buildinfo.ReadFile(found[0])
	must(t, err)
	if info.Main.Version != "v"+version {
		t.Errorf("go has recorded version %s", info.Main.Version)
	}

	var bom struct {
		Metadata   struct{ Component struct{ PURL string } }
		Components []struct{ PURL string }
	}
	must(t, json.Unmarshal([]byte(read(t, dist, target.file("cdx.json"))), &bom))
	listed := []string{bom.Metadata.Component.PURL}
	for _, component := range bom.Components {
		listed = append(listed, component.PURL)
	}
	files := unpack(t, filepath.Join(dist, target.archive()))
	licences := files["share/doc/daypass/copyright"]
	for _, module := range append(info.Deps, &info.Main) {
		is := func(purl string) bool {
			return strings.HasPrefix(purl+"?", "pkg:golang/"+module.Path+"@"+module.Version+"?")
		}
		if !slices.ContainsFunc(listed, is) {
			t.Errorf("the SBOM lacks %s %s: %q", module.Path, module.Version, listed)
		}
		if module != &info.Main && !strings.Contains(licences, "\n== "+module.Path+"\n") {
			t.Errorf("the licence of %s is missing", module.Path)
		}
	}
	if len(info.Deps) < 15 || len(listed) != len(info.Deps)+2 { // the main module, and Go
		t.Errorf("%d modules, the SBOM lists %d", len(info.Deps), len(listed))
	}

	program, err := os.ReadFile(found[0])
	must(t, err)
	if files[target.program()] != string(program) {
		t.Error("the archive holds another program")
	}
	checkNames(t, files, append(installed("archive"), "LICENSE", "README.md", target.program())...)
}

// checkNames holds a package's files to these and the manual.
func checkNames(t *testing.T, files map[string]string, want ...string) {
	t.Helper()
	for _, name := range want {
		if files[name] == "" {
			t.Errorf("%s is missing", name)
		}
		delete(files, name)
	}
	for name := range files {
		if manual, _ := path.Match("share/man/man1/daypass-*.1.gz", name); !manual {
			t.Errorf("%s is there", name)
		}
	}
}

// unpack returns the files of an archive, all of which belong to root.
func unpack(t *testing.T, archive string) map[string]string {
	t.Helper()
	if strings.HasSuffix(archive, ".zip") {
		r, err := zip.OpenReader(archive)
		must(t, err)
		defer r.Close()
		return contents(t, r)
	}
	folder := t.TempDir()
	run(t, folder, "tar", "-xpzf", archive)
	for line := range strings.Lines(run(t, folder, "tar", "-tvzf", archive)) {
		if !strings.Contains(line, " root/root ") {
			t.Errorf("not root's: %s", line)
		}
	}
	return contents(t, os.DirFS(folder))
}

// contents returns the files of a folder. Their modes are those that a package is to have.
func contents(t *testing.T, folder fs.FS) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		want := fs.FileMode(0o644)
		if slices.Contains([]string{"daypass", "daypass.exe"}, path.Base(name)) && !strings.HasPrefix(name, "share/") {
			want = 0o755
		}
		if info, err := entry.Info(); err != nil || info.Mode() != want {
			t.Errorf("%s: not of mode %v: %v, %v", name, want, info, err)
		}
		text, err := fs.ReadFile(folder, name)
		files[name] = string(text)
		return err
	}))
	return files
}

// installed are the files that a package holds beside the program, below /usr.
func installed(format string) []string {
	zsh := "share/zsh/site-functions/_daypass"
	if format == "deb" {
		zsh = "share/zsh/vendor-completions/_daypass"
	}
	return []string{
		zsh, "share/bash-completion/completions/daypass", "share/fish/vendor_completions.d/daypass.fish",
		"share/doc/daypass/copyright", "share/man/man1/daypass.1.gz", "share/man/man1/daypass-process.1.gz",
	}
}

// saysVersion is what daypass version says if it was built from the last commit.
func saysVersion(t *testing.T, clone string) string {
	t.Helper()
	commit, when, _ := strings.Cut(run(t, clone, "git", "log", "-1", "--format=%H %cI"), " ")
	date, err := time.Parse(time.RFC3339, when)
	must(t, err)
	return fmt.Sprintf("daypass v%s (commit %s, %s) %s linux/%s",
		version, commit, date.UTC().Format(time.RFC3339), runtime.Version(), runtime.GOARCH)
}

// checkInstalled uses what a package has put below root.
func checkInstalled(t *testing.T, root, format, says string) {
	usr := filepath.Join(root, "usr")
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 1 {
		t.Errorf("not all is below /usr: %v, %v", entries, err)
	}
	checkNames(t, contents(t, os.DirFS(usr)), append(installed(format), "bin/daypass")...)

	daypass := filepath.Join(usr, "bin/daypass")
	program, err := elf.Open(daypass)
	must(t, err)
	defer program.Close()
	if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 || program.Section(".interp") != nil {
		t.Errorf("the program needs libraries: %v, %v", libraries, err)
	}
	if said := run(t, root, daypass, "version"); said != says {
		t.Errorf("it says %q, want %q", said, says)
	}
	if demo := run(t, "..", "go", "run", "./examples/demo", "--yes", "--daypass", daypass); !strings.Contains(demo, "requests: 1 AssumeRoleWithWebIdentity") {
		t.Errorf("the demo:\n%s", demo)
	}
	t.Setenv("MANWIDTH", "1000")
	manual := run(t, root, "man", "--manpath", filepath.Join(usr, "share/man"), "--pager", "cat", "daypass", "daypass-process")
	for _, text := range []string{"daypass-trust-policy(1)", "daypass process", "daypass-version(1)"} {
		if !strings.Contains(manual, text) || strings.Contains(manual, "Jan 1970") {
			t.Errorf("man daypass lacks %q, or its date:\n%s", text, manual)
		}
	}
	checkCompletions(t, usr)
}

// checkCompletions has each shell find its script among the installed files, and
// complete "daypass lo".
func checkCompletions(t *testing.T, usr string) {
	t.Setenv("PATH", filepath.Join(usr, "bin")+":"+os.Getenv("PATH"))
	t.Setenv("XDG_DATA_DIRS", filepath.Join(usr, "share")) // bash-completion and fish look there
	t.Setenv("HOME", t.TempDir())
	const inBash = `COMP_LINE="daypass lo" COMP_POINT=10 COMP_WORDS=(daypass lo) COMP_CWORD=1 COMP_TYPE=9 COMP_KEY=9
		__start_daypass 2>/dev/null; printf '%s\n' "${COMPREPLY[@]}"`
	for shell, command := range map[string][]string{
		"bash": {"bash", "--norc", "--noprofile", "-c", `source "$0/share/bash-completion/completions/daypass"; ` + inBash},
		"bash with bash-completion": {"bash", "--norc", "--noprofile", "-c",
			"source /usr/share/bash-completion/bash_completion; _completion_loader daypass; " + inBash},
		// What zsh shows is in the array completions.
		"zsh": {"zsh", "-f", "-c", `fpath=($0/share/zsh/*(/) $fpath); autoload -Uz compinit; compinit -u -D
			_describe() { print -l -- $completions }; words=(daypass lo) CURRENT=2; $_comps[daypass]`},
		"fish": {"fish", "-c", `complete --do-complete "daypass lo"`},
	} {
		var offered []string
		for line := range strings.Lines(run(t, usr, append(command, usr)...)) {
			offered = append(offered, regexp.MustCompile(`^[a-z]+`).FindString(line))
		}
		if want := []string{"login", "logout"}; !slices.Equal(offered, want) {
			t.Errorf("%s offers %q, want %q", shell, offered, want)
		}
	}
}

// checkManifests looks for the hash of each archive that a manifest names.
func checkManifests(t *testing.T, dist string) {
	entry := regexp.MustCompile(`(?is)/download/v` + regexp.QuoteMeta(version) + `/([^"\s]+).*?\b([0-9a-f]{64})\b`)
	for _, manifest := range []struct {
		pattern string
		names   []target
	}{
		{"homebrew/Formula/daypass.rb", targets()[:4]},
		{"scoop/daypass.json", targets()[4:]},
		{"winget/manifests/d/daypass/daypass/" + version + "/daypass.daypass.installer.yaml", targets()[4:]},
	} {
		text := read(t, dist, manifest.pattern)
		got := map[string]string{}
		for _, match := range entry.FindAllStringSubmatch(text, -1) {
			got[match[1]] = strings.ToLower(match[2])
		}
		want := map[string]string{}
		for _, target := range manifest.names {
			want[target.archive()] = sum(t, filepath.Join(dist, target.archive()))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s\n%s", manifest.pattern, diff, text)
		}
	}
}

// sums are the hashes of all that a release holds: not what goreleaser notes for
// itself.
func sums(t *testing.T, dist string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dist, func(file string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dist, file)
		if err == nil && entry.Type().IsRegular() && !slices.Contains([]string{"artifacts.json", "config.yaml", "metadata.json"}, name) {
			all[name] = sum(t, file)
		}
		return err
	})
	if err != nil || len(all) < 25 {
		t.Fatalf("%d files, %v", len(all), err)
	}
	return all
}

func sum(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func read(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name)))
	must(t, err)
	return string(text)
}

// run runs a command in a folder and returns what it prints, without the last line
// break.
func run(t *testing.T, folder string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = folder
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s%s", argv, err, out, stderr.String())
	}
	return strings.TrimRight(string(out), "\n")
}

// must ends a test whose own steps do not work.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
