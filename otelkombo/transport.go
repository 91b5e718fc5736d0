package otelkombo

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/kombo-go/kombo"
)

// transport records attempts.
type transport struct {
	config

	base     http.RoundTripper
	spans    trace.Tracer
	duration metric.Float64Histogram
}

func newTransport(base http.RoundTripper, options []Option) *transport {
	c := newConfig(options)
	return &transport{
		config: c, base: base, spans: c.tracer(),
		duration: seconds(c.meter(), metricRequestDuration, "Duration of HTTP requests to Kombo: one for each attempt.", durationBoundaries),
	}
}

// RoundTrip records an attempt. It ends with the body of the response.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	name, attributes := describe(r)
	a := &attempt{transport: t, call: callOf(r.Context()), started: time.Now(), attributes: t.with(attributes...)}
	if resends := a.call.addAttempt(); resends > 0 {
		attributes = append(attributes, keyResendCount.Int64(resends))
	}
	var ctx context.Context
	ctx, a.span = t.spans.Start(r.Context(), name, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(a.started),
		trace.WithAttributes(t.with(attributes...)...))
	a.ctx = ctx
	r = r.WithContext(ctx)
	r.Header = r.Header.Clone() // a RoundTripper must not change the caller's
	if r.Header == nil {
		r.Header = http.Header{}
	}
	t.propagator.Inject(ctx, propagation.HeaderCarrier(r.Header))
	response, err := t.base.RoundTrip(r)
	if response != nil {
		a.status = response.StatusCode
	}
	if err != nil || response == nil || response.Body == nil || response.StatusCode == http.StatusSwitchingProtocols {
		a.end(err)
	} else {
		response.Body = &body{response.Body, a}
	}
	return response, err
}

// describe returns the name of the span of a request and its attributes, without anything of the URL but the
// address.
func describe(r *http.Request) (name string, attributes []attribute.KeyValue) {
	name = r.Method
	attributes = make([]attribute.KeyValue, 0, 8)
	attributes = append(attributes, keyMethod.String(r.Method))
	if method, template := operationOf(kombo.OperationFromContext(r.Context())); template != "" {
		name = method + " " + template
		attributes = append(attributes, keyTemplate.String(template))
	}
	attributes = append(attributes, keyAddress.String(r.URL.Hostname()))
	if port, err := strconv.Atoi(r.URL.Port()); err == nil {
		attributes = append(attributes, keyPort.Int(port))
	} else if r.URL.Scheme == "https" {
		attributes = append(attributes, keyPort.Int(443))
	} else {
		attributes = append(attributes, keyPort.Int(80))
	}
	return name, attributes
}

// attempt is one attempt, until it ends.
type attempt struct {
	transport  *transport
	call       *call // nil if it is not known
	span       trace.Span
	ctx        context.Context //nolint:containedctx // lives as long as the attempt
	started    time.Time
	attributes []attribute.KeyValue // of the metric
	status     int                  // 0 if there is no response
	once       sync.Once
}

// end ends the attempt, unless it has ended. The text of err is not recorded: it is the base's, and may contain the
// URL or a header.
func (a *attempt) end(err error) {
	a.once.Do(func() {
		ended := time.Now()
		var result []attribute.KeyValue
		if a.status != 0 {
			result = append(result, keyStatusCode.Int(a.status))
		}
		failed := ""
		switch {
		case err != nil:
			failed = typeOfFailure(a.ctx, err)
		case a.status >= http.StatusBadRequest:
			failed = strconv.Itoa(a.status)
		case a.status == 0:
			failed = errorOther
		}
		if failed != "" {
			result = append(result, keyErrorType.String(failed))
			a.span.SetStatus(codes.Error, "")
		}
		a.span.SetAttributes(result...)
		a.span.End(trace.WithTimestamp(ended))
		a.call.addBusy(ended.Sub(a.started))
		a.transport.duration.Record(a.ctx, ended.Sub(a.started).Seconds(), metric.WithAttributes(append(a.attributes, result...)...))
	})
}

// body ends the attempt when the response has been read or closed.
type body struct {
	io.ReadCloser

	attempt *attempt
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.attempt.end(nil)
	case err != nil:
		b.attempt.end(err)
	}
	return n, err
}

func (b *body) Close() error {
	defer b.attempt.end(nil)
	return b.ReadCloser.Close()
}

// typeOfFailure returns the error.type of an attempt or a call that failed without a complete response.
func typeOfFailure(ctx context.Context, err error) string {
	var network interface{ Timeout() bool }
	_, dns := errors.AsType[*net.DNSError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, operation := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, context.Canceled):
		return errorCanceled
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout():
		return errorTimeout
	case dns:
		return errorDNS
	case certificate, record, alert:
		return errorTLS
	case operation, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errorConnection
	}
	return errorOther
}
