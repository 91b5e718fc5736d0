package kombo_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

func TestWhereRequestsGo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		options []kombo.Option
		want    string
	}{
		{"default", nil, "https://api.kombo.dev/v1/check-api-key"},
		{"EU", []kombo.Option{kombo.WithRegion(kombo.RegionEU)}, "https://api.kombo.dev/v1/check-api-key"},
		{"US", []kombo.Option{kombo.WithRegion(kombo.RegionUS)}, "https://api.us.kombo.dev/v1/check-api-key"},
		{"base URL", []kombo.Option{kombo.WithBaseURL("https://proxy.example/kombo/v1")}, "https://proxy.example/kombo/v1/check-api-key"},
		{"base URL with a slash", []kombo.Option{kombo.WithBaseURL("https://proxy.example/v1/")}, "https://proxy.example/v1/check-api-key"},
		{"base URL without path", []kombo.Option{kombo.WithBaseURL("https://proxy.example:8443")}, "https://proxy.example:8443/check-api-key"},
		{"base URL with an escaped path", []kombo.Option{kombo.WithBaseURL("https://proxy.example/a%2Fb")}, "https://proxy.example/a%2Fb/check-api-key"},
		{"plain http to localhost", []kombo.Option{kombo.WithBaseURL("http://localhost:8900/v1")}, "http://localhost:8900/v1/check-api-key"},
		{"plain http to loopback, IPv4", []kombo.Option{kombo.WithBaseURL("http://127.9.9.9/v1")}, "http://127.9.9.9/v1/check-api-key"},
		{"plain http to loopback, IPv6", []kombo.Option{kombo.WithBaseURL("http://[::1]:1/v1")}, "http://[::1]:1/v1/check-api-key"},
		{"plain http by name", []kombo.Option{kombo.WithInsecureHTTP(), kombo.WithBaseURL("http://proxy.example/v1")}, "http://proxy.example/v1/check-api-key"},
		{"plain http by name, asked for afterwards", []kombo.Option{kombo.WithBaseURL("http://proxy.example/v1"), kombo.WithInsecureHTTP()}, "http://proxy.example/v1/check-api-key"},
		{"the last of a kind counts", []kombo.Option{kombo.WithRegion(kombo.RegionUS), kombo.WithRegion(kombo.RegionEU)}, "https://api.kombo.dev/v1/check-api-key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "*", "", 200, `{"status":"success","data":{"environment_id":"env1","customer_id":"env1"}}`, test.options...)
			info, err := client.CheckAPIKey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&kombo.APIKeyInfo{EnvironmentID: "env1", CustomerID: "env1"}, info); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			if got.Method != "GET" || got.URL != test.want || got.Body != "" {
				t.Errorf("sent %s %s %s, want %s", got.Method, got.URL, got.Body, test.want)
			}
		})
	}
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	client, got := mocked(t, "*", "", 401, "", kombo.WithUserAgent("acme-hr/1.4 (test)"))
	if _, err := client.CheckAPIKey(t.Context()); !errors.Is(err, kombo.ErrAuthentication) {
		t.Fatal(err)
	}
	if want := "acme-hr/1.4 (test) kombo-go/" + kombo.Version; got.Header.Get("User-Agent") != want {
		t.Errorf("User-Agent = %q, want %q", got.Header.Get("User-Agent"), want)
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey:
				return slog.Attr{}
			case "duration", "retry_in":
				a.Value = slog.StringValue(a.Value.Kind().String())
			}
			return a
		},
	}))
	responses := []func() (*http.Response, error){
		func() (*http.Response, error) {
			return nil, &url.Error{Op: "Get", URL: testLink, Err: io.ErrUnexpectedEOF}
		},
		func() (*http.Response, error) { return httpmock.NewStringResponse(503, ""), nil },
		func() (*http.Response, error) { return httpmock.NewStringResponse(404, ""), nil },
	}
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(*http.Request) (*http.Response, error) { return responses[mock.GetTotalCallCount()-1]() })
	client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}), kombo.WithLogger(logger),
		kombo.WithRetry(kombo.RetryPolicy{BaseDelay: 1}))
	_, err := client.Connect.IntegrationByToken(t.Context(), testToken)
	if err == nil {
		t.Fatal("no error")
	}
	want := `level=DEBUG msg="kombo: attempt" op="GET /connect/integration-by-token/{token}" attempt=1 duration=Duration error="Get \"https://connect.kombo.dev/v1?token=[redacted]\": unexpected EOF" retry_in=Duration
level=DEBUG msg="kombo: attempt" op="GET /connect/integration-by-token/{token}" attempt=2 duration=Duration status=503 retry_in=Duration
level=DEBUG msg="kombo: attempt" op="GET /connect/integration-by-token/{token}" attempt=3 duration=Duration status=404
`
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestLoggerIsSilent(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for name, option := range map[string][]kombo.Option{
		"above debug":  {kombo.WithLogger(logger)},
		"nil later on": {kombo.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))), kombo.WithLogger(nil)},
	} {
		client, _ := mocked(t, "*", "", 401, "", option...)
		if _, err := client.CheckAPIKey(t.Context()); !errors.Is(err, kombo.ErrAuthentication) || log.Len() > 0 {
			t.Errorf("%s: %v, log = %q", name, err, log.String())
		}
	}
}

