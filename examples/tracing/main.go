// Tracing shows the trace of a customer who connects a tool: the calls of the service, their attempts, and the webhook.
// It uses package otelkombo and the fake Kombo.
//
//	go run ./examples/tracing
package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/usage"
	"github.com/kombo-go/kombo/kombotest"
	"github.com/kombo-go/kombo/otelkombo"
)

func main() {
	usage.Main("tracing", "Prints the trace of a customer who connects a tool. It uses a fake Kombo.", run)
}

func run(ctx context.Context, output io.Writer) error {
	// A real service has an exporter such as otlptracehttp.New(ctx), which sends spans to an OpenTelemetry Collector, to
	// Jaeger or to Tempo.
	provider := sdk.NewTracerProvider(sdk.WithBatcher(&tree{output}))
	defer func() { _ = provider.Shutdown(context.WithoutCancel(ctx)) }() // sends what is left
	otel.SetTracerProvider(provider)

	const secret = "webhook-secret"
	srv := kombotest.NewServer(kombotest.Config{WebhookSecret: secret})
	defer srv.Close()

	// This is all that it takes for calls.
	client, err := srv.Client(otelkombo.Instrument())
	if err != nil {
		return err
	}
	verifier, err := kombo.NewWebhookVerifier(secret)
	if err != nil {
		return err
	}
	// And this for webhooks. Calls with the context of the function belong to the trace of the webhook.
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/kombo", otelkombo.NewHandler(verifier, kombo.EventHandlers{
		IntegrationCreated: func(ctx context.Context, e *kombo.IntegrationCreatedEvent) error {
			_, err := client.Integrations.Get(ctx, e.Data.ID)
			return err
		},
	}))
	service := httptest.NewServer(mux)
	defer service.Close()
	srv.SetWebhookURL(service.URL + "/webhooks/kombo")

	if err := connect(ctx, srv, client); err != nil {
		return err
	}
	return provider.ForceFlush(ctx)
}

// connect connects a customer. A span of the service is the parent of those of its calls.
func connect(ctx context.Context, srv *kombotest.Server, client *kombo.Client) error {
	ctx, span := otel.Tracer("example").Start(ctx, "connect a customer")
	defer span.End()
	// The first attempt fails, the second succeeds.
	srv.InjectFault(kombotest.Fault{Op: "POST /connect/create-link", Status: http.StatusServiceUnavailable})
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
	integration, err := client.Connect.IntegrationByToken(ctx, token)
	if err != nil {
		return err
	}
	// An error of Kombo is the status of the span of its call.
	_, err = client.Integrations.Get(ctx, "unknown:"+integration.ID)
	if err == nil {
		return errors.New("there is an integration that nobody has made")
	}
	return nil
}
