package otelkombo_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/otelkombo"
)

const (
	keyInfo  = `{"status":"success","data":{"environment_id":"env1"}}`
	notReady = `{"status":"error","error":{"code":"INTEGRATION.AUTHENTICATION_INVALID","title":"Reconnect","message":"The credentials are invalid.","log_url":"https://app.kombo.dev/logs/1"}}`
	relinkOp = "POST /integrations/{integration_id}/relink"
)

func checkKey(ctx context.Context, c *kombo.Client) error {
	_, err := c.CheckAPIKey(ctx)
	return err
}

func relink(ctx context.Context, c *kombo.Client) error {
	_, err := c.Integrations.Relink(ctx, testIntegrationID, kombo.RelinkRequest{})
	return err
}

// failingBody breaks off.
type failingBody struct{ err error }

func (b failingBody) Read([]byte) (int, error) { return 0, b.err }
func (b failingBody) Close() error             { return nil }

// Each request takes 1 s.
func TestCall(t *testing.T) {
	t.Parallel()
	const (
		address = "server.address=api.kombo.dev server.port=443 url.template="
		get     = "http.request.method=GET "
		attempt = "client GET /check-api-key {" + get
		child   = "kombo GET /check-api-key > " + attempt
		parent  = "internal kombo GET /check-api-key {"
	)
	tests := []struct {
		name      string
		responses []any // *http.Response, error, or func(cancel) error
		call      func(context.Context, *kombo.Client) error
		options   []kombo.Option
		spans     []string
		metrics   []string
	}{
		{
			"success",
			[]any{respond(200, keyInfo, "Ratelimit-Limit", "300", "Ratelimit-Remaining", "299", "Ratelimit-Reset", "57")},
			checkKey, nil,
			[]string{
				child + "http.response.status_code=200 " + address + "/check-api-key}",
				parent + get + "http.response.status_code=200 kombo.attempts=1 url.template=/check-api-key}",
			},
			[]string{
				"http.client.request.duration {" + get + "http.response.status_code=200 " + address + "/check-api-key} 1: 1",
				"kombo.client.attempts {" + get + "url.template=/check-api-key} 1",
				"kombo.client.call.duration {" + get + "http.response.status_code=200 url.template=/check-api-key} 1: 1",
				"kombo.client.rate_limit.limit {} 300",
				"kombo.client.rate_limit.remaining {} 299",
			},
		},
		{
			"retried",
			[]any{respond(429, "", "Retry-After", "2"), respond(503, "", "Retry-After", "3"), respond(200, keyInfo)},
			checkKey, nil,
			[]string{
				"kombo GET /check-api-key > client GET /check-api-key {error.type=429 " + get + "http.response.status_code=429 " + address + "/check-api-key} Error",
				"kombo GET /check-api-key > client GET /check-api-key {error.type=503 " + get + "http.request.resend_count=1 http.response.status_code=503 " + address + "/check-api-key} Error",
				child + "http.request.resend_count=2 http.response.status_code=200 " + address + "/check-api-key}",
				parent + get + "http.response.status_code=200 kombo.attempts=3 url.template=/check-api-key}",
			},
			[]string{
				"http.client.request.duration {error.type=429 " + get + "http.response.status_code=429 " + address + "/check-api-key} 1: 1",
				"http.client.request.duration {error.type=503 " + get + "http.response.status_code=503 " + address + "/check-api-key} 1: 1",
				"http.client.request.duration {" + get + "http.response.status_code=200 " + address + "/check-api-key} 1: 1",
				"kombo.client.attempts {" + get + "url.template=/check-api-key} 3",
				"kombo.client.call.duration {" + get + "http.response.status_code=200 url.template=/check-api-key} 1: 8",
				"kombo.client.retries {" + get + "url.template=/check-api-key} 2",
				"kombo.client.retry.wait {" + get + "url.template=/check-api-key} 1: 5",
			},
		},
		{
			"network error",
			[]any{&net.OpError{Op: "read", Net: "tcp", Err: errors.New("reset")}},
			checkKey,
			[]kombo.Option{kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1})},
			[]string{
				"kombo GET /check-api-key > client GET /check-api-key {error.type=connection " + get + address + "/check-api-key} Error",
				parent + "error.type=connection " + get + "kombo.attempts=1 url.template=/check-api-key} Error",
			},
			[]string{
				"http.client.request.duration {error.type=connection " + get + address + "/check-api-key} 1: 1",
				"kombo.client.attempts {" + get + "url.template=/check-api-key} 1",
				"kombo.client.call.duration {error.type=connection " + get + "url.template=/check-api-key} 1: 1",
			},
		},
		{
			"warnings",
			[]any{respond(200, `{"status":"success","warnings":["a","b"],"data":{"environment_id":"env1"}}`)},
			checkKey, nil,
			[]string{
				child + "http.response.status_code=200 " + address + "/check-api-key}",
				parent + get + "http.response.status_code=200 kombo.attempts=1 kombo.warnings=2 url.template=/check-api-key}",
			},
			[]string{
				"http.client.request.duration {" + get + "http.response.status_code=200 " + address + "/check-api-key} 1: 1",
				"kombo.client.attempts {" + get + "url.template=/check-api-key} 1",
				"kombo.client.call.duration {" + get + "http.response.status_code=200 url.template=/check-api-key} 1: 1",
			},
		},
		{
			"error of Kombo",
			[]any{respond(409, notReady, "Concurrency-Limit", "30", "Concurrency-Remaining", "7")},
			relink, nil,
			[]string{
				"kombo " + relinkOp + " > client " + relinkOp + " {error.type=409 http.request.method=POST http.response.status_code=409 " + address + "/integrations/{integration_id}/relink} Error",
				"internal kombo " + relinkOp + " {error.type=409 http.request.method=POST http.response.status_code=409 kombo.attempts=1 kombo.error.code=INTEGRATION.AUTHENTICATION_INVALID url.template=/integrations/{integration_id}/relink}" +
					" Error kombo: " + relinkOp + ": 409 INTEGRATION.AUTHENTICATION_INVALID: Reconnect: The credentials are invalid. (attempts: 1)",
			},
			[]string{
				"http.client.request.duration {error.type=409 http.request.method=POST http.response.status_code=409 " + address + "/integrations/{integration_id}/relink} 1: 1",
				"kombo.client.attempts {http.request.method=POST url.template=/integrations/{integration_id}/relink} 1",
				"kombo.client.call.duration {error.type=409 http.request.method=POST http.response.status_code=409 kombo.error.code=INTEGRATION.AUTHENTICATION_INVALID url.template=/integrations/{integration_id}/relink} 1: 1",
				"kombo.client.concurrency.remaining {http.request.method=POST url.template=/integrations/{integration_id}/relink} 1: 7",
			},
		},
		{
			"a code and limits that are none",
			[]any{respond(400, `{"status":"error","error":{"code":"any text","message":"no"}}`, "Ratelimit-Limit", "-1", "Ratelimit-Remaining", "many", "Concurrency-Remaining", "")},
			checkKey, nil,
			[]string{
				"kombo GET /check-api-key > client GET /check-api-key {error.type=400 " + get + "http.response.status_code=400 " + address + "/check-api-key} Error",
				parent + "error.type=400 " + get + "http.response.status_code=400 kombo.attempts=1 url.template=/check-api-key} Error kombo: GET /check-api-key: 400 any text: no (attempts: 1)",
			},
			[]string{
				"http.client.request.duration {error.type=400 " + get + "http.response.status_code=400 " + address + "/check-api-key} 1: 1",
				"kombo.client.attempts {" + get + "url.template=/check-api-key} 1",
				"kombo.client.call.duration {error.type=400 " + get + "http.response.status_code=400 url.template=/check-api-key} 1: 1",
			},
		},
		{
			"unexpected response",
			[]any{respond(200, "<html>")},
			checkKey, nil,
			[]string{
				child + "http.response.status_code=200 " + address + "/check-api-key}",
				parent + "error.type=unexpected_response " + get + "http.response.status_code=200 kombo.attempts=1 url.template=/check-api-key}" +
					" Error kombo: GET /check-api-key: 200 OK: not what the API promises: it is not JSON (JSON, 6 bytes) (attempts: 1)",
			},
			[]string{
				"http.client.request.duration {" + get + "http.response.status_code=200 " + address + "/check-api-key} 1: 1",
				"kombo.client.attempts {" + get + "url.template=/check-api-key} 1",
				"kombo.client.call.duration {error.type=unexpected_response " + get + "http.response.status_code=200 url.template=/check-api-key} 1: 1",
			},
		},
		{
			"body that breaks off",
			[]any{&http.Response{StatusCode: 200, Body: failingBody{io.ErrUnexpectedEOF}}},
			checkKey,
			[]kombo.Option{kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1})},
			[]string{
				"kombo GET /check-api-key > client GET /check-api-key {error.type=connection " + get + "http.response.status_code=200 " + address + "/check-api-key} Error",
				parent + "error.type=connection " + get + "kombo.attempts=1 url.template=/check-api-key} Error",
			},
			[]string{
				"http.client.request.duration {error.type=connection " + get + "http.response.status_code=200 " + address + "/check-api-key} 1: 1",
				"kombo.client.attempts {" + get + "url.template=/check-api-key} 1",
				"kombo.client.call.duration {error.type=connection " + get + "url.template=/check-api-key} 1: 1",
			},
		},
		{
			"canceled",
			[]any{func(cancel context.CancelCauseFunc) error {
				cancel(errors.New("shutting down"))
				return errors.New("whatever")
			}},
			checkKey, nil,
			[]string{
				"kombo GET /check-api-key > client GET /check-api-key {error.type=canceled " + get + address + "/check-api-key} Error",
				parent + "error.type=canceled " + get + "kombo.attempts=1 url.template=/check-api-key} Error",
			},
			[]string{
				"http.client.request.duration {error.type=canceled " + get + address + "/check-api-key} 1: 1",
				"kombo.client.attempts {" + get + "url.template=/check-api-key} 1",
				"kombo.client.call.duration {error.type=canceled " + get + "url.template=/check-api-key} 1: 1",
			},
		},
		{
			"time limit of the attempt",
			[]any{context.DeadlineExceeded},
			checkKey,
			[]kombo.Option{kombo.WithTimeout(500 * time.Millisecond), kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1})},
			[]string{
				"kombo GET /check-api-key > client GET /check-api-key {error.type=timeout " + get + address + "/check-api-key} Error",
				parent + "error.type=timeout " + get + "kombo.attempts=1 url.template=/check-api-key} Error",
			},
			[]string{
				"http.client.request.duration {error.type=timeout " + get + address + "/check-api-key} 1: 1",
				"kombo.client.attempts {" + get + "url.template=/check-api-key} 1",
				"kombo.client.call.duration {error.type=timeout " + get + "url.template=/check-api-key} 1: 1",
			},
		},
		{
			"invalid input", nil,
			func(ctx context.Context, c *kombo.Client) error {
				_, err := c.Integrations.Get(ctx, "")
				return err
			}, nil,
			[]string{
				"internal kombo GET /integrations/{integration_id} {error.type=invalid_input " + get + "kombo.attempts=0 url.template=/integrations/{integration_id}}" +
					" Error kombo: GET /integrations/{integration_id}: integration_id is empty (nothing was sent)",
			},
			[]string{"kombo.client.call.duration {error.type=invalid_input " + get + "url.template=/integrations/{integration_id}} 1: 0"},
		},
		{
			"a route that is none", nil,
			func(ctx context.Context, c *kombo.Client) error {
				_, err := kombo.Call[struct{}](ctx, c, kombo.Request{Path: "https://api.kombo.dev/v1/x?token=" + testToken})
				return err
			}, nil,
			[]string{
				"internal kombo invalid request {error.type=invalid_input kombo.attempts=0} Error kombo: invalid request: Path is a URL; give the part after /v1, such as \"/hris/employees\" (nothing was sent)",
			},
			[]string{"kombo.client.call.duration {error.type=invalid_input} 1: 0"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newTelemetry()
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				client := newClient(t, append([]kombo.Option{
					otelkombo.Instrument(m.options()...),
					transport(func(r *http.Request) (*http.Response, error) {
						<-time.After(time.Second)
						response := test.responses[0]
						test.responses = test.responses[1:]
						switch response := response.(type) {
						case *http.Response:
							return response, nil
						case func(context.CancelCauseFunc) error:
							return nil, response(cancel)
						}
						return nil, response.(error)
					}),
				}, test.options...)...)
				_ = test.call(ctx, client)
				if diff := cmp.Diff(test.spans, m.spans()); diff != "" {
					t.Errorf("spans (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.metrics, m.metrics(t)); diff != "" {
					t.Errorf("metrics (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The reasons why an attempt fails are a few words, never the text of an error.
func TestErrorTypesOfAttempts(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"dns":        &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "api.kombo.dev"}},
		"tls":        &tls.CertificateVerificationError{Err: errors.New("unknown authority")},
		"connection": fmt.Errorf("%w", io.EOF),
		"timeout":    &url.Error{Op: "Get", URL: testLink, Err: context.DeadlineExceeded},
		"canceled":   context.Canceled,
		"_OTHER":     errors.New(testLink),
	} {
		m := newTelemetry()
		client := newClient(t, otelkombo.Instrument(m.options()...), kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}),
			transport(func(*http.Request) (*http.Response, error) { return nil, err }))
		_ = checkKey(t.Context(), client)
		if got := m.spans(); len(got) != 2 || !strings.Contains(got[0], "{error.type="+want+" ") || !strings.HasSuffix(got[0], "} Error") {
			t.Errorf("%v: %q, want %s", err, got, want)
		}
	}
}

