package kombo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kombo-go/kombo/internal/transport"
)

// The default time limits of one attempt; [WithTimeout] replaces both.
const (
	// DefaultTimeout is the limit for all operations except POST requests.
	DefaultTimeout = 60 * time.Second
	// DefaultLinkTimeout is the limit for POST requests (operations that create a link, Sync and
	// Passthrough), as in Kombo's own SDKs.
	DefaultLinkTimeout = 300 * time.Second
)

// DefaultMaxResponseSize is the size in bytes up to which responses are read, 10 MiB; [WithMaxResponseSize]
// sets another.
const DefaultMaxResponseSize = 10 << 20

// An Option configures the client that [NewClient] returns. A later option overrides an earlier one of
// the same kind, except for [WithObserver] and [WithInstrumentation].
type Option func(*config) error

type config struct {
	region       Region
	baseURL      string
	insecureHTTP bool
	userAgent    string
	httpClient   *http.Client
	timeout      *time.Duration
	retry        RetryPolicy
	log          func(context.Context, transport.Attempt)
	observe      observer
	callContexts []func(ctx context.Context, op string) context.Context
	wrap         []func(base http.RoundTripper) http.RoundTripper
	maxBody      int64
}

// transport checks the options against each other and resolves them, with their defaults, into the
// configuration of the client's transport.
func (c *config) transport(apiKey string) (transport.Config, error) {
	baseURL, err := c.resolveBaseURL()
	if err != nil {
		return transport.Config{}, err
	}
	userAgent := "kombo-go/" + Version
	if c.userAgent != "" {
		userAgent = c.userAgent + " " + userAgent
	}
	return transport.Config{
		BaseURL:        baseURL,
		APIKey:         apiKey,
		UserAgent:      userAgent,
		HTTPClient:     c.httpClient,
		Wrap:           c.wrap,
		AttemptTimeout: c.attemptTimeout(),
		Retry:          c.retry.withDefaults(),
		Classify:       classify,
		Log:            c.log,
		MaxBody:        cmp.Or(c.maxBody, DefaultMaxResponseSize),
	}, nil
}

// attemptTimeout returns the time limit of one attempt of an operation. A [Request] with a Timeout overrides it. It is the
// shorter one of [WithTimeout] and the Timeout of the client of [WithHTTPClient], whose zero is no limit. If neither is
// set, it is the default of the method.
func (c *config) attemptTimeout() func(transport.Operation) time.Duration {
	limit := c.timeout
	if c.httpClient != nil {
		if own := c.httpClient.Timeout; own > 0 && (limit == nil || *limit == 0 || own < *limit) {
			limit = &own
		}
	}
	return func(operation transport.Operation) time.Duration {
		switch {
		case limit != nil:
			return *limit
		case operation.Method == http.MethodPost:
			return DefaultLinkTimeout
		}
		return DefaultTimeout
	}
}

// WithRegion sets the region; the default is [RegionEU]. It cannot be combined with [WithBaseURL].
func WithRegion(region Region) Option {
	return func(c *config) error {
		if region.baseURL() == "" {
			return fmt.Errorf("WithRegion: unknown region %q; use RegionEU or RegionUS", string(region))
		}
		c.region = region
		return nil
	}
}

// WithBaseURL sends requests to another server, such as a proxy or the fake Kombo of package kombotest.
// baseURL is an absolute https URL that includes the version ("https://proxy.example/kombo/v1") and has
// no user, query or fragment. Plain http is accepted for loopback addresses only, unless
// [WithInsecureHTTP] is given.
func WithBaseURL(baseURL string) Option {
	return func(c *config) error {
		if baseURL == "" {
			return errors.New("WithBaseURL: the URL is empty")
		}
		c.baseURL = baseURL
		return nil
	}
}

