package kombo_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

const integrationURL = "https://api.kombo.dev/v1/integrations/personio%3AFx7TqWm3kPz9LdRvN2sYbH5c"

func TestRelink(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		request  kombo.RelinkRequest
		wantBody string
	}{
		{"nothing set", kombo.RelinkRequest{}, `{}`},
		{
			"every field",
			kombo.RelinkRequest{Language: kombo.LanguageFR, ScopeConfigID: "scope1", LinkType: kombo.LinkTypeMagicLink},
			`{"language":"fr","scope_config_id":"scope1","link_type":"MAGIC_LINK"}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "POST", integrationURL+"/relink", 200, `{"status":"success","data":{"link":"`+testLink+`"}}`)
			link, err := client.Integrations.Relink(t.Context(), testIntegrationID, test.request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&kombo.Link{URL: testLink}, link); diff != "" {
				t.Errorf("link (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantBody, got.Body); diff != "" {
				t.Errorf("body on the wire (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`{"status":"success","data":{}}`, `{"status":"success","data":null}`, `{"status":"success"}`,
	} {
		client, got := mocked(t, "DELETE", integrationURL, 200, answer)
		if err := client.Integrations.Delete(t.Context(), testIntegrationID); err != nil {
			t.Errorf("%s: %v", answer, err)
		}
		if got.Body != "{}" || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("body on the wire = %q", got.Body)
		}
	}
}

const notFoundAnswer = `{"status":"error","error":{"code":"PLATFORM.INTEGRATION_NOT_FOUND","title":"Not found","message":"No such integration.","log_url":null}}`

// A deletion whose answer was lost must not fail because its repetition finds nothing.
func TestDeleteWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	notFound := httpmock.NewStringResponder(404, notFoundAnswer)
	tests := []struct {
		name  string
		first httpmock.Responder
		want  error
	}{
		{"connection cut", httpmock.NewErrorResponder(errors.New("connection reset by peer")), nil},
		{"bad gateway", httpmock.NewStringResponder(502, "<html>"), nil},
		{"rate limited", httpmock.NewStringResponder(429, ""), kombo.ErrIntegrationNotFound},
		{"cut, then rate limited", httpmock.NewErrorResponder(errors.New("connection reset by peer")).
			Then(httpmock.NewStringResponder(429, "")), nil},
		{"proxy refused the connection", httpmock.NewErrorResponder(&net.OpError{
			Op: "proxyconnect", Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")},
		}), kombo.ErrIntegrationNotFound},
		{"dialing took too long", httpmock.NewErrorResponder(&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}), kombo.ErrIntegrationNotFound},
		{"not found at once", notFound, kombo.ErrIntegrationNotFound},
		{"404 that Kombo did not write", httpmock.NewErrorResponder(errors.New("connection reset by peer")).
			Then(httpmock.NewStringResponder(404, "<html>no route</html>")), kombo.ErrUnexpectedResponse},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mock := httpmock.NewMockTransport()
				mock.RegisterNoResponder(httpmock.NewNotFoundResponder(t.Fatal))
				mock.RegisterResponder("DELETE", integrationURL, test.first.Then(notFound))
				client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}))
				if err := client.Integrations.Delete(t.Context(), testIntegrationID); !errors.Is(err, test.want) {
					t.Errorf("error = %v, want %v", err, test.want)
				}
			})
		})
	}
}
