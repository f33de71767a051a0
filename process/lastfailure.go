package process

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
)

// LastFailure is how a profile last failed to give credentials. SDKs often lose
// what daypass said; status can still tell it.
type LastFailure struct {
	At   time.Time `json:"at"`
	Exit int       `json:"exit"`
	Line string    `json:"line"` // the first
}

const lastFailureMax = 4 << 10 // bytes

func (p *Provider) lastFailureFile() string { return "failure-" + roleKey(p.Profile) + ".json" }

// failed keeps a failure for status, and returns it.
func (p *Provider) failed(err error) error {
	var f *failure.Error
	if errors.As(err, &f) && f.Exit != failure.ExitInterrupt && len(f.Lines) > 0 {
		if data, err := json.Marshal(LastFailure{wall(p.Now()), f.Exit, f.Lines[0]}); err == nil && len(data) <= lastFailureMax {
			_ = cache.WriteFile(p.Locks.Dir, p.lastFailureFile(), data)
		}
	}
	return err
}

// lastFailure is the profile's last failure, or nil.
func (p *Provider) lastFailure() *LastFailure {
	var last LastFailure
	data, err := cache.ReadFile(p.Locks.Dir, p.lastFailureFile(), lastFailureMax)
	if err != nil || json.Unmarshal(data, &last) != nil || last.Line == "" {
		return nil
	}
	return &last
}
