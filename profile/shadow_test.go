package profile

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func shadowsOf(src Source) ([]string, error) {
	file, err := Open(src)
	if err != nil {
		return nil, err
	}
	return file.Shadows("dev")
}

func TestShadows(t *testing.T) {
	const value = "s3cret-value"
	for _, test := range []struct {
		name, config, credentials string
		want                      []string // place and keys
	}{
		{"nothing", config, "", nil},
		{"keys of others", config, "[default]\naws_access_key_id = " + value + "\n[profile dev]\naws_access_key_id = " + value + "\n", nil},
		{"stale keys", config, "[other]\nregion = x\n[dev]\naws_secret_access_key = " + value + "\nAWS_ACCESS_KEY_ID=" + value + "\n",
			[]string{"credentials: [dev] has aws_access_key_id, aws_secret_access_key"}},
		{"another process", config, "[dev]\ncredential_process = /x\n", []string{"credentials: [dev] has credential_process"}},
		{"emptied keys", config, "[dev]\naws_access_key_id =\n", nil},
		{"keys in the profile", config + "aws_access_key_id = " + value + "\n", "", []string{"config: [profile dev] has aws_access_key_id"}},
		{"single sign-on and a role besides", config + "sso_session = x\nrole_arn = y\n", "[dev]\naws_access_key_id = z\n",
			[]string{"credentials: [dev] has aws_access_key_id", "config: [profile dev] has role_arn, sso_session"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			src := source(t, test.config, nil, nil)
			if test.credentials != "" {
				put(t, filepath.Join(src.Home, ".aws", "credentials"), test.credentials, 0o600)
			}
			shadows, err := shadowsOf(src)
			must(t, err)
			var got []string
			for _, s := range shadows {
				folder := plain(filepath.Join(src.Home, ".aws") + string(filepath.Separator))
				got = append(got, strings.TrimPrefix(s, strings.Trim(folder, `"`)))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			if strings.Contains(strings.Join(got, "\n"), value) {
				t.Error("a value is shown")
			}
		})
	}
}

// Another file is read where a variable names it. One that nobody can read is named,
// and nothing of what is in it.
func TestShadowsInAnotherCredentialsFile(t *testing.T) {
	src := source(t, config, map[string]string{"AWS_SHARED_CREDENTIALS_FILE": "~/mine"}, nil)
	path := filepath.Join(src.Home, "mine")
	put(t, path, "[dev]\naws_access_key_id = x\n", 0o600)
	shadows, err := shadowsOf(src)
	if err != nil || len(shadows) != 1 || !strings.HasPrefix(shadows[0], plain(path)) {
		t.Errorf("got %v, %v", shadows, err)
	}
	put(t, path, "[\nhunter2\n", 0o600)
	_, err = shadowsOf(src)
	wantError(t, err, plain(path), "line 1: this is not a section header")
}
