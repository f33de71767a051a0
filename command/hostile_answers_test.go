package command

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
)

// The kinds of bad answers.

// saying is an answer in so many words.
func saying(status int, contentType, body string) answer {
	return func(_ *attack, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func asJSON(status int, body string) answer { return saying(status, "application/json", body) }

// page is what a sign-in page, a captive portal or a proxy sends.
func page(status int) answer {
	return saying(status, "text/html; charset=utf-8", "<!DOCTYPE html><html><!-- "+marker+" --><title>Sign in</title></html>")
}

// oauthError is an error of RFC 6749 section 5.2, with a description.
func oauthError(status int, code, description string) answer {
	body, _ := json.Marshal(map[string]string{"error": code, "error_description": description, "error_uri": "https://corp.example/" + marker})
	return asJSON(status, string(body))
}

// nonsense are the answers that are of no use to anybody, by name. Of those that
// are cut off, the end never arrives.
func nonsense() (readable, cutOff map[string]answer) {
	return map[string]answer{
			"empty": asJSON(200, ""), "null": asJSON(200, "null"), "a list": asJSON(200, `["`+marker+`"]`), "a text": asJSON(200, `"`+marker+`"`),
			"half an object": asJSON(200, `{"id_token":"`+marker), "two objects": asJSON(200, `{"x":"`+marker+`"}{}`), "100000 levels": asJSON(200, deep(100000)),
			"8 MB": largeJSON(8 << 20), "endless": endless("application/json", `{"id_token":"`), "a web page": page(200), "status 204": saying(204, "application/json", ""),
		}, map[string]answer{
			"dropped": dropped, "broken off": brokenOff(`{"id_token":"` + marker), "1 MB of headers": withHeader("X", strings.Repeat("x", 1<<20), page(200)),
		}
}

// largeJSON is valid JSON of so many bytes.
func largeJSON(bytes int) answer {
	return asJSON(http.StatusOK, `{"x":"`+marker+strings.Repeat("x", bytes)+`"}`)
}

// endless writes as long as somebody reads.
func endless(contentType, begin string) answer {
	return func(_ *attack, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		chunk := []byte(strings.Repeat(marker+" ", 4096))
		_, err := w.Write([]byte(begin))
		for err == nil && r.Context().Err() == nil {
			_, err = w.Write(chunk)
		}
	}
}

// brokenOff promises more than it sends.
func brokenOff(body string) answer {
	return func(_ *attack, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+100))
		_, _ = w.Write([]byte(body))
		panic(http.ErrAbortHandler)
	}
}

// dropped closes the connection without an answer.
func dropped(*attack, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// redirect leads to another place; THIEF in it is a host that nobody has named.
func redirect(status int, to string) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		to := strings.ReplaceAll(to, "THIEF", strings.TrimPrefix(a.thief.URL, "http://"))
		w.Header().Set("Location", strings.ReplaceAll(to, "SELF", r.URL.Path))
		w.WriteHeader(status)
		_, _ = w.Write([]byte(marker))
	}
}

// withHeader adds a header to another answer.
func withHeader(name, value string, to answer) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value)
		to(a, w, r)
	}
}

// own is what the sandbox answers.
func (a *attack) own(r *http.Request) []byte {
	w := httptest.NewRecorder()
	a.box.Serve(w, r)
	return w.Body.Bytes()
}

// changed is the sandbox's own answer, a JSON object, with fields changed.
func changed(change func(a *attack, fields map[string]any)) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		own := httptest.NewRecorder()
		a.box.Serve(own, r)
		if own.Code != http.StatusOK { // that nobody has approved yet
			asJSON(own.Code, own.Body.String())(a, w, r)
			return
		}
		var fields map[string]any
		if err := json.Unmarshal(own.Body.Bytes(), &fields); err != nil {
			a.t.Errorf("the sandbox's answer: %v", err)
		}
		change(a, fields)
		body, err := json.Marshal(fields)
		if err != nil {
			a.t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
}

// with is the sandbox's own answer with one field set to what is of no use; nil
// removes it.
func with(name string, value any) answer {
	return changed(func(_ *attack, fields map[string]any) {
		fields["marker"] = marker
		if fields[name] = value; value == nil {
			delete(fields, name)
		}
	})
}

// quirk is with for what has to be borne.
func quirk(name string, value any) answer {
	return changed(func(_ *attack, fields map[string]any) {
		if fields[name] = value; value == nil {
			delete(fields, name)
		}
	})
}

// once answers one request, and leaves the others to the sandbox.
func once(bad answer) answer {
	var used atomic.Bool
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		if used.Swap(true) {
			a.box.Serve(w, r)
			return
		}
		bad(a, w, r)
	}
}

// deep is JSON that is nested so deep, inside an object.
func deep(levels int) string {
	return `{"` + marker + `":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}`
}

// echoed is an error whose description repeats parameters of the request, as of a
// careless server.
func echoed(parameters ...string) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		description := ""
		for _, name := range parameters {
			description += name + "=" + r.PostForm.Get(name) + " "
		}
		oauthError(http.StatusBadRequest, "invalid_thing", description)(a, w, r)
	}
}
