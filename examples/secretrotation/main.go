// Secretrotation teaches how to change the webhook secret of a running service without losing a webhook: accept both
// secrets until Kombo signs with the new one.
//
//	go run ./examples/secretrotation
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/usage"
	"github.com/kombo-go/kombo/kombotest"
)

// rotating passes requests to a handler that can be replaced. A service that reads its secrets when it starts, for
// example from the environment, does not need it: NewWebhookVerifier(current, previous) and a rolling restart will do.
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
	usage.Main("secretrotation", "Changes the webhook secret of a running service without losing a webhook. It uses a fake Kombo.", run)
}

func run(ctx context.Context, output io.Writer) error {
	handlers := kombo.EventHandlers{OnError: func(context.Context, error) {}}
	handler := &rotating{}
	receiver := httptest.NewServer(handler)
	defer receiver.Close()
	srv := kombotest.NewServer(kombotest.Config{WebhookURL: receiver.URL, WebhookSecret: "old-secret"})
	defer srv.Close()
	// deliver posts a webhook that is signed with secret, as Kombo does before and after the change in its dashboard.
	deliver := func(secret string, event kombo.Event) string {
		srv.SetWebhookSecret(secret)
		if err := srv.Deliver(ctx, event); err != nil {
			return "rejected"
		}
		return "accepted"
	}

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
			deliver("old-secret", event), deliver("new-secret", event))
	}
	return nil
}
