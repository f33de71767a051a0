package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
)

// unlockPause is how long the keyring's own dialog is not shown again by itself to
// somebody who has dismissed it: some SDKs start process twice for one command.
const unlockPause = 10 * time.Second

// unlock is unlockItems for the login where it is kept.
func (p *Pipeline) unlock(ctx context.Context, how manner, locked error) error {
	items, _, _ := p.Kept.Present() // none, if a logout came in between
	return p.unlockItems(ctx, how, items, locked)
}

// unlockItems asks for the keyring of items to be unlocked. However many processes find it
// locked, for whatever login, one dialog is raised at a time: those that waited behind
// one that was dismissed end with it, and so do the next of the same login for
// [unlockPause]. If nobody is asked to log in, nobody is asked for a password either.
// locked is how a read failed, and the error if nobody is asked.
func (p *Pipeline) unlockItems(ctx context.Context, how manner, items cache.Items, locked error) error {
	if items.Keyring == nil || !items.CanAsk() || !p.person().there() {
		return locked // nobody waits for a dialog at another screen
	}
	lock, err := p.Locks.TryLock(unlockLock())
	waited := errors.Is(err, cache.ErrBusy)
	if waited {
		lock, err = p.Locks.Lock(ctx, unlockLock())
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &cache.UnreachableError{Where: items.Name(), Locked: true, Err: cache.ErrUnanswered}
	case err != nil:
		return p.lockFailure(ctx, err)
	}
	defer lock.Unlock()
	still, n := items.Locked(ctx), p.readNote(loginNote)
	shared := waited && !errors.Is(still, cache.ErrConfirms) // the dialog, which was for us too
	switch {
	case still == nil:
		return nil // the one before us unlocked it
	case (shared || !how.typed()) && n.Exit == failure.ExitKeyring && recent(n.At, p.Now(), unlockPause):
		return n.failure()
	case shared:
		return &cache.UnreachableError{Where: items.Name(), Locked: true, Err: cache.ErrDismissed}
	}
	err = items.Unlock(ctx)
	if err != nil && !interrupted(ctx) {
		p.putNote(loginNote, p.readNote(loginNote).ended(p.Now(), p.keyringFailure(ctx, err)))
	}
	return err
}

// keyringFailure explains an error of the place where the profile's login is kept.
func (p *Pipeline) keyringFailure(ctx context.Context, err error) *failure.Error {
	_, missing := p.Kept.Place()
	return explainKeyring(ctx, cmp.Or(p.Profile.IDP.Name, "{host}"), missing == nil, err)
}

// explainKeyring explains an error of a keyring. login names the login in
// question; placed reports that it is known to be there.
func explainKeyring(ctx context.Context, login string, placed bool, err error) *failure.Error {
	var f *failure.Error
	if errors.As(err, &f) {
		return f
	}
	if interrupted(ctx) {
		return failure.Interrupted(err)
	}
	var keyring *cache.UnreachableError
	if !errors.As(err, &keyring) {
		return failure.New(failure.ExitKeyring, err, "the login of "+login+" cannot be read or stored: "+reason(err)+".", "See what is wrong: daypass doctor{flag}")
	}
	why, is, holds := reason(keyring.Err), "is in", "holds"
	if !placed {
		is, holds = "belongs in", "would hold"
	}
	const file = "set storage = file in {section} (files that only you can read)"
	new := func(first string, advice ...string) *failure.Error {
		return failure.New(failure.ExitKeyring, err, append([]string{first}, advice...)...)
	}
	switch {
	case keyring.Locked && (errors.Is(err, cache.ErrDismissed) || errors.Is(err, cache.ErrUnanswered)):
		return new("the keyring that "+holds+" the login of "+login+" is locked: "+why+".", unlockAdvice())
	case errors.Is(err, cache.ErrConfirms):
		return new("the keyring asks before it gives the login of "+login+" to a program, and no dialog is shown here.",
			"Repeat your command on the desktop, and let the keyring remember your answer.")
	case keyring.Locked:
		return new("the keyring that "+holds+" the login of "+login+" is locked, and no dialog is shown here.", unlockAdvice())
	case errors.Is(err, cache.ErrDismissed), errors.Is(err, cache.ErrUnanswered):
		return new("the "+keyring.Where+" has not changed the login of "+login+": "+why+".", "Repeat your command, and confirm it there.")
	case keyring.Full:
		return new(keyring.Where+" cannot store anything more: "+why+".", "Is the disk of your home folder full? Free some space, then repeat your command.")
	case errors.Is(err, syscall.EDQUOT):
		return new("the login of "+login+" does not fit into the "+keyring.Where+": "+why+".",
			"Log out of logins that you do not need, or raise kernel.keys.maxkeys and kernel.keys.maxbytes.", "Or "+file+".")
	}
	if keyring.Where == "the state folder" {
		return new("the files of the login of "+login+" cannot be read or stored: "+why+".", folderAdvice(err))
	}
	first := "the login of " + login + " " + is + " the " + keyring.Where + ", which this session cannot reach (" + why + ")."
	switch {
	case runtime.GOOS != "linux":
		return new(first, "See what is wrong: daypass doctor{flag}")
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSYS):
		return new(first, "Allow keyctl in the container, or "+file+".", "Then run: daypass login{flag}")
	}
	return new(first, "Repeat this on the desktop. To share a login with SSH and cron: storage = kernel in {section}.")
}

// unlockAdvice is how a person unlocks this system's keyring.
func unlockAdvice() string {
	advice := map[string]string{
		"darwin":  "Run: security unlock-keychain. Then repeat your command.",
		"windows": "Sign in to Windows at the desktop, then repeat your command.",
	}
	return cmp.Or(advice[runtime.GOOS], "Unlock it on the desktop, then repeat your command.")
}

// folderFailure explains why a file could not be kept beside the login.
func (p *Pipeline) folderFailure(err error) *failure.Error {
	if errors.Is(err, cache.ErrMiss) {
		return loginGone()
	}
	return failure.New(failure.ExitUnexpected, err, "nothing can be written to the folder "+p.Kept.Dir()+": "+reason(err)+".",
		folderAdvice(err))
}

// folderAdvice is what mends a folder that cannot be used.
func folderAdvice(err error) string {
	var foreign *cache.ForeignError
	if errors.As(err, &foreign) {
		return fmt.Sprintf("Make it yours again. Run: sudo chown -R %d %q", foreign.Own, foreign.Path)
	}
	return "Check that the folder is yours, writable, and not full. If a file server has it, set XDG_STATE_HOME to a folder on a local disk."
}
