// Webhookqueue teaches how to receive webhooks in two steps: the receiver verifies and queues the raw body; a worker
// parses and handles it later.
//
//	go run ./examples/webhookqueue
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/usage"
	"github.com/kombo-go/kombo/kombotest"
)

// queue stands for one that keeps what it is given: SQS, NATS, a table.
type queue chan []byte

// receive is the handler. It responds with 204 once the body is in the queue, and Kombo can forget it.
func receive(verifier *kombo.WebhookVerifier, bodies queue) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		event, err := verifier.ParseRequest(r)
		switch {
		case errors.Is(err, kombo.ErrMissingSignature), errors.Is(err, kombo.ErrInvalidSignature):
			http.Error(w, "the signature is missing or wrong", http.StatusUnauthorized)
			return
		case errors.Is(err, kombo.ErrPayloadTooLarge):
			http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			http.Error(w, "the body is not a webhook", http.StatusBadRequest)
			return
		}
		select {
		case bodies <- event.RawBody():
			w.WriteHeader(http.StatusNoContent)
		default: // the queue is full: Kombo keeps the event, and comes again
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	}
}

// work handles what is queued. It has been verified before, so parsing is all that is left.
func work(ctx context.Context, bodies queue, handlers kombo.EventHandlers) error {
	for body := range bodies {
		event, err := kombo.ParseEvent(body)
		if err == nil {
			err = handlers.Handle(ctx, event)
		}
		if err != nil {
			return err // a real queue delivers the body again
		}
	}
	return nil
}

func main() {
	usage.Main("webhookqueue", "Receives webhooks in two steps, with a queue between them. It uses a fake Kombo.", run)
}

func run(ctx context.Context, output io.Writer) error {
	verifier, err := kombo.NewWebhookVerifier("webhook-secret")
	if err != nil {
		return err
	}
	bodies := make(queue, 100)
	receiver := httptest.NewServer(receive(verifier, bodies))
	defer receiver.Close()

	srv := kombotest.NewServer(kombotest.Config{WebhookURL: receiver.URL, WebhookSecret: "webhook-secret"})
	defer srv.Close()
	client, err := srv.Client()
	if err != nil {
		return err
	}
	link, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "42",
	})
	if err != nil {
		return err
	}
	if _, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{Tool: "personio"}); err != nil {
		return err
	}
	close(bodies)
	return work(ctx, bodies, kombo.EventHandlers{
		IntegrationCreated: func(_ context.Context, e *kombo.IntegrationCreatedEvent) error {
			fmt.Fprintf(output, "customer %s has connected %s\n", e.Data.EndUser.OriginID, e.Data.Tool)
			return nil
		},
	})
}
