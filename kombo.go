// Package kombo is a client for [Kombo Connect]: it lets the customers of a Go service connect their
// HR systems (HRIS, ATS, assessment and LMS tools) through Kombo's unified API.
//
// # A connection, from link to deletion
//
// [ConnectService.CreateLink] makes a link into the connection flow. When the customer has finished
// the flow, the browser holds an activation token, which [ConnectService.IntegrationByToken]
// exchanges for the integration: store its id beside the customer. When credentials break,
// [IntegrationsService.Relink] makes a link to enter new ones, and [IntegrationsService.Delete]
// ends the connection.
//
//	client, err := kombo.NewClient(apiKey)
//	link, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{
//		EndUserEmail:            "ada@acme.example",
//		EndUserOrganizationName: "Acme, Inc.",
//		EndUserOriginID:         "42", // your own id of the customer
//	})
//	integration, err := client.Connect.IntegrationByToken(ctx, token)
//
// # Webhooks
//
// A [WebhookVerifier] checks the signature of a delivery and decodes it into a typed event.
// [WebhookVerifier.Handler] returns a [net/http.Handler] that is ready to mount;
// [WebhookVerifier.Parse] is for every other framework.
//
// # Errors
//
// Every failed call returns an [*Error], which names the operation and tells how often it was tried.
// Use [errors.Is] with [ErrIntegrationNotFound] and its siblings to tell kinds apart, and
// [errors.As] for the details. Errors, log records and printed clients never hold the API key, a
// webhook secret, an activation token or a link.
//
// # Retries
//
// Failed attempts are repeated with exponential backoff where that is safe; see [RetryPolicy].
//
// This package is not affiliated with Kombo.
//
// [Kombo Connect]: https://docs.kombo.dev/connect
package kombo

import (
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

// Version is the version of this package, sent in the User-Agent header.
const Version = "0.1.0"

// Region is where Kombo keeps an environment's data. Use the one in which the API key was made; how
// the other answers to it is not documented.
type Region string

// The regions that Kombo runs.
const (
	RegionEU Region = "eu" // https://api.kombo.dev, the default
	RegionUS Region = "us" // https://api.us.kombo.dev
)

// baseURL returns "" for an unknown region.
func (r Region) baseURL() string {
	switch r {
	case RegionEU:
		return "https://api.kombo.dev/v1"
	case RegionUS:
		return "https://api.us.kombo.dev/v1"
	}
	return ""
}

// The time limits of one attempt, unless [WithTimeout] says otherwise.
const (
	// DefaultTimeout is the limit for all operations but those that make a link.
	DefaultTimeout = 60 * time.Second
	// DefaultLinkTimeout is the limit for those that make a link. Kombo's own SDKs give them as much.
	DefaultLinkTimeout = 300 * time.Second
)

// RetryPolicy says how failed attempts are repeated. The zero value of each field means its
// default.
//
// Repeated are attempts that ended without an answer (connections refused or cut, time limits; not
// what would fail again, such as a certificate that is not trusted) and those answered 429, 500, 502,
// 503 or 504. The waits grow exponentially and are random ("full
// jitter"). A Retry-After header makes the wait at least as long as it says. Where the wait would
// be longer than MaxRetryAfter, or would pass the deadline of the call's context, the call returns
// the error of the last attempt at once.
type RetryPolicy struct {
	// MaxAttempts is how often a call is sent at most, the first time included. The default is 4;
	// 1 switches retries off.
	MaxAttempts int
	// BaseDelay bounds the first wait; each further bound is twice the one before. The default is
	// 500 ms.
	BaseDelay time.Duration
	// MaxDelay is the longest wait that the backoff itself comes to. The default is 8 s.
	MaxDelay time.Duration
	// MaxRetryAfter is the longest wait that a Retry-After header may ask for. The default is 30 s.
	// What a longer one asked for stands in [Error.RetryAfter].
	MaxRetryAfter time.Duration
}

func (p RetryPolicy) validate() error {
	switch {
	case p.MaxAttempts < 0:
		return errors.New("RetryPolicy.MaxAttempts is negative")
	case p.BaseDelay < 0:
		return errors.New("RetryPolicy.BaseDelay is negative")
	case p.MaxDelay < 0:
		return errors.New("RetryPolicy.MaxDelay is negative")
	case p.MaxRetryAfter < 0:
		return errors.New("RetryPolicy.MaxRetryAfter is negative")
	}
	return nil
}

func (p RetryPolicy) withDefaults() transport.RetryPolicy {
	orDefault := func(value, fallback time.Duration) time.Duration {
		if value == 0 {
			return fallback
		}
		return value
	}
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 4
	}
	return transport.RetryPolicy{
		MaxAttempts:   p.MaxAttempts,
		BaseDelay:     orDefault(p.BaseDelay, 500*time.Millisecond),
		MaxDelay:      orDefault(p.MaxDelay, 8*time.Second),
		MaxRetryAfter: orDefault(p.MaxRetryAfter, 30*time.Second),
	}
}

