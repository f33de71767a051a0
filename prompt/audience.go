package prompt

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
)

// Audience says how a person can be reached from here.
type Audience struct {
	Terminal bool // on the terminal device: OpenTerminal succeeds
	Browser  bool // a browser can be opened in front of the person

	// Why is the reason if it is neither. It completes "profile dev needs a login,
	// but ".
	Why string
	// Barred says that it is neither because of the environment, which counts also for
	// whoever types daypass login.
	Barred bool
}

// Look finds out how a person can be reached from here.
//
// mode is the profile's prompt setting: "auto" (or ""), "terminal" (never a
// browser), "browser" (a browser also in an SSH session, besides the terminal if
// there is one) or "never". DAYPASS_PROMPT, if set, takes its place. Otherwise
// CI, set to anything but "false" or "0", means "never". A value that is none of
// these reaches nobody, and Why quotes it.
func Look(mode string, getenv func(string) string) Audience {
	t, err := OpenTerminal()
	if err == nil {
		err = t.Close()
	}
	return decide(mode, getenv, runtime.GOOS == "darwin" || runtime.GOOS == "windows" || onWSL(getenv), err)
}

// decide is Look, where desktop says that the system always has a browser, and
// noTerminal why there is no terminal; nil if there is one.
func decide(mode string, getenv func(string) string, desktop bool, noTerminal error) Audience {
	setting, barred := "prompt = "+mode, true
	switch override, ci := getenv("DAYPASS_PROMPT"), getenv("CI"); {
	case override != "":
		mode, setting = override, "DAYPASS_PROMPT="+override
	case ci != "" && ci != "false" && ci != "0":
		mode, setting = "never", "CI is set"
	default:
		barred = false
	}
	a := Audience{
		Terminal: noTerminal == nil,
		Browser:  desktop || cmp.Or(getenv("DISPLAY"), getenv("WAYLAND_DISPLAY"), getenv("BROWSER")) != "",
	}
	switch mode {
	case "", "auto":
		a.Browser = a.Browser && (getenv("SSH_CONNECTION") == "" || getenv("BROWSER") != "")
	case "browser": // It is explicit: the user has a forwarded display, or is at the console.
	case "terminal":
		a.Browser = false
	case "never":
		return Audience{Barred: barred, Why: "nobody may be asked (" + setting + ")"}
	default:
		return Audience{Barred: barred, Why: fmt.Sprintf("%q is not a prompt mode (auto, terminal, browser, never)", Clean(setting))}
	}
	if !a.Terminal && !a.Browser {
		a.Why = noTerminal.Error()
	}
	return a
}

// onWSL reports whether this is Windows Subsystem for Linux, with Windows programs
// in reach. A cron job there lacks the variable, and a container the kernel's handler.
func onWSL(getenv func(string) string) bool {
	_, err := os.Stat("/proc/sys/fs/binfmt_misc/WSLInterop")
	return runtime.GOOS == "linux" && (err == nil || getenv("WSL_DISTRO_NAME") != "")
}
