package otelkombo_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
	"github.com/kombo-go/kombo/otelkombo"
)

// A call whose first attempt fails has three spans. A real program has an exporter that sends spans somewhere.
func Example() {
	exporter := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(exporter))

	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	srv.InjectFault(kombotest.Fault{Op: "GET /check-api-key", Status: http.StatusServiceUnavailable})
	client, err := srv.Client(otelkombo.Instrument(otelkombo.WithTracerProvider(provider)))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.CheckAPIKey(context.Background()); err != nil {
		log.Fatal(err)
	}
	for _, span := range exporter.GetSpans() {
		fmt.Println(span.SpanKind, span.Name, span.Status.Code)
	}
	// Output:
	// client GET /check-api-key Error
	// client GET /check-api-key Unset
	// internal kombo GET /check-api-key Unset
}

// One line records everything with the global providers.
func ExampleInstrument() {
	client, err := kombo.NewClient("ks_prod_your-api-key", otelkombo.Instrument())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client)
	// Output: kombo.Client(https://api.kombo.dev/v1)
}

// Providers of your own, and no trace context for Kombo: an observer and a transport, which Instrument joins in one option.
func ExampleNewObserver() {
	metrics := metric.NewManualReader()
	options := []otelkombo.Option{
		otelkombo.WithTracerProvider(trace.NewTracerProvider()),
		otelkombo.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(metrics))),
		otelkombo.WithPropagators(propagation.NewCompositeTextMapPropagator()),
	}
	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	client, err := srv.Client(
		kombo.WithObserver(otelkombo.NewObserver(options...)),
		kombo.WithHTTPClient(&http.Client{Transport: otelkombo.NewTransport(nil, options...)}),
	)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if _, err := client.CheckAPIKey(ctx); err != nil {
		log.Fatal(err)
	}
	var collected metricdata.ResourceMetrics
	if err := metrics.Collect(ctx, &collected); err != nil {
		log.Fatal(err)
	}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			fmt.Println(m.Name, m.Unit)
		}
	}
	fmt.Println("traceparent:", srv.Requests()[0].Header["Traceparent"])
	// Output:
	// kombo.client.call.duration s
	// kombo.client.attempts {attempt}
	// http.client.request.duration s
	// traceparent: []
}

// An attribute distinguishes the metrics of two clients.
func ExampleWithAttributes() {
	eu, err := kombo.NewClient("ks_prod_key-of-eu", otelkombo.Instrument(otelkombo.WithAttributes(attribute.String("kombo.region", "eu"))))
	if err != nil {
		log.Fatal(err)
	}
	us, err := kombo.NewClient("ks_prod_key-of-us", kombo.WithRegion(kombo.RegionUS),
		otelkombo.Instrument(otelkombo.WithAttributes(attribute.String("kombo.region", "us"))))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(eu, us)
	// Output: kombo.Client(https://api.kombo.dev/v1) kombo.Client(https://api.us.kombo.dev/v1)
}

// The handler for webhooks, with a server span for each, which is the parent of the calls of its functions.
func ExampleNewHandler() {
	verifier, err := kombo.NewWebhookVerifier("your-webhook-secret")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/kombo", otelkombo.NewHandler(verifier, kombo.EventHandlers{
		IntegrationCreated: func(_ context.Context, e *kombo.IntegrationCreatedEvent) error {
			log.Print(e.Data.EndUser.OriginID, " has connected ", e.Data.Tool)
			return nil
		},
	}))
}

// With a handler of your own around that of the verifier, OnDelivery records metrics, and adds to its span.
func ExampleOnDelivery() {
	verifier, err := kombo.NewWebhookVerifier("your-webhook-secret")
	if err != nil {
		log.Fatal(err)
	}
	handler := verifier.Handler(kombo.EventHandlers{OnDelivery: otelkombo.OnDelivery()})
	http.Handle("POST /webhooks/kombo", handler)
}
