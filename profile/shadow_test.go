package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCredentialProcess(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"the line", config, "/usr/local/bin/daypass process --profile dev"},
		{"none", "[profile dev]\nregion = eu-west-1\n", ""},
		{"another profile's", "[profile other]\ncredential_process = /x\n", ""},
		{"a comment, which the AWS CLI does not know", "[profile dev]\ncredential_process = /x process # mine\n", "/x process # mine"},
		{"quotes are kept", "[profile dev]\ncredential_process = \"/x y\" process\n", `"/x y" process`},
		{"the last section of that name", "[profile dev]\ncredential_process = /x\n[profile 'dev']\ncredential_process: /y\n", "/y"},
		{"nested settings", "[profile dev]\ns3 =\n  credential_process = /x\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			file, err := Open(source(t, test.text, nil, nil))
			if err != nil {
				t.Fatal(err)
			}
			if got := file.CredentialProcess("dev"); got != test.want {
				t.Errorf("got %q; want %q", got, test.want)
			}
		})
	}
}

func shadowsOf(src Source) ([]Shadow, error) {
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
			[]string{"credentials: [dev] aws_access_key_id,aws_secret_access_key"}},
		{"another process", config, "[dev]\ncredential_process = /x\n", []string{"credentials: [dev] credential_process"}},
		{"emptied keys", config, "[dev]\naws_access_key_id =\n", nil},
		{"keys in the profile", config + "aws_access_key_id = " + value + "\n", "", []string{"config: [profile dev] aws_access_key_id"}},
		{"single sign-on and a role besides", config + "sso_session = x\nrole_arn = y\n", "[dev]\naws_access_key_id = z\n",
			[]string{"credentials: [dev] aws_access_key_id", "config: [profile dev] role_arn,sso_session"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			src := source(t, test.config, nil, nil)
			if test.credentials != "" {
				if err := os.WriteFile(filepath.Join(src.Home, ".aws", "credentials"), []byte(test.credentials), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			shadows, err := shadowsOf(src)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range shadows {
				folder := plain(filepath.Join(src.Home, ".aws") + string(filepath.Separator))
				got = append(got, strings.TrimPrefix(s.Where, strings.Trim(folder, `"`))+" "+strings.Join(s.Keys, ","))
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

func TestShadowsInAnotherCredentialsFile(t *testing.T) {
	env := map[string]string{"AWS_SHARED_CREDENTIALS_FILE": "~/mine"}
	src := source(t, config, env, nil)
	if err := os.WriteFile(filepath.Join(src.Home, "mine"), []byte("[dev]\naws_access_key_id = x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	shadows, err := shadowsOf(src)
	if err != nil || len(shadows) != 1 || !strings.HasPrefix(shadows[0].Where, plain(filepath.Join(src.Home, "mine"))) {
		t.Errorf("got %v, %v", shadows, err)
	}
}

// A file that nobody can read is named, and nothing of what stands in it.
func TestShadowsInAFileOfAnotherForm(t *testing.T) {
	src := source(t, config, nil, nil)
	if err := os.WriteFile(filepath.Join(src.Home, ".aws", "credentials"), []byte("[\ns3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := shadowsOf(src)
	if e := wantError(t, err, "credentials", "not in the form"); strings.Contains(e.Error(), "s3cret") {
		t.Error(e)
	}
}
