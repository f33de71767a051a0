package prompt

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandArguments(t *testing.T) {
	for _, test := range []struct {
		name, command, profile string
		escapes                bool
		want                   []string
	}{
		{"template", `firefox -P {profile} {url}`, "dev", true, []string{"firefox", "-P", "dev", link}},
		{"within words", `x --profile-directory='AWS {profile}' --app={url}`, "dev", true,
			[]string{"x", "--profile-directory=AWS dev", "--app=" + link}},
		{"values are not split", `x {profile} {url}`, `my 'dev" \profile`, true, []string{"x", `my 'dev" \profile`, link}},
		{"values are not templates", `x {profile}`, "{url}", true, []string{"x", "{url}", link}},
		{"address at the end", `firefox -P work`, "dev", true, []string{"firefox", "-P", "work", link}},
		{"hostile profile", `x {profile} {url}`, "a\x1b[2J\nb", true, []string{"x", "a b", link}},
		{"Windows", `"C:\Program Files\f.exe" {url}`, "dev", false, []string{`C:\Program Files\f.exe`, link}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := commandArguments(test.command, link, test.profile, test.escapes)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestBrowserArguments(t *testing.T) {
	program := filepath.Join(t.TempDir(), "my browser.exe")
	if err := os.WriteFile(program, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, command string
		want          []string
	}{
		{"name", "firefox-that-is-not-here", []string{"firefox-that-is-not-here", link}},
		{"options", "x-that-is-not-here -P work", []string{"x-that-is-not-here", "-P", "work", link}},
		{"place of the address", "x -u '%s' 100%% -n", []string{"x", "-u", link, "100%", "-n"}},
		{"path with a space", program, []string{program, link}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := browserArguments(test.command, link)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestOpenBrowserFails(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct {
		name, command, address string
		env                    map[string]string
		want                   string
	}{
		{"plain http", os.Args[0], "http://evil.example/", nil, "not https"},
		{"file", os.Args[0], "file:///etc/passwd", nil, "does not name a host"},
		{"control character", os.Args[0], "https://idp.example/\x1b", nil, "no URL may hold"},
		{"open quote", `firefox "`, link, nil, "browser_command"},
		{"missing command", `"` + missing + `"`, link, nil, "does not start"},
		{"missing browser", "", link, map[string]string{"BROWSER": missing}, "no program of BROWSER="},
		{"empty list", "", link, map[string]string{"BROWSER": string(os.PathListSeparator)}, "no program of BROWSER="},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := OpenBrowser("self-must-not-start", test.command, test.address, "dev", environment(test.env))
			if err == nil || !strings.Contains(err.Error(), test.want) || Clean(err.Error()) != err.Error() {
				t.Errorf("error %v, want one line with %q", err, test.want)
			}
		})
	}
	if err := RunOpener("file:///etc/passwd"); err == nil {
		t.Error("RunOpener takes any address")
	}
}

func TestSystemArguments(t *testing.T) {
	ours := []string{"/bin/daypass", "open-browser", link}
	folder := t.TempDir()
	t.Setenv("PATH", folder)
	argv, err := systemArguments("/bin/daypass", link, false)
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		if diff := cmp.Diff(ours, argv); diff != "" || err != nil {
			t.Errorf("error %v (-want +got)\n%s", err, diff)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), "xdg-open") {
		t.Errorf("without any program: %v, want an error that names them", err)
	}

	for _, program := range []string{"x-www-browser", "rundll32.exe"} {
		if err := os.WriteFile(filepath.Join(folder, program), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	argv, err = systemArguments("/bin/daypass", link, false)
	if diff := cmp.Diff(ours, argv); diff != "" || err != nil {
		t.Errorf("error %v (-want +got)\n%s", err, diff)
	}
	argv, err = systemArguments("/bin/daypass", link, true)
	if err != nil || len(argv) != 3 || filepath.Base(argv[0]) != "rundll32.exe" || argv[2] != link {
		t.Errorf("on WSL: %q, %v", argv, err)
	}
}
