package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxBody bounds a request; the largest honest one is an ID token of 20 kB.
const maxBody = 1 << 20

// Request is the record of one request.
type Request struct {
	Time     time.Time // by the sandbox's clock
	Endpoint string    // as in [Sandbox.Count]
	Method   string
	Path     string
	Query    url.Values // of the URL
	Form     url.Values // of the body
	Header   http.Header
	Status   int    // 0: the connection was dropped without an answer
	Error    string // OAuth or AWS error code of the answer, "" if none
}

// Requests returns what was asked so far, in the order of the answers.
func (s *Sandbox) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count returns how many requests an endpoint has got, answered or not, in the
// words "discovery", "keys", "device", "token:device", "token:code", "token:refresh",
// "authorize" (the page of the browser flow),
// "revoke", "page" (the approval page), "sts" (AssumeRoleWithWebIdentity),
// "identity" (GetCallerIdentity), "federation" (getSigninToken), "login" (the
// sign-in URL), "console" (the page it leads to), "imds", "app-service",
// "gcp-metadata", "github-actions", "google:token" (the exchange), "google:account"
// (to act as the service account), "google:project", "webidentity"
// (GetWebIdentityToken), "secretsmanager", "ssm", "cognito-identity", "entra" (the
// token endpoint) and "keyvault". The empty word counts all.
func (s *Sandbox) Count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if what == "" {
		return len(s.requests)
	}
	n := 0
	for _, r := range s.requests {
		if r.Endpoint == what {
			n++
		}
	}
	return n
}

// Intercept has f see every request before the sandbox does; f returns true if
// it has answered. It produces the faults that the real parts would not: a
// dropped connection is panic(http.ErrAbortHandler), and a request that was
// acted on but whose answer is lost is that after
// s.Serve(httptest.NewRecorder(), r). A nil f ends the interception.
func (s *Sandbox) Intercept(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Serve answers r as if there was no [Sandbox.Intercept], for use by its
// function. It does not record the request.
func (s *Sandbox) Serve(w http.ResponseWriter, r *http.Request) {
	s.answer(r).write(w)
}

// handle records and answers one request.
func (s *Sandbox) handle(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "unreadable body", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	formErr := r.ParseForm()
	r.Body = io.NopCloser(bytes.NewReader(body)) // for the interceptor

	s.mu.Lock()
	intercept, now := s.intercept, s.now()
	s.mu.Unlock()
	record := Request{
		Time:     now,
		Endpoint: s.route(r).endpoint,
		Method:   r.Method,
		Path:     r.URL.Path,
		Query:    r.URL.Query(),
		Form:     maps.Clone(r.PostForm),
		Header:   r.Header.Clone(),
	}
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	if intercept != nil && s.intercepted(intercept, w, r, record) {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var a answer
	if formErr != nil {
		a = textAnswer(http.StatusBadRequest, "malformed form")
	} else {
		a = s.answer(r)
	}
	record.Status, record.Error = a.status, a.code
	s.record(record) // first: whoever has the answer must find the record
	a.write(w)
}

// intercepted lets f answer the request, and records it if f did, be it by a
// panic that drops the connection.
func (s *Sandbox) intercepted(f func(http.ResponseWriter, *http.Request) bool, w http.ResponseWriter, r *http.Request, record Request) (answered bool) {
	seen := &statusWriter{ResponseWriter: w}
	answered = true
	defer func() {
		if answered {
			record.Status = seen.status
			s.record(record)
		}
	}()
	answered = f(seen, r)
	if answered && seen.status == 0 {
		seen.status = http.StatusOK
	}
	return answered
}

func (s *Sandbox) record(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
}

// route is who answers a request. The endpoint is in the words of
// [Sandbox.Count]; an empty method takes all.
type route struct {
	endpoint, method string
	act              func(*http.Request) answer
}

func (s *Sandbox) route(r *http.Request) route {
	if to, found := s.hostRoute(r); found {
		return to
	}
	if path, inProvider := strings.CutPrefix(r.URL.Path, s.base); inProvider {
		switch path {
		case "/.well-known/openid-configuration":
			return route{"discovery", http.MethodGet, s.discovery}
		case "/keys":
			return route{"keys", http.MethodGet, s.publicKeys}
		case "/authorize":
			return route{"authorize", "", s.authorizationPage}
		case "/device_authorization":
			return route{"device", http.MethodPost, s.deviceAuthorization}
		case "/device":
			return route{"page", "", s.approvalPage}
		case "/revoke":
			return route{"revoke", http.MethodPost, s.revoke}
		case "/token":
			endpoint := "token"
			switch r.PostForm.Get("grant_type") {
			case grantDeviceCode:
				endpoint = "token:device"
			case grantCode:
				endpoint = "token:code"
			case grantRefreshToken:
				endpoint = "token:refresh"
			}
			return route{endpoint, http.MethodPost, s.token}
		}
	}
	if to, found := s.googleRoute(r.URL.Path); found {
		return to
	}
	switch r.URL.Path {
	case metadataPath:
		return route{"imds", http.MethodGet, s.imds}
	case appServicePath:
		return route{"app-service", http.MethodGet, s.appService}
	case gcpIdentityPath:
		return route{"gcp-metadata", http.MethodGet, s.gcpIdentity}
	case gitHubPath:
		return route{"github-actions", http.MethodGet, s.gitHubToken}
	}
	switch strings.TrimSuffix(r.URL.Path, "/") {
	case "/sts":
		return s.stsRoute(r)
	case "/secretsmanager", "/ssm", "/cognito-identity":
		return s.jsonRoute(r)
	case "/signin/federation":
		if r.Form.Get("Action") == "login" {
			return route{"login", http.MethodGet, s.signIn}
		}
		return route{"federation", "", s.signinToken}
	case "/signin/console":
		return route{"console", http.MethodGet, s.console}
	}
	return route{act: func(*http.Request) answer {
		return textAnswer(http.StatusNotFound, "no such page in the sandbox")
	}}
}

// answer acts on a request.
func (s *Sandbox) answer(r *http.Request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.route(r)
	if to.method != "" && r.Method != to.method {
		return textAnswer(http.StatusMethodNotAllowed, "use "+to.method)
	}
	return to.act(r)
}

// answer is what goes back to the client.
type answer struct {
	status int
	code   string // OAuth or AWS error, for the record
	header http.Header
	body   []byte
}

func (a answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // if the client has gone away, nobody reads it
}

func textAnswer(status int, text string) answer {
	return answer{
		status: status,
		header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
		body:   []byte(text + "\n"),
	}
}

func jsonAnswer(status int, value any) answer {
	body, err := json.Marshal(value)
	if err != nil {
		return textAnswer(http.StatusInternalServerError, err.Error())
	}
	return answer{
		status: status,
		header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}},
		body:   body,
	}
}

// statusWriter learns the status that an interceptor answers with.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] find the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
