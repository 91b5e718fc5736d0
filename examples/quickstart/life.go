package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// webhookSecret is what a real service keeps beside its API key.
const webhookSecret = "quickstart-webhook-secret"

// wholeLife connects, loses, reconnects and deletes an integration of a fake Kombo.
func wholeLife(ctx context.Context, out *printer) error {
	events := make(chan kombo.Event, 16)
	receiver, err := startReceiver(ctx, events)
	if err != nil {
		return err
	}
	defer receiver.close()

	srv := kombotest.NewServer(kombotest.Config{WebhookURL: receiver.url, WebhookSecret: webhookSecret})
	defer srv.Close()
	client, err := srv.Client()
	if err != nil {
		return err
	}
	key, err := client.CheckAPIKey(ctx)
	if err != nil {
		return err
	}
	out.step("API key", "works, for environment %s of a fake Kombo", key.EnvironmentID)

	link, err := client.Connect.CreateLink(ctx, demoRequest())
	if err != nil {
		return err
	}
	out.step("link", "%s", masked(link.URL))

	token, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{Tool: "personio"})
	if err != nil {
		return err
	}
	out.step("customer", "finished the flow, the browser got the activation token %s", masked(token))

	integration, err := client.Connect.IntegrationByToken(ctx, token)
	if err != nil {
		return err
	}
	if integration.EndUserOriginID != demoRequest().EndUserOriginID {
		return fmt.Errorf("the integration belongs to customer %q, who is not signed in", integration.EndUserOriginID)
	}
	out.step("token exchanged", "%s belongs to customer %s, setup %s", integration.ID, integration.EndUserOriginID, integration.SetupStatus)

	created, err := next[*kombo.IntegrationCreatedEvent](ctx, events)
	if err != nil {
		return err
	}
	if created.Data.ID != integration.ID {
		return fmt.Errorf("the webhook is about %s", created.Data.ID)
	}
	out.step("webhook, verified", "%s: %s of %s", created.Type, created.Data.Tool, created.Data.EndUser.OrganizationName)

	if err := refuseForgery(ctx, receiver.url, created.RawBody()); err != nil {
		return err
	}
	out.step("forged webhook", "refused: 401")

	if err := srv.SetState(ctx, integration.ID, kombo.StateInvalid); err != nil {
		return err
	}
	broken, err := nextState(ctx, events, kombo.StateInvalid)
	if err != nil {
		return err
	}
	out.step("webhook, verified", "%s: credentials broke, state %s", broken.Type, broken.Data.State)

	relink, err := client.Integrations.Relink(ctx, integration.ID, kombo.RelinkRequest{})
	if err != nil {
		return err
	}
	out.step("reconnection link", "%s", masked(relink.URL))

	if _, err := srv.CompleteFlow(ctx, relink.URL, kombotest.Completion{}); err != nil {
		return err
	}
	mended, err := nextState(ctx, events, kombo.StateActive)
	if err != nil {
		return err
	}
	out.step("webhook, verified", "%s: customer reconnected, state %s", mended.Type, mended.Data.State)

	if err := client.Integrations.Delete(ctx, integration.ID); err != nil {
		return err
	}
	deleted, err := next[*kombo.IntegrationDeletedEvent](ctx, events)
	if err != nil {
		return err
	}
	out.step("webhook, verified", "%s: gone at %s", deleted.Type, deleted.Data.DeletedAt.Format(time.RFC3339))

	err = client.Integrations.Delete(ctx, integration.ID)
	if !errors.Is(err, kombo.ErrIntegrationNotFound) {
		return fmt.Errorf("a second deletion should find nothing, but: %w", err)
	}
	out.step("second deletion", "fails as it should: %v", err)
	out.success("Success: %d steps, and each of them as expected.", out.steps)
	return nil
}

// receiver is the part of a service that webhooks are posted to.
type receiver struct {
	url    string
	server *http.Server
}

func startReceiver(ctx context.Context, events chan<- kombo.Event) (*receiver, error) {
	verifier, err := kombo.NewWebhookVerifier(webhookSecret)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/kombo", verifier.Handler(kombo.EventHandlers{
		// A real service sets IntegrationCreated and the other fields of EventHandlers; this one shows each event.
		Fallback: func(_ context.Context, event kombo.Event) error {
			events <- event
			return nil
		},
	}))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return &receiver{url: "http://" + listener.Addr().String() + "/webhooks/kombo", server: server}, nil
}

func (r *receiver) close() { _ = r.server.Close() }

// next waits for the next webhook, which has to be of type E.
func next[E kombo.Event](ctx context.Context, events <-chan kombo.Event) (E, error) {
	var wanted E
	select {
	case event := <-events:
		wanted, ok := event.(E)
		if !ok {
			return wanted, fmt.Errorf("the webhook is %s, not %T", event.EventType(), wanted)
		}
		return wanted, nil
	case <-time.After(10 * time.Second):
		return wanted, fmt.Errorf("no webhook came, %T was due", wanted)
	case <-ctx.Done():
		return wanted, ctx.Err()
	}
}

func nextState(ctx context.Context, events <-chan kombo.Event, state kombo.State) (*kombo.IntegrationStateChangedEvent, error) {
	event, err := next[*kombo.IntegrationStateChangedEvent](ctx, events)
	if err == nil && event.Data.State != state {
		err = fmt.Errorf("the state is %s, not %s", event.Data.State, state)
	}
	return event, err
}

// refuseForgery posts what somebody without the secret could post.
func refuseForgery(ctx context.Context, url string, body []byte) error {
	forged := bytes.ReplaceAll(body, []byte("Acme"), []byte("Evil"))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(forged))
	if err != nil {
		return err
	}
	request.Header.Set(kombo.SignatureHeader, kombo.SignWebhook("a guess", forged))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("the response to a forged webhook is %s", response.Status)
	}
	return nil
}
