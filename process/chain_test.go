package process

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// spoke makes p a process of a profile whose role dev's role assumes, and has the
// role trust what its trust policy says.
func (w *world) spoke(name string) func(*Pipeline) {
	w.t.Helper()
	change := func(p *Pipeline) {
		hub := p.Profile
		p.Profile.Source, p.Profile.Name, p.Profile.RoleName, p.Profile.AccountID = &hub, name, name, "444455556666"
		p.Profile.RoleARN, p.Profile.ExternalID = "arn:aws:iam::444455556666:role/"+name, "id-of-"+name
	}
	policy, err := w.pipeline(change).TrustPolicy(w.t.Context(), "")
	if err == nil {
		err = w.box.Trust("arn:aws:iam::444455556666:role/"+name, string(policy.Document))
	}
	must(w.t, err)
	return change
}

// One login, one AssumeRoleWithWebIdentity and twenty AssumeRole, under the person's
// session name throughout.
func TestChainedRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	var all sync.WaitGroup
	for i := range 20 {
		spoke := w.spoke(fmt.Sprint("spoke", i))
		all.Go(func() {
			c, err := w.run(spoke)
			if err != nil || c.AccountID != "444455556666" || c.AssumedRole != fmt.Sprintf("arn:aws:sts::444455556666:assumed-role/spoke%d/taro@example.com", i) {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
	all.Wait()
	w.counts(map[string]int{"device": 1, "sts": 1, "sts:chained": 20})
	spoke := w.spoke("spoke0")
	w.mustRun(spoke)
	w.counts(map[string]int{"sts": 1, "sts:chained": 20})
	// The source is renewed first if it must be.
	w.clock.Advance(55 * time.Minute)
	w.mustRun(spoke)
	w.mustRun()
	w.counts(map[string]int{"device": 1, "sts": 2, "sts:chained": 21})
	if s := w.pipeline(spoke).Status(t.Context()); s.SourceProfile != "dev" || s.Credentials == nil || s.NeedsPerson {
		t.Errorf("%+v", s)
	}
	if session, err := w.pipeline(spoke).TryRole(w.ctx()); err != nil || !strings.Contains(session, "assumed-role/spoke0/") {
		t.Errorf("%q, %v", session, err)
	}
}

// Whose refusal it is, is told, with both roles.
func TestChainRefused(t *testing.T) {
	t.Parallel()
	const spokeARN = "arn:aws:iam::444455556666:role/spoke"
	for name, c := range map[string]struct {
		set   func(*world)
		exit  int
		first string
	}{
		"the spoke's trust policy": {func(w *world) {
			_ = w.box.Trust(spokeARN, strings.ReplaceAll(`{"Statement": {"Effect": "Allow", "Principal": {"AWS": "HUB"}, "Action": "sts:AssumeRole",
				"Condition": {"StringEquals": {"sts:ExternalId": "another"}}}}`, "HUB", w.box.RoleARN))
		}, failure.ExitAWS, "AWS refused role " + spokeARN + ": it does not exist, its trust policy does not let in role "},
		"the hub's": {func(w *world) {
			_ = w.box.Trust(w.box.RoleARN, `{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*"}}`)
		}, failure.ExitAWS, "on the way to role " + spokeARN + ": AWS refused role "},
		"credentials that AWS does not take": {func(w *world) {
			w.mustRun() // the hub's: they are renewed once
			w.clock.Advance(time.Second)
			stale := sandbox.STSError{Code: "ExpiredToken"}
			w.answerChained(nil, stale, stale)
		}, failure.ExitAWS, "AWS does not take the credentials of profile dev, which assume role " + spokeARN},
		"nor any others to be had": {func(w *world) {
			w.mustRun()
			w.clock.Advance(time.Second)
			_ = w.box.Trust(w.box.RoleARN, `{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*"}}`)
			stale := sandbox.STSError{Code: "InvalidClientTokenId"}
			w.answerChained(nil, stale, stale)
		}, failure.ExitAWS, "AWS does not take the credentials of profile dev, which assume role " + spokeARN},
		"an explicit deny": {func(w *world) {
			w.answerChained(nil, sandbox.STSError{Code: "AccessDenied", Message: "not authorized to perform: sts:AssumeRole on resource: x with an explicit deny"})
		}, failure.ExitAWS, "AWS refused role " + spokeARN + " to role arn:aws:iam::111122223333:role/Developer (AccessDenied: not authorized to perform: sts:AssumeRole on resource: x with an explicit deny)."},
		"another action": {func(w *world) {
			w.answerChained(nil, sandbox.STSError{Code: "AccessDenied", Message: "not authorized to perform: sts:SetSourceIdentity on resource: x"})
		}, failure.ExitAWS, "AWS refused role " + spokeARN + " to role arn:aws:iam::111122223333:role/Developer (AccessDenied: not authorized to perform: sts:SetSourceIdentity on resource: x)."},
		"an error that repeats the token": {func(w *world) {
			w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.PostForm.Get("Action") == "AssumeRole" {
					w.box.FailSTS(sandbox.STSError{Code: "ValidationError", Message: "what is " + r.Header.Get("X-Amz-Security-Token")})
				}
				return false
			})
		}, failure.ExitAWS, "AWS refuses the request for role " + spokeARN + " (ValidationError: ...)."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sandbox.Options{})
			spoke := w.spoke("spoke")
			c.set(w)
			err := w.fails(c.exit, c.first, spoke)
			if len(failure.From(err).Lines) > 3 {
				t.Errorf("%q", failure.From(err).Lines)
			}
			if name == "the spoke's trust policy" && !strings.Contains(err.Error(), "Caller: arn:aws:sts::111122223333:assumed-role/Developer/taro@example.com request=") {
				t.Errorf("%v", err)
			}
		})
	}
}

