package prompt

import (
	"strings"

	"rsc.io/qr"
)

// drawQR draws text as a QR code in at most width columns and height rows. It
// returns "" if there is no room.
//
// Two modules above each other are one character, black on white. Both colours are
// set: a code whose light modules are the terminal's own background is inverted on a
// dark one, and many cameras cannot read that.
func drawQR(text string, width, height int) string {
	// ISO 18004 asks for a margin of 4 modules. Cameras make do with 2 and the least
	// error correction, and so a usual address fits on a screen of 80 by 24.
	const margin = 2
	code, err := qr.Encode(text, qr.L)
	if err != nil || code.Size+2*margin > width || (code.Size+2*margin+1)/2 > height {
		return ""
	}
	blocks := map[[2]bool]string{{false, false}: " ", {true, false}: "\u2580", {false, true}: "\u2584", {true, true}: "\u2588"}
	var b strings.Builder
	for y := -margin; y < code.Size+margin; y += 2 {
		b.WriteString("\x1b[0;30;47m")
		for x := -margin; x < code.Size+margin; x++ {
			b.WriteString(blocks[[2]bool{code.Black(x, y), code.Black(x, y+1)}])
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}
