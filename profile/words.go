package profile

import (
	"errors"
	"runtime"
	"strings"
)

// Words splits a command line into words as a POSIX shell does, without
// expansions: at blanks, with single and double quotes, and with a backslash that
// quotes the next character. On Windows a backslash is a plain character, for
// there it separates the parts of a path. That is also how botocore splits
// credential_process. The error says what is not closed.
func Words(line string) ([]string, error) { return splitWords(line, runtime.GOOS != "windows") }

// splitWords is Words with or without escapes. With them it is Python's
// shlex.split, with which botocore reads section headers on every system.
func splitWords(text string, escapes bool) (words []string, err error) {
	var word strings.Builder
	inWord := false // word counts, even while it is empty: ""
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == '\'' && c != '\'':
			word.WriteByte(c)
		case escapes && quote == '"' && c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			word.WriteByte(text[i])
		case quote != 0 && c != quote:
			word.WriteByte(c)
		case quote != 0: // closes it
			quote = 0
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case escapes && c == '\\':
			i++
			if i == len(text) {
				return nil, errors.New("it ends in a backslash")
			}
			word.WriteByte(text[i])
			inWord = true
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
