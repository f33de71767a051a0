//go:build e2e && linux

package e2e

import (
	"fmt"
	"syscall"
	"time"
)

// counts is what a storm has cost, read from the provider's log.
type counts struct {
	authorizations    int
	cutAuthorizations int // nobody got the answer, or it was ended around that moment

	refreshes   int
	lostAnswers int // to token requests: dropped, or the process was killed

	lost int // logins whose token or code the provider refused
	// forgotten are the codes that a process has redeemed which was killed, and that
	// nobody sent again: the code is dropped as soon as its answer is there.
	forgotten int

	// unexplained are the requests with each token that was sent once more, or refused,
	// though nothing had kept daypass from storing its successor.
	unexplained []string
}

// count reads the log. kills says that SIGKILL was among the signals.
func (l *exchangeLog) count(kills bool) counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	var c counts
	// A process of which no trace is left when its request is read was killed
	// while that was on its way.
	killed := func(e exchange) bool {
		return kills && (e.asker == 0 || e.signal == syscall.SIGKILL)
	}

	c.authorizations = len(l.authorizations)
	for _, e := range l.authorizations {
		if !e.delivered || e.signal != 0 || e.asker == 0 {
			c.cutAuthorizations++
		}
	}

	redeemed := map[string]exchange{} // by token or code: the last time that it brought new tokens
	login := map[string]string{}      // by token: the code, or the first token, that it goes back to
	explained, lost, forgotten := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, e := range l.exchanges {
		of, known := login[e.sent]
		if !known {
			of = e.sent
		}
		if !e.delivered || killed(e) {
			c.lostAnswers++
		}
		if e.device && killed(e) {
			forgotten[e.sent] = true
		}
		before, again := redeemed[e.sent]
		if again {
			delete(forgotten, e.sent)
			// Either of the two may have been killed with its request sent.
			if before.delivered && !killed(before) && !killed(e) {
				c.unexplained = append(c.unexplained, l.history(e.sent))
			}
			explained[of] = true
		}
		if e.refused {
			if !explained[of] {
				c.unexplained = append(c.unexplained, l.history(e.sent))
			}
			lost[of] = true
			delete(redeemed, e.sent) // where this answer is lost too, it is no news
			continue
		}
		if !e.device {
			c.refreshes++
		}
		redeemed[e.sent], login[e.got] = e, of
	}
	c.lost, c.forgotten = len(lost), len(forgotten)
	return c
}

// history is what the provider saw of one token or device code.
func (l *exchangeLog) history(sent string) string {
	kind, text := "refresh token", ""
	for _, e := range l.exchanges {
		if e.sent != sent {
			continue
		}
		if e.device {
			kind = "device code"
		}
		text += fmt.Sprintf("; %s process %d", e.at.Format(time.StampMilli), e.asker)
		if e.signal != 0 {
			text += fmt.Sprintf(" (%v)", e.signal)
		}
		if e.refused {
			text += " refused: " + e.why
		}
		if !e.delivered {
			text += " answer lost"
		}
	}
	return kind + text
}
