package prompt

import (
	"strings"
	"testing"
)

func TestDecide(t *testing.T) {
	const ssh = "192.0.2.1 50000 192.0.2.2 22"
	both := Audience{Terminal: true, Browser: true}
	for _, test := range []struct {
		name, mode string
		env        map[string]string
		desktop    bool
		noTerminal error
		want       Audience // Why: a part of it
	}{
		{"Linux console", "auto", nil, false, nil, Audience{Terminal: true}},
		{"X11", "auto", map[string]string{"DISPLAY": ":0"}, false, nil, both},
		{"Wayland", "auto", map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, false, nil, both},
		{"BROWSER", "auto", map[string]string{"BROWSER": "w3m"}, false, nil, both},
		{"macOS, Windows, WSL", "", nil, true, nil, both},

		{"desktop program", "auto", map[string]string{"DISPLAY": ":0"}, false, errNoTerminal, Audience{Browser: true}},
		{"cron", "auto", nil, false, errNoTerminal, Audience{Why: "there is no terminal to ask on"}},
		{"background job", "auto", nil, false, errBackground, Audience{Why: "a background job cannot ask"}},
		{"background job on a desktop", "auto", nil, true, errBackground, Audience{Browser: true}},

		{"SSH", "auto", map[string]string{"SSH_CONNECTION": ssh}, true, nil, Audience{Terminal: true}},
		{"SSH with X11", "auto", map[string]string{"SSH_CONNECTION": ssh, "DISPLAY": "localhost:10.0"}, false, nil, Audience{Terminal: true}},
		{"SSH with BROWSER", "auto", map[string]string{"SSH_CONNECTION": ssh, "BROWSER": "open-at-home"}, false, nil, both},
		{"SSH without a terminal", "auto", map[string]string{"SSH_CONNECTION": ssh}, true, errNoTerminal, Audience{Why: "no terminal"}},
		{"SSH, browser mode", "browser", map[string]string{"SSH_CONNECTION": ssh, "DISPLAY": "localhost:10.0"}, false, nil, both},

		{"terminal mode", "terminal", nil, true, nil, Audience{Terminal: true}},
		{"terminal mode without one", "terminal", map[string]string{"BROWSER": "x"}, true, errNoTerminal, Audience{Why: "no terminal"}},
		{"browser mode without one", "browser", nil, false, nil, Audience{Terminal: true}},
		{"browser mode with neither", "browser", nil, false, errNoTerminal, Audience{Why: "no terminal"}},
		{"never", "never", nil, true, nil, Audience{Why: "prompt = never"}},

		{"override never", "auto", map[string]string{"DAYPASS_PROMPT": "never"}, true, nil, Audience{Barred: true, Why: "DAYPASS_PROMPT=never"}},
		{"override terminal", "never", map[string]string{"DAYPASS_PROMPT": "terminal"}, true, nil, Audience{Terminal: true}},
		{"misspelt override", "auto", map[string]string{"DAYPASS_PROMPT": "termial\n"}, true, nil, Audience{Barred: true, Why: `"DAYPASS_PROMPT=termial " is not a prompt mode`}},
		{"CI", "browser", map[string]string{"CI": "true"}, true, nil, Audience{Barred: true, Why: "CI is set"}},
		{"CI, for one call", "auto", map[string]string{"CI": "1", "DAYPASS_PROMPT": "terminal"}, true, nil, Audience{Terminal: true}},
		{"CI denied", "auto", map[string]string{"CI": "false"}, true, nil, both},
		{"CI denied, nobody to ask", "never", map[string]string{"CI": "0"}, true, nil, Audience{Why: "prompt = never"}},
	} {
		got := decide(test.mode, environment(test.env), test.desktop, test.noTerminal)
		why := got.Why
		whyFits := (why == "") == (test.want.Why == "") && strings.Contains(why, test.want.Why)
		got.Why, test.want.Why = "", ""
		if got != test.want || !whyFits {
			t.Errorf("%s: %+v, want %+v; reason: %q", test.name, got, test.want, why)
		}
	}
}
