package prompt

import (
	"strings"
	"testing"
)

func TestDecide(t *testing.T) {
	const ssh = "192.0.2.1 50000 192.0.2.2 22"
	for _, test := range []struct {
		name string
		mode string
		env  map[string]string
		here surroundings
		want Audience // Why: a part of it
	}{
		{"Linux console", "auto", nil, surroundings{os: "linux"}, Audience{Terminal: true}},
		{"X11", "auto", map[string]string{"DISPLAY": ":0"}, surroundings{os: "linux"}, Audience{Terminal: true, Browser: true}},
		{"Wayland", "auto", map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, surroundings{os: "linux"}, Audience{Terminal: true, Browser: true}},
		{"BROWSER", "auto", map[string]string{"BROWSER": "w3m"}, surroundings{os: "linux"}, Audience{Terminal: true, Browser: true}},
		{"WSL", "auto", nil, surroundings{os: "linux", wsl: true}, Audience{Terminal: true, Browser: true}},
		{"macOS", "auto", nil, surroundings{os: "darwin"}, Audience{Terminal: true, Browser: true}},
		{"Windows", "auto", nil, surroundings{os: "windows"}, Audience{Terminal: true, Browser: true}},
		{"mode not set", "", nil, surroundings{os: "darwin"}, Audience{Terminal: true, Browser: true}},

		{"desktop program", "auto", map[string]string{"DISPLAY": ":0"}, surroundings{os: "linux", noTerminal: errNoTerminal}, Audience{Browser: true}},
		{"cron", "auto", nil, surroundings{os: "linux", noTerminal: errNoTerminal}, Audience{Why: "here is no terminal to ask on"}},
		{"background job", "auto", nil, surroundings{os: "linux", noTerminal: errBackground}, Audience{Why: "a background job cannot ask"}},
		{"background job on a desktop", "auto", map[string]string{"DISPLAY": ":0"}, surroundings{os: "linux", noTerminal: errBackground}, Audience{Browser: true}},

		{"SSH", "auto", map[string]string{"SSH_CONNECTION": ssh}, surroundings{os: "darwin"}, Audience{Terminal: true}},
		{"SSH with X11", "auto", map[string]string{"SSH_CONNECTION": ssh, "DISPLAY": "localhost:10.0"}, surroundings{os: "linux"}, Audience{Terminal: true}},
		{"SSH to WSL", "auto", map[string]string{"SSH_CONNECTION": ssh}, surroundings{os: "linux", wsl: true}, Audience{Terminal: true}},
		{"SSH with BROWSER", "auto", map[string]string{"SSH_CONNECTION": ssh, "BROWSER": "open-at-home"}, surroundings{os: "linux"}, Audience{Terminal: true, Browser: true}},
		{"SSH without a terminal", "auto", map[string]string{"SSH_CONNECTION": ssh}, surroundings{os: "darwin", noTerminal: errNoTerminal}, Audience{Why: "no terminal"}},
		{"SSH, browser mode", "browser", map[string]string{"SSH_CONNECTION": ssh, "DISPLAY": "localhost:10.0"}, surroundings{os: "linux"}, Audience{Terminal: true, Browser: true}},

		{"terminal mode", "terminal", nil, surroundings{os: "darwin"}, Audience{Terminal: true}},
		{"terminal mode without one", "terminal", map[string]string{"BROWSER": "x"}, surroundings{os: "darwin", noTerminal: errNoTerminal}, Audience{Why: "no terminal"}},
		{"browser mode", "browser", map[string]string{"DISPLAY": ":0"}, surroundings{os: "linux"}, Audience{Terminal: true, Browser: true}},
		{"browser mode without one", "browser", nil, surroundings{os: "linux"}, Audience{Terminal: true}},
		{"browser mode with neither", "browser", nil, surroundings{os: "linux", noTerminal: errNoTerminal}, Audience{Why: "no terminal"}},
		{"never", "never", map[string]string{"DISPLAY": ":0"}, surroundings{os: "linux"}, Audience{Why: "prompt = never"}},

		{"override never", "auto", map[string]string{"DAYPASS_PROMPT": "never"}, surroundings{os: "darwin"}, Audience{Why: "DAYPASS_PROMPT=never"}},
		{"override terminal", "never", map[string]string{"DAYPASS_PROMPT": "terminal"}, surroundings{os: "darwin"}, Audience{Terminal: true}},
		{"override browser", "never", map[string]string{"DAYPASS_PROMPT": "browser"}, surroundings{os: "darwin"}, Audience{Terminal: true, Browser: true}},
		{"misspelt override", "auto", map[string]string{"DAYPASS_PROMPT": "termial\n"}, surroundings{os: "darwin"}, Audience{Why: `"DAYPASS_PROMPT=termial " is no way to ask`}},
		{"CI", "auto", map[string]string{"CI": "true"}, surroundings{os: "darwin"}, Audience{Why: "CI is set"}},
		{"CI, browser mode", "browser", map[string]string{"CI": "1"}, surroundings{os: "darwin"}, Audience{Why: "CI is set"}},
		{"CI, for one call", "auto", map[string]string{"CI": "1", "DAYPASS_PROMPT": "terminal"}, surroundings{os: "darwin"}, Audience{Terminal: true}},
		{"CI denied", "auto", map[string]string{"CI": "false"}, surroundings{os: "darwin"}, Audience{Terminal: true, Browser: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := decide(test.mode, environment(test.env), test.here)
			if got.Terminal != test.want.Terminal || got.Browser != test.want.Browser {
				t.Errorf("%+v, want %+v", got, test.want)
			}
			if (got.Why == "") != (test.want.Why == "") || !strings.Contains(got.Why, test.want.Why) {
				t.Errorf("Why = %q, want %q in it", got.Why, test.want.Why)
			}
		})
	}
}