// WithInsecureHTTP allows [WithBaseURL] a plain http URL that is not loopback. The API key and every
// link then cross the network unencrypted.
func WithInsecureHTTP() Option {
	return func(c *config) error {
		c.insecureHTTP = true
		return nil
	}
}

// WithHTTPClient sends requests with the Transport, Jar and Timeout of client, for proxies, client
// certificates, tracing and tests. The client is copied, never changed, and its idle connections are not
// closed. Redirects are not followed; its CheckRedirect is ignored. Its Timeout replaces the default
// limit of one attempt, as [WithTimeout] does; if both are set, the shorter counts.
//
// A client without a Transport uses the connection pool of this package, not [http.DefaultTransport]. It
// keeps 1,024 idle connections, so that as many callers need no new ones over HTTP/1.1. For more, give it a
// Transport with a larger MaxIdleConns and MaxIdleConnsPerHost.
//
// Reads from a response body must fail once the request's context is done, as in net/http. A Transport
// that retries on its own also retries calls that are not idempotent, such as [IntegrationsService.Sync].
// This package asks for gzip and decompresses responses itself, so a Transport sees them compressed, unless
// it is an [http.Transport] with DisableCompression.
func WithHTTPClient(client *http.Client) Option {
	return func(c *config) error {
		if client == nil {
			return errors.New("WithHTTPClient: the client is nil")
		}
		c.httpClient = client
		return nil
	}
}

// WithTimeout limits the time of one attempt, from dialing to the end of the response. The defaults are
// [DefaultTimeout] and [DefaultLinkTimeout]; zero means no limit. It does not limit the whole call,
// which may take several attempts: use a context with a deadline for that.
func WithTimeout(timeout time.Duration) Option {
	return func(c *config) error {
		if timeout < 0 {
			return errors.New("WithTimeout: the timeout is negative")
		}
		c.timeout = &timeout
		return nil
	}
}

// WithRetry sets how failed attempts are retried.
func WithRetry(policy RetryPolicy) Option {
	return func(c *config) error {
		if err := policy.validate(); err != nil {
			return fmt.Errorf("WithRetry: %w", err)
		}
		c.retry = policy
		return nil
	}
}

// WithLogger writes one record for each attempt, at level debug: operation, attempt, duration,
// status or error, and the wait before the next attempt. By default, or if logger is nil, nothing is
// logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error {
		c.log = nil
		if logger != nil {
			c.log = func(ctx context.Context, attempt transport.Attempt) { logAttempt(ctx, logger, attempt) }
		}
		return nil
	}
}

// logAttempt is reachable only through [WithLogger], so the linker can drop log/slog from programs that
// do not use it.
func logAttempt(ctx context.Context, logger *slog.Logger, attempt transport.Attempt) {
	if !logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attributes := make([]slog.Attr, 0, 5)
	attributes = append(attributes,
		slog.String("op", attempt.Operation.String()),
		slog.Int("attempt", attempt.Number),
		slog.Duration("duration", attempt.Duration),
	)
	if err := attempt.Err(); err != nil {
		attributes = append(attributes, slog.String("error", err.Error()))
	} else {
		attributes = append(attributes, slog.Int("status", attempt.StatusCode))
	}
	if attempt.WillRetry {
		attributes = append(attributes, slog.Duration("retry_in", attempt.Wait))
	}
	logger.LogAttrs(ctx, slog.LevelDebug, "kombo: attempt", attributes...)
}

// WithMaxResponseSize sets the size in bytes up to which the body of a response is read, after it is
// decompressed; the default is [DefaultMaxResponseSize]. A longer response fails with
// [ErrUnexpectedResponse]. A response takes up to about ten times its size in memory.
func WithMaxResponseSize(bytes int64) Option {
	return func(c *config) error {
		if bytes <= 0 || bytes > 1<<30 {
			return errors.New("WithMaxResponseSize: the size is not between 1 byte and 1 GiB")
		}
		c.maxBody = bytes
		return nil
	}
}

