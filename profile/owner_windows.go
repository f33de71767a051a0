package profile

import (
	"errors"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// checkOwner is an error unless the file or folder belongs to an administrator, the
// system or this user, and nobody else can change or replace it. In a new folder of
// %ProgramData% everybody may create files; their owner tells them.
func checkOwner(path string, folder bool) error {
	descriptor, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return err
	}
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return err
	}
	trusted := func(sid *windows.SID) bool {
		return sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) || sid.IsWellKnown(windows.WinLocalSystemSid) || sid.Equals(me.User.Sid)
	}
	if owner, _, err := descriptor.Owner(); err != nil || owner == nil || !trusted(owner) {
		return errors.New("it, or its folder, belongs to another user")
	}
	writable := errors.New("other users can change it or its folder")
	list, _, err := descriptor.DACL()
	if err != nil || list == nil { // without a list, everybody may do everything
		return writable
	}
	const change = windows.DELETE | windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_WRITE | windows.GENERIC_ALL | deleteChild
	for i := range uint32(list.AceCount) {
		var entry *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &entry); err != nil {
			return err
		}
		mask := windows.ACCESS_MASK(change)
		if !folder {
			mask |= windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA
		}
		if entry.Header.AceType != windows.ACCESS_DENIED_ACE_TYPE && entry.Header.AceFlags&windows.INHERIT_ONLY_ACE == 0 &&
			entry.Mask&mask != 0 && !trusted((*windows.SID)(unsafe.Pointer(&entry.SidStart))) {
			return writable
		}
	}
	return nil
}

// deleteChild is FILE_DELETE_CHILD, of a folder
// (https://learn.microsoft.com/en-us/windows/win32/fileio/file-access-rights-constants).
const deleteChild = 0x40

// keepOwner does nothing: a new file has the owner and the rights that its folder
// hands down.
func keepOwner(*os.File, fs.FileInfo) error { return nil }
