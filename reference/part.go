package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/daypass/daypass/secret"
)

// Pick returns what the reference names of a secret, as a variable can hold it. The
// error says what is wrong with the secret and holds nothing of it.
func (r Reference) Pick(whole secret.String) (secret.String, error) {
	text := whole.Reveal()
	if r.Part != "" {
		var err error
		if text, err = part(text, r.Part); err != nil {
			return secret.String{}, err
		}
	}
	if strings.Contains(text, "\x00") {
		return secret.String{}, errors.New("it holds a NUL character, which no environment can hold")
	}
	return secret.New(text), nil
}

// part returns one value of a JSON document.
func part(document, name string) (string, error) {
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.UseNumber() // digits stay as they are
	var value any
	err := decoder.Decode(&value)
	if _, end := decoder.Token(); err != nil || end != io.EOF {
		return "", errors.New("it is not JSON, and has no keys")
	}
	path := []string{name}
	if strings.HasPrefix(name, "/") {
		if path, err = pointer(name); err != nil {
			return "", err
		}
	}
	for _, step := range path {
		found := false
		switch inside := value.(type) {
		case map[string]any:
			value, found = inside[step]
		case []any:
			// RFC 6901, section 4: no sign, no leading zero.
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(inside) && strconv.Itoa(i) == step {
				value, found = inside[i], true
			}
		}
		if !found {
			return "", fmt.Errorf("it has no key %q", name)
		}
	}
	switch value := value.(type) {
	case string:
		return value, nil
	case json.Number:
		return value.String(), nil
	case bool:
		return strconv.FormatBool(value), nil
	case nil:
		return "", fmt.Errorf("its key %q is null", name)
	}
	return "", fmt.Errorf("its key %q is not text, a number, true or false", name)
}

// pointer splits a JSON pointer, RFC 6901.
func pointer(text string) ([]string, error) {
	steps := strings.Split(text[1:], "/")
	for i, step := range steps {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(step), "~") {
			return nil, fmt.Errorf("%q is not a JSON pointer: ~ is written ~0, and / inside of a key ~1", text)
		}
		steps[i] = strings.NewReplacer("~0", "~", "~1", "/").Replace(step)
	}
	return steps, nil
}
