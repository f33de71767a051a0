package profile

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// What the SDKs read of a profile besides what daypass reads, for daypass doctor
// and configure. Only credential_process is looked at by value; of other keys it
// counts that they are there, for their values are secrets.

// Has reports whether the file has a section for the profile.
func (c *Config) Has(name string) bool { return c.sections[Section{Name: name}] != nil }

// Value returns what the file says in one key of a profile, which need not be set up
// for daypass; "" if it says nothing. A credential_process is as the AWS CLI reads it,
// with what looks like a comment at its end.
func (c *Config) Value(name, key string) string {
	return c.value(c.sections[Section{Name: name}], key)
}

// Shadows says which keys SDKs use instead of a profile's credential_process, some or all
// of them, a line for each section as in "/home/me/.aws/credentials: [dev] has role_arn":
// in the credentials file, which wins key by key over the config file, and in the profile
// itself. The error is about the credentials file.
func (c *Config) Shadows(name string) (shadows []string, err error) {
	others := []string{ // credentials without credential_process, or not together with it
		"aws_access_key_id", "aws_secret_access_key", "role_arn", "source_profile", "credential_source",
		"web_identity_token_file", "sso_session", "sso_start_url", "login_session",
	}
	note := func(file *Config, s *section, keys ...string) {
		var found []string
		for _, e := range s.settings {
			if slices.Contains(keys, e.key) && file.text.whole(e) != "" {
				found = append(found, e.key)
			}
		}
		if found != nil {
			slices.Sort(found)
			shadows = append(shadows, file.place(s)+" has "+strings.Join(found, ", "))
		}
	}
	if path := c.src.awsFile("AWS_SHARED_CREDENTIALS_FILE", "credentials"); path != "" {
		text, err := readText(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		credentials, err := Source{}.parse(path, text)
		if err == nil {
			err = credentials.Refused()
		}
		if err != nil {
			return nil, err
		}
		if s := credentials.headers[name]; s != nil {
			note(credentials, s, append(others, "credential_process")...)
		}
	}
	if s := c.sections[Section{Name: name}]; s != nil {
		note(c, s, others...)
	}
	return shadows, nil
}