// Any port and any server are recorded, and nothing else of the base URL.
func TestServerAddress(t *testing.T) {
	t.Parallel()
	for baseURL, want := range map[string]string{
		"https://proxy.example/secret/v1":  "server.address=proxy.example server.port=443 ",
		"https://proxy.example:8443/v1":    "server.address=proxy.example server.port=8443 ",
		"http://[::1]:8080/v1":             "server.address=::1 server.port=8080 ",
		"http://localhost/secret/in/path/": "server.address=localhost server.port=80 ",
	} {
		m := newTelemetry()
		client := newClient(t, kombo.WithBaseURL(baseURL), otelkombo.Instrument(m.options()...),
			transport(func(*http.Request) (*http.Response, error) { return respond(200, keyInfo), nil }))
		if err := checkKey(t.Context(), client); err != nil {
			t.Error(err)
		}
		if spans := strings.Join(m.spans(), "\n"); !strings.Contains(spans, want) || strings.Contains(spans, "secret") {
			t.Errorf("%s: spans = %s", baseURL, spans)
		}
	}
}

// The spans of a call belong to the trace of the caller, and the request carries that of the attempt: without the
// baggage, unless somebody wants it.
func TestPropagation(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options []otelkombo.Option
		want    []string // headers
	}{
		"default": {nil, []string{"Traceparent"}},
		"nil":     {[]otelkombo.Option{otelkombo.WithPropagators(nil), nil}, []string{"Traceparent"}},
		"none":    {[]otelkombo.Option{otelkombo.WithPropagators(propagation.NewCompositeTextMapPropagator())}, nil},
		"baggage": {
			[]otelkombo.Option{otelkombo.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))},
			[]string{"Traceparent", "Baggage"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newTelemetry()
			var header http.Header
			client := newClient(t, otelkombo.Instrument(m.options(test.options...)...),
				transport(func(r *http.Request) (*http.Response, error) {
					header = r.Header
					return respond(200, keyInfo), nil
				}))
			member, err := baggage.NewMember("user", "ada")
			if err != nil {
				t.Fatal(err)
			}
			bag, err := baggage.New(member)
			if err != nil {
				t.Fatal(err)
			}
			ctx, span := m.tracers.Tracer("test").Start(baggage.ContextWithBaggage(t.Context(), bag), "caller")
			if err := checkKey(ctx, client); err != nil {
				t.Fatal(err)
			}
			span.End()
			var got []string
			for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
				if header.Get(name) != "" {
					got = append(got, name)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			spans := m.exporter.GetSpans()
			attempt, call, caller := spans[0].SpanContext, spans[1], spans[2].SpanContext
			if call.Parent.SpanID() != caller.SpanID() || attempt.TraceID() != caller.TraceID() {
				t.Error("the spans are not of the caller's trace")
			}
			if want := fmt.Sprintf("00-%s-%s-01", attempt.TraceID(), attempt.SpanID()); test.want != nil && header.Get("Traceparent") != want {
				t.Errorf("traceparent = %s, want %s", header.Get("Traceparent"), want)
			}
		})
	}
}

