package kombo_test

import (
	"testing"
	"time"

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
