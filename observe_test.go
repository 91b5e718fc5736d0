package kombo_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

func TestObserver(t *testing.T) {
	t.Parallel()
	slow := func(status int, body string) httpmock.Responder {
		return httpmock.NewStringResponder(status, body).HeaderSet(http.Header{"Concurrency-Remaining": {"29"}}).Delay(time.Second)
	}
	get := allCalls["GET /integrations/{integration_id}"]
	const getOp = "GET /integrations/{integration_id}"
	header := http.Header{"Concurrency-Remaining": {"29"}}
	good := fixture(t, "integration")
	tests := []struct {
		name     string
		response httpmock.Responder
		call     func(context.Context, *kombo.Client) error
		want     kombo.CallInfo
	}{
		{"success", slow(200, good), get, kombo.CallInfo{Op: getOp, StatusCode: 200, Header: header, Attempts: 1, Duration: time.Second}},
		{"refused by the API", slow(404, notFoundResponse), get, kombo.CallInfo{Op: getOp, StatusCode: 404, Header: header, Attempts: 1, Duration: time.Second}},
		{
			"warnings", slow(200, strings.Replace(good, "{", `{"warnings":[{"message":"one"},"two"],`, 1)), get,
			kombo.CallInfo{
				Op: getOp, StatusCode: 200, Header: header, Warnings: []kombo.Warning{{Message: "one"}, {Message: "two"}}, Attempts: 1, Duration: time.Second,
			},
		},
		{"response that cannot be read", slow(200, "<html>"), get, kombo.CallInfo{Op: getOp, StatusCode: 200, Header: header, Attempts: 1, Duration: time.Second}},
		{
			"third attempt", slow(429, "").Then(slow(429, "")).Then(slow(200, good)), get,
			kombo.CallInfo{Op: getOp, StatusCode: 200, Header: header, Attempts: 3, Duration: 3 * time.Second},
		},
		{
			"network", httpmock.NewErrorResponder(errors.New("connection reset by peer")), get,
			kombo.CallInfo{Op: getOp, Attempts: 3},
		},
		{
			"path value", nil,
			func(ctx context.Context, c *kombo.Client) error { _, err := c.Integrations.Get(ctx, ""); return err },
			kombo.CallInfo{Op: getOp},
		},
		{
			"request", nil,
			func(ctx context.Context, c *kombo.Client) error {
				_, err := c.Integrations.SetupLink(ctx, testIntegrationID, kombo.SetupLinkRequest{})
				return err
			},
			kombo.CallInfo{Op: "POST /integrations/{integration_id}/setup-link"},
		},
		{
			"paging", nil,
			func(ctx context.Context, c *kombo.Client) error {
				_, err := c.Integrations.FieldsPage(ctx, testIntegrationID, kombo.ListOptions{PageSize: -1})
				return err
			},
			kombo.CallInfo{Op: "GET /integrations/{integration_id}/integration-fields"},
		},
		{
			"integration in the header", nil,
			func(ctx context.Context, c *kombo.Client) error {
				_, err := c.Integrations.Sync(ctx, "", "")
				return err
			},
			kombo.CallInfo{Op: "POST /force-sync"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mock := httpmock.NewMockTransport()
				if test.response != nil {
					mock.RegisterNoResponder(test.response)
				}
				var order []string
				var calls []kombo.CallInfo
				observe := func(name string) func(context.Context, kombo.CallInfo) {
					return func(_ context.Context, call kombo.CallInfo) {
						order = append(order, name)
						calls = append(calls, call)
					}
				}
				client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}),
					kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 3, BaseDelay: time.Nanosecond}),
					kombo.WithObserver(observe("client")), kombo.WithObserver(nil), kombo.WithObserver(observe("client, second")))
				ctx := kombo.ContextWithObserver(kombo.ContextWithObserver(kombo.ContextWithObserver(t.Context(), observe("outer")), nil), observe("inner"))
				test.want.Err = test.call(ctx, client)
				if diff := cmp.Diff([]string{"inner", "outer", "client", "client, second"}, order); diff != "" {
					t.Fatalf("observers (-want +got):\n%s", diff)
				}
				sameError := cmp.Comparer(func(a, b error) bool { return a == b }) //nolint:errorlint // identity, not Is
				for i := range calls {
					calls[i].Duration = calls[i].Duration.Truncate(time.Millisecond)
				}
				if diff := cmp.Diff(slices.Repeat([]kombo.CallInfo{test.want}, 4), calls, sameError); diff != "" {
					t.Errorf("call (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A transport gets the route of each request, including retries, also if an outer transport derives a context.
func TestOperationFromContext(t *testing.T) {
	t.Parallel()
	for op, call := range allCalls {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			var routes []string
			inner := roundTripFunc(func(r *http.Request) (*http.Response, error) {
				routes = append(routes, kombo.OperationFromContext(r.Context()))
				return httpmock.NewStringResponse(429, ""), nil
			})
			outer := roundTripFunc(func(r *http.Request) (*http.Response, error) {
				ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), "key", "value"), time.Minute) //nolint:staticcheck // any key
				defer cancel()
				return inner(r.Clone(ctx))
			})
			client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: outer}),
				kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 2, BaseDelay: time.Nanosecond}))
			_ = call(t.Context(), client)
			if diff := cmp.Diff([]string{op, op}, routes); diff != "" {
				t.Errorf("routes (-want +got):\n%s", diff)
			}
		})
	}
	if op := kombo.OperationFromContext(t.Context()); op != "" {
		t.Errorf("operation of another context = %q", op)
	}
}

// The context of the operation must not hide that the caller's context has ended, nor why.
func TestOperationContextEnds(t *testing.T) {
	t.Parallel()
	why := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		cancel(why)
		<-r.Context().Done()
		return nil, r.Context().Err()
	})}))
	_, err := client.CheckAPIKey(ctx)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("error = %v", err)
	}
}

