package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	testKey   = "api-key-0123456789"
	testToken = "activation-token-0123456789"

	testMaxBody = 10 << 20
)

var (
	read = Operation{Method: http.MethodGet, Path: "/connect/integration-by-token/{token}", Secret: true}
	once = Operation{Method: http.MethodPost, Path: "/force-sync/{token}", NonIdempotent: true, Secret: true}
)

// step is the result of one attempt.
type step struct {
	status int
	header http.Header
	body   string
	err    error
	// both makes the transport return both a response and the error.
	both bool
	// hang waits for the end of the context; delay is a short wait.
	hang  bool
	delay time.Duration
}

// script is an http.RoundTripper with one step for each attempt. It repeats the last step.
type script struct {
	steps []step

	attempts   int
	times      []time.Time
	openBodies int
	closedIdle bool
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	current := s.steps[min(s.attempts, len(s.steps)-1)]
	s.attempts++
	s.times = append(s.times, time.Now())
	if current.delay > 0 {
		<-time.After(current.delay)
	}
	if current.hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if current.err != nil && !current.both {
		return nil, current.err
	}
	s.openBodies++
	header := current.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: current.status, Header: header, Request: r, ContentLength: -1,
		Body: &countedBody{Reader: strings.NewReader(current.body), script: s},
	}, current.err
}

func (s *script) CloseIdleConnections() { s.closedIdle = true }

type countedBody struct {
	io.Reader
	script *script
	closed bool
}

func (b *countedBody) Close() error {
	if !b.closed {
		b.closed = true
		b.script.openBodies--
	}
	return nil
}

var defaultPolicy = RetryPolicy{
	MaxAttempts: 4, BaseDelay: 500 * time.Millisecond, MaxDelay: 8 * time.Second, MaxRetryAfter: 30 * time.Second,
}

func limit(timeout time.Duration) func(Operation) time.Duration {
	return func(Operation) time.Duration { return timeout }
}

func newTest(s http.RoundTripper, change func(*Config)) *Transport {
	config := Config{
		BaseURL: "https://api.example/v1", APIKey: testKey, UserAgent: "test",
		HTTPClient: &http.Client{Transport: s}, AttemptTimeout: limit(time.Minute), MaxBody: testMaxBody, Retry: defaultPolicy,
	}
	if change != nil {
		change(&config)
	}
	return New(config)
}

func (t *Transport) do(ctx context.Context, operation Operation) (*Response, error) {
	return t.Do(ctx, Request{Operation: operation, PathValues: []string{testToken}})
}

var (
	errReset   = errors.New("read: connection reset by peer")
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
)

// go-retryablehttp drops the body of the last response unless there is an ErrorHandler.
func TestBodyOfTheLastResponseIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{{status: 500, body: "first"}, {status: 502, body: "last"}}}
		resp, err := newTest(s, func(c *Config) { c.Retry.MaxAttempts = 2 }).do(t.Context(), read)
		if err != nil || resp.StatusCode != 502 || string(resp.Body) != "last" {
			t.Errorf("response = %+v, %v", resp, err)
		}
	})
}

func TestResponseBesideAnErrorIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{{status: 200, err: errReset, both: true}}}
		_, err := newTest(s, nil).do(t.Context(), read)
		if !errors.Is(err, errReset) || s.attempts != 4 {
			t.Errorf("error = %v after %d attempts", err, s.attempts)
		}
		if s.openBodies != 0 {
			t.Errorf("%d bodies left open", s.openBodies)
		}
	})
}

type silent struct{}

func (silent) RoundTrip(*http.Request) (*http.Response, error) { return nil, nil } // the test needs a broken RoundTripper

