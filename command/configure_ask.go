package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

// tries is how often a question is asked before configure gives up.
const tries = 3

// question is one question of configure.
type question struct {
	flag      string // that answers it, without dashes
	text      string
	byDefault string // "" if an answer is needed
	// take checks an answer, and returns it as it is to be written.
	take func(ctx context.Context, answer string) (string, error)
}

// ask returns the answer to a question: what its flag says, else with --yes the
// default, else what the person types. A bad answer is explained, and the question
// asked again.
func (c *configurer) ask(ctx context.Context, q question, given string) (string, error) {
	if given != "" {
		return q.take(ctx, given)
	}
	if c.yes {
		if q.byDefault == "" {
			return "", &failure.Error{Exit: failure.ExitUsage,
				Lines: []string{"--" + q.flag + " is missing, and with --yes nothing is asked.", "Run: daypass configure --help"}}
		}
		return q.take(ctx, q.byDefault)
	}
	talk, err := c.conversation()
	if err != nil {
		return "", err
	}
	for try := 1; ; try++ {
		answer, err := talk.Ask(ctx, q.text, q.byDefault)
		if err != nil {
			return "", c.ended(ctx, err)
		}
		wrong := errors.New("this needs an answer")
		if answer != "" {
			if answer, wrong = q.take(ctx, answer); wrong == nil {
				return answer, nil
			}
		}
		if ctx.Err() != nil || try == tries {
			return "", c.ended(ctx, wrong)
		}
		if err := talk.Say(explained(wrong, q.flag)); err != nil {
			return "", c.ended(ctx, err)
		}
	}
}

// explained is what is wrong with an answer, for who typed it.
func explained(err error, flag string) string {
	var failed *failure.Error
	var setting *profile.Error
	switch {
	case errors.As(err, &failed):
		return "  " + strings.Join(failed.Lines, "\n  ") + "\n"
	case errors.As(err, &setting):
		text := "  " + strings.TrimPrefix(setting.Error(), "--"+flag+" ") + "\n"
		if setting.Hint() != "" {
			text += "  " + setting.Hint() + "\n"
		}
		return text
	}
	return "  " + err.Error() + "\n"
}

// ended is the error of a conversation that ended too early.
func (c *configurer) ended(ctx context.Context, err error) error {
	var failed *failure.Error
	var setting *profile.Error
	switch {
	case ctx.Err() != nil:
		return &failure.Error{Exit: failure.ExitInterrupt, Err: err, Lines: []string{"interrupted; nothing was written."}}
	case errors.Is(err, io.EOF):
		return &failure.Error{Exit: failure.ExitUsage, Err: err, Lines: []string{"the answers ended; nothing was written."}}
	case errors.As(err, &failed) || errors.As(err, &setting):
		return err
	}
	return &failure.Error{Exit: failure.ExitUsage, Err: err, Lines: []string{err.Error() + "; nothing was written."}}
}

// conversation opens the terminal, when something is asked for the first time.
func (c *configurer) conversation() (*prompt.Conversation, error) {
	if c.talk != nil {
		return c.talk, nil
	}
	here := prompt.Look("auto", c.env.Getenv)
	why := here.Why
	if here.Terminal {
		talk, err := prompt.OpenConversation()
		if err == nil {
			c.talk = talk
			return talk, talk.Say("daypass configure: Enter takes what stands in brackets, Ctrl-C ends it.\n")
		}
		why = err.Error()
	}
	if why == "" {
		why = "here is no terminal to ask on"
	}
	return nil, &failure.Error{Exit: failure.ExitUsage,
		Lines: []string{"configure has questions, and " + why + ".", "Give the answers as flags, and --yes: daypass configure --help"}}
}

// choose has the person choose one of several, by its number or its name.
func (c *configurer) choose(ctx context.Context, text string, names []string) (int, error) {
	talk, err := c.conversation()
	if err != nil {
		return 0, err
	}
	var list strings.Builder
	list.WriteString("\n" + text + "\n")
	for i, name := range names {
		fmt.Fprintf(&list, "  %d  %s\n", i+1, name)
	}
	if err := talk.Say(list.String()); err != nil {
		return 0, c.ended(ctx, err)
	}
	chosen := 0
	_, err = c.ask(ctx, question{text: "Number", take: func(_ context.Context, answer string) (string, error) {
		for i, name := range names {
			if answer == fmt.Sprint(i+1) || strings.EqualFold(answer, name) {
				chosen = i
				return answer, nil
			}
		}
		return "", fmt.Errorf("want a number from 1 to %d", len(names))
	}}, "")
	return chosen, err
}
