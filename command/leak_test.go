package command

import "strings"

// pieceSize is how many bytes of a secret in a row are a leak. All that people may
// see of one is its kind, and the beginnings of session tokens are all the same.
const pieceSize = 20

// leaked returns a piece of a secret that text holds, or "".
func leaked(text string, secrets []string) string {
	pieces := map[string]bool{}
	for i := range max(len(text)-pieceSize+1, 0) {
		pieces[text[i:i+pieceSize]] = true
	}
	for _, secret := range secrets {
		if len(secret) < pieceSize && strings.Contains(text, secret) {
			return secret
		}
		for i := range max(len(secret)-pieceSize+1, 0) {
			if piece := secret[i : i+pieceSize]; pieces[piece] {
				return piece
			}
		}
	}
	return ""
}
