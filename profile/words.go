package profile

import "strings"

// splitWords splits text as a POSIX shell does, without expansions; that is how
// botocore (Python's shlex.split) reads section headers and credential_process.
// It is not ok where a quote is not closed or a backslash ends the text.
func splitWords(text string) (words []string, ok bool) {
	var word strings.Builder
	inWord := false
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == '\'' && c != '\'':
			word.WriteByte(c)
		case quote == '"' && c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			word.WriteByte(text[i])
		case quote != 0 && c != quote:
			word.WriteByte(c)
		case quote != 0: // closes it; '' and "" are words too
			quote = 0
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == '\\':
			i++
			if i == len(text) {
				return nil, false
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
	if inWord {
		words = append(words, word.String())
	}
	return words, quote == 0
}
