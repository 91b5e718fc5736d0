package kombo_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

func TestNewClientRefuses(t *testing.T) {
	t.Parallel()
	const key = testAPIKey
	with := func(options ...kombo.Option) []kombo.Option { return options }
	tests := []struct {
		name    string
		key     string
		options []kombo.Option
		want    string
	}{
		{"no key", "", nil, "the API key is empty"},
		{"key with a line break", key + "\n", nil, "the API key starts or ends with white space; was it read with a line break at its end?"},
		{"key with Bearer", "Bearer " + key, nil, `the API key starts with "Bearer"; give the key alone`},
		{"key with bearer", "bearer:" + key, nil, `the API key starts with "Bearer"; give the key alone`},
		{"key with a space before it", " " + key, nil, "the API key starts or ends with white space; was it read with a line break at its end?"},
		{"key with a space", "a b", nil, "the API key contains characters that are not allowed in a header"},
		{"key with a carriage return", key + "\r", nil, "the API key starts or ends with white space; was it read with a line break at its end?"},
		{"key with a tab", "a" + "\t" + key, nil, "the API key contains characters that are not allowed in a header"},
		{"key with a zero byte", key + "\x00", nil, "the API key contains characters that are not allowed in a header"},
		{"key with a delete character", key + "\x7f", nil, "the API key contains characters that are not allowed in a header"},
		{"key beyond ASCII", "schlüssel", nil, "the API key contains characters that are not allowed in a header"},
		{"nil option", key, with(kombo.WithTimeout(1), nil), "option 2 is nil"},
		{"unknown region", key, with(kombo.WithRegion("mars")), `WithRegion: unknown region "mars"; use RegionEU or RegionUS`},
		{"empty region", key, with(kombo.WithRegion("")), `WithRegion: unknown region ""; use RegionEU or RegionUS`},
		{"region and base URL", key, with(kombo.WithRegion(kombo.RegionUS), kombo.WithBaseURL("https://proxy.example")), "WithRegion and WithBaseURL exclude each other"},
		{"empty base URL", key, with(kombo.WithBaseURL("")), "WithBaseURL: the URL is empty"},
		{"base URL that is none", key, with(kombo.WithBaseURL("https://pass:word@[::1")), "WithBaseURL: not a URL"},
		{"base URL without scheme", key, with(kombo.WithBaseURL("proxy.example/v1")), "WithBaseURL: the URL does not start with https:// or http://"},
		{"base URL of another scheme", key, with(kombo.WithBaseURL("ftp://proxy.example")), "WithBaseURL: the URL does not start with https:// or http://"},
		{"base URL without host", key, with(kombo.WithBaseURL("https:///v1")), "WithBaseURL: the URL names no host"},
		{"base URL with a port only", key, with(kombo.WithBaseURL("https://:443/v1")), "WithBaseURL: the URL names no host"},
		{"base URL with a password", key, with(kombo.WithBaseURL("https://user:secret@proxy.example/v1")), "WithBaseURL: the URL contains a user name or password"},
		{"base URL with a password only", key, with(kombo.WithBaseURL("https://:secret@proxy.example/v1")), "WithBaseURL: the URL contains a user name or password"},
		{"base URL with an empty user", key, with(kombo.WithBaseURL("https://@proxy.example/v1")), "WithBaseURL: the URL contains a user name or password"},
		{"base URL without version, EU", key, with(kombo.WithBaseURL("https://api.kombo.dev")), "WithBaseURL: the URL lacks the version; is it https://api.kombo.dev/v1?"},
		{"base URL without version, EU with a slash", key, with(kombo.WithBaseURL("https://api.kombo.dev/")), "WithBaseURL: the URL lacks the version; is it https://api.kombo.dev/v1?"},
		{"base URL without version, US", key, with(kombo.WithBaseURL("https://api.us.kombo.dev")), "WithBaseURL: the URL lacks the version; is it https://api.us.kombo.dev/v1?"},
		{"base URL with a query", key, with(kombo.WithBaseURL("https://proxy.example/v1?x=secret")), "WithBaseURL: the URL contains a query or a fragment"},
		{"base URL with an empty query", key, with(kombo.WithBaseURL("https://proxy.example/v1?")), "WithBaseURL: the URL contains a query or a fragment"},
		{"base URL with a fragment", key, with(kombo.WithBaseURL("https://proxy.example/v1#x")), "WithBaseURL: the URL contains a query or a fragment"},
		{"base URL with an empty fragment", key, with(kombo.WithBaseURL("https://proxy.example/v1#")), "WithBaseURL: the URL contains a query or a fragment"},
		{"plain http", key, with(kombo.WithBaseURL("http://proxy.example/v1")), "WithBaseURL: plain http would send the API key unencrypted; use https, or WithInsecureHTTP if you must"},
		{"plain http to what looks like loopback", key, with(kombo.WithBaseURL("http://127.0.0.1.example/v1")), "WithBaseURL: plain http would send the API key unencrypted; use https, or WithInsecureHTTP if you must"},
		{"plain http to a name of localhost", key, with(kombo.WithBaseURL("http://kombo.localhost/v1")), "WithBaseURL: plain http would send the API key unencrypted; use https, or WithInsecureHTTP if you must"},
		{"plain http in capitals", key, with(kombo.WithBaseURL("HTTP://proxy.example/v1")), "WithBaseURL: plain http would send the API key unencrypted; use https, or WithInsecureHTTP if you must"},
		{"plain http to a name that starts like loopback", key, with(kombo.WithBaseURL("http://localhost.proxy.example/v1")), "WithBaseURL: plain http would send the API key unencrypted; use https, or WithInsecureHTTP if you must"},
		{"plain http to a private address", key, with(kombo.WithBaseURL("http://10.1.2.3/v1")), "WithBaseURL: plain http would send the API key unencrypted; use https, or WithInsecureHTTP if you must"},
		{"plain http to an address", key, with(kombo.WithBaseURL("http://192.0.2.1:80/v1")), "WithBaseURL: plain http would send the API key unencrypted; use https, or WithInsecureHTTP if you must"},
		{"plain http to no address", key, with(kombo.WithBaseURL("http://0.0.0.0/v1")), "WithBaseURL: plain http would send the API key unencrypted; use https, or WithInsecureHTTP if you must"},
		{"plain http to no address, IPv6", key, with(kombo.WithBaseURL("http://[::]/v1")), "WithBaseURL: plain http would send the API key unencrypted; use https, or WithInsecureHTTP if you must"},
		{"plain http to an address, IPv6", key, with(kombo.WithBaseURL("http://[2001:db8::1]:80/v1")), "WithBaseURL: plain http would send the API key unencrypted; use https, or WithInsecureHTTP if you must"},
		{"nil HTTP client", key, with(kombo.WithHTTPClient(nil)), "WithHTTPClient: the client is nil"},
		{"negative timeout", key, with(kombo.WithTimeout(-time.Second)), "WithTimeout: the timeout is negative"},
		{"negative attempts", key, with(kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: -1})), "WithRetry: RetryPolicy.MaxAttempts is negative"},
		{"negative base delay", key, with(kombo.WithRetry(kombo.RetryPolicy{BaseDelay: -1})), "WithRetry: RetryPolicy.BaseDelay is negative"},
		{"negative maximum delay", key, with(kombo.WithRetry(kombo.RetryPolicy{MaxDelay: -1})), "WithRetry: RetryPolicy.MaxDelay is negative"},
		{"negative maximum of Retry-After", key, with(kombo.WithRetry(kombo.RetryPolicy{MaxRetryAfter: -1})), "WithRetry: RetryPolicy.MaxRetryAfter is negative"},
		{"no response size", key, with(kombo.WithMaxResponseSize(0)), "WithMaxResponseSize: the size is not between 1 byte and 1 GiB"},
		{"negative response size", key, with(kombo.WithMaxResponseSize(-1)), "WithMaxResponseSize: the size is not between 1 byte and 1 GiB"},
		{"huge response size", key, with(kombo.WithMaxResponseSize(1<<30 + 1)), "WithMaxResponseSize: the size is not between 1 byte and 1 GiB"},
		{"empty user agent", key, with(kombo.WithUserAgent("")), "WithUserAgent: the product is empty"},
		{"user agent with a line break", key, with(kombo.WithUserAgent("a\r\nX-Evil: 1")), "WithUserAgent: the product contains characters that are not allowed in a header"},
		{"user agent with a carriage return", key, with(kombo.WithUserAgent("a\rb")), "WithUserAgent: the product contains characters that are not allowed in a header"},
		{"user agent with a tab", key, with(kombo.WithUserAgent("a\tb")), "WithUserAgent: the product contains characters that are not allowed in a header"},
		{"user agent with a delete character", key, with(kombo.WithUserAgent("a\x7f")), "WithUserAgent: the product contains characters that are not allowed in a header"},
		{"user agent with what is not ASCII", key, with(kombo.WithUserAgent("schlüssel")), "WithUserAgent: the product contains characters that are not allowed in a header"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, err := kombo.NewClient(test.key, test.options...)
			if client != nil || err == nil || err.Error() != "kombo: NewClient: "+test.want {
				t.Errorf("NewClient = %v, %v\nwant %s", client, err, test.want)
			}
		})
	}
}

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
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if got.Method != "GET" || got.URL != test.want || got.Body != "" {
				t.Errorf("sent %s %s %s, want %s", got.Method, got.URL, got.Body, test.want)
			}
		})
	}
}

