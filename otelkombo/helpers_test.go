package otelkombo_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sdkcalls"
	"github.com/kombo-go/kombo/otelkombo"
)

const (
	testAPIKey        = "ks_dev_test-api-key-0123456789"
	testToken         = sdkcalls.Activation
	testLink          = "https://connect.kombo.dev/v1?token=eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJsaW5rIn0.c2lnbmF0dXJl"
	testSecret        = "test-webhook-secret"
	testIntegrationID = sdkcalls.IntegrationID
)

// telemetry is what was recorded.
type telemetry struct {
	exporter *tracetest.InMemoryExporter
	tracers  *sdktrace.TracerProvider
	reader   *sdkmetric.ManualReader
	meters   *sdkmetric.MeterProvider
}

func newTelemetry() *telemetry {
	exporter, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	return &telemetry{
		exporter, sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)),
		reader, sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
	}
}

func (m *telemetry) options(more ...otelkombo.Option) []otelkombo.Option {
	return append([]otelkombo.Option{otelkombo.WithTracerProvider(m.tracers), otelkombo.WithMeterProvider(m.meters)}, more...)
}

// spans returns the spans in the order in which they ended, a line each: parent, kind, name, attributes, status.
func (m *telemetry) spans() []string {
	spans := m.exporter.GetSpans()
	names := map[string]string{}
	for _, span := range spans {
		names[span.SpanContext.SpanID().String()] = span.Name
	}
	var lines []string
	for _, span := range spans {
		line := span.SpanKind.String() + " " + span.Name + " {" + list(span.Attributes) + "}"
		if span.Parent.IsValid() {
			line = names[span.Parent.SpanID().String()] + " > " + line
		}
		if span.Status.Code != codes.Unset {
			line += " " + strings.TrimSpace(span.Status.Code.String()+" "+span.Status.Description)
		}
		lines = append(lines, line)
	}
	return lines
}

func list(attributes []attribute.KeyValue) string {
	var texts []string
	for _, kv := range attributes {
		texts = append(texts, string(kv.Key)+"="+fmt.Sprint(kv.Value.AsInterface()))
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

func (m *telemetry) collect(t testing.TB) []metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := m.reader.Collect(context.WithoutCancel(t.Context()), &all); err != nil {
		t.Fatal(err)
	}
	var metrics []metricdata.Metrics
	for _, scope := range all.ScopeMetrics {
		metrics = append(metrics, scope.Metrics...)
	}
	return metrics
}

// metrics returns the metrics, a line for each data point: name, attributes, value. A histogram shows as its count and sum.
func (m *telemetry) metrics(t testing.TB) []string {
	t.Helper()
	var lines []string
	add := func(name string, set attribute.Set, value any) {
		lines = append(lines, fmt.Sprintf("%s {%s} %v", name, list(set.ToSlice()), value))
	}
	for _, metric := range m.collect(t) {
		switch data := metric.Data.(type) {
		case metricdata.Histogram[float64]:
			for _, point := range data.DataPoints {
				add(metric.Name, point.Attributes, fmt.Sprintf("%d: %v", point.Count, point.Sum))
			}
		case metricdata.Histogram[int64]:
			for _, point := range data.DataPoints {
				add(metric.Name, point.Attributes, fmt.Sprintf("%d: %v", point.Count, point.Sum))
			}
		case metricdata.Sum[int64]:
			for _, point := range data.DataPoints {
				add(metric.Name, point.Attributes, point.Value)
			}
		case metricdata.Gauge[int64]:
			for _, point := range data.DataPoints {
				add(metric.Name, point.Attributes, point.Value)
			}
		default:
			t.Errorf("%s is a %T", metric.Name, data)
		}
	}
	slices.Sort(lines)
	return lines
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// transport sends the requests of a client to f.
func transport(f roundTripFunc) kombo.Option {
	return kombo.WithHTTPClient(&http.Client{Transport: f})
}

// respond returns a response with a body of JSON.
func respond(status int, body string, header ...string) *http.Response {
	response := &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
	for i := 0; i < len(header); i += 2 {
		response.Header.Set(header[i], header[i+1])
	}
	return response
}

func newClient(t testing.TB, options ...kombo.Option) *kombo.Client {
	t.Helper()
	client, err := kombo.NewClient(testAPIKey, options...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
