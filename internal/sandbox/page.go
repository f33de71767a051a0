package sandbox

import (
	"bytes"
	_ "embed"
	"net/http"
	"strings"
)

//go:embed pages.html
var pagesHTML string

// approvalPage shows the page at verification_uri and takes its answer, RFC
// 8628, section 3.3; s.mu is held.
func (s *Sandbox) approvalPage(r *http.Request) answer {
	switch r.Method {
	case http.MethodGet:
		return s.page(http.StatusOK, "approve", map[string]string{
			"Code":   strings.ToUpper(r.URL.Query().Get("user_code")),
			"Action": s.base + "/device",
		})
	case http.MethodPost:
	default:
		return textAnswer(http.StatusMethodNotAllowed, "use GET or POST")
	}
	userCode, user := strings.TrimSpace(r.PostForm.Get("user_code")), strings.TrimSpace(r.PostForm.Get("user"))
	again := func(problem string) answer {
		return s.page(http.StatusBadRequest, "approve", map[string]string{
			"Code":    strings.ToUpper(userCode),
			"User":    user,
			"Action":  s.base + "/device",
			"Problem": problem,
		})
	}
	code, err := s.openCode(userCode)
	if err != nil {
		return again("The " + err.Error() + ". Compare it with your terminal.")
	}
	switch r.PostForm.Get("decision") {
	case "deny":
		code.state = denied
		return s.page(http.StatusOK, "done", map[string]string{
			"Title": "Login denied",
			"Text":  "Nobody was logged in. You can close this page.",
		})
	case "approve":
		if user == "" {
			return again("Enter a user name. Any name will do.")
		}
		code.state, code.user = approved, user
		return s.page(http.StatusOK, "done", map[string]string{
			"Title": "Login approved",
			"Text":  "You are logged in as " + user + ". Close this page and go back to your terminal.",
		})
	}
	return again("Press Approve or Deny.")
}

// page renders one of pages.html's templates. The pages load nothing and run no
// script, and the policy in the header holds them to it.
func (s *Sandbox) page(status int, name string, data any) answer {
	var body bytes.Buffer
	if err := s.pages.ExecuteTemplate(&body, name, data); err != nil {
		return textAnswer(http.StatusInternalServerError, err.Error())
	}
	return answer{
		status: status,
		header: http.Header{
			"Content-Type":            {"text/html; charset=utf-8"},
			"Cache-Control":           {"no-store"},
			"Content-Security-Policy": {"default-src 'none'; style-src 'unsafe-inline'; form-action 'self' http://127.0.0.1:* http://localhost:*; frame-ancestors 'none'; base-uri 'none'"},
			"Referrer-Policy":         {"no-referrer"},
		},
		body: body.Bytes(),
	}
}
