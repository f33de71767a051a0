package process

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/daypass/daypass/browserflow"
	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/secret"
)

// The links of the pipeline, one by one, for daypass doctor. None of them asks a
// person, but any may wait for another process until ctx ends. Every error is a
// [*failure.Error].

// CheckStorage reports whether the login can be reached where it is kept, and
// whether the storage of the settings takes a record of the size of a large login:
// one is written, read back and deleted. It returns the name of that storage.
func (p *Pipeline) CheckStorage(ctx context.Context) (where string, err error) {
	defer func() {
		if err != nil {
			err = p.Fill(p.keyringFailure(ctx, err))
		}
	}()
	if _, err := p.Kept.Key(ctx); err != nil && !notThere(err) {
		return "", err
	}
	if err := p.notStopped("doctor"); err != nil {
		return "", err
	}
	lock, err := p.Locks.Lock(ctx, "doctor")
	if err != nil {
		return "", p.lockFailure(ctx, err)
	}
	defer lock.Unlock()
	scratch, err := p.Storages.Login(cache.Name("doctor"), p.Profile.IDP.Storage)
	if err == nil {
		err = scratch.Choose(ctx, "doctor", nil)
	}
	if err != nil {
		return "", err
	}
	where = scratch.Where()
	record := []byte(strings.Repeat(rand.Text(), 300)) // 7.8 kB: more than one item of most keyrings
	if err = scratch.SetRecord(ctx, record); err == nil {
		var read []byte
		if read, err = scratch.Record(ctx); err == nil && !bytes.Equal(read, record) {
			err = &cache.UnreadableError{Where: where, Err: errors.New("what was read is not what was written")}
		}
	}
	places, listed := scratch.Items()
	errs := []error{err, listed}
	for _, items := range places {
		errs = append(errs, items.Delete(context.WithoutCancel(ctx)))
	}
	if err := errors.Join(errs...); err != nil {
		return "", err // the next try finds what is left
	}
	return where, scratch.Forget()
}

// Diagnose asks the provider what it publishes, whatever is remembered of it. With an
// error, the diagnosis still holds what is known of the clock.
func (p *Pipeline) Diagnose(ctx context.Context) (idp.Diagnosis, error) {
	flow, err := p.flow()
	if err != nil {
		return idp.Diagnosis{}, p.Fill(err)
	}
	d, err := flow.Diagnose(ctx)
	return d, p.Fill(err)
}

// TryClient asks the provider whether it lets the client log people in: it asks for a
// code, which nobody is shown. It returns the flow. Only a person can find out whether
// the client may log in with a browser.
func (p *Pipeline) TryClient(ctx context.Context) (kind string, err error) {
	flow, err := p.flow()
	if err != nil {
		return "", p.Fill(err)
	}
	metadata, err := flow.Metadata(ctx)
	if err == nil {
		kind, _, err = p.CheckFlow(ctx, metadata)
	}
	if err == nil && kind == DeviceFlow {
		_, err = flow.Authorize(ctx)
	}
	if p.fallsBack(err, metadata) {
		kind, err = BrowserFlow, nil
	}
	return kind, p.Fill(err)
}

// CheckFlow returns how people log in at a provider that publishes m, also in words.
// The error says what is missing for that.
func (p *Pipeline) CheckFlow(ctx context.Context, m idp.Metadata) (kind, text string, err error) {
	kind, why := p.FlowFor(m)
	text = kind + " (" + why + ")"
	if kind == DeviceFlow {
		endpoint, err := p.Flow.NeedEndpoint(m)
		return kind, text + ": " + endpoint, p.Fill(err)
	}
	tab, err := browserflow.Listen(ctx, p.Flow.Client, p.Profile.IDP.RedirectURIs)
	if err == nil {
		tab.Close()
	}
	return kind, text + ", which comes back to " + strings.Join(p.Profile.IDP.RedirectURIs, " or "), p.Fill(err)
}

