package prompt

import (
	"strings"

	"rsc.io/qr"
)

// drawQR draws text as a QR code in at most width columns and height rows. It
// returns "" if there is no room.
//
// Both colours are set: a code whose light modules are the terminal's own
// background is inverted on a dark one, and many cameras cannot read that.
func drawQR(text string, width, height int, utf8 bool) string {
	// ISO 18004 asks for a margin of 4 modules. Cameras make do with 2, and so
	// a usual address fits on a screen of 80 by 24.
	for _, form := range []struct {
		level  qr.Level
		margin int
	}{{qr.M, 4}, {qr.L, 4}, {qr.L, 2}} {
		code, err := qr.Encode(text, form.level)
		if err != nil {
			return ""
		}
		side := code.Size + 2*form.margin
		switch {
		case utf8 && side <= width && (side+1)/2 <= height:
			return drawHalfBlocks(code, form.margin)
		case !utf8 && 2*side <= width && side <= height:
			return drawCells(code, form.margin)
		}
	}
	return ""
}

// drawHalfBlocks draws two modules above each other in one character, black on
// white.
func drawHalfBlocks(code *qr.Code, margin int) string {
	var b strings.Builder
	for y := -margin; y < code.Size+margin; y += 2 {
		b.WriteString("\x1b[0;30;47m")
		for x := -margin; x < code.Size+margin; x++ {
			switch above, below := code.Black(x, y), code.Black(x, y+1); {
			case above && below:
				b.WriteString("\u2588")
			case above:
				b.WriteString("\u2580")
			case below:
				b.WriteString("\u2584")
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}

// drawCells draws each module as two spaces on a background of its colour.
func drawCells(code *qr.Code, margin int) string {
	var b strings.Builder
	for y := -margin; y < code.Size+margin; y++ {
		for x := -margin; x < code.Size+margin; x++ {
			black := code.Black(x, y)
			switch {
			case black && !code.Black(x-1, y):
				b.WriteString("\x1b[40m")
			case !black && (x == -margin || code.Black(x-1, y)):
				b.WriteString("\x1b[47m")
			}
			b.WriteString("  ")
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}
