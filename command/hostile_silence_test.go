package command

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Servers that take a request and say nothing, or a byte now and then: a request
// has 10 s, of real time. The rows wait side by side.
func TestServersThatSayNothing(t *testing.T) {
	t.Parallel()
	silent := func(_ *attack, w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(30 * time.Second):
		}
	}
	dripping := func(_ *attack, w http.ResponseWriter, r *http.Request) {
		for range 100 {
			if _, err := w.Write([]byte(" ")); err != nil || r.Context().Err() != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			time.Sleep(300 * time.Millisecond)
		}
	}
	const login, console = "login --profile dev --force", "console --print --profile dev"
	rows := []hostile{
		{name: "silent", at: "discovery", answer: silent},
		{name: "dripping", at: "discovery", answer: dripping},
		{name: "silent, once", at: "keys", answer: once(silent), command: login},
		{name: "silent", at: "device", answer: silent, command: login, exit: 6, says: "cannot log in: HOST does not answer as it should ("},
		{name: "dripping", at: "device", answer: dripping, command: login, exit: 6, says: "cannot log in: HOST does not answer as it should ("},
		{name: "silent, once", at: "poll", answer: once(silent), command: login},
		{name: "dripping, once", at: "poll", answer: once(dripping), command: login},
		{name: "silent, once", at: "refresh", answer: once(silent)},
		{name: "dripping, once", at: "refresh", answer: once(dripping)},
		{name: "silent", at: "revoke", answer: silent, command: "logout --profile dev", after: loginGone},
		{name: "silent, once", at: "sts", answer: once(silent)},
		{name: "dripping, once", at: "sts", answer: once(dripping)},
		{name: "silent, once", at: "sign-in", answer: once(silent), command: console},
		{name: "dripping, once", at: "sign-in", answer: once(dripping), command: console},
	}
	type outcome struct {
		code           int
		stdout, stderr bytes.Buffer
		took           time.Duration
	}
	attacks, outcomes := make([]*attack, len(rows)), make([]outcome, len(rows))
	var all sync.WaitGroup
	for i, row := range rows {
		a := row.prepare(t)
		a.box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !isFor(row.at, r) {
				return false
			}
			row.answer(a, w, r)
			return true
		})
		command := row.command
		if command == "" {
			command = "process --profile dev"
		}
		attacks[i] = a
		all.Go(func() {
			o, started := &outcomes[i], time.Now()
			o.code = Run(t.Context(), a.environment(&o.stdout, &o.stderr, strings.Fields(command)...))
			o.took = time.Since(started)
		})
	}
	all.Wait()
	for i, row := range rows {
		t.Run(row.at+"/"+row.name, func(t *testing.T) {
			o := &outcomes[i]
			if o.took > 25*time.Second {
				t.Errorf("it took %v", o.took)
			}
			row.check(t, attacks[i], o.code, o.stdout.String(), o.stderr.String())
			row.checkAfter(t, attacks[i])
		})
	}
}
