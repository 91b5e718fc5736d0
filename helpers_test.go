package kombo_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

const (
	testAPIKey        = "test-api-key-0123456789"
	testToken         = "eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJ0ZXN0In0.c2lnbmF0dXJl"
	testLink          = "https://connect.kombo.dev/v1?token=eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJsaW5rIn0.c2lnbmF0dXJl"
	testIntegrationID = "personio:Fx7TqWm3kPz9LdRvN2sYbH5c"
)

// sent is a request as it went over the wire.
type sent struct {
	Method, URL, Body string
	Header            http.Header
}

// mocked returns a client on a mock that gives one answer to one request, and any other request
// fails the test; the method "*" stands for every request. What was sent stands in the returned value after the call.
func mocked(t *testing.T, method, url string, status int, body string, options ...kombo.Option) (*kombo.Client, *sent) {
	t.Helper()
	got := &sent{}
	respond := func(r *http.Request) (*http.Response, error) {
		*got = sent{Method: r.Method, URL: r.URL.String(), Header: r.Header.Clone()}
		if r.Body != nil {
			content, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			got.Body = string(content)
		}
		response := httpmock.NewStringResponse(status, body)
		response.Header.Set("Content-Type", "application/json; charset=utf-8")
		return response, nil
	}
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewNotFoundResponder(t.Fatal))
	if method == "*" {
		mock.RegisterNoResponder(respond)
	} else {
		mock.RegisterResponder(method, url, respond)
	}
	options = append([]kombo.Option{
		kombo.WithHTTPClient(&http.Client{Transport: mock}),
		kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}),
	}, options...)
	return newClient(t, options...), got
}

func newClient(t testing.TB, options ...kombo.Option) *kombo.Client {
	t.Helper()
	client, err := kombo.NewClient(testAPIKey, options...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
