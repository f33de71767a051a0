package prompt

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/windows"
)

// detach separates cmd from our console and its Ctrl-C. Handles need no care:
// package syscall passes on no other than the three of cmd. undo has to be
// called when cmd has started.
func detach(cmd *exec.Cmd) (undo func(), err error) {
	// cmd.exe runs batch files, and takes "&" in an address for the end of a
	// command.
	switch extension := strings.ToLower(filepath.Ext(cmd.Path)); extension {
	case ".bat", ".cmd":
		return nil, fmt.Errorf("%q is a batch file, which cannot be given an address safely; name the program itself", cmd.Path)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP,
	}
	return func() {}, nil
}
