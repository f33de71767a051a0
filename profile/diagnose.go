package profile

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// What the SDKs read of a profile besides what daypass reads, for daypass
// doctor. Only credential_process is looked at by value; of other keys it counts
// that they are there, for their values are secrets.

// CredentialProcess returns the profile's credential_process line as the AWS CLI
// takes it, with what looks like a comment at its end; "" if there is none. Every
// error is an [*Error].
func CredentialProcess(src Source, name string) (string, error) {
	values, err := sectionOf(src.ConfigFile(), isProfile(name))
	return values["credential_process"], err
}

// Shadow is a section with keys that SDKs take instead of the profile's
// credential_process, some or all of them.
type Shadow struct {
	Where string   // "/home/me/.aws/credentials: [dev]"
	Keys  []string // sorted
}

// Shadows returns where keys of that profile's name stand in the way of its
// credential_process: in the credentials file ($AWS_SHARED_CREDENTIALS_FILE, else
// .aws/credentials in the home folder), which wins key by key over the config
// file, and in the profile itself. Every error is an [*Error].
func Shadows(src Source, name string) ([]Shadow, error) {
	var shadows []Shadow
	credentials := src.credentialsFile()
	for _, place := range []struct {
		path   string
		header string
		wanted func(header string) bool
		keys   []string
	}{
		{credentials, name, func(header string) bool { return header == name }, append([]string{"credential_process"}, otherSources()...)},
		{src.ConfigFile(), "profile " + name, isProfile(name), otherSources()},
	} {
		values, err := sectionOf(place.path, place.wanted)
		if err != nil {
			return nil, err
		}
		var found []string
		for _, key := range place.keys {
			if values[key] != "" {
				found = append(found, key)
			}
		}
		if found != nil {
			slices.Sort(found)
			shadows = append(shadows, Shadow{Where: plain(place.path) + ": " + plain("["+place.header+"]"), Keys: found})
		}
	}
	return shadows, nil
}

// otherSources are the keys of a profile by which SDKs find credentials without
// its credential_process, or refuse the profile because it has both.
func otherSources() []string {
	return []string{
		"aws_access_key_id", "aws_secret_access_key", "role_arn", "source_profile", "credential_source",
		"web_identity_token_file", "sso_session", "sso_start_url", "login_session",
	}
}

func (s Source) credentialsFile() string {
	if path := s.getenv("AWS_SHARED_CREDENTIALS_FILE"); path != "" {
		return s.expandHome(path)
	}
	if s.Home == "" {
		return ""
	}
	return filepath.Join(s.Home, ".aws", "credentials")
}

func isProfile(name string) func(header string) bool {
	return func(header string) bool {
		kind, named, ok := readHeader(header)
		return ok && kind == kindProfile && named == name
	}
}

// sectionOf returns the settings of the last section that is wanted, by key; none
// where there is no such file. Values are as botocore reads them: no comment is
// cut off.
func sectionOf(path string, wanted func(header string) bool) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readText(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var values map[string]string
	within := false
	d := newDocument([]byte(text))
	for _, e := range d.entries {
		switch {
		case d.isHeader(e) && e.header == "":
			return nil, &Error{where: plain(path), problem: "not in the form of an AWS file", hint: "correct it, or move it away"}
		case d.isHeader(e):
			if within = wanted(strings.TrimSpace(e.header)); within {
				values = map[string]string{}
			}
		case within && e.key != "":
			values[e.key] = d.whole(e)
		}
	}
	return values, nil
}
