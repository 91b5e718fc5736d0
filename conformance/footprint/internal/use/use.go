// Package use calls the SDK as a service does: the programs of conformance/footprint differ in which of
// these functions they call.
package use

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/kombo-go/kombo"
)

// Client connects, reconnects and deletes.
func Client(ctx context.Context) error {
	client, err := kombo.NewClient(os.Getenv("KOMBO_API_KEY"))
	if err != nil {
		return err
	}
	link, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", IntegrationCategory: kombo.CategoryHRIS,
	})
	if err != nil {
		return err
	}
	fmt.Println(len(link.URL))
	integration, err := client.Connect.IntegrationByToken(ctx, os.Getenv("TOKEN"))
	if err != nil {
		return err
	}
	if link, err = client.Integrations.Relink(ctx, integration.ID, kombo.RelinkRequest{}); err != nil {
		return err
	}
	fmt.Println(len(link.URL))
	return client.Integrations.Delete(ctx, integration.ID)
}

// Webhooks mounts a handler for the four events of a connection.
func Webhooks(mux *http.ServeMux) error {
	verifier, err := kombo.NewWebhookVerifier(os.Getenv("KOMBO_WEBHOOK_SECRET"))
	if err != nil {
		return err
	}
	mux.Handle("POST /webhooks/kombo", verifier.Handler(kombo.EventHandlers{
		IntegrationCreated: func(_ context.Context, e *kombo.IntegrationCreatedEvent) error {
			fmt.Println(e.Data.ID)
			return nil
		},
		IntegrationDeleted: func(_ context.Context, e *kombo.IntegrationDeletedEvent) error {
			fmt.Println(e.Data.ID)
			return nil
		},
		IntegrationStateChanged: func(_ context.Context, e *kombo.IntegrationStateChangedEvent) error {
			fmt.Println(e.Data.IntegrationID, e.Data.State)
			return nil
		},
		ConnectionFlowFailed: func(_ context.Context, e *kombo.ConnectionFlowFailedEvent) error {
			fmt.Println(e.Data.EndUser.OriginID)
			return nil
		},
	}))
	return nil
}
