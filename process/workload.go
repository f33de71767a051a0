package process

import (
	"context"
	"strings"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/workload"
)

// A workload's section names the source of its ID tokens, so it needs no login:
// there is no login record, and nobody is asked. Its role credentials are kept as
// those of a login are, under the same lock; but where nothing can be kept, as in
// a container, it goes on without.

// isWorkload reports that nobody logs in: ID tokens come from elsewhere.
func (p *Pipeline) isWorkload() bool { return p.Profile.IDP.Source != "" }

// workloadLogin is what a login would be: a new ID token, and the key that seals what
// comes of it.
func (p *Pipeline) workloadLogin(ctx context.Context) (*login, error) {
	t, err := p.workloadToken(ctx)
	if err != nil {
		return nil, fromAWS{err}
	}
	l := &login{}
	l.take(t, p.Now())
	p.Profile.IDP.ClientID = shortened(audienceAtAWS(t), l) // for words about it
	if p.forRole {
		l.key, l.unstored = p.workloadKey(ctx)
	}
	return l, nil
}

func (p *Pipeline) workloadToken(ctx context.Context) (idp.Token, error) {
	transport, err := p.metadata(p.Profile.IDP.Source)
	if err != nil {
		return idp.Token{}, err
	}
	t, err := workload.Token(ctx, p.cloud(transport), p.Profile.IDP)
	p.debug("get an ID token", "source", p.Profile.IDP.Source, "ok", err == nil)
	return t, err
}

// workloadKey returns the key for role credentials. It is made under the lock of a
// login, which a logout holds as well.
func (p *Pipeline) workloadKey(ctx context.Context) (cache.Key, error) {
	key, err := p.Kept.Key(ctx)
	if err == nil || !notThere(err) {
		return key, err
	}
	lock, err := p.Locks.Lock(ctx, p.loginLock())
	if err != nil {
		return cache.Key{}, err
	}
	defer lock.Unlock()
	if key, err = p.Kept.Key(ctx); err == nil || !notThere(err) {
		return key, err
	}
	if err := p.Kept.Choose(ctx, p.Profile.IDP.Name, nil); err != nil {
		return cache.Key{}, err
	}
	return p.Kept.NewKey(ctx)
}

// workloadMark tells jobs apart that share a machine: what one was given is not for the
// next, whose token AWS might refuse. It is "" for sources that give all that runs here
// the same.
func (p *Pipeline) workloadMark() string {
	kind, name, _ := strings.Cut(p.Profile.IDP.Source, ":")
	switch kind {
	case "env":
		return cache.Name(p.Getenv(name))
	case "github-actions":
		return cache.Name(p.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	}
	return ""
}

// knownToken is the token of the current login, or of the source. The error is
// [cache.ErrMiss] if nobody has logged in.
func (p *Pipeline) knownToken(ctx context.Context) (idp.Token, error) {
	if p.isWorkload() {
		return p.workloadToken(ctx)
	}
	l, _, err := p.readLogin(ctx)
	if err != nil {
		return idp.Token{}, err
	}
	return l.token(), nil
}
