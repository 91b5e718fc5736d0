package otelkombo_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/otelkombo"
)

// One call over loopback: without this package, with it but without a provider, with metrics, and with both metrics and
// spans that are all recorded.
func BenchmarkCall(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, keyInfo)
	}))
	b.Cleanup(server.Close)
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	b.Cleanup(func() { _ = tracers.Shutdown(context.Background()) })
	for _, test := range []struct {
		name    string
		options []kombo.Option
	}{
		{"without", nil},
		{"no provider", []kombo.Option{otelkombo.Instrument()}},
		{"metrics", []kombo.Option{otelkombo.Instrument(otelkombo.WithMeterProvider(meters))}},
		{"metrics and spans", []kombo.Option{otelkombo.Instrument(otelkombo.WithMeterProvider(meters), otelkombo.WithTracerProvider(tracers))}},
	} {
		b.Run(test.name, func(b *testing.B) {
			client := newClient(b, append([]kombo.Option{kombo.WithBaseURL(server.URL + "/v1")}, test.options...)...)
			b.ReportAllocs()
			for b.Loop() {
				if err := checkKey(b.Context(), client); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
