// Package transport makes one call over HTTP: it expands the route, sends the request as often as the retry
// policy allows, reads each response up to a limit, follows no redirect, and keeps secrets out of errors and
// logs. It does not know Kombo's types.
package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const bearer = "Bearer "

// Config is what a Transport is made of.
type Config struct {
	// BaseURL is absolute and has no trailing slash.
	BaseURL string
	// APIKey is sent as a bearer token.
	APIKey    string
	UserAgent string
	// HTTPClient is copied; one that is nil or has no Transport uses the connection pool that all
	// Transports share.
	HTTPClient *http.Client
	// Wrap returns the RoundTrippers around that of HTTPClient, the innermost first.
	Wrap []func(base http.RoundTripper) http.RoundTripper
	// AttemptTimeout returns the time limit of one attempt, reading the response included; zero means
	// none. The Timeout of HTTPClient does not count.
	AttemptTimeout func(Operation) time.Duration
	// MaxBody is the size in bytes up to which a response is read.
	MaxBody int64
	Retry   RetryPolicy
	// Classify returns what the body of a response that reports no success means for retries; nil
	// means that the status decides.
	Classify func(body []byte) Classification
	// Log, unless nil, is called at the end of each attempt.
	Log func(context.Context, Attempt)
}

// Attempt describes one attempt for a log.
type Attempt struct {
	Operation Operation
	// Number counts the attempts of the call, from 1.
	Number   int
	Duration time.Duration
	// StatusCode is that of the response; 0 if there was none.
	StatusCode int
	// WillRetry means that another attempt follows, after Wait.
	WillRetry bool
	Wait      time.Duration

	call *call
}

// Err returns why there was no response, without secrets; nil if there was one. It must not be called
// after Config.Log returns.
func (a Attempt) Err() error {
	if a.call.err == nil {
		return nil
	}
	return redactError(a.call.err, a.call.secrets())
}

// Transport sends requests to one API with one key. It is immutable and safe for concurrent use.
type Transport struct {
	baseURL   string
	userAgent string
	client    http.Client
	base      http.RoundTripper
	// uncompressed means that the caller's http.Transport has DisableCompression set.
	uncompressed bool
	timeout      func(Operation) time.Duration
	maxBody      int64
	retry        RetryPolicy
	classify     func(body []byte) Classification
	log          func(context.Context, Attempt)
	// authorization returns the value of the header. It is a function so that no format verb can
	// print the key.
	authorization func() string
}

// New returns a Transport. The caller has validated the configuration.
func New(config Config) *Transport {
	authorization := bearer + config.APIKey
	t := &Transport{
		baseURL:   config.BaseURL,
		userAgent: config.UserAgent,
		timeout:   config.AttemptTimeout,
		maxBody:   config.MaxBody,
		retry:     config.Retry,
		classify:  config.Classify,
		log:       config.Log,

		authorization: func() string { return authorization },
	}
	if config.HTTPClient != nil {
		t.client = *config.HTTPClient
		t.base = t.client.Transport
	}
	if t.base == nil {
		t.base = sharedPool()
	}
	if base, ok := t.base.(*http.Transport); ok {
		t.uncompressed = base.DisableCompression
	}
	for _, wrap := range config.Wrap {
		t.base = wrap(t.base)
	}
	t.client.Timeout = 0 // the limit of an attempt does the same for ten allocations fewer
	t.client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}
	return t
}

func (t *Transport) apiKey() string { return strings.TrimPrefix(t.authorization(), bearer) }

// BaseURL returns the address below which requests are sent.
func (t *Transport) BaseURL() string { return t.baseURL }

// Request is what one call sends.
type Request struct {
	Operation Operation
	// PathValues fill the placeholders of the operation's path, in order.
	PathValues []string
	// Query follows the path.
	Query url.Values
	// IntegrationID is sent in the header X-Integration-Id; "" means none.
	IntegrationID string
	// Body is the body of the request; nil means none.
	Body []byte
	// ContentType is the media type of Body; "" means JSON.
	ContentType string
	// ExpectedSize is the size of a response to a similar request, so that memory can be reserved; 0 means unknown.
	ExpectedSize int64
	// Timeout limits one attempt in place of Config.AttemptTimeout, unless it is zero.
	Timeout time.Duration
}

// Response is the response to the last attempt.
type Response struct {
	StatusCode int
	Header     http.Header
	// Body is truncated at the limit, and TooLarge set, if the response is longer.
	Body     []byte
	TooLarge bool
	// Undecodable means that Body is nil because it cannot be decompressed.
	Undecodable bool
	// RetryAfter is the wait that the response asks for; zero if it asks for none.
	RetryAfter time.Duration
	// Attempts is the number of requests sent.
	Attempts int
	// MayHaveExecuted means that an earlier attempt may have been executed although it failed.
	MayHaveExecuted bool

	call *call
}

// Redact returns the beginning of text, at most limit bytes of it, without the secrets of this call.
func (a *Response) Redact(text string, limit int) string {
	return redact(text, limit, a.call.secrets())
}

// RedactedBody returns the beginning of the body, as Redact does.
func (a *Response) RedactedBody(limit int) []byte {
	body := redactBytes(a.Body, limit, a.call.secrets())
	if len(body) < len(a.Body) {
		body = append([]byte(nil), body...) // a part would keep all in memory
	}
	return body
}

