package profile

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: a new file has the owner and the rights that its folder
// hands down.
func keepOwner(*os.File, fs.FileInfo) error { return nil }