// A RoundTripper must not change the request that it gets.
func TestTransportLeavesTheRequestAlone(t *testing.T) {
	t.Parallel()
	m := newTelemetry()
	for _, header := range []http.Header{nil, {"Accept": {"application/json"}}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.kombo.dev/v1/check-api-key", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		before := header.Clone()
		response, err := otelkombo.NewTransport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Traceparent") == "" {
				t.Error("no traceparent")
			}
			return respond(200, "x"), nil
		}), m.options()...).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if spans := m.spans(); len(spans) != 0 {
			t.Errorf("the span ends before the body: %q", spans)
		}
		_ = response.Body.Close()
		_ = response.Body.Close()
		if diff := cmp.Diff(before, r.Header); diff != "" {
			t.Errorf("header (-before +after):\n%s", diff)
		}
		want := []string{"client GET {http.request.method=GET http.response.status_code=200 server.address=api.kombo.dev server.port=443}"}
		if diff := cmp.Diff(want, m.spans()); diff != "" {
			t.Errorf("spans (-want +got):\n%s", diff)
		}
		m.exporter.Reset()
	}
}

// What a base may return besides a response with a body is passed on as it is, and ends the attempt.
func TestTransportPassesOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	upgraded := &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: failingBody{}}
	for name, test := range map[string]struct {
		response *http.Response
		err      error
	}{
		"nothing":     {nil, nil},
		"no body":     {&http.Response{StatusCode: 204}, nil},
		"connection":  {upgraded, nil},
		"error":       {nil, broken},
		"both":        {&http.Response{StatusCode: 200, Body: failingBody{}}, broken},
		"no response": {&http.Response{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newTelemetry()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.kombo.dev", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := otelkombo.NewTransport(roundTripFunc(func(*http.Request) (*http.Response, error) {
				return test.response, test.err
			}), m.options()...).RoundTrip(r)
			if response != test.response || !errors.Is(err, test.err) {
				t.Errorf("got %v, %v", response, err)
			}
			if _, changed := upgraded.Body.(failingBody); !changed {
				t.Error("the connection of a 101 is wrapped")
			}
			if spans := m.spans(); len(spans) != 1 {
				t.Errorf("spans = %q", spans)
			}
		})
	}
}