// WithObserver calls observe at the end of every call of the client, failed or not: for metrics and
// traces, or to read a response header. If the option is given several times, all observers are called,
// in order, after those of [ContextWithObserver]. They run in the goroutine of the call, so they must be
// safe for concurrent use, should be quick and must not panic. nil adds none.
//
// ctx is the context of the call, with its values and possibly done.
func WithObserver(observe func(ctx context.Context, call CallInfo)) Option {
	return func(c *config) error {
		c.observe = c.observe.then(observe)
		return nil
	}
}

// WithInstrumentation attaches traces and metrics to the client: package otelkombo has those of
// OpenTelemetry. If the option is given several times, a later CallContext gets the context of the earlier
// one, and a later Transport sends its requests with the earlier one.
func WithInstrumentation(instrumentation Instrumentation) Option {
	return func(c *config) error {
		if derive := instrumentation.CallContext; derive != nil {
			c.callContexts = append(c.callContexts, derive)
		}
		if wrap := instrumentation.Transport; wrap != nil {
			c.wrap = append(c.wrap, wrap)
		}
		return nil
	}
}

// WithUserAgent puts the name of the calling product, such as "acme-hr/1.4", before the name of this
// package in the User-Agent header.
func WithUserAgent(product string) Option {
	return func(c *config) error {
		if product == "" {
			return errors.New("WithUserAgent: the product is empty")
		}
		if !printableASCII(product, true) {
			return errors.New("WithUserAgent: the product contains characters that are not allowed in a header")
		}
		c.userAgent = product
		return nil
	}
}

func (c *config) resolveBaseURL() (string, error) {
	if c.baseURL == "" {
		if c.region == "" {
			c.region = RegionEU
		}
		return c.region.baseURL(), nil
	}
	if c.region != "" {
		return "", errors.New("WithRegion and WithBaseURL exclude each other")
	}
	// These messages do not quote the URL: it may contain a password.
	u, err := url.Parse(c.baseURL)
	switch {
	case err != nil:
		return "", errors.New("WithBaseURL: not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("WithBaseURL: the URL does not start with https:// or http://")
	case u.Hostname() == "":
		return "", errors.New("WithBaseURL: the URL names no host")
	case u.User != nil:
		return "", errors.New("WithBaseURL: the URL contains a user name or password")
	case strings.HasSuffix(u.Hostname(), ".kombo.dev") && strings.Trim(u.Path, "/") == "":
		return "", errors.New("WithBaseURL: the URL lacks the version; is it https://" + u.Host + "/v1?")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(c.baseURL, "#"):
		return "", errors.New("WithBaseURL: the URL contains a query or a fragment")
	case u.Scheme == "http" && !c.insecureHTTP && !loopback(u.Hostname()):
		return "", errors.New("WithBaseURL: plain http would send the API key unencrypted; use https, or WithInsecureHTTP if you must")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	// Not *.localhost: net/http sends it to the proxy of the environment.
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func printableASCII(s string, space bool) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == ' ' && !space {
			return false
		}
	}
	return true
}

// checkAPIKey reports why key cannot be an API key, without quoting it.
func checkAPIKey(key string) error {
	switch {
	case key == "":
		return errors.New("the API key is empty")
	case len(key) >= len("Bearer") && strings.EqualFold(key[:len("Bearer")], "Bearer"):
		return errors.New("the API key starts with \"Bearer\"; give the key alone")
	case strings.TrimSpace(key) != key:
		return errors.New("the API key starts or ends with white space; was it read with a line break at its end?")
	case !printableASCII(key, false):
		return errors.New("the API key contains characters that are not allowed in a header")
	}
	return nil
}

// usualKey reports whether key has the form of the API keys that Kombo issues. Others are not refused:
// proxies and fakes have keys of their own.
func usualKey(key string) bool {
	return strings.HasPrefix(key, "ks_prod_") || strings.HasPrefix(key, "ks_dev_")
}
