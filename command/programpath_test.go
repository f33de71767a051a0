package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass/daypass/failure"
)

func TestProgramFault(t *testing.T) {
	temporary := []string{"/tmp", "/var/folders", `C:\Users\taro\AppData\Local\Temp`}
	for _, test := range []struct{ goos, path, home, want string }{
		{"linux", "/usr/local/bin/daypass", "/home/taro", ""},
		{"linux", "/home/taro/.local/bin/daypass-1.2", "/home/taro", ""},
		{"linux", "/home/josé/bin/daypass", "/home/josé", ""},
		{"linux", "/home/taro smith/bin/daypass", "/home/taro smith", "some SDKs split the command at the space"},
		{"linux", "/opt/a$b/daypass", "", "reads '$' as more"},
		{"linux", `/opt/a\b/daypass`, "", `reads '\\' as more`},
		{"linux", "/opt/~/daypass", "", "reads '~' as more"},
		{"linux", "/opt/it's/daypass", "", `reads '\'' as more`},
		{"linux", "/tmp/daypass", "/home/taro", "it is in a temporary folder"},
		{"linux", "/tmpfiles/daypass", "/home/taro", ""},
		{"linux", "/tmp/box/home/bin/daypass", "/tmp/box/home", ""},
		{"linux", "/home/taro/.cache/go-build1/b001/exe/daypass", "/home/taro", "it is what go run builds and removes"},
		{"darwin", "/opt/homebrew/bin/daypass", "/Users/taro", ""},
		{"darwin", "/var/folders/xy/T/daypass", "/Users/taro", "it is in a temporary folder"},
		{"windows", `C:\daypass\daypass.exe`, `C:\Users\taro`, ""},
		{"windows", `C:\PROGRA~1\daypass\daypass.exe`, `C:\Users\taro`, ""},
		{"windows", `C:\Program Files\daypass.exe`, `C:\Users\taro`, "some SDKs split the command at the space"},
		{"windows", `C:\a%b\daypass.exe`, `C:\Users\taro`, "reads '%' as more"},
		{"windows", `C:\Users\taro\AppData\Local\Temp\daypass.exe`, `C:\Users\taro`, "it is in a temporary folder"},
		{"windows", `C:\Users\taro\scoop\apps\daypass\current\daypass.exe`, `C:\Users\taro`, ""},
	} {
		got := programFault(test.path, test.goos, temporary, test.home)
		if got != test.want && (test.want == "" || !strings.Contains(got, test.want)) {
			t.Errorf("%s on %s: %q, want %q", test.path, test.goos, got, test.want)
		}
	}
}

func TestProgramPath(t *testing.T) {
	home := t.TempDir()
	name := executableName()
	file := func(parts ...string) string {
		path := filepath.Join(append([]string{home}, parts...)...)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		return path
	}
	write := func(path string) string {
		must(t, os.WriteFile(path, nil, 0o700))
		return path
	}
	versioned := write(file("go-build1", "exe", name))
	stable := file("bin", name)
	must(t, os.Link(versioned, stable))
	typed := file("share", "daypass-1.0", name)
	must(t, os.Link(versioned, typed))
	other := write(file("other", name))
	built := write(file("src", name))
	write(file("src", "go.mod"))

	for _, test := range []struct{ what, invoked, executable, path, want, wrong string }{
		{"as it was typed", stable, stable, "", stable, ""},
		{"the name on PATH before the typed one", typed, typed, filepath.Dir(stable), stable, ""},
		{"from PATH", name, versioned, filepath.Dir(other) + string(filepath.ListSeparator) + filepath.Dir(stable), stable, ""},
		{"another name on PATH, where the typed one will not last", versioned, versioned, filepath.Dir(stable), stable, ""},
		{"a false name for itself", other, stable, "", stable, ""},
		{"no other name", versioned, versioned, filepath.Dir(other), "", versioned + ": it is what go run builds and removes."},
		{"where it was built", built, built, "", "", built + ": it is in the source folder, where it was built."},
		{"not known", name, "", "", "", "it is not known."},
	} {
		e := &Environment{Invoked: test.invoked, Executable: test.executable, Home: home, Getenv: func(name string) string {
			if name == "PATH" {
				return test.path
			}
			return ""
		}}
		got, err := e.programPath()
		if failed, _ := err.(*failure.Error); got != test.want || (err != nil) != (test.wrong != "") || failed != nil && failed.Lines[1] != test.wrong {
			t.Errorf("%s: %q, %v, want %q, %q", test.what, got, err, test.want, test.wrong)
		}
	}
}
