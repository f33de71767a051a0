//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// SOAK is how long the storms last, such as 5m; SOAK_SEED repeats the dice of an
// earlier run, as far as the machine's own timing lets it.
const (
	soakVariable     = "SOAK"
	soakSeedVariable = "SOAK_SEED"
	soakUsual        = 15 * time.Second
	leastRenewals    = 8
)

// Many processes at once, ended at random moments, while the provider, STS and
// the keyring fail at random. Whatever happened, every profile serves in the end
// without a hand, and what it cost is bounded.
func TestSoak(t *testing.T) {
	lasts := soakUsual
	if text := os.Getenv(soakVariable); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64()
	if text := os.Getenv(soakSeedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	asked := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
	killed := append(asked, syscall.SIGKILL, syscall.SIGKILL, syscall.SIGKILL)
	for i, weather := range []weather{
		// Processes that are asked to end lose nothing.
		{name: "asked to end", signals: asked, storages: []string{"auto", "file"}},
		// A killed one can lose the login, but only between the provider's answer
		// and the store. So can a lost answer.
		{name: "killed", signals: killed, storages: []string{"keyring", "file"}, loseAnswers: true},
		// Not even these where the provider takes a used token for a while.
		{name: "killed, 30 s of grace", signals: killed, storages: []string{"keyring", "auto"}, loseAnswers: true, grace: 30 * time.Second},
	} {
		t.Run(weather.name, func(t *testing.T) {
			t.Parallel()
			t.Logf("seed: %s=%d", soakSeedVariable, seed)
			storm := newStorm(t, weather, seed+uint64(i))
			storm.rage(lasts)
			storm.calm()
			storm.checkProfiles()
			storm.checkCounts()
			storm.checkLogout()
		})
	}
}

// weather is what a storm may do.
type weather struct {
	name        string
	signals     []syscall.Signal // that end processes
	storages    []string         // of the two logins
	loseAnswers bool             // answers get lost on their way back
	grace       time.Duration    // sandbox.Options.ReuseGrace
}

// idTokenLife is short, so that most renewals of a role need a refresh.
const idTokenLife = 4 * time.Second

// storm is one computer under stress, with two logins of three roles each.
type storm struct {
	*computer
	weather  weather
	seed     uint64
	profiles []string
	tabs     func() []string
	log      exchangeLog
	// keyringGoes has the keyring's daemon ended, at a moment that matters.
	keyringGoes chan struct{}

	mu       sync.Mutex
	began    time.Time
	raging   bool
	faults   *rand.Rand
	arrived  map[string]bool        // refresh tokens that were sent to the provider
	signaled map[int]syscall.Signal // the last one that each process got
	runs     int
	exits    map[int]int // how often processes ended with which exit code
	restarts int         // of the keyring
	crashes  int         // of its daemon, see keyringCrash
}

func newStorm(t *testing.T, w weather, seed uint64) *storm {
	s := &storm{
		computer: newComputer(t, nil, sandbox.Options{Rotate: true, IDTokenLife: idTokenLife, ReuseGrace: w.grace}),
		weather:  w,
		seed:     seed,
		began:    time.Now(),
		faults:   rand.New(rand.NewPCG(seed, 0)),
		arrived:  map[string]bool{},
		signaled: map[int]syscall.Signal{},
		exits:    map[int]int{},
		log:      exchangeLog{signals: map[int]syscall.Signal{}, faults: map[fault]int{}},

		keyringGoes: make(chan struct{}),
	}
	s.tabs = s.startPerson()
	var sections []string
	for _, section := range w.storages { // named like them
		sections = append(sections, s.section(section, "storage = "+section, "process_timeout = 20s"))
		for i := range 3 {
			s.profiles = append(s.profiles, fmt.Sprint(section, i))
			sections = append(sections, s.profile(fmt.Sprint(section, i), section))
		}
	}
	s.writeConfig(sections...)
	if w.grace > 0 {
		// A device code is redeemed once, whatever the grace for refresh tokens: so
		// these logins are made in peace.
		for _, section := range w.storages {
			r := s.process(section + "0")
			for range 3 { // on a busy machine, the ID token can end before STS has it
				if r.code == 5 {
					r = s.process(section + "0")
				}
			}
			if r.code != 0 {
				t.Fatalf("login: %+v", r)
			}
		}
	}
	s.aws.Intercept(s.intercept)
	return s
}

// rage lets processes run, several at once, and restarts the keyring, until the
// storm is over and the last process has ended.
func (s *storm) rage(lasts time.Duration) {
	s.raging = true // nobody asks yet
	began := time.Now()
	over := func() bool {
		lasted := time.Since(began)
		// A busy machine needs longer for as much.
		return lasted > lasts && s.log.renewals() >= leastRenewals || lasted > 4*lasts
	}
	var workers sync.WaitGroup
	for i := range 5 {
		random := rand.New(rand.NewPCG(s.seed, uint64(i+1)))
		workers.Go(func() {
			for !over() {
				s.runOne(random)
				time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
			}
		})
	}
	ended := make(chan struct{})
	go func() { workers.Wait(); close(ended) }()
	random := rand.New(rand.NewPCG(s.seed, 100))
	for raging := true; raging; {
		select {
		case <-ended:
			raging = false
			time.Sleep(time.Second) // for a crash
		case <-time.After(100 * time.Millisecond):
		case <-s.keyringGoes:
			s.restartKeyring(time.Duration(random.Int64N(int64(2 * time.Second))))
			time.Sleep(2 * time.Second) // of use between two restarts
		}
		if s.keyring.crashed(keyringCrash) {
			s.restartKeyring(0) // as a desktop does
		}
	}
}

// runOne runs one command on one profile, and perhaps ends it at a random moment.
// Whatever the storm does, it must end in time, and as documented.
func (s *storm) runOne(random *rand.Rand) {
	profile := s.profiles[random.IntN(len(s.profiles))]
	argv := []string{installed.daypass, "process", "--profile", profile}
	switch random.IntN(10) {
	case 0:
		argv = []string{installed.daypass, "exec", "--profile", profile, "--", "true"}
	case 1:
		argv = []string{installed.daypass, "status", "--profile", profile}
	case 2:
		argv = []string{installed.daypass, "token", "--profile", profile}
	}
	running := s.start(argv...)
	pid := running.Process.Pid
	if random.IntN(3) == 0 {
		signal := s.weather.signals[random.IntN(len(s.weather.signals))]
		after := time.Duration(random.IntN(600)) * time.Millisecond
		defer time.AfterFunc(after, func() { s.signal(running.Process, signal) }).Stop()
	}
	r := running.end() // process has 20 s, and an exchange is not cut off
	ended := time.Now()

	s.mu.Lock()
	signal, signaled := s.signaled[pid]
	delete(s.signaled, pid)
	if signal == syscall.SIGKILL && r.code != -1 {
		signal = 0 // it had ended before
	}
	s.log.processEnded(pid, signal)
	s.runs++
	s.exits[r.code]++
	s.mu.Unlock()

	s.checkEnd(argv, r, signaled, signal, ended)
}

// checkEnd checks exit code and output of one process.
func (s *storm) checkEnd(argv []string, r result, signaled bool, signal syscall.Signal, ended time.Time) {
	expected := slices.Contains([]int{0, 3, 4, 5, 6, 7}, r.code)
	if signaled { // -1: SIGKILL, or another one before main has begun; of several signals, the first counts
		expected = expected || slices.Contains([]int{-1, 129, 130, 143}, r.code)
	}
	lines := strings.Count(r.stderr, "\n")
	if !expected || lines > 3 || r.code == 0 && lines > 0 || r.code > 0 && lines == 0 {
		s.t.Errorf("%q: exit code %d, signal %v, standard error:\n%s", argv, r.code, signal, r.stderr)
	}
	if r.code > 0 && r.stdout != "" && argv[1] != "status" {
		s.t.Errorf("%q: exit code %d with %d bytes on standard output", argv, r.code, len(r.stdout))
	}
	var document version1
	if argv[1] == "process" && (r.code == 0 || r.stdout != "") {
		printed := ended.Add(-3 * time.Second) // at most: on a busy machine its end is seen late
		if err := json.Unmarshal([]byte(r.stdout), &document); err != nil || document.Version != 1 || document.SessionToken == "" || !document.Expiration.After(printed) {
			s.t.Errorf("%q: standard output of %d bytes is no document with credentials that last (until %v, at %v), %v", argv, len(r.stdout), document.Expiration, ended, err)
		}
	}
}

// restartKeyring ends the keyring's daemon, if it has not crashed. It comes back
// locked, and after a while somebody unlocks it.
func (s *storm) restartKeyring(locked time.Duration) {
	s.t.Helper()
	env := slices.DeleteFunc(s.environ(), func(entry string) bool { return strings.HasPrefix(entry, marker) })
	launch := func() { s.keyring = launchDaemon(s.t, keyringCommand(env, "")) }
	crashed := func() bool {
		if !s.keyring.crashed(keyringCrash) {
			return false
		}
		s.crashes++
		return true
	}
	if !crashed() {
		s.keyring.stop()
	}
	launch()
	time.Sleep(locked)
	await(s.t, "the keyring to be unlocked", func() bool {
		if crashed() {
			launch()
		}
		return unlockKeyring(s.t, s.bus, keyringPassword) == nil
	})
	s.restarts++
}

// calm ends the faults.
func (s *storm) calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raging = false
}

