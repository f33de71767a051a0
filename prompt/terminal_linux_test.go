package prompt

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/daypass/daypass/internal/ptytest"
)

// runOn runs the role "terminal" in the foreground of the terminal, and returns
// what was seen there and what was written to stdout and stderr.
func runOn(t *testing.T, p *ptytest.Terminal, environment []string, arguments ...string) (seen, captured string) {
	t.Helper()
	cmd := playing("terminal", arguments...)
	cmd.Env = append(cmd.Env, environment...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	p.Start(cmd)
	code, seen := p.End()
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, output.String())
	}
	return seen, output.String()
}

// showOnTerminal is daypass on a terminal. What it does is in its argument; it
// reports on stdout.
func showOnTerminal() {
	r := openRequest()
	r.QR = true
	terminal, err := OpenTerminal()
	if err != nil && os.Args[1] != "look" {
		fmt.Println("open:", err)
		return
	}
	switch os.Args[1] {
	case "show", "show-impatiently":
		if d := terminal.device.(device); os.Args[1] == "show-impatiently" {
			d.patience = 50 * time.Millisecond
			terminal.device = d
		}
		fmt.Println("show:", terminal.Show(r, morning), "close:", terminal.Close())
	case "ask":
		ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
		answer, err := terminal.AskSecret(ctx, "Address")
		fmt.Println(answer.Reveal(), err)
	case "look":
		fmt.Printf("%+v\n", Look("terminal", os.Getenv))
	case "as-background-job":
		job := playing("terminal", os.Args[2])
		job.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		job.Stdout = os.Stdout
		fmt.Println("job:", job.Run())
	case "go-to-background":
		foreground := exec.Command("cat")
		foreground.SysProcAttr = &syscall.SysProcAttr{Foreground: true, Ctty: 0}
		input, err := foreground.StdinPipe()
		if err == nil {
			err = foreground.Start()
		}
		if err != nil {
			fmt.Println("start:", err)
			return
		}
		fmt.Println("show:", terminal.Show(r, morning))
		input.Close()
		fmt.Println("cat:", foreground.Wait())
	}
}

// A prompt goes to the terminal and nowhere else, and to no terminal in whose background
// we are. One that was halted with Ctrl-S does not halt a login.
func TestPromptGoesToTheTerminalAlone(t *testing.T) {
	text, err := Text(openRequest(), morning)
	must(t, err)
	newLine, qr := strings.Repeat(" ", 79)+"\r", drawQR(link, 79, 20)
	const shown, background = "show: <nil> close: <nil>\n", "a background job cannot ask on its terminal"
	for _, test := range []struct {
		role           string // and its arguments
		environment    []string
		halted         bool
		seen, captured string // captured: how stdout and stderr begin
	}{
		{"show", []string{"TERM=xterm", "LC_ALL=C.UTF-8"}, false, newLine + text + qr, shown},
		{"show", []string{"TERM=dumb", "LC_ALL=C.UTF-8"}, false, text, shown},
		{"show-impatiently", nil, true, "", "show: write /dev/tty: i/o timeout"},
		{"as-background-job show", nil, false, "", "open: " + background + "\njob: <nil>\n"},
		{"go-to-background", nil, false, "", "show: " + background + "\ncat: <nil>\n"},
		{"look", []string{"CI=", "DAYPASS_PROMPT="}, false, "", "{Terminal:true Browser:false Why: Barred:false}\n"},
		{"as-background-job look", []string{"CI=", "DAYPASS_PROMPT="}, false, "", "{Terminal:false Browser:false Why:" + background},
	} {
		p := ptytest.Open(t, 80, 24)
		if test.halted {
			must(t, unix.IoctlSetInt(int(p.Slave.Fd()), unix.TCXONC, 0)) // TCOOFF, as Ctrl-S
		}
		seen, captured := runOn(t, p, test.environment, strings.Fields(test.role)...)
		if seen != test.seen || !strings.HasPrefix(captured, test.captured) || qr == "" {
			t.Errorf("%s, %q: seen\n%s\nstdout and stderr %q", test.role, test.environment, seen, captured)
		}
	}

	cmd := playing("terminal", "show")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a new session has no terminal
	if output, err := cmd.CombinedOutput(); err != nil || string(output) != "open: there is no terminal to ask on\n" {
		t.Errorf("%v, output %q", err, output)
	}
}

// A pasted address can be longer than the lines that a terminal edits, and Ctrl-C ends
// the question, whatever a program that was killed has left of the terminal.
func TestHiddenAnswer(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1000)
	for typed, want := range map[string]string{
		"typo\x15again\x17" + long + "\u00fc\x7f\x04\r": long + " <nil>\n",
		"half\x03": " context canceled\n",
	} {
		p := ptytest.Open(t, 80, 24)
		raw, err := unix.IoctlGetTermios(int(p.Slave.Fd()), getTermios)
		must(t, err)
		raw.Iflag &^= unix.ICRNL
		raw.Lflag &^= unix.ISIG
		must(t, unix.IoctlSetTermios(int(p.Slave.Fd()), setTermios, raw))
		go func() {
			for !strings.Contains(p.Screen(), "(not shown): ") {
				time.Sleep(time.Millisecond)
			}
			_, _ = p.Master.WriteString(typed)
		}()
		seen, captured := runOn(t, p, nil, "ask")
		if captured != want || strings.ReplaceAll(seen, "^C", "") != "Address (not shown): \n" {
			t.Errorf("%d bytes arrived; seen %q", len(captured), seen)
		}
	}
}

func TestSpeaksUTF8(t *testing.T) {
	for want, all := range map[bool][]map[string]string{
		true:  {{"LANG": "de_DE.UTF-8"}, {"LC_CTYPE": "UTF-8"}, {"LANG": "C", "LC_CTYPE": "C.utf8"}}, // the second: macOS
		false: {{"LANG": "en_US.UTF-8", "LC_ALL": "C"}, {}},
	} {
		for _, variables := range all {
			if got := speaksUTF8(environment(variables)); got != want {
				t.Errorf("%v: %v, want %v", variables, got, want)
			}
		}
	}
}

// TestMain lets the test binary stand for daypass in processes of its own: the
// environment says which role it plays.
func TestMain(m *testing.M) {
	switch os.Getenv("PROMPT_TEST_ROLE") {
	case "browser":
		recordAndStay()
	case "terminal":
		showOnTerminal()
	case "opener": // daypass open-browser
		if err := RunOpener(os.Args[2]); err != nil {
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// playing returns a command that runs this binary in a role.
func playing(role string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	// The race detector waits a second at the end of each process.
	cmd.Env = append(os.Environ(), "PROMPT_TEST_ROLE="+role, "GORACE=atexit_sleep_ms=0")
	return cmd
}