// Creating a link may take as long as in Kombo's SDKs; other calls have a shorter limit.
func TestTimeLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		options       []kombo.Option
		client        time.Duration
		link, another time.Duration
	}{
		{"default", nil, 0, 300 * time.Second, 60 * time.Second},
		{"WithTimeout", []kombo.Option{kombo.WithTimeout(5 * time.Second)}, 0, 5 * time.Second, 5 * time.Second},
		{"of the http.Client", nil, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute},
		{"both", []kombo.Option{kombo.WithTimeout(5 * time.Second)}, 3 * time.Second, 3 * time.Second, 3 * time.Second},
		{"WithTimeout, longer than the default", []kombo.Option{kombo.WithTimeout(10 * time.Minute)}, 0, 10 * time.Minute, 10 * time.Minute},
		{"of the http.Client, shorter than the default", nil, 2 * time.Second, 2 * time.Second, 2 * time.Second},
		{"of the http.Client, and none of WithTimeout", []kombo.Option{kombo.WithTimeout(0)}, 3 * time.Second, 3 * time.Second, 3 * time.Second},
		{"both, the http.Client's longer", []kombo.Option{kombo.WithTimeout(5 * time.Second)}, 7 * time.Second, 5 * time.Second, 5 * time.Second},
		{"none, but the context's", []kombo.Option{kombo.WithTimeout(0)}, 0, time.Hour, time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mock := httpmock.NewMockTransport()
				mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				})
				client := newClient(t, append([]kombo.Option{
					kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}),
					kombo.WithHTTPClient(&http.Client{Transport: mock, Timeout: test.client}),
				}, test.options...)...)
				calls := []struct {
					limit time.Duration
					call  func(context.Context) error
				}{
					{test.link, func(ctx context.Context) error { _, err := client.Connect.CreateLink(ctx, linkRequest); return err }},
					{test.link, func(ctx context.Context) error {
						_, err := client.Integrations.Relink(ctx, testIntegrationID, kombo.RelinkRequest{})
						return err
					}},
					{test.another, func(ctx context.Context) error { return client.Integrations.Delete(ctx, testIntegrationID) }},
					{test.another, func(ctx context.Context) error {
						_, err := client.Connect.IntegrationByToken(ctx, testToken)
						return err
					}},
					{test.another, func(ctx context.Context) error { _, err := client.CheckAPIKey(ctx); return err }},
				}
				for _, c := range calls {
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					start := time.Now()
					if err := c.call(ctx); err == nil || time.Since(start) != c.limit {
						t.Errorf("ended after %v, want %v: %v", time.Since(start), c.limit, err)
					}
					cancel()
				}
			})
		})
	}
}

// The caller's http.Client is used and never changed.
func TestCallersHTTPClient(t *testing.T) {
	t.Parallel()
	jar := &countingJar{}
	original := &http.Client{Jar: jar, Timeout: time.Minute}
	before := *original
	client, server := serve(t, respondWithLink, kombo.WithHTTPClient(original))
	if _, err := client.Connect.CreateLink(t.Context(), linkRequest); err != nil {
		t.Fatal(err)
	}
	if original.Transport != before.Transport || original.CheckRedirect != nil || original.Timeout != before.Timeout || original.Jar != before.Jar {
		t.Errorf("the client was changed: %+v", original)
	}
	if jar.asked.Load() != 1 {
		t.Errorf("the cookie jar was called %d times", jar.asked.Load())
	}
	original.Transport = failing{}
	if _, err := client.Connect.CreateLink(t.Context(), linkRequest); err != nil {
		t.Errorf("a later change of the caller's client counts: %v", err)
	}
	_ = server
}

type countingJar struct{ asked atomic.Int64 }

func (*countingJar) SetCookies(*url.URL, []*http.Cookie) {}

func (j *countingJar) Cookies(*url.URL) []*http.Cookie {
	j.asked.Add(1)
	return nil
}

func TestMaxResponseSize(t *testing.T) {
	t.Parallel()
	body := `{"status":"success","data":{"id":"` + strings.Repeat("x", 1000) + `"}}`
	for size, ok := range map[int64]bool{int64(len(body)): true, int64(len(body)) - 1: false, 20 << 20: true} {
		client, _ := mocked(t, "*", "", 200, body, kombo.WithMaxResponseSize(size))
		_, err := kombo.Call[employee](t.Context(), client, kombo.Request{Path: "/x"})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "it is longer than the limit; see WithMaxResponseSize") {
			t.Errorf("%d bytes: error = %v", size, err)
		}
	}
	long := `{"status":"success","data":"` + strings.Repeat("x", 11<<20) + `"}`
	client, _ := mocked(t, "*", "", 200, long, kombo.WithMaxResponseSize(12<<20))
	response, err := kombo.Call[string](t.Context(), client, kombo.Request{Path: "/x"})
	if err != nil || len(response.Data) != 11<<20 {
		t.Errorf("error = %v", err)
	}
}
