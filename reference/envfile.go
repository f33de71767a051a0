package reference

import (
	"fmt"
	"io"
	"strings"
)

// maxEnvFile bounds a file of variables, in bytes.
const maxEnvFile = 1 << 20

// EnvFile reads a file of variables: lines NAME=VALUE, with or without export in
// front; empty lines, and lines that begin with #, say nothing. One pair of quotes
// around a value is taken away. Nothing is expanded. The error names the line, and
// holds nothing of it.
func EnvFile(file io.Reader) (assignments []string, err error) {
	text, err := io.ReadAll(io.LimitReader(file, maxEnvFile+1))
	if err == nil && len(text) > maxEnvFile {
		err = fmt.Errorf("larger than %d bytes", maxEnvFile)
	}
	if err != nil {
		return nil, err
	}
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, exported := strings.CutPrefix(line, "export"); exported && strings.TrimLeft(rest, " \t") != rest {
			line = strings.TrimSpace(rest)
		}
		name, value, assigned := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch {
		case !assigned || !IsName(name):
			return nil, fmt.Errorf("line %d: want NAME=VALUE", number)
		case strings.Contains(value, "\x00"):
			return nil, fmt.Errorf("line %d: it holds a NUL character", number)
		case value != "" && strings.ContainsRune(`"'`, rune(value[0])):
			if len(value) < 2 || value[len(value)-1] != value[0] {
				return nil, fmt.Errorf("line %d: the quote at its beginning is not closed at its end", number)
			}
			value = value[1 : len(value)-1]
		}
		assignments = append(assignments, name+"="+value)
	}
	return assignments, nil
}

// IsName reports whether a variable can have that name in every shell.
func IsName(name string) bool {
	return name != "" && strings.Trim(name, letters+digits+"_") == "" && strings.Trim(name[:1], digits) != ""
}