// Twenty spokes of a hub that AWS refuses: one request, and each is told. So with a
// person who refuses.
func TestChainsOfAFailingHub(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set    func(*world)
		exit   int
		counts map[string]int
	}{
		"AWS refuses": {func(w *world) {
			w.box.FailSTS(sandbox.STSError{Code: "AccessDenied", Message: "Not authorized to perform"})
		},
			failure.ExitAWS, map[string]int{"device": 1, "sts": 1, "sts:chained": 0}},
		"the person refuses": {func(w *world) { w.answer = func(code string) { _ = w.box.Deny(code) } },
			failure.ExitRefused, map[string]int{"device": 1, "sts": 0, "sts:chained": 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sandbox.Options{})
			c.set(w)
			var all sync.WaitGroup
			for i := range 20 {
				spoke := w.spoke(fmt.Sprint("spoke", i))
				all.Go(func() {
					if _, err := w.run(spoke); failure.From(err).Exit != c.exit {
						t.Errorf("spoke %d: %v", i, err)
					}
				})
			}
			all.Wait()
			w.counts(c.counts)
			// AWS's refusal is not over with another login.
			w.answer = w.approve
			w.clock.Advance(time.Minute)
			w.mustLogin(true)
			if f := w.pipeline(w.spoke("spoke0")).Status(t.Context()).LastFailure; (f != nil) != (c.exit == failure.ExitAWS) {
				t.Errorf("last failure %+v", f)
			}
		})
	}
}

// answerChained has AssumeRole answered with errors of STS, and then by answer,
// unless that returns false.
func (w *world) answerChained(answer func(http.ResponseWriter) bool, errors ...sandbox.STSError) {
	w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.PostForm.Get("Action") != "AssumeRole" {
			return false
		}
		if len(errors) == 0 {
			return answer(rw)
		}
		w.box.FailSTS(errors[0])
		errors = errors[1:]
		return false
	})
}

// While old credentials serve, nobody is asked for the source's login either.
func TestChainRenewsSilently(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{IDTokenLife: 30 * time.Minute})
	chained := w.spoke("spoke")
	spoke := func(p *Pipeline) { chained(p); p.Profile.Source.Duration = 30 * time.Minute }
	first := w.mustRun(spoke)
	w.clock.Advance(50 * time.Minute)
	w.box.EndLogins()
	if c := w.mustRun(spoke); c.AccessKeyID != first.AccessKeyID || len(w.shown) != 1 {
		t.Errorf("shown %v", w.shown)
	}
	w.clock.Advance(10 * time.Minute)
	w.mustRun(spoke)
	w.counts(map[string]int{"device": 2})
}

// A logout while the role is being assumed wins, whatever AWS says.
func TestLogoutDuringAChain(t *testing.T) {
	t.Parallel()
	for _, refused := range []bool{false, true} {
		w := newWorld(t, sandbox.Options{})
		spoke := w.spoke("spoke")
		w.mustRun()
		w.answerChained(func(http.ResponseWriter) bool { w.mustLogout(); return refused })
		w.fails(failure.ExitLogin, "the login was removed or replaced while profile spoke renewed.", spoke)
		w.servesNobody()
	}
}
