package otelkombo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
	"github.com/kombo-go/kombo/otelkombo"
)

const (
	createdEvent = `{"id":"evt1","type":"integration-created","data":{"id":"personio:1","tool":"personio","category":"HRIS"}}`
	// The clock of synctest begins 30 s after this event.
	invalidEvent = `{"id":"evt2","type":"integration-state-changed","data":{"integration_id":"personio:1","state":"INVALID","updated_at":"1999-12-31T23:59:30Z"}}`
)

func newVerifier(t testing.TB) *kombo.WebhookVerifier {
	t.Helper()
	verifier, err := kombo.NewWebhookVerifier(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// deliver posts a webhook to a handler behind a mux and returns the status.
func deliver(ctx context.Context, handler http.Handler, body io.Reader, signature string, header http.Header) int {
	mux := http.NewServeMux()
	mux.Handle("/webhooks/{name}", handler)
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/webhooks/kombo?token="+testToken, body)
	if header != nil {
		r.Header = header
	}
	if signature != "" {
		r.Header.Set(kombo.SignatureHeader, signature)
	}
	recorder := httptest.NewRecorder()
	func() {
		defer func() { _ = recover() }()
		mux.ServeHTTP(recorder, r)
	}()
	return recorder.Code
}

// Each function takes 2 s.
func TestHandler(t *testing.T) {
	t.Parallel()
	const (
		span    = "server POST /webhooks/{name} {"
		rest    = "http.request.method=POST "
		created = "kombo.event.type=integration-created "
	)
	sign := func(body string) string { return kombo.SignWebhook(testSecret, []byte(body)) }
	large := strings.Repeat("x", kombo.MaxWebhookBody+1)
	tests := []struct {
		name      string
		body      string
		signature string
		handle    func() error
		span      string
		metrics   []string
	}{
		{
			"handled", createdEvent, sign(createdEvent), nil,
			span + rest + "http.response.status_code=204 http.route=/webhooks/{name} kombo.event.id=evt1 " + created + "kombo.webhook.outcome=handled}",
			[]string{"kombo.webhook.duration {http.response.status_code=204 " + created + "kombo.webhook.outcome=handled} 1: 2"},
		},
		{
			"with a time and a state", invalidEvent, sign(invalidEvent), nil,
			span + rest + "http.response.status_code=204 http.route=/webhooks/{name} kombo.event.id=evt2 kombo.event.type=integration-state-changed kombo.integration.state=INVALID kombo.webhook.outcome=handled}",
			[]string{
				"kombo.webhook.duration {http.response.status_code=204 kombo.event.type=integration-state-changed kombo.integration.state=INVALID kombo.webhook.outcome=handled} 1: 2",
				"kombo.webhook.event.age {kombo.event.type=integration-state-changed} 1: 30",
			},
		},
		{
			"fails", createdEvent, sign(createdEvent), func() error { return fmt.Errorf("%w: %s", kombo.ErrInvalidSignature, testLink) },
			span + "error.type=handler " + rest + "http.response.status_code=500 http.route=/webhooks/{name} kombo.event.id=evt1 " + created + "kombo.webhook.outcome=failed} Error",
			[]string{"kombo.webhook.duration {error.type=handler http.response.status_code=500 " + created + "kombo.webhook.outcome=failed} 1: 2"},
		},
		{
			"panics", createdEvent, sign(createdEvent), func() error { panic("no") },
			span + "error.type=handler " + rest + "http.response.status_code=500 http.route=/webhooks/{name} kombo.event.id=evt1 " + created + "kombo.webhook.outcome=failed} Error",
			[]string{"kombo.webhook.duration {error.type=handler http.response.status_code=500 " + created + "kombo.webhook.outcome=failed} 1: 2"},
		},
		{
			"aborts", createdEvent, sign(createdEvent), func() error { panic(http.ErrAbortHandler) },
			span + "error.type=handler " + rest + "http.route=/webhooks/{name} kombo.event.id=evt1 " + created + "kombo.webhook.outcome=failed} Error",
			[]string{"kombo.webhook.duration {error.type=handler " + created + "kombo.webhook.outcome=failed} 1: 2"},
		},
		{
			"no signature", createdEvent, "", nil,
			span + "error.type=signature " + rest + "http.response.status_code=401 http.route=/webhooks/{name} kombo.webhook.outcome=refused_signature}",
			[]string{"kombo.webhook.duration {error.type=signature http.response.status_code=401 kombo.webhook.outcome=refused_signature} 1: 0"},
		},
		{
			"wrong signature", createdEvent, sign("other"), nil,
			span + "error.type=signature " + rest + "http.response.status_code=401 http.route=/webhooks/{name} kombo.webhook.outcome=refused_signature}",
			[]string{"kombo.webhook.duration {error.type=signature http.response.status_code=401 kombo.webhook.outcome=refused_signature} 1: 0"},
		},
		{
			"too large", large, sign(large), nil,
			span + "error.type=payload_too_large " + rest + "http.response.status_code=413 http.route=/webhooks/{name} kombo.webhook.outcome=refused_body}",
			[]string{"kombo.webhook.duration {error.type=payload_too_large http.response.status_code=413 kombo.webhook.outcome=refused_body} 1: 0"},
		},
		{
			"not an event", "{}", sign("{}"), nil,
			span + "error.type=payload " + rest + "http.response.status_code=400 http.route=/webhooks/{name} kombo.webhook.outcome=refused_body}",
			[]string{"kombo.webhook.duration {error.type=payload http.response.status_code=400 kombo.webhook.outcome=refused_body} 1: 0"},
		},
		{
			"breaks off", "", sign(""), nil,
			span + "error.type=_OTHER " + rest + "http.response.status_code=400 http.route=/webhooks/{name} kombo.webhook.outcome=refused_body}",
			[]string{"kombo.webhook.duration {error.type=_OTHER http.response.status_code=400 kombo.webhook.outcome=refused_body} 1: 0"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newTelemetry()
				delivered, traced := 0, false
				handler := otelkombo.NewHandler(newVerifier(t), kombo.EventHandlers{
					Fallback: func(ctx context.Context, _ kombo.Event) error {
						traced = trace.SpanFromContext(ctx).IsRecording()
						<-time.After(2 * time.Second)
						if test.handle != nil {
							return test.handle()
						}
						return nil
					},
					OnError:    func(context.Context, error) {},
					OnDelivery: func(context.Context, kombo.DeliveryInfo) { delivered++ },
				}, m.options()...)
				var body io.Reader = strings.NewReader(test.body)
				if test.body == "" {
					body = iotest.ErrReader(errors.New("connection reset"))
				}
				deliver(t.Context(), handler, body, test.signature, nil)
				if handled := strings.Contains(test.span, "event.type"); delivered != 1 || traced != handled {
					t.Errorf("OnDelivery called %d times, the function has a span: %v", delivered, traced)
				}
				if diff := cmp.Diff([]string{test.span}, m.spans()); diff != "" {
					t.Errorf("spans (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.metrics, m.metrics(t)); diff != "" {
					t.Errorf("metrics (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Calls of the API in a function belong to the trace of the webhook.
func TestHandlerIsTheParentOfCalls(t *testing.T) {
	t.Parallel()
	m := newTelemetry()
	client := newClient(t, otelkombo.Instrument(m.options()...),
		transport(func(*http.Request) (*http.Response, error) { return respond(200, keyInfo), nil }))
	handler := otelkombo.NewHandler(newVerifier(t), kombo.EventHandlers{
		Fallback: func(ctx context.Context, _ kombo.Event) error { return checkKey(ctx, client) },
	}, m.options()...)
	if status := deliver(t.Context(), handler, strings.NewReader(createdEvent), kombo.SignWebhook(testSecret, []byte(createdEvent)), nil); status != 204 {
		t.Errorf("status = %d", status)
	}
	spans := m.spans()
	if len(spans) != 3 || !strings.HasPrefix(spans[1], "POST /webhooks/{name} > internal kombo GET /check-api-key ") {
		t.Errorf("spans = %q", spans)
	}
}

// Who sends a request does not decide about the trace: that of the headers is linked. A span that is there already is
// the parent.
func TestHandlerTrace(t *testing.T) {
	t.Parallel()
	sender := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, Remote: true})
	for name, test := range map[string]struct {
		outer   bool
		options []otelkombo.Option
		links   int
	}{
		"from outside":         {false, nil, 1},
		"nothing is read":      {false, []otelkombo.Option{otelkombo.WithPropagators(propagation.NewCompositeTextMapPropagator())}, 0},
		"with a span above it": {true, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newTelemetry()
			header := http.Header{}
			propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(t.Context(), sender), propagation.HeaderCarrier(header))
			ctx, parent := t.Context(), trace.SpanContext{}
			if test.outer {
				outer, span := m.tracers.Tracer("test").Start(ctx, "outer")
				defer span.End()
				ctx, parent = outer, span.SpanContext()
			}
			deliver(ctx, otelkombo.NewHandler(newVerifier(t), kombo.EventHandlers{}, m.options(test.options...)...), strings.NewReader(""), "", header)
			span := m.exporter.GetSpans()[0]
			if span.SpanContext.TraceID() == sender.TraceID() || span.Parent.SpanID() != parent.SpanID() || len(span.Links) != test.links {
				t.Errorf("parent = %v, links = %v", span.Parent, span.Links)
			}
			if len(span.Links) == 1 && !span.Links[0].SpanContext.Equal(sender) {
				t.Errorf("link = %v", span.Links[0])
			}
		})
	}
}

// A request that is not a delivery has neither a span nor metrics. Without a mux there is no route.
func TestHandlerRoutes(t *testing.T) {
	t.Parallel()
	m := newTelemetry()
	handler := otelkombo.NewHandler(newVerifier(t), kombo.EventHandlers{}, m.options()...)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/"+testToken, nil))
	}
	mux := http.NewServeMux()
	mux.Handle("POST example.com/hooks/", handler)
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/hooks/x", nil))
	spans := m.spans()
	if len(spans) != 2 || !strings.HasPrefix(spans[0], "server POST {") || !strings.HasPrefix(spans[1], "server POST /hooks/ {") {
		t.Errorf("spans = %q", spans)
	}
	if metrics := m.metrics(t); len(metrics) != 1 {
		t.Errorf("metrics = %q", metrics)
	}
}

// OnDelivery adds to the span of another handler, and works without any.
func TestOnDelivery(t *testing.T) {
	t.Parallel()
	m := newTelemetry()
	handler := newVerifier(t).Handler(kombo.EventHandlers{OnDelivery: otelkombo.OnDelivery(m.options()...)})
	deliver(t.Context(), handler, strings.NewReader(createdEvent), kombo.SignWebhook(testSecret, []byte(createdEvent)), nil)
	if spans := m.spans(); len(spans) != 0 {
		t.Errorf("spans = %q", spans)
	}
	ctx, span := m.tracers.Tracer("test").Start(t.Context(), "mine")
	deliver(ctx, handler, strings.NewReader(createdEvent), "", nil)
	span.End()
	want := []string{"internal mine {error.type=signature http.response.status_code=401 kombo.webhook.outcome=refused_signature}"}
	if diff := cmp.Diff(want, m.spans()); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if metrics := m.metrics(t); len(metrics) != 2 {
		t.Errorf("metrics = %q", metrics)
	}
}

// Every event that has a time has an age, also one from the future: its clock may be ahead of ours.
func TestEventAges(t *testing.T) {
	t.Parallel()
	for _, eventType := range kombotest.EventTypes() {
		m := newTelemetry()
		body := kombotest.Sample(eventType, kombotest.Integration{}).RawBody()
		deliver(t.Context(), otelkombo.NewHandler(newVerifier(t), kombo.EventHandlers{}, m.options()...),
			bytes.NewReader(body), kombo.SignWebhook(testSecret, body), nil)
		metrics := strings.Join(m.metrics(t), "\n")
		if strings.Contains(metrics, "kombo.webhook.event.age") != bytes.Contains(body, []byte(`_at": "`)) || strings.Contains(metrics, ": -") {
			t.Errorf("%s: %s", eventType, metrics)
		}
	}
	m := newTelemetry()
	ahead := strings.Replace(invalidEvent, "1999", "2999", 1)
	deliver(t.Context(), otelkombo.NewHandler(newVerifier(t), kombo.EventHandlers{}, m.options()...),
		strings.NewReader(ahead), kombo.SignWebhook(testSecret, []byte(ahead)), nil)
	if metrics := strings.Join(m.metrics(t), "\n"); !strings.Contains(metrics, "kombo.webhook.event.age {kombo.event.type=integration-state-changed} 1: 0") {
		t.Errorf("metrics = %s", metrics)
	}
}
