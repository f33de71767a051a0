package profile

import (
	"fmt"
	"strings"
	"unicode"
)

// maxSettings bounds one section: ini.v1 takes time with the square of it, a
// minute for as many as the file may hold.
const maxSettings = 1000

// fold rewrites the text of a config file so that ini.v1 reads what botocore
// reads: every section header and every setting on one line of its own, without
// indentation.
//
// botocore reads with Python's configparser. There, a line that is indented
// deeper than the setting above it continues that setting's value, whatever it
// looks like; ini.v1 takes it for a setting or a section of its own (its
// AllowPythonMultilineValues takes every indented line for a continuation, also
// where a whole section is indented). Nested keys, as below "s3 =", are such
// continuations too, which is why ini.v1 needs no AllowNestedValues here.
// Lines of one value are joined by a space, not by a line break: no setting of
// daypass can hold a line break, and JSON and lists do not tell them apart.
//
// Python knows no quotes. A line whose key begins with a quote or backquote is
// none of ours and becomes a comment; a value that ini.v1 would take for the
// begin of a multi-line string is put between backquotes, which ini.v1 takes off
// again with no look at what is between them. So is the value of support, where
// " #" begins the name of a channel to ask in, and no comment.
func fold(text string) (string, error) {
	var out strings.Builder
	out.Grow(len(text) + 64)
	indent := 0     // of the header or setting last seen
	within := false // a setting was seen since the last header
	count := 0      // settings seen since the last header
	closing := ""   // ends the line that is being written
	for i, line := range strings.Split(text, "\n") {
		content := strings.TrimSpace(line)
		if content == "" || content[0] == '#' || content[0] == ';' {
			continue // also between the lines of one value
		}
		depth := len(line) - len(strings.TrimLeftFunc(line, unicode.IsSpace))
		if within && depth > indent {
			out.WriteByte(' ')
			out.WriteString(content)
			continue
		}
		out.WriteString(closing)
		out.WriteByte('\n')
		indent, closing = depth, ""
		within = content[0] != '['
		if !within {
			if strings.LastIndexByte(content, ']') < 2 {
				return "", fmt.Errorf("line %d: %s is no section header", i+1, shown(content))
			}
			out.WriteString(content)
			count = 0
			continue
		}
		if count++; count > maxSettings {
			return "", fmt.Errorf("line %d: more than %d settings in one section", i+1, maxSettings)
		}
		if content[0] == '"' || content[0] == '`' {
			out.WriteByte('#')
		} else if key, value, found := cutSetting(content); found && (opensString(value) || strings.EqualFold(key, "support")) {
			content, closing = key+" = `"+value, "`"
		}
		out.WriteString(content)
	}
	out.WriteString(closing)
	out.WriteByte('\n')
	return out.String(), nil
}

// cutSetting splits a line at its first delimiter, which is one of Python's.
func cutSetting(line string) (key, value string, found bool) {
	i := strings.IndexAny(line, "=:")
	if i < 0 {
		return "", "", false
	}
	return strings.TrimSpace(line[:i]), strings.TrimSpace(line[i+1:]), true
}

// opensString reports whether ini.v1 takes the value for a quoted string that
// may go on over many lines.
func opensString(value string) bool {
	return strings.HasPrefix(value, "`") || strings.HasPrefix(value, `"""`)
}

// cutComment removes a comment at the end of a value. botocore knows none, but
// the Go and JavaScript SDKs do, and nobody means one as part of a value. ini.v1
// did this for " #", but looks for " ;" only where there was none, and not for tabs.
func cutComment(value string) string {
	for i := 1; i < len(value); i++ {
		if (value[i] == '#' || value[i] == ';') && (value[i-1] == ' ' || value[i-1] == '\t') {
			return strings.TrimSpace(value[:i])
		}
	}
	return value
}