func TestRoundTripperWithoutResult(t *testing.T) {
	t.Parallel()
	_, err := newTest(silent{}, func(c *Config) { c.Retry.MaxAttempts = 1 }).do(t.Context(), read)
	if err == nil || !strings.Contains(err.Error(), "neither a response nor an error") {
		t.Errorf("error = %v", err)
	}
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	cause := errors.New("shutting down")
	tests := []struct {
		name     string
		steps    []step
		context  func(context.Context) (context.Context, func())
		is       []error
		attempts int
		text     string
	}{
		{
			"before the call",
			[]step{{status: 200}},
			func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				return ctx, cancel
			},
			[]error{context.Canceled},
			0, "context canceled",
		},
		{
			"during the call",
			[]step{{hang: true}},
			func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			},
			[]error{context.Canceled},
			1, "context canceled",
		},
		{
			"deadline during the call",
			[]step{{hang: true}},
			func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				return ctx, cancel
			},
			[]error{context.DeadlineExceeded},
			1, "context deadline exceeded",
		},
		{
			"with a cause",
			[]step{{hang: true}},
			func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(time.Second, func() { cancel(cause) })
				return ctx, func() { cancel(nil) }
			},
			[]error{context.Canceled, cause},
			1, "context canceled: shutting down",
		},
		{
			"with a cause that wraps the context's error",
			[]step{{hang: true}},
			func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(time.Second, func() { cancel(fmt.Errorf("%w: %w", cause, context.Canceled)) })
				return ctx, func() { cancel(nil) }
			},
			[]error{context.Canceled, cause},
			1, "shutting down: context canceled",
		},
		{
			"with a cause that contains a secret",
			[]step{{hang: true}},
			func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithCancelCause(ctx)
				leak := &url.Error{Op: "Get", URL: "https://connect.example/?x=" + testToken, Err: cause}
				time.AfterFunc(time.Second, func() { cancel(leak) })
				return ctx, func() { cancel(nil) }
			},
			[]error{context.Canceled, cause},
			1, `context canceled: Get "https://connect.example/?x=[redacted]": shutting down`,
		},
		{
			"during the wait after a response",
			[]step{{status: 503, header: retryAfterHeader("20")}},
			func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(10*time.Second, cancel)
				return ctx, cancel
			},
			[]error{context.Canceled},
			1, "context canceled (before that: the response was 503 Service Unavailable)",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := test.context(t.Context())
				defer cancel()
				s := &script{steps: test.steps}
				_, err := newTest(s, nil).do(ctx, read)
				var failure *CallError
				if !errors.As(err, &failure) || !failure.Canceled || failure.Attempts != test.attempts || s.attempts != test.attempts {
					t.Fatalf("error = %#v after %d attempts, want a cancellation after %d", err, s.attempts, test.attempts)
				}
				for _, target := range test.is {
					if !errors.Is(err, target) {
						t.Errorf("errors.Is(%v, %v) = false", err, target)
					}
				}
				if err.Error() != test.text {
					t.Errorf("error = %q, want %q", err, test.text)
				}
				if s.openBodies != 0 || s.closedIdle {
					t.Errorf("%d bodies left open, idle connections closed: %v", s.openBodies, s.closedIdle)
				}
			})
		})
	}
}

func TestCancellationAfterALostConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		leak := &url.Error{Op: "Get", URL: "https://api.example/" + testToken, Err: errReset}
		s := &script{steps: []step{{err: leak}}}
		// The wait is random, and almost never shorter than the millisecond.
		_, err := newTest(s, func(c *Config) { c.Retry.BaseDelay, c.Retry.MaxDelay = 1e6*time.Hour, 1e6*time.Hour }).do(ctx, read)
		const want = `context canceled (before that: Get "https://api.example/[redacted]": read: connection reset by peer)`
		if !errors.Is(err, context.Canceled) || errors.Is(err, errReset) || err.Error() != want {
			t.Errorf("error = %v, want %s", err, want)
		}
	})
}

func TestAttemptTimeout(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                  string
		client, attempt, call time.Duration
		want                  time.Duration
	}{
		{"of an attempt", 0, 3 * time.Second, 0, 3 * time.Second},
		{"of the call", 0, 3 * time.Second, 2 * time.Second, 2 * time.Second},
		{"of the call, longer", 0, 3 * time.Second, 5 * time.Second, 5 * time.Second},
		{"not of the http.Client", 2 * time.Second, 3 * time.Second, 0, 3 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: []step{{hang: true}}}
				client := &http.Client{Transport: s, Timeout: test.client}
				start := time.Now()
				_, err := newTest(s, func(c *Config) {
					c.HTTPClient, c.AttemptTimeout, c.Retry.MaxAttempts = client, limit(test.attempt), 1
				}).Do(t.Context(), Request{Operation: read, PathValues: []string{testToken}, Timeout: test.call})
				if passed := time.Since(start); passed != test.want {
					t.Errorf("ended after %v, want %v", passed, test.want)
				}
				var timeout net.Error
				if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("error = %v, want a time limit that is not the context's", err)
				}
				if client.Timeout != test.client {
					t.Error("the caller's http.Client was changed")
				}
			})
		})
	}
}

func TestResponseOverTheLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		size int
		want bool
	}{{testMaxBody, false}, {testMaxBody + 1, true}, {2 * testMaxBody, true}} {
		s := &script{steps: []step{{status: 200, body: strings.Repeat("x", test.size)}}}
		resp, err := newTest(s, nil).do(t.Context(), read)
		if err != nil || resp.TooLarge != test.want || len(resp.Body) != min(test.size, testMaxBody) {
			t.Errorf("%d bytes: TooLarge = %v with %d bytes, %v", test.size, resp.TooLarge, len(resp.Body), err)
		}
		if s.attempts != 1 || s.openBodies != 0 {
			t.Errorf("%d bytes: %d attempts, %d bodies open", test.size, s.attempts, s.openBodies)
		}
	}
}

// announcing is an http.RoundTripper whose response is shorter than its Content-Length.
type announcing int64

func (a announcing) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: int64(a), Body: io.NopCloser(strings.NewReader("x")), Request: r}, nil
}

// A Content-Length is only a claim, so it must not reserve memory for bytes that never arrive.
func TestAnnouncedLengthReservesLittle(t *testing.T) { //nolint:paralleltest // counts allocated bytes
	for _, length := range []announcing{testMaxBody, 1 << 30} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if resp, err := newTest(length, nil).do(t.Context(), read); err != nil || string(resp.Body) != "x" {
			t.Errorf("response = %+v, %v", resp, err)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > testMaxBody/10 {
			t.Errorf("%d bytes announced: %d allocated", length, got)
		}
	}
}

// endless counts how much of it is read.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read.Add(int64(len(p)))
	return len(p), nil
}

func (e *endless) Close() error { return nil }

type endlessTransport struct{ body endless }

func (e *endlessTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 500, Header: http.Header{}, Body: &e.body, Request: r}, nil
}

func TestEndlessResponseIsNotReadOn(t *testing.T) {
	t.Parallel()
	e := &endlessTransport{}
	resp, err := newTest(e, func(c *Config) { c.Retry.MaxAttempts = 1 }).do(t.Context(), read)
	if err != nil || !resp.TooLarge || resp.StatusCode != 500 {
		t.Errorf("response = %+v, %v", resp, err)
	}
	if got := e.body.read.Load(); got > testMaxBody+1 {
		t.Errorf("%d bytes were read", got)
	}
}

// The caller validates the base URL. If an invalid one gets through, the error does not contain the path.
func TestImpossibleURLTellsNoSecret(t *testing.T) {
	t.Parallel()
	_, err := newTest(silent{}, func(c *Config) { c.BaseURL = "https://api.example:port" }).do(t.Context(), read)
	_, leak := errors.AsType[*url.Error](err)
	if err == nil || leak || strings.Contains(err.Error(), testToken) {
		t.Errorf("error = %v", err)
	}
}

func TestNilContext(t *testing.T) {
	t.Parallel()
	var none context.Context
	_, err := newTest(silent{}, nil).do(none, read)
	if err == nil || err.Error() != "the context is nil" {
		t.Errorf("error = %v", err)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		leak := &url.Error{Op: "Get", URL: "https://api.example/v1/" + testToken + "?k=" + testKey, Err: errReset}
		s := &script{steps: []step{{err: leak, delay: 3 * time.Second}, {status: 503, delay: time.Second}, {status: 200}}}
		type logged struct {
			Attempt
			Error string
		}
		var got []logged
		logging := func(c *Config) {
			c.Log = func(_ context.Context, a Attempt) {
				l := logged{Attempt: a}
				if err := a.Err(); err != nil {
					l.Error = err.Error()
				}
				l.call = nil
				got = append(got, l)
			}
		}
		if _, err := newTest(s, logging).do(t.Context(), read); err != nil {
			t.Fatal(err)
		}
		want := []logged{
			{
				Attempt{Operation: read, Number: 1, Duration: 3 * time.Second, WillRetry: true},
				`Get "https://api.example/v1/[redacted]?k=[redacted]": read: connection reset by peer`,
			},
			{Attempt: Attempt{Operation: read, Number: 2, Duration: time.Second, StatusCode: 503, WillRetry: true}},
			{Attempt: Attempt{Operation: read, Number: 3, StatusCode: 200}},
		}
		for i := range s.times[1:] {
			want[i].Wait = s.times[i+1].Sub(s.times[i]) - s.steps[i].delay
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Attempt{})); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}
