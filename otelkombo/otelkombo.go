// Package otelkombo records traces and metrics of package kombo with OpenTelemetry.
//
//	client, err := kombo.NewClient(apiKey, otelkombo.Instrument())
//	mux.Handle("POST /webhooks/kombo", otelkombo.NewHandler(verifier, handlers))
//
// [Instrument] records a span for each call, a span for each of its attempts, and metrics. [NewHandler] does the
// same for webhooks. The README of this package lists all names, and has a dashboard for Grafana and alert rules
// for Prometheus.
//
// Spans and metrics are named after routes, such as "POST /integrations/{integration_id}/relink". No URL,
// query, header or body is recorded. Of errors only the text of a [kombo.Error] is, which contains no secrets.
package otelkombo

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/kombo-go/kombo"
)

const scope = "github.com/kombo-go/kombo/otelkombo"

// An Option configures the functions of this package.
type Option func(*config)

type config struct {
	tracers    trace.TracerProvider
	meters     metric.MeterProvider
	propagator propagation.TextMapPropagator
	attributes []attribute.KeyValue
}

// WithTracerProvider records spans with provider; the default is the global one.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(c *config) {
		if provider != nil {
			c.tracers = provider
		}
	}
}

// WithMeterProvider records metrics with provider; the default is the global one.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(c *config) {
		if provider != nil {
			c.meters = provider
		}
	}
}

// WithPropagators sets how the trace context is sent to Kombo, and read from webhooks. The default is that of
// W3C without baggage, and not the global one, because Kombo is another company's service: baggage may contain
// what it should not get. A composite of no propagators sends and reads nothing.
func WithPropagators(propagators propagation.TextMapPropagator) Option {
	return func(c *config) {
		if propagators != nil {
			c.propagator = propagators
		}
	}
}

// WithAttributes adds attributes to all spans and metrics, such as the region or environment of the client if
// there are several.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	return func(c *config) {
		c.attributes = append(c.attributes, attributes...)
	}
}

func newConfig(options []Option) config {
	c := config{tracers: otel.GetTracerProvider(), meters: otel.GetMeterProvider(), propagator: propagation.TraceContext{}}
	for _, option := range options {
		if option != nil {
			option(&c)
		}
	}
	return c
}

func (c *config) tracer() trace.Tracer {
	return c.tracers.Tracer(scope, trace.WithInstrumentationVersion(kombo.Version))
}

func (c *config) meter() metric.Meter {
	return c.meters.Meter(scope, metric.WithInstrumentationVersion(kombo.Version))
}

// with returns the attributes of all spans and metrics, and attributes.
func (c *config) with(attributes ...attribute.KeyValue) []attribute.KeyValue {
	return slices.Concat(c.attributes, attributes)
}

// Instrument returns an option for [kombo.NewClient] that records traces and metrics of every call of the client,
// as [NewTransport] and [NewObserver] do together: the spans of a call's attempts are children of that of the call,
// and count the attempts before them. The Transport of [kombo.WithHTTPClient] stays in use.
func Instrument(options ...Option) kombo.Option {
	observer, transport := newObserver(options), newTransport(nil, options)
	return kombo.WithInstrumentation(kombo.Instrumentation{
		CallContext: observer.start,
		Transport: func(base http.RoundTripper) http.RoundTripper {
			around := *transport // the option may be given to several clients
			around.base = base
			return &around
		},
	})
}

// NewTransport returns a Transport for [kombo.WithHTTPClient] that records a client span and the duration of each
// attempt, and sends the trace context. It sends requests with base, or [http.DefaultTransport] if base is nil.
// [Instrument] is the simpler way.
func NewTransport(base http.RoundTripper, options ...Option) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return newTransport(base, options)
}

// NewObserver returns an observer for [kombo.WithObserver] that records a span and metrics of each call. It is
// called at the end of calls, so that it records the spans of attempts as siblings of that of the call, and not
// the waits between attempts: [Instrument] has both.
func NewObserver(options ...Option) func(ctx context.Context, call kombo.CallInfo) {
	return newObserver(options).observe
}

// NewHandler is [kombo.WebhookVerifier.Handler] with a server span for each webhook, and what [OnDelivery] records.
// OnDelivery of handlers is called, too. The context of the handlers has the span.
//
// If the context of the request has a span, it is the parent. Otherwise a new trace begins, with a link to the span
// in the headers of the request: anybody can send requests to the endpoint of webhooks, so they do not decide in
// which trace, or whether, its spans are recorded.
func NewHandler(verifier *kombo.WebhookVerifier, handlers kombo.EventHandlers, options ...Option) http.Handler {
	return newWebhooks(options).handler(verifier, handlers)
}

// OnDelivery returns a function for OnDelivery of [kombo.EventHandlers] that records metrics of each webhook by
// event type and outcome, and adds both to the span of its context, such as that of a handler of your own around
// [kombo.WebhookVerifier.Handler]. [NewHandler] includes it.
func OnDelivery(options ...Option) func(ctx context.Context, delivery kombo.DeliveryInfo) {
	return newWebhooks(options).observe
}
