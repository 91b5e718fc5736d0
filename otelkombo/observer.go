package otelkombo

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/kombo-go/kombo"
)

// observer records calls.
type observer struct {
	config

	spans                    trace.Tracer
	duration, wait           metric.Float64Histogram
	attempts, retries        metric.Int64Counter
	rateLimit, rateRemaining metric.Int64Gauge
	concurrencyRemaining     metric.Int64Histogram
}

func newObserver(options []Option) *observer {
	c := newConfig(options)
	meter := c.meter()
	return &observer{
		config:   c,
		spans:    c.tracer(),
		duration: seconds(meter, metricCallDuration, "Duration of calls of Kombo, with all attempts and the waits between them.", durationBoundaries),
		wait:     seconds(meter, metricRetryWait, "How long a call that was retried waited between its attempts.", durationBoundaries),
		attempts: must(meter.Int64Counter(metricAttempts, metric.WithUnit("{attempt}"), metric.WithDescription("Requests sent to Kombo."))),
		retries:  must(meter.Int64Counter(metricRetries, metric.WithUnit("{retry}"), metric.WithDescription("Requests sent to Kombo again."))),
		rateLimit: must(meter.Int64Gauge(metricRateLimit, metric.WithUnit("{request}"),
			metric.WithDescription("Requests that Kombo allows in a window, as of the last response with the header RateLimit-Limit."))),
		rateRemaining: must(meter.Int64Gauge(metricRateRemaining, metric.WithUnit("{request}"),
			metric.WithDescription("Requests left in the window, as of the last response with the header RateLimit-Remaining."))),
		concurrencyRemaining: must(meter.Int64Histogram(metricConcurrencyRemaining, metric.WithUnit("{request}"),
			metric.WithDescription("How many more actions the integration would have accepted at once, by the header Concurrency-Remaining."),
			metric.WithExplicitBucketBoundaries(concurrencyBoundaries...))),
	}
}

// call is a call that has begun.
type call struct {
	observer *observer
	span     trace.Span
	attempts atomic.Int64
	busy     atomic.Int64 // the time of the attempts that have ended
}

type callKey struct{}

// callOf returns the call that a context belongs to, or nil.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// addAttempt returns the number of attempts before this one.
func (c *call) addAttempt() int64 {
	if c == nil {
		return 0
	}
	return c.attempts.Add(1) - 1
}

func (c *call) addBusy(d time.Duration) {
	if c != nil {
		c.busy.Add(int64(d))
	}
}

// start begins the span of a call.
func (o *observer) start(ctx context.Context, op string) context.Context {
	c := &call{observer: o}
	ctx, c.span = o.spans.Start(ctx, "kombo "+op, trace.WithAttributes(o.operation(op)...))
	return kombo.ContextWithObserver(context.WithValue(ctx, callKey{}, c), c.end)
}

// operation returns the attributes of an operation.
func (o *observer) operation(op string) []attribute.KeyValue {
	method, template := operationOf(op)
	if template == "" {
		return o.with()
	}
	return o.with(keyMethod.String(method), keyTemplate.String(template))
}

func (c *call) end(ctx context.Context, info kombo.CallInfo) {
	if callOf(ctx) != c {
		return // an observer or Transport has made a call of its own with this call's context
	}
	c.observer.endSpan(ctx, c.span, info)
	c.observer.measure(ctx, info)
	if info.Attempts > 1 {
		wait := max(0, info.Duration-time.Duration(c.busy.Load()))
		c.observer.wait.Record(ctx, wait.Seconds(), metric.WithAttributes(c.observer.operation(info.Op)...))
	}
}

// observe records a call that has ended and of which nothing is known.
func (o *observer) observe(ctx context.Context, info kombo.CallInfo) {
	if ctx == nil {
		ctx = context.Background() // the call failed because of it
	}
	ctx, span := o.spans.Start(ctx, "kombo "+info.Op, trace.WithAttributes(o.operation(info.Op)...),
		trace.WithTimestamp(time.Now().Add(-info.Duration)))
	o.endSpan(ctx, span, info)
	o.measure(ctx, info)
}

func (o *observer) endSpan(ctx context.Context, span trace.Span, info kombo.CallInfo) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(append(result(ctx, info), keyAttempts.Int(info.Attempts))...)
	if len(info.Warnings) > 0 {
		span.SetAttributes(keyWarnings.Int(len(info.Warnings)))
	}
	if info.Err != nil {
		span.SetStatus(codes.Error, textOf(info.Err))
	}
}

func (o *observer) measure(ctx context.Context, info kombo.CallInfo) {
	attributes := o.operation(info.Op)
	operation := metric.WithAttributes(attributes...)
	if info.Attempts > 0 {
		o.attempts.Add(ctx, int64(info.Attempts), operation)
	}
	if info.Attempts > 1 {
		o.retries.Add(ctx, int64(info.Attempts-1), operation)
	}
	o.duration.Record(ctx, info.Duration.Seconds(), metric.WithAttributes(append(attributes, result(ctx, info)...)...))

	all := metric.WithAttributes(o.attributes...)
	if limit, ok := count(info.Header, "Ratelimit-Limit"); ok {
		o.rateLimit.Record(ctx, limit, all)
	}
	if remaining, ok := count(info.Header, "Ratelimit-Remaining"); ok {
		o.rateRemaining.Record(ctx, remaining, all)
	}
	if remaining, ok := count(info.Header, "Concurrency-Remaining"); ok {
		o.concurrencyRemaining.Record(ctx, remaining, operation)
	}
}

// count returns the number in a header.
func count(header http.Header, name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(header.Get(name), 10, 64)
	return n, err == nil && n >= 0
}

// result returns the attributes of what became of a call.
func result(ctx context.Context, info kombo.CallInfo) []attribute.KeyValue {
	attributes := make([]attribute.KeyValue, 0, 5)
	if info.StatusCode != 0 {
		attributes = append(attributes, keyStatusCode.Int(info.StatusCode))
	}
	if info.Err == nil {
		return attributes
	}
	attributes = append(attributes, keyErrorType.String(typeOf(ctx, info)))
	if kerr, ok := errors.AsType[*kombo.Error](info.Err); ok && isCode(string(kerr.Code)) {
		attributes = append(attributes, keyErrorCode.String(string(kerr.Code)))
	}
	return attributes
}

// isCode reports whether code has the form of Kombo's error codes: a server may send anything.
func isCode(code string) bool {
	return code != "" && len(code) <= 64 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_.") == ""
}

// typeOf returns the error.type of a call that failed.
func typeOf(ctx context.Context, info kombo.CallInfo) string {
	switch err := info.Err; {
	case info.StatusCode >= http.StatusBadRequest:
		return strconv.Itoa(info.StatusCode)
	case errors.Is(err, kombo.ErrUnexpectedResponse):
		return errorUnexpectedResponse
	case errors.Is(err, kombo.ErrInvalidInput):
		return errorInvalidInput
	default:
		return typeOfFailure(ctx, err)
	}
}

// textOf returns the text of the error of a call, which contains no secrets, without the address of its log. If
// there is no response, it returns "": the text of a Transport or of a context may contain a URL.
func textOf(err error) string {
	kerr, ok := errors.AsType[*kombo.Error](err)
	if !ok || kerr.StatusCode == 0 && !errors.Is(err, kombo.ErrInvalidInput) {
		return ""
	}
	shown := *kerr
	shown.LogURL = ""
	return shown.Error()
}
