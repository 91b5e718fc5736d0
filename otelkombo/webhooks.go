package otelkombo

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/kombo-go/kombo"
)

// webhooks records deliveries.
type webhooks struct {
	config

	spans         trace.Tracer
	duration, age metric.Float64Histogram
}

func newWebhooks(options []Option) *webhooks {
	c := newConfig(options)
	meter := c.meter()
	return &webhooks{
		config:   c,
		spans:    c.tracer(),
		duration: seconds(meter, metricWebhookDuration, "Duration of handling webhooks of Kombo.", durationBoundaries),
		age:      seconds(meter, metricEventAge, "Time from an event to its webhook.", ageBoundaries),
	}
}

func (h *webhooks) handler(verifier *kombo.WebhookVerifier, handlers kombo.EventHandlers) http.Handler {
	next := handlers.OnDelivery
	handlers.OnDelivery = func(ctx context.Context, delivery kombo.DeliveryInfo) {
		h.observe(ctx, delivery)
		if next != nil {
			next(ctx, delivery)
		}
	}
	handler := verifier.Handler(handlers)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost { // which is not a delivery
			handler.ServeHTTP(w, r)
			return
		}
		name, attributes := r.Method, h.with(keyMethod.String(r.Method))
		if i := strings.IndexByte(r.Pattern, '/'); i >= 0 { // after the method and the host
			name += " " + r.Pattern[i:]
			attributes = append(attributes, keyRoute.String(r.Pattern[i:]))
		}
		ctx := r.Context()
		start := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...)}
		if !trace.SpanContextFromContext(ctx).IsValid() {
			sender := trace.SpanContextFromContext(h.propagator.Extract(ctx, propagation.HeaderCarrier(r.Header)))
			if sender.IsValid() {
				start = append(start, trace.WithLinks(trace.Link{SpanContext: sender}))
			}
		}
		ctx, span := h.spans.Start(ctx, name, start...)
		defer span.End()
		handler.ServeHTTP(w, r.WithContext(ctx))
	})
}

// observe records a delivery. The text of its error is not recorded: it is the caller's.
func (h *webhooks) observe(ctx context.Context, delivery kombo.DeliveryInfo) {
	outcome, failed := outcomeOf(delivery)
	attributes := make([]attribute.KeyValue, 0, 8)
	attributes = append(attributes, keyOutcome.String(outcome))
	if delivery.EventType != "" {
		attributes = append(attributes, keyEventType.String(string(delivery.EventType)))
	}
	if delivery.StatusCode != 0 {
		attributes = append(attributes, keyStatusCode.Int(delivery.StatusCode))
	}
	if failed != "" {
		attributes = append(attributes, keyErrorType.String(failed))
	}
	if changed, ok := delivery.Event.(*kombo.IntegrationStateChangedEvent); ok {
		attributes = append(attributes, keyState.String(string(changed.Data.State)))
	}
	h.duration.Record(ctx, delivery.Duration.Seconds(), metric.WithAttributes(h.with(attributes...)...))
	if at := timeOf(delivery.Event); !at.IsZero() {
		arrived := time.Now().Add(-delivery.Duration)
		age := arrived.Sub(at)
		h.age.Record(ctx, max(0, age.Seconds()), metric.WithAttributes(h.with(keyEventType.String(string(delivery.EventType)))...))
	}

	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if delivery.EventID != "" {
		attributes = append(attributes, keyEventID.String(delivery.EventID))
	}
	span.SetAttributes(h.with(attributes...)...)
	if outcome == outcomeFailed {
		span.SetStatus(codes.Error, "")
	}
}

// outcomeOf returns what became of a delivery, and its error.type, which is "" after a success.
func outcomeOf(delivery kombo.DeliveryInfo) (outcome, failed string) {
	switch err := delivery.Err; {
	case err == nil:
		return outcomeHandled, ""
	case delivery.EventType != "": // whatever the error of the function wraps
		return outcomeFailed, errorHandler
	case errors.Is(err, kombo.ErrMissingSignature), errors.Is(err, kombo.ErrInvalidSignature):
		return outcomeRefusedSignature, errorSignature
	case errors.Is(err, kombo.ErrPayloadTooLarge):
		return outcomeRefusedBody, errorPayloadTooLarge
	case errors.Is(err, kombo.ErrInvalidPayload):
		return outcomeRefusedBody, errorPayload
	}
	return outcomeRefusedBody, errorOther // reading the body failed
}

// timeOf returns when an event occurred; the zero time if it has no time.
func timeOf(event kombo.Event) time.Time {
	switch e := event.(type) {
	case *kombo.IntegrationDeletedEvent:
		return e.Data.DeletedAt
	case *kombo.IntegrationStateChangedEvent:
		return e.Data.UpdatedAt
	case *kombo.IssueStatusChangedEvent:
		if e.Data.Issue.ResolvedAt != nil {
			return *e.Data.Issue.ResolvedAt
		}
		return e.Data.Issue.FirstObservedAt
	case *kombo.SyncFinishedEvent:
		return e.Data.SyncEndedAt
	case *kombo.AIApplyApplicationStatusUpdatedEvent:
		return e.Data.UpdatedAt
	case *kombo.AIApplyJobPostingStatusUpdatedEvent:
		return e.Data.UpdatedAt
	}
	return time.Time{}
}