// An error names the mistake in the settings of the client that probably caused it.
func TestHints(t *testing.T) {
	t.Parallel()
	const (
		secretHint  = "the API key does not start with ks_prod_ or ks_dev_; is it a webhook secret?"
		versionHint = "the base URL does not end with /v1; is the version missing?"
		badKey      = `{"status":"error","error":{"code":"PLATFORM.AUTHENTICATION_INVALID","message":"no"}}`
	)
	tests := []struct {
		name, key, baseURL string
		status             int
		body, want         string
	}{
		{"webhook secret", "whsec-0123456789", "https://api.kombo.dev/v1", 401, badKey, secretHint},
		{"webhook secret, refused by a gateway", "whsec-0123456789", "https://api.kombo.dev/v1", 401, "", secretHint},
		{"production key", "ks_prod_0123456789", "https://api.kombo.dev/v1", 401, badKey, ""},
		{"development key", "ks_dev_0123456789", "https://api.kombo.dev/v1", 401, badKey, ""},
		{"another error", "whsec-0123456789", "https://api.kombo.dev/v1", 400, "", ""},
		{"no version", "ks_dev_0123456789", "https://proxy.example/kombo", 404, "not found", versionHint},
		{"with version", "ks_dev_0123456789", "https://proxy.example/kombo/v1", 404, "not found", ""},
		{"not found by Kombo", "ks_dev_0123456789", "https://proxy.example/kombo", 404, notFoundAnswer, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mock := httpmock.NewMockTransport()
			mock.RegisterNoResponder(httpmock.NewStringResponder(test.status, test.body))
			client, err := kombo.NewClient(test.key, kombo.WithBaseURL(test.baseURL), kombo.WithHTTPClient(&http.Client{Transport: mock}))
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.CheckAPIKey(t.Context())
			if err == nil || strings.Contains(err.Error(), test.key) {
				t.Fatalf("error = %v", err)
			}
			if test.want != "" && !strings.HasSuffix(err.Error(), ": "+test.want+" (attempts: 1)") ||
				test.want == "" && (strings.Contains(err.Error(), secretHint) || strings.Contains(err.Error(), versionHint)) {
				t.Errorf("error = %v, want hint %q", err, test.want)
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
	answers := []func() (*http.Response, error){
		func() (*http.Response, error) {
			return nil, &url.Error{Op: "Get", URL: testLink, Err: io.ErrUnexpectedEOF}
		},
		func() (*http.Response, error) { return httpmock.NewStringResponse(503, ""), nil },
		func() (*http.Response, error) { return httpmock.NewStringResponse(404, ""), nil },
	}
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(*http.Request) (*http.Response, error) { return answers[mock.GetTotalCallCount()-1]() })
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

func TestClientHidesItsKey(t *testing.T) {
	t.Parallel()
	client := newClient(t, kombo.WithLogger(slog.Default()), kombo.WithHTTPClient(&http.Client{}))
	wrapped := struct {
		Client *kombo.Client
		Value  kombo.Client
	}{client, *client}
	values := []any{client, *client, client.Connect, *client.Connect, client.Integrations, *client.Integrations, wrapped, &wrapped}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, value := range values {
			got := fmt.Sprintf(verb, value)
			for _, form := range []string{testAPIKey, fmt.Sprintf("%x", testAPIKey), fmt.Sprintf("%X", testAPIKey)} {
				if strings.Contains(got, form) {
					t.Errorf("%s of a %T prints the key: %s", verb, value, got)
				}
			}
		}
	}
	for _, verb := range []string{"%v", "%#v"} {
		if got := fmt.Sprintf(verb, client); got != "kombo.Client(https://api.kombo.dev/v1)" {
			t.Errorf("%s = %q", verb, got)
		}
	}
	if got := (*kombo.Client)(nil).String(); got != "kombo.Client(not made by NewClient)" {
		t.Errorf("String of nil = %q", got)
	}
}

func TestLinkHidesItsURL(t *testing.T) {
	t.Parallel()
	link := kombo.Link{URL: testLink}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "link", link, "pointer", &link)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("made", "link", link, "pointer", &link)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%c"} {
		fmt.Fprintf(&log, verb+verb, link, &link)
		fmt.Fprintf(&log, verb+verb, []*kombo.Link{&link}, struct{ Link kombo.Link }{link})
	}
	if strings.Contains(log.String(), "eyJ") || strings.Contains(log.String(), fmt.Sprintf("%x", "eyJ")) {
		t.Errorf("the link is told: %s", log.String())
	}
	if !strings.Contains(log.String(), "kombo.Link([redacted])") || kombo.Link.String(kombo.Link{}) != "kombo.Link(empty)" {
		t.Errorf("log = %s", log.String())
	}
}

func TestNewClientReadsNoEnvironment(t *testing.T) { //nolint:paralleltest // sets the environment
	for _, name := range []string{"KOMBO_API_KEY", "KOMBO_REGION", "KOMBO_BASE_URL"} {
		t.Setenv(name, "https://elsewhere.example")
	}
	if _, err := kombo.NewClient(""); err == nil {
		t.Error("an empty key was accepted")
	}
	if got := newClient(t).String(); got != "kombo.Client(https://api.kombo.dev/v1)" {
		t.Errorf("client = %s", got)
	}
}