// The two parts work alone, and side by side: the spans of attempts are then next to that of the call.
func TestPartsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newTelemetry()
		client := newClient(t, kombo.WithObserver(otelkombo.NewObserver(m.options()...)),
			transport(otelkombo.NewTransport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
				select {
				case <-time.After(time.Second):
					return respond(429, "", "Retry-After", "1"), nil
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			}), m.options()...).RoundTrip))
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		ctx, root := m.tracers.Tracer("test").Start(ctx, "root")
		_ = checkKey(ctx, client)
		root.End()
		spans := m.exporter.GetSpans()
		var got []string
		for _, span := range spans[:3] {
			if span.Parent.SpanID() != root.SpanContext().SpanID() {
				t.Errorf("%s is not a child of root", span.Name)
			}
			got = append(got, fmt.Sprint(span.Name, " ", span.EndTime.Sub(span.StartTime)))
		}
		want := []string{"GET /check-api-key 1s", "GET /check-api-key 500ms", "kombo GET /check-api-key 2.5s"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("spans (-want +got):\n%s", diff)
		}
	})
	m := newTelemetry()
	var none context.Context
	if err := checkKey(none, newClient(t, kombo.WithObserver(otelkombo.NewObserver(m.options()...)), otelkombo.Instrument(m.options()...))); err == nil {
		t.Error("a call without a context succeeds")
	}
	if spans := m.spans(); len(spans) != 1 {
		t.Errorf("spans = %q", spans)
	}
}

