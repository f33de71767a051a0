package profile

import (
	"path/filepath"
	"strings"
	"testing"
)

// Of the keys that are in the way, names and places are told, and no value. One file is
// the one that a variable names.
func TestShadows(t *testing.T) {
	for _, test := range []struct {
		name, config, credentials string
		want                      string // or the error
	}{
		{"nothing", config, "", ""},
		{"keys of others", config, "[default]\naws_access_key_id = x\n[profile dev]\naws_access_key_id = x\n", ""},
		{"stale keys", config, "[other]\nregion = x\n[dev]\naws_secret_access_key = x\nAWS_ACCESS_KEY_ID=x\n", "MINE: [dev] has aws_access_key_id, aws_secret_access_key"},
		{"another process", config, "[dev]\ncredential_process = /x\n", "MINE: [dev] has credential_process"},
		{"emptied keys", config, "[dev]\naws_access_key_id =\n", ""},
		{"keys in the profile", config + "aws_access_key_id = x\n", "", "CONFIG: [profile dev] has aws_access_key_id"},
		{"single sign-on and a role as well", config + "sso_session = x\nrole_arn = y\n", "[dev]\naws_access_key_id = z\n",
			"MINE: [dev] has aws_access_key_id; CONFIG: [profile dev] has role_arn, sso_session"},
		{"no header", config, "[\nhunter2\n", "MINE: line 1: this is not a section header"},
	} {
		src := source(t, test.config, map[string]string{"AWS_SHARED_CREDENTIALS_FILE": "~/mine"}, nil)
		mine := filepath.Join(src.Home, "mine")
		if test.credentials != "" {
			put(t, mine, test.credentials, 0o600)
		}
		file, err := Open(src)
		must(t, err)
		want := strings.NewReplacer("MINE", plain(mine), "CONFIG", plain(src.ConfigFile())).Replace(test.want)
		shadows, err := file.Shadows("dev")
		got := strings.Join(shadows, "; ")
		if err != nil {
			got = wantError(t, err).Lines[0]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", test.name, got, want)
		}
	}
}
