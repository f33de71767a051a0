package browserflow

import (
	"fmt"
	"html"
	"net/http"
)

// Page is what the person sees in the browser. Its texts are plain: they are escaped.
type Page struct {
	Title, Text string
	Failed      bool
}

// pageHTML runs no script and loads nothing; the policy in the header holds it to that.
const pageHTML = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%[1]s - daypass</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto; padding: 0 1.5rem; overflow-wrap: anywhere }
p { white-space: pre-line }
</style>
<h1>%[1]s</h1>
<p>%[2]s</p>
`

// setHeaders is for every answer on the way of a login.
func setHeaders(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
}

func (p Page) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if p.Failed {
		w.WriteHeader(http.StatusBadRequest)
	}
	_, _ = fmt.Fprintf(w, pageHTML, html.EscapeString(p.Title), html.EscapeString(p.Text)) // if the browser has gone away, nobody reads it
}