// An observer may make calls with the context that it gets: each call is recorded once.
func TestCallInsideACall(t *testing.T) {
	t.Parallel()
	m := newTelemetry()
	var client *kombo.Client
	client = newClient(t, otelkombo.Instrument(m.options()...),
		kombo.WithObserver(func(ctx context.Context, call kombo.CallInfo) {
			if errors.Is(call.Err, kombo.ErrReconnectRequired) {
				_ = checkKey(ctx, client)
			}
		}),
		transport(func(r *http.Request) (*http.Response, error) {
			if kombo.OperationFromContext(r.Context()) == relinkOp {
				return respond(409, notReady), nil
			}
			return respond(200, keyInfo), nil
		}))
	_ = relink(t.Context(), client)
	var calls []string
	for _, line := range m.metrics(t) {
		if strings.HasPrefix(line, "kombo.client.attempts ") {
			calls = append(calls, line)
		}
	}
	want := []string{
		"kombo.client.attempts {http.request.method=GET url.template=/check-api-key} 1",
		"kombo.client.attempts {http.request.method=POST url.template=/integrations/{integration_id}/relink} 1",
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if spans := m.spans(); len(spans) != 4 {
		t.Errorf("spans = %q", spans)
	}
}

// One option serves several clients, each with its own transport.
func TestInstrumentSeveralClients(t *testing.T) {
	t.Parallel()
	m := newTelemetry()
	instrument := otelkombo.Instrument(m.options(otelkombo.WithAttributes(attribute.String("deployment", "blue")))...)
	var used []string
	client := func(name string) *kombo.Client {
		return newClient(t, instrument, transport(func(*http.Request) (*http.Response, error) {
			used = append(used, name)
			return respond(200, keyInfo, "Ratelimit-Remaining", "1", "Concurrency-Remaining", "1"), nil
		}))
	}
	for _, c := range []*kombo.Client{client("first"), client("second")} {
		if err := checkKey(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"first", "second"}, used); diff != "" {
		t.Errorf("transports (-want +got):\n%s", diff)
	}
	for _, line := range append(m.spans(), m.metrics(t)...) {
		if strings.Count(line, "deployment=blue") != 1 {
			t.Errorf("without the attribute: %s", line)
		}
	}
}

// Without a provider nothing is recorded, and everything works.
func TestNoProvider(t *testing.T) {
	t.Parallel()
	client := newClient(t, otelkombo.Instrument(otelkombo.WithTracerProvider(nil), otelkombo.WithMeterProvider(nil)),
		transport(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Traceparent") != "" {
				t.Error("a trace that nobody records")
			}
			return respond(200, keyInfo), nil
		}))
	if err := checkKey(t.Context(), client); err != nil {
		t.Error(err)
	}
}
