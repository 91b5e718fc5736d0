package transport

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// recorder keeps the last request.
type recorder struct{ last *http.Request }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.last = request
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
}

func TestQueryAndIntegration(t *testing.T) {
	t.Parallel()
	operation := Operation{Method: http.MethodGet, Path: "/integrations/{integration_id}/custom-fields"}
	tests := []struct {
		name          string
		query         url.Values
		integrationID string
		wantURL       string
	}{
		{"neither", nil, "", "https://api.example/v1/integrations/a%3Ab/custom-fields"},
		{"empty query", url.Values{}, "", "https://api.example/v1/integrations/a%3Ab/custom-fields"},
		{
			"both",
			url.Values{"page_size": {"2"}, "cursor": {"a+/=&?#\r\nä"}},
			"personio:1",
			"https://api.example/v1/integrations/a%3Ab/custom-fields?cursor=a%2B%2F%3D%26%3F%23%0D%0A%C3%A4&page_size=2",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			seen := &recorder{}
			transport := New(Config{AttemptTimeout: limit(0), MaxBody: testMaxBody, BaseURL: "https://api.example/v1", APIKey: testKey, HTTPClient: &http.Client{Transport: seen}, Retry: RetryPolicy{MaxAttempts: 1}})
			_, err := transport.Do(t.Context(), Request{
				Operation: operation, PathValues: []string{"a:b"}, Query: test.query, IntegrationID: test.integrationID,
			})
			if err != nil {
				t.Fatal(err)
			}
			values, there := seen.last.Header["X-Integration-Id"]
			if got := seen.last.URL.String(); got != test.wantURL || strings.Join(values, ",") != test.integrationID || there != (test.integrationID != "") {
				t.Errorf("%s for %q, want %s for %q", got, values, test.wantURL, test.integrationID)
			}
		})
	}
}

// With GetBody, net/http resends a request itself, also after errors that do not prove that it was not executed.
func TestNonIdempotentOperationsAreNotResentByNetHTTP(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{true, false} {
		seen := &recorder{}
		transport := New(Config{AttemptTimeout: limit(0), MaxBody: testMaxBody, BaseURL: "https://api.example/v1", APIKey: testKey, HTTPClient: &http.Client{Transport: seen}, Retry: RetryPolicy{MaxAttempts: 1}})
		_, err := transport.Do(t.Context(), Request{Operation: Operation{Method: http.MethodPost, Path: "/force-sync", NonIdempotent: once}, Body: []byte("{}")})
		if err != nil || (seen.last.GetBody == nil) != once {
			t.Errorf("once %v: GetBody is nil: %v, %v", once, seen.last.GetBody == nil, err)
		}
	}
}

func TestCheckHeaderValue(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"": "", "personio:CBNMt7dS": "", "!~": "", strings.Repeat("a", 8<<10): "",
		strings.Repeat("a", 8<<10+1): "id is longer than 8192 bytes",
		"a b":                        "id contains characters that are not allowed in a header",
		"a\r\nX-B: c":                "id contains characters that are not allowed in a header",
		"\x00":                       "id contains characters that are not allowed in a header",
		"\x7f":                       "id contains characters that are not allowed in a header",
		"ä":                          "id contains characters that are not allowed in a header",
		"\xff":                       "id contains characters that are not allowed in a header",
	} {
		if err := checkHeaderValue("id", value); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%q: %v, want %q", value, err, want)
		}
	}
	// That is invalid input and not a failed call, so nothing is sent.
	seen := &recorder{}
	transport := New(Config{AttemptTimeout: limit(0), MaxBody: testMaxBody, BaseURL: "https://api.example/v1", APIKey: testKey, HTTPClient: &http.Client{Transport: seen}, Retry: RetryPolicy{MaxAttempts: 1}})
	_, err := transport.Do(t.Context(), Request{Operation: Operation{Method: http.MethodPost, Path: "/force-sync"}, IntegrationID: "a\nb"})
	if _, sent := errors.AsType[*CallError](err); err == nil || sent || seen.last != nil {
		t.Errorf("error = %v, sent %v", err, seen.last)
	}
}