type contextKey string

// The context of a call is derived once, at its start. The transports, the logger and all observers get it, also an
// observer that was added to that context.
func TestCallContext(t *testing.T) {
	t.Parallel()
	for op, call := range allCalls {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			var events []string
			note := func(who string) func(context.Context, kombo.CallInfo) {
				return func(ctx context.Context, _ kombo.CallInfo) {
					events = append(events, fmt.Sprint(who, " ", ctx.Value(contextKey("first")), ctx.Value(contextKey("second"))))
				}
			}
			transport := roundTripFunc(func(r *http.Request) (*http.Response, error) {
				note("request")(r.Context(), kombo.CallInfo{})
				return httpmock.NewStringResponse(429, ""), nil
			})
			derive := func(key, after string) kombo.Option {
				return kombo.WithInstrumentation(kombo.Instrumentation{CallContext: func(ctx context.Context, derivedOp string) context.Context {
					events = append(events, fmt.Sprint(key, " after ", ctx.Value(contextKey(after))))
					if derivedOp != op {
						t.Errorf("op = %q", derivedOp)
					}
					return kombo.ContextWithObserver(context.WithValue(ctx, contextKey(key), "yes"), note("observer of "+key))
				}})
			}
			client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: transport}), kombo.WithObserver(note("observer")),
				kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 2, BaseDelay: time.Nanosecond}),
				kombo.WithLogger(slog.New(contextHandler{note("log")})),
				derive("first", "second"), derive("second", "first"), kombo.WithInstrumentation(kombo.Instrumentation{}))
			_ = call(kombo.ContextWithObserver(t.Context(), note("observer of the caller")), client)
			want := []string{
				"first after <nil>", "second after yes", "request yesyes", "log yesyes", "request yesyes", "log yesyes",
				"observer of second yesyes", "observer of first yesyes", "observer of the caller yesyes", "observer yesyes",
			}
			if diff := cmp.Diff(want, events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// contextHandler is a slog.Handler that looks at the context only.
type contextHandler struct {
	note func(context.Context, kombo.CallInfo)
}

func (contextHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h contextHandler) Handle(ctx context.Context, _ slog.Record) error {
	h.note(ctx, kombo.CallInfo{})
	return nil
}

func (h contextHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h contextHandler) WithGroup(string) slog.Handler      { return h }

// Start and end are also reported for a call that fails before its first request.
func TestCallContextOfInvalidInput(t *testing.T) {
	t.Parallel()
	started, ended := 0, 0
	client := newClient(t, kombo.WithInstrumentation(kombo.Instrumentation{CallContext: func(ctx context.Context, _ string) context.Context {
		started++
		return kombo.ContextWithObserver(ctx, func(context.Context, kombo.CallInfo) { ended++ })
	}}))
	if _, err := client.Integrations.Get(t.Context(), ""); !errors.Is(err, kombo.ErrInvalidInput) || started != 1 || ended != 1 {
		t.Errorf("error = %v, started %d, ended %d", err, started, ended)
	}
	var none context.Context
	if _, err := client.CheckAPIKey(none); !errors.Is(err, kombo.ErrInvalidInput) || started != 1 {
		t.Errorf("without a context: error = %v, started %d", err, started)
	}
}

// The transports of WithInstrumentation wrap that of WithHTTPClient, in any order of the options.
func TestInstrumentationTransport(t *testing.T) {
	t.Parallel()
	var events []string
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		events = append(events, "base "+kombo.OperationFromContext(r.Context()))
		return httpmock.NewStringResponse(200, `{"status":"success","data":{"environment_id":"e"}}`), nil
	})
	around := func(name string) kombo.Option {
		return kombo.WithInstrumentation(kombo.Instrumentation{Transport: func(base http.RoundTripper) http.RoundTripper {
			return roundTripFunc(func(r *http.Request) (*http.Response, error) {
				events = append(events, name+" "+kombo.OperationFromContext(r.Context()))
				return base.RoundTrip(r)
			})
		}})
	}
	client := newClient(t, around("first"), kombo.WithHTTPClient(&http.Client{Transport: base}), around("second"))
	if _, err := client.CheckAPIKey(t.Context()); err != nil {
		t.Error(err)
	}
	const op = "GET /check-api-key"
	if diff := cmp.Diff([]string{"second " + op, "first " + op, "base " + op}, events); diff != "" {
		t.Errorf("transports (-want +got):\n%s", diff)
	}
}

// Without WithHTTPClient, the base transport is that of this package. DisableCompression of the caller's Transport counts
// even though another transport wraps it.
func TestInstrumentationTransportKeepsItsBase(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		client  *http.Client
		encoded string
	}{
		"default":              {&http.Client{}, "gzip"},
		"without compression":  {&http.Client{Transport: &http.Transport{DisableCompression: true}}, ""},
		"a separate transport": {&http.Client{Transport: &http.Transport{}}, "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			encoded := make(chan string, 1)
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				encoded <- r.Header.Get("Accept-Encoding")
				_, _ = w.Write([]byte(`{"status":"success","data":{"environment_id":"e"}}`))
			}, kombo.WithHTTPClient(test.client), kombo.WithInstrumentation(kombo.Instrumentation{Transport: func(base http.RoundTripper) http.RoundTripper {
				if base == nil || test.client.Transport != nil && base != test.client.Transport {
					t.Errorf("base = %v", base)
				}
				return roundTripFunc(base.RoundTrip)
			}}))
			if _, err := client.CheckAPIKey(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := <-encoded; got != test.encoded {
				t.Errorf("Accept-Encoding = %q, want %q", got, test.encoded)
			}
		})
	}
}
