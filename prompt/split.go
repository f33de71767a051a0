package prompt

import (
	"errors"
	"strings"
)

// splitCommand splits line into a program and its arguments as a POSIX shell
// splits words (Shell Command Language, section 2.2): at blanks, with single
// and double quotes. Nothing is expanded.
//
// A backslash quotes the next character if escapes is set. On Windows it is
// not, for there it separates the parts of a path.
func splitCommand(line string, escapes bool) ([]string, error) {
	var (
		argv  []string
		word  strings.Builder
		begun bool // word counts, even while it is empty: ""
		quote byte // the quote we are in, 0 outside
	)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case escapes && c == '\\' && quote != '\'':
			i++
			if i == len(line) {
				return nil, errors.New("it ends in a backslash")
			}
			if quote == '"' && strings.IndexByte("$`\"\\", line[i]) < 0 {
				word.WriteByte('\\') // within double quotes it quotes only these
			}
			word.WriteByte(line[i])
			begun = true
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, begun = c, true
		case c == ' ' || c == '\t' || c == '\n':
			if begun {
				argv = append(argv, word.String())
				word.Reset()
				begun = false
			}
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if begun {
		argv = append(argv, word.String())
	}
	if len(argv) == 0 || argv[0] == "" {
		return nil, errors.New("it names no program")
	}
	return argv, nil
}
