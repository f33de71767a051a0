package prompt

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pseudoTerminal is the far end of a terminal: what a person would see.
type pseudoTerminal struct {
	master, slave *os.File

	mu   sync.Mutex
	seen bytes.Buffer
	done chan struct{} // closed when the last process has left the terminal
}

func openPseudoTerminal(t *testing.T, width, height uint16) *pseudoTerminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetUint32(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}); err != nil {
		t.Fatal(err)
	}
	p := &pseudoTerminal{master: master, slave: slave, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			p.mu.Lock()
			p.seen.Write(buffer[:n])
			p.mu.Unlock()
			if err != nil { // EIO: nobody has the other end open
				return
			}
		}
	}()
	return p
}

// run runs the role "terminal" as the leader of a session on the terminal, and
// returns what was seen there and what was written to stdout and stderr.
func (p *pseudoTerminal) run(t *testing.T, environment []string, arguments ...string) (seen, captured string) {
	t.Helper()
	cmd := playing("terminal", arguments...)
	cmd.Env = append(cmd.Env, environment...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Stdin = p.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	err := cmd.Run()
	p.slave.Close()
	if err != nil {
		t.Fatalf("%v\n%s", err, output.String())
	}
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		t.Fatal("a process stays on the terminal")
	}
	return p.seen.String(), output.String()
}

// showOnTerminal is daypass on a terminal. What it does is in its argument; it
// reports on stdout.
func showOnTerminal() {
	r := openRequest()
	r.QR = true
	switch os.Args[1] {
	case "show", "show-impatiently":
		terminal, err := OpenTerminal()
		if err != nil {
			fmt.Println("open:", err)
			return
		}
		if d := terminal.device.(device); os.Args[1] == "show-impatiently" {
			d.patience = 50 * time.Millisecond
			terminal.device = d
		}
		fmt.Println("show:", terminal.Show(r, morning), "close:", terminal.Close())
	case "look":
		fmt.Printf("%+v\n", Look("terminal", os.Getenv))
	case "as-background-job":
		job := playing("terminal", os.Args[2])
		job.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		job.Stdout = os.Stdout
		fmt.Println("job:", job.Run())
	case "go-to-background":
		terminal, err := OpenTerminal()
		if err != nil {
			fmt.Println("open:", err)
			return
		}
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

func TestPromptGoesToTheTerminalAlone(t *testing.T) {
	p := openPseudoTerminal(t, 80, 24)
	seen, captured := p.run(t, []string{"TERM=xterm", "LC_ALL=C.UTF-8"}, "show")
	seen = strings.ReplaceAll(seen, "\r\n", "\n")
	text, err := Text(openRequest(), morning)
	if err != nil {
		t.Fatal(err)
	}
	drawing, found := strings.CutPrefix(seen, text)
	if !found {
		t.Errorf("seen:\n%s", seen)
	}
	if drawing != drawQR(link, 79, 20) || drawing == "" {
		t.Errorf("not the QR code:\n%s", drawing)
	}
	if captured != "show: <nil> close: <nil>\n" {
		t.Errorf("stdout and stderr: %q", captured)
	}
}

func TestDumbTerminalGetsPlainLines(t *testing.T) {
	seen, captured := openPseudoTerminal(t, 80, 50).run(t, []string{"TERM=dumb"}, "show")
	if !strings.Contains(seen, "LBJX-WZVT") || strings.Contains(seen, "\x1b") || captured != "show: <nil> close: <nil>\n" {
		t.Errorf("seen %q, stdout and stderr: %q", seen, captured)
	}
}

func TestLookFindsTheTerminal(t *testing.T) {
	environment := []string{"CI=", "DAYPASS_PROMPT="}
	seen, captured := openPseudoTerminal(t, 80, 24).run(t, environment, "look")
	if seen != "" || captured != "{Terminal:true Browser:false Why:}\n" {
		t.Errorf("seen %q, found %q", seen, captured)
	}
	seen, captured = openPseudoTerminal(t, 80, 24).run(t, environment, "as-background-job", "look")
	if seen != "" || !strings.HasPrefix(captured, "{Terminal:false Browser:false Why:a background job ") {
		t.Errorf("as a background job: seen %q, found %q", seen, captured)
	}
}

func TestBackgroundJobWritesNothing(t *testing.T) {
	seen, captured := openPseudoTerminal(t, 80, 24).run(t, nil, "as-background-job", "show")
	if seen != "" || captured != "open: "+errBackground.Error()+"\njob: <nil>\n" {
		t.Errorf("seen %q, stdout %q", seen, captured)
	}
	seen, captured = openPseudoTerminal(t, 80, 24).run(t, nil, "go-to-background")
	if seen != "" || captured != "show: "+errBackground.Error()+"\ncat: <nil>\n" {
		t.Errorf("gone to the background: seen %q, stdout %q", seen, captured)
	}
}

func TestNoTerminal(t *testing.T) {
	cmd := playing("terminal", "show")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a new session has none
	output, err := cmd.CombinedOutput()
	if err != nil || string(output) != "open: "+errNoTerminal.Error()+"\n" {
		t.Errorf("%v, output %q", err, output)
	}
}

// A terminal that was halted with Ctrl-S must not halt a login.
func TestHaltedTerminal(t *testing.T) {
	p := openPseudoTerminal(t, 80, 24)
	// TCOOFF halts output as Ctrl-S does.
	if err := unix.IoctlSetInt(int(p.slave.Fd()), unix.TCXONC, 0); err != nil {
		t.Fatal(err)
	}
	seen, captured := p.run(t, nil, "show-impatiently")
	if seen != "" || !strings.HasPrefix(captured, "show: write /dev/tty: i/o timeout") {
		t.Errorf("seen %q, stdout %q", seen, captured)
	}
}

func TestSpeaksUTF8(t *testing.T) {
	for variables, want := range map[string]bool{
		"LANG=de_DE.UTF-8":          true,
		"LC_CTYPE=UTF-8":            true, // what macOS sets
		"LANG=en_US.UTF-8 LC_ALL=C": false,
		"LANG=C LC_CTYPE=C.utf8":    true,
		"":                          false,
	} {
		env := map[string]string{}
		for variable := range strings.FieldsSeq(variables) {
			name, value, _ := strings.Cut(variable, "=")
			env[name] = value
		}
		if got := speaksUTF8(environment(env)); got != want {
			t.Errorf("%s: %v, want %v", variables, got, want)
		}
	}
}