// checkProfiles has every profile serve without a hand: with what is stored, and
// with new role credentials from a renewed ID token. A provider that has failed
// is left alone for half a minute.
func (s *storm) checkProfiles() {
	s.t.Helper()
	for _, duration := range []string{"1h", "40m"} {
		time.Sleep(idTokenLife)
		end := time.Now().Add(time.Minute)
		for _, profile := range s.profiles {
			serve := func() result {
				return s.run(installed.daypass, "process", "--profile", profile, "--duration", duration)
			}
			r := serve()
			for ; r.code != 0 && time.Now().Before(end); r = serve() {
				time.Sleep(500 * time.Millisecond)
			}
			if r.code != 0 {
				s.t.Errorf("profile %s does not serve after the storm: exit code %d\n%s", profile, r.code, r.stderr)
			}
		}
	}
}

// checkCounts prints what the storm has cost, and compares it with what it may.
func (s *storm) checkCounts() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.log.count(slices.Contains(s.weather.signals, syscall.SIGKILL))
	lost := c.lostAnswers
	if s.weather.grace > 0 {
		lost = 0
	}
	logins := len(s.weather.storages) + c.lost + c.forgotten
	s.t.Logf("%d processes, by exit code: %v", s.runs, s.exits)
	s.t.Logf("faults: %v; the keyring was restarted %d times, because of a crash %d times", s.log.faults, s.restarts, s.crashes)
	for _, line := range []struct {
		what      string
		n, atMost int
		because   string
	}{
		{"authorizations", c.authorizations, logins + c.cutAuthorizations, "one for each section and each login lost, and those whose answer nobody got"},
		{"tabs", len(s.tabs()), logins, "one for each section and each login lost"},
		{"refreshes", c.refreshes, s.mayRefresh() + c.lostAnswers, "one for each ID token that ended or that STS refused, and each lost answer"},
		{"reused tokens", s.aws.Reused(), c.lostAnswers, "one for each lost answer"},
		{"logins lost", c.lost, lost, "one for each lost answer, none with a grace"},
		{"unexplained", len(c.unexplained), 0, "of those reused and lost; the others were answered, and not stored because of SIGKILL or a lost answer"},
	} {
		s.t.Logf("%s: %d, at most %d: %s", line.what, line.n, line.atMost, line.because)
		if line.n > line.atMost {
			s.t.Errorf("%s: %d, more than %d", line.what, line.n, line.atMost)
		}
	}
	for _, history := range c.unexplained {
		s.t.Errorf("unexplained: %s", history)
	}
	tabs := slices.Sorted(slices.Values(s.tabs()))
	if len(slices.Compact(slices.Clone(tabs))) != len(tabs) {
		s.t.Errorf("a code was opened twice: %q", tabs)
	}
	if c.refreshes < leastRenewals {
		s.t.Errorf("only %d refreshes: that was no storm", c.refreshes)
	}
}

// checkLogout ends all logins: nothing of them is left, in no storage. "auto" may
// have kept some in the kernel keyring, which is not this computer's alone.
func (s *storm) checkLogout() {
	s.t.Helper()
	for _, section := range s.weather.storages { // --all would reach what other tests keep
		if r := s.say("logout", "--idp", section); r.code != 0 {
			s.t.Errorf("logout: %+v", r)
		}
	}
	if n := s.items(); n != 0 {
		s.t.Errorf("the Secret Service holds %d items after the logout", n)
	}
	s.env["DAYPASS_PROMPT"] = "never"
	for _, profile := range s.weather.storages {
		s.ends(3, "", "process", "--profile", profile+"0")
	}
}

// mayRefresh is how many ID tokens can have come to their end: about a tenth
// before their expiry, which is in whole seconds; or because STS said so.
func (s *storm) mayRefresh() int {
	lasted := time.Since(s.began)
	shortest := idTokenLife*9/10 - time.Second
	return len(s.weather.storages)*(1+int(lasted/shortest)) + s.log.refusals
}
