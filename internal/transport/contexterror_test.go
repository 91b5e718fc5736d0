package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestContextError(t *testing.T) {
	t.Parallel()
	plain := errors.New("shutting down")
	ended := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		return ctx
	}
	late := func(cause error) context.Context {
		ctx, cancel := context.WithDeadlineCause(t.Context(), time.Now().Add(-time.Second), cause)
		t.Cleanup(cancel)
		return ctx
	}
	child := func(parent context.Context) context.Context {
		ctx, cancel := context.WithCancel(parent)
		t.Cleanup(cancel)
		return ctx
	}
	wrapping := fmt.Errorf("shutting down: %w", context.Canceled)
	leak := &url.Error{Op: "Get", URL: "https://api.example/?key=" + testKey, Err: plain}
	long := errors.New(strings.Repeat("x", 1<<20))
	tests := []struct {
		name string
		ctx  context.Context
		want string
		is   []error
	}{
		{"none", ended(nil), "context canceled", []error{context.Canceled}},
		{"cause", ended(plain), "context canceled: shutting down", []error{context.Canceled, plain}},
		{"cause without a text", ended(errors.New("")), "context canceled", []error{context.Canceled}},
		{"cause that wraps the error", ended(wrapping), "shutting down: context canceled", []error{context.Canceled, wrapping}},
		{"cause that is the other error", ended(context.DeadlineExceeded), "context canceled: context deadline exceeded", []error{context.Canceled, context.DeadlineExceeded}},
		{"cause with a secret", ended(leak), `context canceled: Get "https://api.example/?key=[redacted]": shutting down`, []error{context.Canceled, plain, leak}},
		{"long cause", ended(long), "context canceled: " + strings.Repeat("x", maxErrorText), []error{context.Canceled, long}},
		{"deadline", late(nil), "context deadline exceeded", []error{context.DeadlineExceeded}},
		{"deadline with a cause", late(plain), "context deadline exceeded: shutting down", []error{context.DeadlineExceeded, plain}},
		{"cause that is a nil pointer", ended((*url.Error)(nil)), "context canceled", []error{context.Canceled}},
		{"cause that cannot be compared", ended(uncomparable{"several", "errors"}), "context canceled: several, errors", []error{context.Canceled}},
		{"several causes", ended(errors.Join(plain, leak)), "context canceled: shutting down\n" + `Get "https://api.example/?key=[redacted]": shutting down`, []error{context.Canceled, plain, leak}},
		{"custom error", ownContext{t.Context(), fmt.Errorf("%w, says %w", context.Canceled, leak)}, `context canceled, says Get "https://api.example/?key=[redacted]": shutting down`, []error{context.Canceled, plain, leak}},
		{"error of its own that cannot be compared", ownContext{context.Background(), uncomparable{"with", testKey}}, "with, [redacted]", nil},
		{"cause of the parent", child(ended(plain)), "context canceled: shutting down", []error{context.Canceled, plain}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := newTest(silent{}, nil).ContextError(test.ctx)
			if err == nil || err.Error() != test.want {
				t.Fatalf("error = %v, want %q", err, test.want)
			}
			for _, target := range test.is {
				if !errors.Is(err, target) {
					t.Errorf("errors.Is(%v, %v) = false", err, target)
				}
			}
			if urlErr, ok := errors.AsType[*url.Error](err); ok || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), testKey) {
				t.Errorf("the secret is in %#v, %v", err, urlErr)
			}
		})
	}
	if err := newTest(silent{}, nil).ContextError(t.Context()); err != nil {
		t.Errorf("of a context that has not ended: %v", err)
	}
}

type uncomparable []string

func (u uncomparable) Error() string { return strings.Join(u, ", ") }

// ownContext is a context that does not come from package context.
type ownContext struct {
	context.Context
	err error
}

func (c ownContext) Err() error { return c.err }

// net/http returns the cause instead of the context's error, wrapped or not. The text contains it once.
func TestCauseIsReportedOnce(t *testing.T) {
	t.Parallel()
	cause := errors.New("shutting down")
	headers := func(_ http.ResponseWriter, r *http.Request, end func()) {
		end()
		<-r.Context().Done()
	}
	body := func(w http.ResponseWriter, r *http.Request, end func()) {
		_, _ = w.Write([]byte("{"))
		_ = http.NewResponseController(w).Flush()
		end()
		<-r.Context().Done()
	}
	for _, http2 := range []bool{false, true} {
		for name, respond := range map[string]func(http.ResponseWriter, *http.Request, func()){"headers": headers, "body": body} {
			for _, wrapped := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/http2=%v/wrapped=%v", name, http2, wrapped), func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						respond(w, r, func() { cancel(cause) })
					}))
					server.EnableHTTP2 = http2
					server.StartTLS()
					defer server.Close()
					client := server.Client()
					if wrapped {
						client = &http.Client{Transport: wrapping{client.Transport}}
					}
					_, err := newTest(nil, func(c *Config) { c.BaseURL, c.HTTPClient = server.URL, client }).do(ctx, once)
					if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) || err.Error() != "context canceled: shutting down" {
						t.Errorf("error = %v", err)
					}
				})
			}
		}
	}
}

// wrapping is a RoundTripper that wraps errors as http.Client does.
type wrapping struct{ base http.RoundTripper }

func (w wrapping) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.base.RoundTrip(r)
	if err != nil {
		err = &url.Error{Op: r.Method, URL: r.URL.String(), Err: err}
	}
	return response, err
}
