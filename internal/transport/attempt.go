package transport

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// newRequest returns the request as this package makes it. Each attempt needs a fresh one:
// http.Client adds cookies, RoundTrippers add headers, and net/http may still read the request of an
// attempt that has ended.
func (c *call) newRequest() (*http.Request, error) {
	var body io.Reader
	if c.request.Body != nil {
		body = bytes.NewReader(c.request.Body)
	}
	request, err := http.NewRequestWithContext(c.context, c.request.Operation.Method, c.url, body)
	if err != nil {
		return nil, err
	}
	if c.request.Operation.NonIdempotent {
		// Without GetBody, net/http cannot resend it after an HTTP/2 error that leaves open whether it
		// was executed.
		request.GetBody = nil
	}
	values := make([]string, 0, 6) // one allocation for all
	set := func(name, value string) {
		values = append(values, value)
		request.Header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	set("Authorization", c.transport.authorization())
	set("Accept", "application/json")
	set("User-Agent", c.transport.userAgent)
	if !c.transport.uncompressed {
		set("Accept-Encoding", "gzip")
	}
	if body != nil {
		set("Content-Type", cmp.Or(c.request.ContentType, "application/json"))
	}
	if c.request.IntegrationID != "" {
		set("X-Integration-Id", c.request.IntegrationID)
	}
	return request, nil
}

// prepareRetry replaces the request of the last attempt.
func (c *call) prepareRetry(request *http.Request) error {
	fresh, err := c.newRequest()
	if err == nil {
		*request = *fresh
	}
	return err
}

// roundTrip is a function, because the linker would keep methods of all types that are in a call if that were
// the http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// roundTrip makes one attempt. It reads the response to its end here, so that the time limit covers
// it, a body that breaks off counts as a failed attempt, and nothing is left to close on any path.
func (c *call) roundTrip(request *http.Request) (*http.Response, error) {
	c.attempts++
	c.brokenStatus = 0
	c.response, c.body, c.tooLarge, c.undecodable, c.err = nil, nil, false, false, nil
	if c.transport.log != nil {
		c.started = time.Now()
	}
	ctx, connection := request.Context(), &c.first
	if c.attempts > 1 { // net/http may still use that of an attempt that has ended
		connection = &connectionTrace{}
	}
	limit := c.request.Timeout
	if limit == 0 {
		limit = c.transport.timeout(c.request.Operation)
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	request = request.WithContext(connection.follow(ctx))
	response, err := c.transport.base.RoundTrip(request)
	if err == nil && response == nil {
		err = errors.New("the http.RoundTripper returned neither a response nor an error")
	}
	valid := err == nil
	if response != nil && response.Body != nil {
		// After 101 the body is the connection itself: reading it may never end, even if the context does.
		if valid && response.StatusCode != http.StatusSwitchingProtocols {
			err = c.readBody(response)
		}
		_ = response.Body.Close() // its error does not matter: the body is complete or has failed
		response.Body = http.NoBody
	}
	if err != nil {
		c.interrupted = c.context.Err() != nil
		// Check ctx, because a dialer with a limit of its own returns the same error.
		if limit > 0 && ctx.Err() != nil && !c.interrupted {
			err = &attemptTimeoutError{limit: limit, cause: err}
		}
		c.err, c.connection = err, connection.state.Load()
		if !valid {
			return nil, err
		}
		c.brokenStatus = response.StatusCode
		return response, nil // for the cookie jar
	}
	c.response = response
	return response, nil
}

// connectionTrace is the context of an attempt. It follows how far net/http gets with the connection.
type connectionTrace struct {
	context.Context //nolint:containedctx // it is one itself

	key   any // of hooks
	hooks httptrace.ClientTrace
	state atomic.Int32
}

// The states of a connectionTrace.
const (
	unknownConnection int32 = iota // a RoundTripper that is not net/http's
	noConnection                   // net/http wants a connection, and has none yet
	gotConnection
)

// follow does what httptrace.WithClientTrace does, which calls functions by reflection: for that alone, the
// linker would add 30 KB to a program.
func (t *connectionTrace) follow(ctx context.Context) context.Context {
	t.Context = ctx
	if outer := httptrace.ContextClientTrace(t); outer != nil {
		t.hooks = *outer
	}
	outerGet, outerGot := t.hooks.GetConn, t.hooks.GotConn
	t.hooks.GetConn = func(hostPort string) {
		t.state.Store(noConnection)
		if outerGet != nil {
			outerGet(hostPort)
		}
	}
	t.hooks.GotConn = func(info httptrace.GotConnInfo) {
		t.state.Store(gotConnection)
		if outerGot != nil {
			outerGot(info)
		}
	}
	return t
}

// Value returns the hooks for the key that follow asks with, by way of httptrace.
func (t *connectionTrace) Value(key any) any {
	switch t.key {
	case nil:
		t.key = key
	case key:
		return &t.hooks
	}
	return t.Context.Value(key)
}
