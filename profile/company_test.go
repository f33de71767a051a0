//go:build unix

package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// company is a Source with a config file and a company's file in a folder of its own.
func company(t *testing.T, own, companys string) (src Source, path string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "daypass")
	must(t, os.Mkdir(folder, 0o755))
	path = filepath.Join(folder, "config")
	put(t, path, companys, 0o644)
	return source(t, own, map[string]string{companyVariable: path}, nil), path
}

const companys = `
[daypass-idp corp]
issuer        = https://corp.example
client_id     = c1
client_secret = s3cret
scopes        = openid groups
support       = Ask in #aws

[profile other]
daypass_idp = corp
`

const companyProfile = `
[profile dev]
daypass_idp      = corp
daypass_role_arn = arn:aws:iam::111122223333:role/dev
`

// The person's own section wins, key by key; profiles in the company's file are
// passed over.
func TestCompanySettings(t *testing.T) {
	src, path := company(t, companyProfile, companys)
	p, err := Load(src, "dev")
	must(t, err)
	if p.IDP.Issuer != "https://corp.example" || p.IDP.ClientID != "c1" || p.IDP.ClientSecret.Reveal() != "s3cret" || p.IDP.Support != "Ask in #aws" || p.IDP.Warnings != nil ||
		p.IDP.Company != "client_id, client_secret, issuer, scopes, support from "+path {
		t.Errorf("%+v", p.IDP)
	}
	if c, err := Open(src); err != nil || strings.Join(c.Names(), " ") != "dev" || strings.Join(c.IDPNames(), " ") != "corp" {
		t.Errorf("%v", err)
	}
	_, err = Load(src, "other")
	wantError(t, err, "no section [profile other]")

	src, path = company(t, companyProfile+"[daypass-idp corp]\nscopes = openid\nprompt = never\n[daypass-idp mine]\nissuer = https://m.example\nclient_id = m\n", companys)
	src.Flags = map[string]string{"support": "me"}
	if p, err = Load(src, "dev"); err != nil || p.IDP.Scopes != "openid" || p.IDP.Prompt != "never" || p.IDP.Company != "client_id, client_secret, issuer from "+path {
		t.Errorf("%+v, %v", p.IDP, err)
	}
	c, err := Open(src)
	must(t, err)
	if mine, err := c.LoadIDP("mine"); err != nil || mine.Company != "" || strings.Join(c.IDPNames(), " ") != "corp mine" {
		t.Errorf("%+v, %v", mine, err)
	}
	// A client secret is for the provider and the client that it stands beside, and for no
	// other if it stands alone.
	for other, from := range map[string]string{"issuer = https://elsewhere.example": "client_id, scopes, support", "client_id = mine": "issuer, scopes, support"} {
		key, _, _ := strings.Cut(other, " ")
		for _, theirs := range []string{companys, strings.Replace(companys, key+" ", "# ", 1)} {
			src, path = company(t, companyProfile+"[daypass-idp corp]\n"+other+"\n", theirs)
			if p, err = Load(src, "dev"); err != nil || !p.IDP.ClientSecret.Empty() || p.IDP.Company != from+" from "+path {
				t.Errorf("%s, %s: %+v, %v", other, theirs, p.IDP, err)
			}
		}
	}
	for own, other := range map[string]string{companys: "https://elsewhere.example", // the company's issuer
		"[daypass-idp corp]\nclient_secret = mine\n": "https://third.example"} {
		src, _ = company(t, companyProfile+own, strings.ReplaceAll(companys, "corp.example", "elsewhere.example"))
		for flag, empty := range map[string]bool{"issuer": true, "client-id": true, "scopes": false} {
			src.Flags = map[string]string{flag: other}
			if p, err = Load(src, "dev"); err != nil || p.IDP.ClientSecret.Empty() != empty {
				t.Errorf("%s, --%s: %+v, %v", own, flag, p.IDP, err)
			}
		}
	}
	// Errors name the file that has to be corrected.
	src, path = company(t, companyProfile, strings.Replace(companys, "https:", "ftp:", 1))
	_, err = Load(src, "dev")
	wantError(t, err, path+": [daypass-idp corp] issuer")
}

// moved puts the file into another folder, and a link in its place.
func moved(t *testing.T, path string) (folder string) {
	t.Helper()
	folder = filepath.Dir(path) + "-elsewhere"
	must(t, os.Mkdir(folder, 0o755))
	must(t, os.Rename(path, filepath.Join(folder, "config")))
	must(t, os.Symlink(filepath.Join(folder, "config"), path))
	return folder
}

// Whoever can write the file could have people log in at a provider of their own.
func TestCompanyFileRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, path string)
		want  string
	}{
		"others can write the file":      {func(t *testing.T, path string) { must(t, os.Chmod(path, 0o666)) }, "other users can write to it"},
		"a group can write the folder":   {func(t *testing.T, path string) { must(t, os.Chmod(filepath.Dir(path), 0o775)) }, "other users can write to it or to its folder"},
		"another user's file":            {func(t *testing.T, path string) { asRoot(t); must(t, os.Chown(path, 65534, -1)) }, "belongs to another user"},
		"another user's folder":          {func(t *testing.T, path string) { asRoot(t); must(t, os.Chown(filepath.Dir(path), 65534, -1)) }, "belongs to another user"},
		"a link from where others write": {func(t *testing.T, path string) { moved(t, path); must(t, os.Chmod(filepath.Dir(path), 0o777)) }, "other users can write"},
		"a link to where others write":   {func(t *testing.T, path string) { must(t, os.Chmod(moved(t, path), 0o777)) }, "other users can write"},
		"a folder":                       {func(t *testing.T, path string) { must(t, os.Remove(path)); must(t, os.Mkdir(path, 0o755)) }, "this is a folder"},
		"missing":                        {func(t *testing.T, path string) { must(t, os.Remove(path)) }, "there is no such file, and DAYPASS_SYSTEM_CONFIG names it"},
		"not text":                       {func(t *testing.T, path string) { put(t, path, "\xff", 0o644) }, "not a text file"},
		"a stray line":                   {func(t *testing.T, path string) { put(t, path, companys+"hello\n", 0o644) }, "neither a setting"},
		"a typing error":                 {func(t *testing.T, path string) { put(t, path, companys+"[daypass-idp x]\nisuer = y\n", 0o644) }, "did you mean issuer"},
		"twice":                          {func(t *testing.T, path string) { put(t, path, companys+"[daypass-idp corp]\nprompt = never\n", 0o644) }, "is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			src, path := company(t, companyProfile, companys)
			c.spoil(t, path)
			_, err := Load(src, "dev")
			wantError(t, err, c.want)
			if _, err := OpenToEdit(src); err == nil {
				t.Error("configure goes on")
			}
		})
	}
	src, _ := company(t, companyProfile, companys)
	src.Getenv = func(name string) string { return map[string]string{companyVariable: "config"}[name] }
	_, err := Open(src)
	wantError(t, err, `DAYPASS_SYSTEM_CONFIG "config": want an absolute path`)
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
}