// An Option changes what [NewClient] makes. A later option overrides an earlier one of its kind.
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
}

// WithRegion chooses the region; the default is [RegionEU]. It cannot be combined with
// [WithBaseURL].
func WithRegion(region Region) Option {
	return func(c *config) error {
		if region.baseURL() == "" {
			return fmt.Errorf("WithRegion: unknown region %q; use RegionEU or RegionUS", string(region))
		}
		c.region = region
		return nil
	}
}

// WithBaseURL sends requests below another address, such as that of a proxy or of a kombotest
// server: an absolute https URL, version prefix included ("https://proxy.example/kombo/v1"), without
// user, query or fragment. Plain http is accepted for loopback addresses only, unless
// [WithInsecureHTTP] asks for more.
func WithBaseURL(baseURL string) Option {
	return func(c *config) error {
		if baseURL == "" {
			return errors.New("WithBaseURL: the URL is empty")
		}
		c.baseURL = baseURL
		return nil
	}
}

// WithInsecureHTTP lets [WithBaseURL] name a plain http address that is not loopback. The API key
// and every link then cross the network unencrypted.
func WithInsecureHTTP() Option {
	return func(c *config) error {
		c.insecureHTTP = true
		return nil
	}
}

// WithHTTPClient sends requests through the transport, cookie jar and timeout of client, for
// proxies, client certificates, tracing and tests. The client is copied, never changed, and its idle
// connections are left alone. Redirects are not followed whatever its CheckRedirect says. A client
// without a Transport uses the connection pool of this package, not [http.DefaultTransport]. A
// Timeout limits one attempt in place of the default, as [WithTimeout] does; the shorter of the two
// counts.
//
// The bodies that the Transport returns must end with the context of their request, as those of
// net/http do. One that repeats requests by itself also repeats what acts each time, such as
// [IntegrationsService.Sync].
func WithHTTPClient(client *http.Client) Option {
	return func(c *config) error {
		if client == nil {
			return errors.New("WithHTTPClient: the client is nil")
		}
		c.httpClient = client
		return nil
	}
}

// WithTimeout limits the time of one attempt, from dialing to the end of the answer. The defaults are
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

// WithRetry changes how failed attempts are repeated.
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
// status or error, and the wait before the next attempt. The default, and nil, is to log nothing.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error {
		c.log = nil
		if logger != nil {
			c.log = func(ctx context.Context, attempt transport.Attempt) { logAttempt(ctx, logger, attempt) }
		}
		return nil
	}
}

// Only what [WithLogger] makes leads here, so that a program without it need not hold log/slog.
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
	if attempt.Again {
		attributes = append(attributes, slog.Duration("retry_in", attempt.Wait))
	}
	logger.LogAttrs(ctx, slog.LevelDebug, "kombo: attempt", attributes...)
}

// WithUserAgent puts the name of the calling product, such as "acme-hr/1.4", before this package's
// own in the User-Agent header.
func WithUserAgent(product string) Option {
	return func(c *config) error {
		if product == "" {
			return errors.New("WithUserAgent: the product is empty")
		}
		if !printableASCII(product, true) {
			return errors.New("WithUserAgent: the product holds characters that a header cannot")
		}
		c.userAgent = product
		return nil
	}
}

