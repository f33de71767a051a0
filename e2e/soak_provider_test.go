//go:build e2e && linux

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// What the provider and STS do in a storm: they fail, and they end the process
// that asks, right around the moment when it matters.

// fault is what happens to a request.
type fault string

const (
	none       fault = ""
	busy       fault = "503"
	html       fault = "HTML with status 200"
	dropped    fault = "dropped before it was acted on"
	hangs      fault = "hangs, not acted on"
	answerLost fault = "acted on, answer dropped"
	answerLate fault = "acted on, hangs"
	refused    fault = "ExpiredToken"
)

// intercept answers all requests whose answers daypass must not lose.
func (s *storm) intercept(w http.ResponseWriter, r *http.Request) bool {
	var endpoint string
	switch {
	case strings.HasSuffix(r.URL.Path, "/device_authorization"):
		endpoint = "device"
	case strings.HasSuffix(r.URL.Path, "/token"):
		endpoint = "token"
	case strings.HasSuffix(r.URL.Path, "/sts"):
		endpoint = "sts"
	default:
		return false
	}
	asker := findAsker(r, marker+"="+s.folder)
	fault, shoot := s.throwDice(endpoint, r.PostForm.Get("refresh_token"), asker)
	shoot()
	switch fault {
	case busy:
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return true
	case html:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><title>Portal</title>You are offline.</html>"))
		return true
	case dropped:
		panic(http.ErrAbortHandler)
	case hangs:
		<-r.Context().Done()
		return true
	case refused:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code><Message>Token expired</Message></Error></ErrorResponse>`))
		return true
	}

	answer := httptest.NewRecorder()
	s.aws.Serve(answer, r)
	s.log.add(endpoint, r, answer, asker, fault == none)
	s.endKeyring()
	switch fault {
	case answerLost:
		panic(http.ErrAbortHandler)
	case answerLate:
		<-r.Context().Done()
		return true
	}
	passOn(w, answer, s.roleLife())
	shoot()
	return true
}

// passOn answers as the sandbox did. Role credentials in the answer end after that
// life, unless it is 0.
func passOn(w http.ResponseWriter, answer *httptest.ResponseRecorder, life time.Duration) {
	body := answer.Body.Bytes()
	if life > 0 {
		ends := time.Now().Add(life).UTC().Format(time.RFC3339)
		body = regexp.MustCompile(`<Expiration>.*</Expiration>`).ReplaceAll(body, []byte("<Expiration>"+ends+"</Expiration>"))
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body)
}

// throwDice decides what happens to a request, and whether its process is ended.
// shoot is called when the request has come and when its answer is sent; at one
// of them it starts what ends the process within a few milliseconds.
func (s *storm) throwDice(endpoint, refreshToken string, asker int) (chosen fault, shoot func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.raging {
		return none, func() {}
	}
	faults := []fault{busy, busy, html, dropped, dropped}
	if s.faults.IntN(8) == 0 {
		faults = []fault{hangs}
	}
	if s.weather.loseAnswers {
		faults = append(faults, answerLost, answerLost)
		if s.faults.IntN(8) == 0 {
			faults = []fault{answerLate}
		}
	}
	rarely, aim := 8, 4
	again := refreshToken != "" && s.arrived[refreshToken]
	s.arrived[refreshToken] = true
	switch {
	case endpoint == "sts":
		faults = append(faults, slices.Repeat([]fault{refused}, 20)...) // each has the ID token renewed
		rarely = 3
	case refreshToken != "":
		aim = 2
	}
	if endpoint == "device" || again {
		// Two failures in a row have daypass leave the provider alone for half a
		// minute, in which a grace as long would end.
		rarely = 40
		if s.weather.grace > 0 {
			rarely = math.MaxInt
		}
	}
	if s.faults.IntN(rarely) == 0 {
		chosen = faults[s.faults.IntN(len(faults))]
		s.log.addFault(chosen)
	}
	if s.faults.IntN(aim) > 0 {
		return chosen, func() {}
	}
	signal := s.weather.signals[s.faults.IntN(len(s.weather.signals))]
	moment, after := s.faults.IntN(2), time.Duration(s.faults.IntN(6000))*time.Microsecond
	return chosen, func() {
		if moment--; moment == -1 {
			s.end(asker, signal, after)
		}
	}
}

// endKeyring perhaps has the keyring's daemon ended, and the answer wait until it
// is about to go: so it is gone when daypass stores the answer.
func (s *storm) endKeyring() {
	s.mu.Lock()
	chosen, after := s.raging && s.faults.IntN(8) == 0, time.Duration(s.faults.IntN(20))*time.Millisecond
	s.mu.Unlock()
	if !chosen {
		return
	}
	select {
	case s.keyringGoes <- struct{}{}:
		time.Sleep(after)
	default: // it is just being restarted
	}
}

// end ends one of the computer's processes, if it is still there.
func (s *storm) end(pid int, signal syscall.Signal, after time.Duration) {
	if pid == 0 {
		return
	}
	process, err := os.FindProcess(pid) // a handle: never another process with the same id
	if err != nil || !hasEnvironment(fmt.Sprint("/proc/", pid), marker+"="+s.folder) {
		return
	}
	time.AfterFunc(after, func() { s.signal(process, signal) })
}

func (s *storm) signal(process *os.Process, signal syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// One that was killed can get another signal as long as it is not waited for.
	if process.Signal(signal) == nil && s.signaled[process.Pid] != syscall.SIGKILL {
		s.signaled[process.Pid] = signal
	}
}

// roleLife is a life of seconds, 0 in the calm.
func (s *storm) roleLife() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.raging {
		return 0
	}
	return time.Duration(3+s.faults.IntN(6)) * time.Second
}

// findAsker returns the id of the process that sent a request, among those with
// an entry in their environment; 0 if it has ended meanwhile.
func findAsker(r *http.Request, entry string) int {
	_, port, _ := strings.Cut(r.RemoteAddr, ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		panic(err)
	}
	sockets, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		panic(err)
	}
	// The columns are in proc(5): sl, local_address, rem_address ... inode.
	local := fmt.Sprintf("0100007F:%04X", number)
	inode := ""
	for line := range strings.Lines(string(sockets)) {
		if fields := strings.Fields(line); len(fields) > 9 && fields[1] == local {
			inode = "socket:[" + fields[9] + "]"
		}
	}
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		if !hasEnvironment(folder, entry) {
			continue
		}
		descriptors, _ := filepath.Glob(folder + "/fd/*")
		for _, descriptor := range descriptors {
			if target, err := os.Readlink(descriptor); err == nil && target == inode {
				pid, _ := strconv.Atoi(filepath.Base(folder))
				return pid
			}
		}
	}
	return 0
}

// exchange is one request that the provider acted on: a token that was sent, and
// what came of it.
type exchange struct {
	at        time.Time
	sent, got string // refresh tokens; sent can be a device code
	device    bool
	refused   bool // invalid_grant
	why       string
	delivered bool           // as far as the provider can tell
	asker     int            // process id
	ended     bool           // the process has, so that another one may have its id
	signal    syscall.Signal // that it got; 0: none
}

// exchangeLog is the provider's log.
type exchangeLog struct {
	mu             sync.Mutex
	exchanges      []exchange // pending polls are not among them
	authorizations []exchange
	signals        map[int]syscall.Signal // of the last process with that id that has ended
	refusals       int                    // by STS, of an ID token that has expired
	faults         map[fault]int
}

func (l *exchangeLog) add(endpoint string, r *http.Request, answer *httptest.ResponseRecorder, asker int, delivered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := exchange{at: time.Now(), delivered: delivered, asker: asker, signal: l.signals[asker]}
	switch endpoint {
	case "sts":
		if bytes.Contains(answer.Body.Bytes(), []byte("ExpiredToken")) {
			l.refusals++
		}
	case "device":
		l.authorizations = append(l.authorizations, e)
	case "token":
		var said struct {
			RefreshToken string `json:"refresh_token"`
			Error        string `json:"error"`
			Why          string `json:"error_description"`
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &said); err != nil {
			panic(err)
		}
		e.sent, e.got, e.refused = r.PostForm.Get("refresh_token"), said.RefreshToken, said.Error == "invalid_grant"
		e.why = said.Why
		if e.sent == "" {
			e.sent, e.device = r.PostForm.Get("device_code"), true
		}
		if e.got != "" || e.refused {
			l.exchanges = append(l.exchanges, e)
		}
	}
}

// processEnded notes which signal the process with that id has got, if any.
func (l *exchangeLog) processEnded(pid int, signal syscall.Signal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signals[pid] = signal
	for _, log := range [][]exchange{l.exchanges, l.authorizations} {
		for i := range log {
			if e := &log[i]; e.asker == pid && !e.ended {
				e.ended, e.signal = true, signal
			}
		}
	}
}

// renewals counts those that brought new tokens.
func (l *exchangeLog) renewals() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.exchanges {
		if !e.device && !e.refused {
			n++
		}
	}
	return n
}

func (l *exchangeLog) addFault(f fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults[f]++
	if f == refused {
		l.refusals++
	}
}
