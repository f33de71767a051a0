package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/daypass/daypass/internal/sandbox"
)

// home is a temporary home folder, with a daypass of its own in it.
type home struct {
	dir     string
	daypass string   // path of the built program
	config  string   // path of the AWS configuration file
	environ []string // with which daypass runs
}

func newHome(user []string) (*home, error) {
	dir, err := os.MkdirTemp("", "daypass-demo-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved // macOS: /var is a link
	}
	h := &home{
		dir:     dir,
		daypass: filepath.Join(dir, "daypass"),
		config:  filepath.Join(dir, ".aws", "config"),
		environ: isolated(user, dir),
	}
	if runtime.GOOS == "windows" {
		h.daypass += ".exe"
	}
	return h, nil
}

// isolated is the user's environment with another home, and without what would
// lead daypass to the user's settings, keyring or accounts.
func isolated(user []string, dir string) []string {
	own := []string{
		"HOME=" + dir,
		"USERPROFILE=" + dir,
		"LocalAppData=" + filepath.Join(dir, "AppData", "Local"),
		"XDG_STATE_HOME=" + filepath.Join(dir, ".local", "state"),
		"XDG_CONFIG_HOME=" + filepath.Join(dir, ".config"),
		"DAYPASS_PROMPT=terminal", // the demo itself opens the browser
	}
	var kept []string
	for _, variable := range user {
		name, _, _ := strings.Cut(variable, "=")
		upper := strings.ToUpper(name)
		if strings.HasPrefix(upper, "AWS_") || strings.HasPrefix(upper, "DAYPASS_") || isNamed(own, upper) {
			continue
		}
		kept = append(kept, variable)
	}
	return append(kept, own...)
}

// isNamed reports whether a variable of this name, in upper case, is in the list.
func isNamed(variables []string, upper string) bool {
	for _, variable := range variables {
		if name, _, _ := strings.Cut(variable, "="); strings.ToUpper(name) == upper {
			return true
		}
	}
	return false
}

// build builds daypass with the user's own Go environment and build cache.
func (h *home) build(ctx context.Context) error {
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "build", "-o", h.daypass, "github.com/daypass/daypass")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("go build: %w\n%sRun the demo in the checkout of daypass: go run ./examples/demo", err, output.Bytes())
	}
	return nil
}

// writeProfile writes a profile for the sandbox and returns its text.
func (h *home) writeProfile(pretend *sandbox.Sandbox) (string, error) {
	program := h.daypass
	if strings.Contains(program, " ") {
		program = `"` + program + `"`
	}
	text := fmt.Sprintf(`[daypass-idp sandbox]
issuer    = %s
client_id = %s
storage   = file

[profile demo]
region                  = eu-west-1
credential_process      = %s process --profile demo
daypass_idp             = sandbox
daypass_role_arn        = %s
daypass_sts_endpoint    = %s
daypass_signin_endpoint = %s
`, pretend.Issuer, pretend.ClientID, program, pretend.RoleARN, pretend.STSEndpoint, pretend.SigninEndpoint)
	if err := os.Mkdir(filepath.Dir(h.config), 0o700); err != nil {
		return "", err
	}
	return text, os.WriteFile(h.config, []byte(text), 0o600)
}

// settings are the lines that lead the commands of the user's shell to the temporary
// home, so that daypass finds the demo's login there, under the AWS CLI too.
func (h *home) settings() string {
	names := []string{"HOME", "XDG_STATE_HOME"}
	form, quote := "export %s=%s\n", func(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }
	if runtime.GOOS == "windows" {
		names = []string{"USERPROFILE", "XDG_STATE_HOME"}
		form, quote = "$env:%s=%s\n", func(path string) string { return "'" + strings.ReplaceAll(path, "'", "''") + "'" }
	}
	text := ""
	for _, variable := range h.environ {
		if name, value, _ := strings.Cut(variable, "="); slices.Contains(names, name) {
			text += fmt.Sprintf(form, name, quote(value))
		}
	}
	return text + fmt.Sprintf(form, "AWS_CONFIG_FILE", quote(h.config))
}

// remove removes the home and everything that daypass has left in it.
func (h *home) remove() error {
	if err := os.RemoveAll(h.dir); err != nil {
		return fmt.Errorf("remove the temporary folder: %w", err)
	}
	return nil
}
