// Tracing records a span of OpenTelemetry for each request to Kombo, through WithHTTPClient.
//
//	go run ./examples/tracing
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// traced records requests. A ready-made transport such as otelhttp's does more, but writes the whole URL into its
// spans, and the path of the token exchange holds a credential.
type traced struct {
	tracer trace.Tracer
	base   http.RoundTripper
}

func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := t.tracer.Start(r.Context(), r.Method+" "+route(r.URL.EscapedPath()), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("server.address", r.URL.Hostname())))
	defer span.End()
	response, err := t.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		span.SetStatus(codes.Error, "no answer") // the error may hold the URL
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
	if response.StatusCode >= http.StatusBadRequest {
		span.SetStatus(codes.Error, response.Status)
	}
	return response, nil
}

// route takes out of a path what differs from call to call.
func route(path string) string {
	segments := strings.Split(path, "/")
	for i := 1; i < len(segments); i++ {
		switch segments[i-1] {
		case "integration-by-token":
			segments[i] = "{token}"
		case "integrations":
			segments[i] = "{integration_id}"
		}
	}
	return strings.Join(segments, "/")
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, output io.Writer) error {
	// A real service has an exporter that sends its spans somewhere, in place of this one that keeps them.
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
	defer func() { _ = provider.Shutdown(context.WithoutCancel(ctx)) }()
	tracer := provider.Tracer("github.com/kombo-go/kombo/examples/tracing")

	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	client, err := srv.Client(kombo.WithHTTPClient(&http.Client{Transport: traced{tracer, http.DefaultTransport}}))
	if err != nil {
		return err
	}
	// Each attempt is a request, and so a span of its own: here there are two, the first of which fails.
	srv.InjectFault(kombotest.Fault{Op: "POST /connect/create-link", Status: http.StatusServiceUnavailable})
	ctx, span := tracer.Start(ctx, "connect a customer")
	link, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "42",
	})
	if err != nil {
		return err
	}
	token, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{Tool: "personio"})
	if err != nil {
		return err
	}
	if _, err := client.Connect.IntegrationByToken(ctx, token); err != nil {
		return err
	}
	span.End()
	for _, span := range spans.GetSpans() {
		fmt.Fprintf(output, "%s %s\n", span.Name, strings.TrimSpace(span.Status.Code.String()+" "+span.Status.Description))
	}
	return nil
}
