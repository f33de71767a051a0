package azure

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/secret"
)

// Token is a token of Entra ID.
type Token struct {
	Value   secret.String
	Expires time.Time
}

// reader reads the token of an answer. Entra ID says how long it is good; the metadata
// services give it again, and say when it ends.
func reader(clock func() time.Time) func(body []byte) (Token, error) {
	return func(body []byte) (Token, error) {
		var answer struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   any    `json:"expires_in"`
			ExpiresOn   any    `json:"expires_on"`
		}
		_ = json.Unmarshal(body, &answer)
		now := float64(clock().Unix())
		ends := asSeconds(answer.ExpiresOn)
		if answer.ExpiresOn == nil {
			ends = now + asSeconds(answer.ExpiresIn)
		}
		if !(now < ends && ends < now+1e7) || !usable(answer.AccessToken) {
			return Token{}, errors.New("it holds no token that can be used")
		}
		return Token{secret.New(answer.AccessToken), time.Unix(int64(ends), 0)}, nil
	}
}

// asSeconds reads a number, which is text at some services; 0 if it is none.
func asSeconds(value any) float64 {
	seconds, _ := strconv.ParseFloat(fmt.Sprint(value), 64)
	return seconds
}

// usable reports whether text can be a token in a header. Real ones have a few
// thousand bytes.
func usable(text string) bool {
	return text != "" && len(text) <= 64<<10 && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}
