// Secretrotation changes the webhook secret of a service that runs, without losing a webhook: it accepts both
// until Kombo signs with the new one.
//
//	go run ./examples/secretrotation
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// rotating hands requests to a handler that can be changed. A service whose secrets are read at its start, from the
// environment say, needs none of this: NewWebhookVerifier(current, previous) and a rolling restart do.
type rotating struct{ current atomic.Pointer[http.Handler] }

func (h *rotating) accept(handlers kombo.EventHandlers, secrets ...string) error {
	verifier, err := kombo.NewWebhookVerifier(secrets...)
	if err != nil {
		return err // the handler stays as it was
	}
	handler := verifier.Handler(handlers)
	h.current.Store(&handler)
	return nil
}

func (h *rotating) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*h.current.Load()).ServeHTTP(w, r)
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, output io.Writer) error {
	handlers := kombo.EventHandlers{OnError: func(context.Context, error) {}}
	handler := &rotating{}
	receiver := httptest.NewServer(handler)
	defer receiver.Close()
	// The two secrets of Kombo's: what it signs with before and after the change in its dashboard.
	before := kombotest.NewServer(kombotest.Config{WebhookURL: receiver.URL, WebhookSecret: "old-secret"})
	defer before.Close()
	after := kombotest.NewServer(kombotest.Config{WebhookURL: receiver.URL, WebhookSecret: "new-secret"})
	defer after.Close()

	event := &kombo.DataChangedEvent{
		EventHeader: kombo.EventHeader{ID: "event1", Type: kombo.EventDataChanged}, Data: kombo.DataChangedData{IntegrationID: "personio:1"},
	}
	for _, step := range []struct {
		name    string
		secrets []string
	}{
		{"to begin with", []string{"old-secret"}},
		{"while it changes", []string{"new-secret", "old-secret"}},
		{"when it has changed", []string{"new-secret"}},
	} {
		if err := handler.accept(handlers, step.secrets...); err != nil {
			return err
		}
		fmt.Fprintf(output, "%-20s old secret: %-9s new secret: %s\n", step.name,
			verdict(before.Deliver(ctx, event)), verdict(after.Deliver(ctx, event)))
	}
	return nil
}

func verdict(err error) string {
	if err != nil {
		return "refused"
	}
	return "accepted"
}