// Client calls the API of Kombo with one API key. Make one with [NewClient] and keep it: it is
// immutable, safe for concurrent use, and reuses its connections.
type Client struct {
	// Connect makes connection links and exchanges activation tokens.
	Connect *ConnectService
	// Integrations manages the connections that customers have made.
	Integrations *IntegrationsService

	service *service
}

// NewClient returns a client that authenticates with the API key, one of those on the secrets page
// of Kombo's dashboard. It makes no request (see [Client.CheckAPIKey]) and reads no environment
// variable; requests heed HTTPS_PROXY and its siblings, as net/http does, unless [WithHTTPClient] says
// otherwise. The error says which argument cannot be used.
func NewClient(apiKey string, options ...Option) (*Client, error) {
	client, err := newClient(apiKey, options)
	if err != nil {
		return nil, fmt.Errorf("kombo: NewClient: %w", err)
	}
	return client, nil
}

func newClient(apiKey string, options []Option) (*Client, error) {
	if apiKey == "" {
		return nil, errors.New("the API key is empty")
	}
	if !printableASCII(apiKey, false) {
		return nil, errors.New("the API key holds white space or characters that a header cannot; give it without \"Bearer\" and without a line break at its end")
	}
	var c config
	for i, option := range options {
		if option == nil {
			return nil, fmt.Errorf("option %d is nil", i+1)
		}
		if err := option(&c); err != nil {
			return nil, err
		}
	}
	baseURL, err := c.resolveBaseURL()
	if err != nil {
		return nil, err
	}
	userAgent := "kombo-go/" + Version
	if c.userAgent != "" {
		userAgent = c.userAgent + " " + userAgent
	}
	s := &service{transport: transport.New(transport.Config{
		BaseURL:        baseURL,
		APIKey:         apiKey,
		UserAgent:      userAgent,
		HTTPClient:     c.httpClient,
		AttemptTimeout: c.timeout,
		Retry:          c.retry.withDefaults(),
		Log:            c.log,
	})}
	return &Client{
		Connect:      (*ConnectService)(s),
		Integrations: (*IntegrationsService)(s),
		service:      s,
	}, nil
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
	// The URL itself stays out of these messages: it may hold a password.
	u, err := url.Parse(c.baseURL)
	switch {
	case err != nil:
		return "", errors.New("WithBaseURL: not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("WithBaseURL: the URL does not start with https:// or http://")
	case u.Hostname() == "":
		return "", errors.New("WithBaseURL: the URL names no host")
	case u.User != nil:
		return "", errors.New("WithBaseURL: the URL holds a user name or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(c.baseURL, "#"):
		return "", errors.New("WithBaseURL: the URL holds a query or a fragment")
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

// String describes the client without its API key.
func (c *Client) String() string {
	if c == nil || c.service == nil {
		return "kombo.Client(not made by NewClient)"
	}
	return "kombo.Client(" + c.service.transport.BaseURL() + ")"
}

// GoString describes the client without its API key.
func (c *Client) GoString() string { return c.String() }

// APIKeyInfo tells to whom an API key belongs.
type APIKeyInfo struct {
	// EnvironmentID is the id of the environment that the key is for.
	EnvironmentID string `json:"environment_id"`
	// CustomerID is the former name of EnvironmentID.
	//
	// Deprecated: use EnvironmentID.
	CustomerID string `json:"customer_id,omitempty"`
}

func (i *APIKeyInfo) missing() string { return required("environment_id", i.EnvironmentID) }

var checkAPIKeyOperation = transport.Operation{Method: http.MethodGet, Path: "/check-api-key", Timeout: DefaultTimeout}

// CheckAPIKey tells which environment the API key is for. It is the quickest way to see whether key
// and region are right: a wrong key gives [ErrAuthentication].
//
// Kombo's documentation: https://docs.kombo.dev/v1/get-check-api-key
func (c *Client) CheckAPIKey(ctx context.Context) (*APIKeyInfo, error) {
	return call[APIKeyInfo](ctx, c.service, checkAPIKeyOperation, nil)
}