// checkLocks is notStopped for whatever a role, or one on the way to it, may wait for.
func (p *Pipeline) checkLocks() error {
	err := p.notStopped(p.roleLock(), p.loginLock(), p.helperLock())
	if err == nil && p.Profile.Source != nil {
		return p.source().checkLocks()
	}
	return err
}

// notStopped names a process that holds one of the locks and is stopped, as by Ctrl-Z:
// every other one waits for it. Only Linux tells who holds a lock.
func (p *Pipeline) notStopped(locks ...string) error {
	for _, name := range locks {
		if id := stoppedHolder(filepath.Join(p.Locks.Dir, name+".lock")); id != "" {
			return failure.New(failure.ExitNetwork, nil, "process "+id+" is stopped, and other daypass commands wait for it.",
				"Bring it to the foreground in its terminal (fg), or end it: kill "+id+"; kill -CONT "+id)
		}
	}
	return nil
}

// stoppedHolder returns the id of the stopped process that holds the lock on a file, or "".
//
// https://man7.org/linux/man-pages/man5/proc_locks.5.html
func stoppedHolder(path string) string {
	lock, err := os.Stat(path)
	locks, _ := os.ReadFile("/proc/locks") // as in "1: FLOCK ADVISORY WRITE 4711 08:01:42 0 EOF"
	for line := range strings.Lines(string(locks)) {
		fields := strings.Fields(line)
		if err != nil || len(fields) < 5 || fields[1] != "FLOCK" {
			continue
		}
		process := "/proc/" + fields[4]
		if stat, _ := os.ReadFile(process + "/stat"); !bytes.Contains(stat, []byte(") T ")) {
			continue
		}
		files, _ := filepath.Glob(process + "/fd/*")
		for _, file := range files {
			if open, err := os.Stat(file); err == nil && os.SameFile(open, lock) {
				return fields[4]
			}
		}
	}
	return ""
}

// Identity is a login as AWS sees it.
type Identity struct {
	idp.Token
	Who    string // for people
	Until  time.Time
	Renews bool // there is a refresh token
}

// Identity returns the current login. It renews it first if that is necessary and does
// not need a person.
func (p *Pipeline) Identity(ctx context.Context) (Identity, error) {
	if err := p.checkLocks(); err != nil {
		return Identity{}, err
	}
	l, err := p.idToken(ctx, p.Now(), silently, secret.String{})
	if err != nil {
		return Identity{}, p.Fill(err)
	}
	t := l.token()
	return Identity{Token: t, Who: who(t), Until: l.Expires, Renews: !l.RefreshToken.Empty()}, nil
}

// TryRole assumes the role with the current login, and for a chained role each role on
// the way to it, whatever is cached. It returns the ARN of their session.
func (p *Pipeline) TryRole(ctx context.Context) (string, error) {
	r, err := p.tryRole(ctx)
	if err != nil {
		return "", p.Fill(err)
	}
	return r.AssumedRole, nil
}

func (p *Pipeline) tryRole(ctx context.Context) (*role, error) {
	if p.Profile.Source != nil {
		source := p.source()
		if _, err := source.tryRole(ctx); err != nil {
			return nil, p.onTheWay(source, err)
		}
	}
	return p.renewRole(ctx, p.Now(), silently)
}

// Reach sends one empty request to a server of AWS. Any HTTP answer will do.
func (p *Pipeline) Reach(ctx context.Context, address string) error {
	transport, err := p.stsTransport()
	request, wrong := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err := cmp.Or(err, wrong); err != nil {
		return p.Fill(err)
	}
	response, err := newClient(transport).Do(request)
	if proxy, ok := errors.AsType[*failure.Error](err); ok {
		return p.Fill(proxy)
	}
	if err != nil {
		return p.Fill(failure.New(failure.ExitNetwork, err, "cannot reach "+request.URL.Host+": "+reason(err)+".",
			"Check the network, and HTTPS_PROXY if there is a proxy.", "If a company CA signs for AWS, set AWS_CA_BUNDLE."))
	}
	return response.Body.Close()
}