// CallError is a call that ended without a response.
type CallError struct {
	// Attempts is the number of requests sent; zero means that nothing was sent.
	Attempts int
	// Canceled means that the caller's context ended the call, not the network.
	Canceled bool
	// Err is the reason, without secrets.
	Err error
}

func (f *CallError) Error() string { return f.Err.Error() }

func (f *CallError) Unwrap() error { return f.Err }

// attemptTimeoutError ends an attempt that took longer than the time limit for one.
type attemptTimeoutError struct {
	limit time.Duration
	cause error
}

func (e *attemptTimeoutError) Error() string {
	return fmt.Sprintf("no complete response within %v", e.limit)
}

func (e *attemptTimeoutError) Unwrap() error { return e.cause }

func (*attemptTimeoutError) Timeout() bool { return true }

func (*attemptTimeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// call is the state of one call. go-retryablehttp does not pass the request to its hooks, so each call
// has a Client of its own; all of it is one allocation.
type call struct {
	transport *Transport
	request   Request
	url       string
	context   context.Context //nolint:containedctx // lives as long as the call
	http      http.Client
	retry     retryablehttp.Client
	first     connectionTrace // of the first attempt
	limited   io.LimitedReader

	attempts int
	started  time.Time
	response *http.Response
	body     []byte
	tooLarge bool
	// undecodable means that the body arrived and cannot be decompressed.
	undecodable bool

	err error
	// interrupted means that the caller's context had ended when the attempt failed: err then reports
	// the same, in the words of net/http or another RoundTripper.
	interrupted bool
	// connection is how far net/http got with the connection before err.
	connection int32
	// brokenStatus is the status of a response whose body broke off; zero if there was none.
	brokenStatus int

	// class, retryAfter and hasRetryAfter are about the response of the last attempt.
	class         Classification
	retryAfter    time.Duration
	hasRetryAfter bool

	decided bool
	// mayHaveExecuted is about the attempts before the last.
	mayHaveExecuted bool
	result          Response
}

// Do makes the call. Any error other than a *CallError means invalid input.
func (t *Transport) Do(ctx context.Context, r Request) (*Response, error) {
	path, err := r.Operation.expand(r.PathValues)
	if err != nil {
		return nil, err
	}
	if ctx == nil {
		return nil, errors.New("the context is nil")
	}
	if err := checkHeaderValue("integration_id", r.IntegrationID); err != nil {
		return nil, err
	}
	if len(r.Query) > 0 {
		path += "?" + r.Query.Encode()
	}
	c := &call{transport: t, request: r, url: t.baseURL + path, context: ctx, http: t.client}
	if ctx.Err() != nil {
		return nil, &CallError{Canceled: true, Err: c.contextError()}
	}
	request, err := c.newRequest()
	if err != nil {
		return nil, redactError(err, c.secrets())
	}

	c.http.Transport = roundTrip(c.roundTrip)
	c.retry.HTTPClient = &c.http
	c.retry.RetryMax = t.retry.MaxAttempts - 1
	c.retry.CheckRetry = c.checkRetry
	c.retry.Backoff = backoff
	c.retry.PrepareRetry = c.prepareRetry
	c.retry.ErrorHandler = retryablehttp.PassthroughErrorHandler
	// roundTrip has recorded the response or error of the last attempt, and closed the body. Do itself
	// reports only that the context ended during a wait.
	response, err := c.retry.Do(&retryablehttp.Request{Request: request})
	if response != nil {
		_ = response.Body.Close()
	}

	switch {
	case c.decided && c.err == nil:
		c.result = Response{
			StatusCode:      c.response.StatusCode,
			Header:          c.response.Header,
			Body:            c.body,
			TooLarge:        c.tooLarge,
			Undecodable:     c.undecodable,
			RetryAfter:      c.retryAfter,
			Attempts:        c.attempts,
			MayHaveExecuted: c.mayHaveExecuted,
			call:            c,
		}
		return &c.result, nil
	case ctx.Err() != nil:
		return nil, &CallError{Attempts: c.attempts, Canceled: true, Err: c.contextError()}
	case c.err != nil:
		err = c.err
	}
	return nil, &CallError{Attempts: c.attempts, Err: redactError(err, c.secrets())}
}

// secrets returns what errors and logs must not contain.
func (c *call) secrets() []string {
	if c == nil { // a response of a test
		return nil
	}
	secrets := []string{c.transport.apiKey()}
	if c.request.Operation.Secret {
		secrets = append(secrets, c.request.PathValues...)
	}
	return secrets
}

// contextError returns why the caller's context ended, and how the last attempt failed if it failed before
// that.
func (c *call) contextError() error {
	err := contextError(c.context, c.secrets())
	before := ""
	switch {
	case c.err != nil && !c.interrupted:
		before = redactError(c.err, c.secrets()).Error()
	case c.response != nil:
		before = fmt.Sprintf("the response was %d %s", c.response.StatusCode, http.StatusText(c.response.StatusCode))
	}
	if before != "" && !strings.Contains(err.Error(), before) {
		err = fmt.Errorf("%w (before that: %s)", err, before)
	}
	return err
}

func (c *call) logAttempt(wait time.Duration, willRetry bool) {
	if c.transport.log == nil {
		return
	}
	attempt := Attempt{
		Operation: c.request.Operation, Number: c.attempts, Duration: time.Since(c.started), WillRetry: willRetry, Wait: wait, call: c,
	}
	if c.err == nil {
		attempt.StatusCode = c.response.StatusCode
	}
	c.transport.log(c.context, attempt)
}
