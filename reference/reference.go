// Package reference reads references to secrets: values such as
// awssecrets://dev/db#password, which stand in an environment for the secret
// itself. It asks nobody; errors say what can be told from the text alone.
package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/secret"
)

// Where a secret is kept: the schemes of references.
const (
	SecretsManager = "awssecrets"
	ParameterStore = "awsssm"
	KeyVault       = "azurekeyvault"
)

// Secret names a secret. Equal ones are the same secret.
type Secret struct {
	Scheme string
	Name   string // as its cloud is asked for it: a name, a path, an ARN, or VAULT/NAME[/VERSION]
	Region string // of an ARN, else ""
}

// String is the secret as a reference names it.
func (s Secret) String() string { return s.Scheme + "://" + s.Name }

// Reference is a secret, or a part of one that is JSON.
type Reference struct {
	Secret
	Part string // "" for all of it, a top-level key, or a JSON pointer, which begins with a slash
}

// Parse reads the value of a variable. It is not a reference if it has another
// scheme or none, and does not begin with ref+, as the references of vals do
// (https://github.com/helmfile/vals).
func Parse(value string) (r Reference, isReference bool, err error) {
	text, marked := strings.CutPrefix(value, "ref+")
	scheme, rest, found := strings.Cut(text, "://")
	switch {
	case !found || scheme != SecretsManager && scheme != ParameterStore && scheme != KeyVault:
		if marked = marked && found; marked {
			err = fmt.Errorf("ref+ must be followed by %s://, %s:// or %s://", SecretsManager, ParameterStore, KeyVault)
		}
		return Reference{}, marked, err
	case strings.Contains(rest, "?"):
		return Reference{}, true, errors.New("it may not have parameters (?)")
	}
	body, part, parted := strings.Cut(rest, "#")
	r = Reference{Secret{Scheme: scheme, Name: body}, part}
	switch {
	case parted && part == "":
		err = errors.New("no key after #")
	case body == "":
		err = fmt.Errorf("no secret after %s://", scheme)
	case scheme == KeyVault:
		err = r.readVault(body)
	default:
		err = r.readAWS(body)
	}
	if rest := strings.NewReplacer("~0", "", "~1", "").Replace(part); err == nil && part != "" && part[0] == '/' && strings.Contains(rest, "~") {
		err = fmt.Errorf("%q is not a JSON pointer: ~ is written ~0, and / inside of a key ~1", part)
	}
	return r, true, err
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// readAWS reads a name, a path or an ARN, in the characters of the API references of
// CreateSecret and PutParameter; an exclamation mark is in the names of secrets that
// services of AWS make, as in rds!db-1234.
//
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/service-linked-secrets.html
func (r *Reference) readAWS(body string) error {
	service, more := "secretsmanager", "/_+=.@-!"
	if r.Scheme == ParameterStore {
		service, more = "ssm", "/_.-:" // a colon begins a version or a label
	}
	name := body
	if strings.HasPrefix(body, "arn:") {
		parts := strings.SplitN(body, ":", 6)
		if len(parts) != 6 || parts[2] != service || !address.IsRegion(parts[3]) || len(parts[4]) != 12 || strings.Trim(parts[4], digits) != "" {
			return fmt.Errorf("want an ARN of %s, arn:aws:%s:REGION:ACCOUNT:NAME", service, service)
		}
		if r.Region, name = parts[3], parts[5]; address.PartitionOf(r.Region) != parts[1] {
			return fmt.Errorf("region %s is not in partition %q", r.Region, parts[1])
		}
		more += ":"
	} else if r.Scheme == ParameterStore && strings.Contains(name, "/") && name[0] != '/' {
		r.Name = "/" + name // SSM knows no other names with a slash inside
	}
	if len(body) > 2048 || strings.Trim(name, letters+digits+more) != "" {
		return fmt.Errorf("a name in %s has letters, digits and %s", service, more)
	}
	return nil
}

// readVault reads VAULT/NAME[/VERSION]. The vault becomes the name of the host that
// gets a token, so nothing but a bare name will do.
//
// https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#vault-name-and-object-name
func (r *Reference) readVault(body string) error {
	parts := strings.Split(body, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return errors.New("want VAULT/NAME or VAULT/NAME/VERSION")
	}
	for i, most := range []int{24, 127, 32}[:len(parts)] {
		odd := parts[i] == "" || len(parts[i]) > most || strings.Trim(parts[i], letters+digits+"-") != ""
		if odd || i == 0 && strings.Trim(parts[0], "-") != parts[0] {
			return fmt.Errorf("%q is not a %s of Key Vault", parts[i], []string{"vault", "secret", "version"}[i])
		}
	}
	parts[0] = strings.ToLower(parts[0])
	r.Name = strings.Join(parts, "/")
	return nil
}

// Pick returns what the reference names of a secret, as a variable can hold it. The
// error says what is wrong with the secret and holds nothing of it.
func (r Reference) Pick(whole secret.String) (picked secret.String, err error) {
	if picked = whole; r.Part != "" {
		picked, err = Value(whole.Reveal(), r.Part)
	}
	if strings.Contains(picked.Reveal(), "\x00") {
		return secret.String{}, errors.New("it holds a NUL character, which no environment can hold")
	}
	return picked, err
}

// Value returns one value of a JSON document: that of a top-level key, or the one that
// a JSON pointer leads to. The error holds nothing of the document.
func Value(document, name string) (secret.String, error) {
	none := secret.String{}
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.UseNumber() // digits stay as they are
	var value any
	err := decoder.Decode(&value)
	if _, end := decoder.Token(); err != nil || end != io.EOF {
		return none, errors.New("it is not JSON, and has no keys")
	}
	path, plain := []string{name}, strings.NewReplacer()
	if strings.HasPrefix(name, "/") { // RFC 6901
		path, plain = strings.Split(name[1:], "/"), strings.NewReplacer("~0", "~", "~1", "/")
	}
	for _, step := range path {
		step, found := plain.Replace(step), false
		switch inside := value.(type) {
		case map[string]any:
			value, found = inside[step]
		case []any:
			// Section 4: no sign, no leading zero.
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(inside) && strconv.Itoa(i) == step {
				value, found = inside[i], true
			}
		}
		if !found {
			return none, fmt.Errorf("it has no key %q", name)
		}
	}
	switch value := value.(type) {
	case string, json.Number, bool:
		return secret.New(fmt.Sprint(value)), nil
	case nil:
		return none, fmt.Errorf("its key %q is null", name)
	}
	return none, fmt.Errorf("its key %q is not text, a number, true or false", name)
}
