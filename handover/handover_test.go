package handover

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/daypass/daypass/secret"
)

// A browser leaves the usual port out of Host, and the request is the browser's all
// the same.
func TestUsualPort(t *testing.T) {
	for host, found := range map[string]bool{"127.0.0.1": true, "127.0.0.1:80": false, "localhost": false} {
		link := New("127.0.0.1:80", secret.New("https://corp.example/"), func(error) {})
		request, answer := httptest.NewRequest(http.MethodGet, link.path, nil), httptest.NewRecorder()
		request.Host = host
		if link.ServeHTTP(answer, request); (answer.Code != http.StatusNotFound) != found {
			t.Errorf("%s: status %d", host, answer.Code)
		}
	}
}
