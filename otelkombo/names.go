package otelkombo

import (
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// The attributes. Those without "kombo" are of the semantic conventions for HTTP.
const (
	keyMethod      = attribute.Key("http.request.method")
	keyResendCount = attribute.Key("http.request.resend_count")
	keyStatusCode  = attribute.Key("http.response.status_code")
	keyTemplate    = attribute.Key("url.template")
	keyAddress     = attribute.Key("server.address")
	keyPort        = attribute.Key("server.port")
	keyRoute       = attribute.Key("http.route")
	keyErrorType   = attribute.Key("error.type")

	keyAttempts  = attribute.Key("kombo.attempts")
	keyWarnings  = attribute.Key("kombo.warnings")
	keyErrorCode = attribute.Key("kombo.error.code")

	keyEventType = attribute.Key("kombo.event.type")
	keyEventID   = attribute.Key("kombo.event.id")
	keyOutcome   = attribute.Key("kombo.webhook.outcome")
	keyState     = attribute.Key("kombo.integration.state")
)

// The metrics. That without "kombo" is of the semantic conventions for HTTP.
const (
	metricRequestDuration      = "http.client.request.duration"
	metricCallDuration         = "kombo.client.call.duration"
	metricAttempts             = "kombo.client.attempts"
	metricRetries              = "kombo.client.retries"
	metricRetryWait            = "kombo.client.retry.wait"
	metricRateLimit            = "kombo.client.rate_limit.limit"
	metricRateRemaining        = "kombo.client.rate_limit.remaining"
	metricConcurrencyRemaining = "kombo.client.concurrency.remaining"
	metricWebhookDuration      = "kombo.webhook.duration"
	metricEventAge             = "kombo.webhook.event.age"
)

// The outcomes of a webhook.
const (
	outcomeHandled          = "handled"
	outcomeFailed           = "failed"
	outcomeRefusedSignature = "refused_signature"
	outcomeRefusedBody      = "refused_body"
)

// The values of error.type, apart from status codes.
const (
	errorCanceled           = "canceled"
	errorTimeout            = "timeout"
	errorDNS                = "dns"
	errorTLS                = "tls"
	errorConnection         = "connection"
	errorInvalidInput       = "invalid_input"
	errorUnexpectedResponse = "unexpected_response"
	errorSignature          = "signature"
	errorPayload            = "payload"
	errorPayloadTooLarge    = "payload_too_large"
	errorHandler            = "handler"
	errorOther              = "_OTHER"
)

// Calls may take 300 s for each attempt. The first boundaries are those that the semantic conventions advise.
var (
	durationBoundaries    = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 150, 300}
	ageBoundaries         = []float64{1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600}
	concurrencyBoundaries = []float64{0, 1, 2, 3, 5, 10, 15, 20, 25, 30}
)

// operationOf returns the method and the template of the route of an operation. Both are "" if there is no route,
// as in a request that is not Kombo's or a call that was refused because its route is invalid.
func operationOf(op string) (method, template string) {
	method, template, _ = strings.Cut(op, " ")
	if !strings.HasPrefix(template, "/") {
		return "", ""
	}
	return method, template
}

func seconds(meter metric.Meter, name, description string, boundaries []float64) metric.Float64Histogram {
	return must(meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
		metric.WithExplicitBucketBoundaries(boundaries...)))
}

// must reports an error to OpenTelemetry. The instrument can be used in any case.
func must[I any](instrument I, err error) I {
	if err != nil {
		otel.Handle(err)
	}
	return instrument
}
