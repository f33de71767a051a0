package cache

import (
	"context"
	"errors"

	"github.com/godbus/dbus/v5"
)

// unlock unlocks the collection that holds our items. Where a display is, the
// service asks the person for the password, who has until ctx ends.
func (s *secretService) unlock(ctx context.Context) error {
	conn, prompt, err := s.requestUnlock(ctx)
	if err != nil {
		return err
	}
	if prompt != noObject {
		if err := s.ask(ctx, conn, prompt); err != nil {
			return s.unreachable(ctx, err)
		}
	}
	ctx, cancel := bounded(ctx, readBound)
	defer cancel()
	if err := s.needUnlocked(ctx, conn); err != nil {
		return s.unreachable(ctx, err)
	}
	return nil
}

// requestUnlock returns the prompt that unlocks the collection once it is
// shown; noObject if none is needed.
func (s *secretService) requestUnlock(ctx context.Context) (*dbus.Conn, dbus.ObjectPath, error) {
	ctx, cancel := bounded(ctx, readBound)
	defer cancel()
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, "", s.unreachable(ctx, err)
	}
	s.forget() // a daemon that was restarted may have another collection
	collection, err := s.collection(ctx, conn)
	if err != nil {
		return nil, "", s.unreachable(ctx, err)
	}
	var unlocked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	err = conn.Object(secretsName, secretsPath).CallWithContext(ctx, serviceInterface+".Unlock", 0,
		[]dbus.ObjectPath{collection}).Store(&unlocked, &prompt)
	if err != nil {
		return nil, "", s.unreachable(ctx, err)
	}
	return conn, prompt, nil
}

// ask shows the prompt, where a display is, and waits for its answer.
func (s *secretService) ask(ctx context.Context, conn *dbus.Conn, prompt dbus.ObjectPath) error {
	if !s.canAsk() {
		return errNoDisplay
	}
	return complete(ctx, conn, prompt)
}

// canAsk reports whether a dialog of the service has a display to be shown on.
func (s *secretService) canAsk() bool {
	return s.getenv("DISPLAY") != "" || s.getenv("WAYLAND_DISPLAY") != ""
}

// complete runs the prompt. One that is not answered before ctx ends stays on the
// screen, and its answer counts for whoever asks next: gnome-keyring-daemon (42.1,
// gkd-secret-unlock.c, perform_next_unlock) ends by an assertion where any prompt
// is dismissed while a dialog is up, and takes the session's open keyring along.
func complete(ctx context.Context, conn *dbus.Conn, prompt dbus.ObjectPath) error {
	signals := make(chan *dbus.Signal, 8)
	conn.Signal(signals)
	defer conn.RemoveSignal(signals)
	for _, match := range [][]dbus.MatchOption{
		// It needs no removal: the path is used for this one prompt.
		{dbus.WithMatchObjectPath(prompt), dbus.WithMatchInterface(promptInterface)},
		// Nor does this one: a process asks once or twice.
		{dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, secretsName)},
	} {
		if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
			return err
		}
	}
	if err := conn.Object(secretsName, prompt).CallWithContext(ctx, promptInterface+".Prompt", 0, "").Err; err != nil {
		if ctx.Err() != nil {
			return ErrUnanswered
		}
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ErrUnanswered
		case signal, open := <-signals:
			if !open {
				return errors.New("the session bus went away")
			}
			if signal.Name == "org.freedesktop.DBus.NameOwnerChanged" && len(signal.Body) > 0 && signal.Body[0] == secretsName {
				return errors.New("the service ended while its dialog was up")
			}
			if signal.Path != prompt || signal.Name != promptInterface+".Completed" || len(signal.Body) == 0 {
				continue
			}
			if dismissed, _ := signal.Body[0].(bool); dismissed {
				return ErrDismissed
			}
			return nil
		}
	}
}
