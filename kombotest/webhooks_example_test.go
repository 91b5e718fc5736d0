package kombotest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// printingReceiver returns a server with a service that prints the webhooks that it gets.
func printingReceiver() (srv *kombotest.Server, done func()) {
	srv = kombotest.NewServer(kombotest.Config{Seed: 1})
	verifier, err := kombo.NewWebhookVerifier(srv.WebhookSecret())
	if err != nil {
		log.Fatal(err)
	}
	app := httptest.NewServer(verifier.Handler(kombo.EventHandlers{
		Fallback: func(_ context.Context, e kombo.Event) error {
			fmt.Println(e.EventType())
			return nil
		},
	}))
	srv.SetWebhookURL(app.URL)
	return srv, func() {
		srv.Close()
		app.Close()
	}
}

// Webhooks in another order than their events. A test of a whole service uses a random order, and all at once.
func ExampleServer_HoldWebhooks() {
	srv, done := printingReceiver()
	defer done()
	ctx := context.Background()
	for _, order := range []kombotest.Order{kombotest.InOrder, kombotest.Reversed} {
		srv.HoldWebhooks()
		for _, eventType := range []kombo.EventType{kombo.EventIntegrationCreated, kombo.EventIntegrationDeleted} {
			if err := srv.Deliver(ctx, kombotest.Sample(eventType, kombotest.Integration{})); err != nil {
				log.Fatal(err)
			}
		}
		held, _ := srv.HeldWebhooks()
		fmt.Println(held, "webhooks,", order)
		if err := srv.ReleaseWebhooks(ctx, order); err != nil {
			log.Fatal(err)
		}
	}
	for _, order := range []kombotest.Order{kombotest.Shuffled, kombotest.AtOnce} {
		srv.HoldWebhooks()
		// … what the service should get right in any order
		if err := srv.ReleaseWebhooks(ctx, order); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 2 webhooks, in_order
	// integration-created
	// integration-deleted
	// 2 webhooks, reversed
	// integration-deleted
	// integration-created
}

// Every webhook arrives twice, and the next deletion is lost.
func ExampleServer_InjectWebhookFault() {
	srv, done := printingReceiver()
	defer done()
	ctx := context.Background()
	lost := kombotest.WebhookFault{Type: kombo.EventIntegrationDeleted, Lost: true}
	if err := lost.Validate(); err != nil { // InjectWebhookFault would panic
		log.Fatal(err)
	}
	srv.InjectWebhookFault(lost)
	srv.InjectWebhookFault(kombotest.WebhookFault{Times: -1, Copies: 1})
	for _, eventType := range []kombo.EventType{kombo.EventIntegrationDeleted, kombo.EventDataChanged} {
		if err := srv.Deliver(ctx, kombotest.Sample(eventType, kombotest.Integration{})); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(len(srv.WebhookFaults()), "fault remains")
	srv.ClearWebhookFaults()
	// Output:
	// data-changed
	// data-changed
	// 1 fault remains
}

// Kombo finds an issue of the whole environment, and later it is resolved.
func ExampleServer_RaiseIssue() {
	srv, done := printingReceiver()
	defer done()
	ctx := context.Background()
	if err := srv.RaiseIssue(ctx, "", kombo.IssueTypeIncomingWebhookFailing); err != nil {
		log.Fatal(err)
	}
	if err := srv.ResolveIssue(ctx, "", kombo.IssueTypeIncomingWebhookFailing); err != nil {
		log.Fatal(err)
	}
	// Output:
	// issue-status-changed
	// issue-status-changed
}

// A service that makes links for its customers, and does not return them to the test.
func ExampleServer_OpenLinks() {
	ctx := context.Background()
	srv, client, integrationID := start(ctx)
	defer srv.Close()
	if _, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{EndUserEmail: "grace@other.example", EndUserOrganizationName: "Other"}); err != nil {
		log.Fatal(err)
	}
	if _, err := client.Integrations.Relink(ctx, integrationID, kombo.RelinkRequest{}); err != nil {
		log.Fatal(err)
	}
	for _, link := range srv.OpenLinks() {
		switch link.Kind {
		case kombotest.LinkKindConnect:
			fmt.Println("to connect:", link.EndUser.OrganizationName)
		case kombotest.LinkKindRelink, kombotest.LinkKindSetup:
			fmt.Println(link.Kind, link.IntegrationID == integrationID)
		}
	}
	// Output:
	// to connect: Other
	// relink true
}

// The second request within an hour exceeds the limit. The response asks the client to wait longer than its
// kombo.RetryPolicy allows, so the call fails at once.
func ExampleServer_SetLimits() {
	ctx := context.Background()
	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	srv.SetLimits(kombotest.Limits{Rate: 1, Per: time.Hour})
	client, err := srv.Client()
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		_, err := client.CheckAPIKey(ctx)
		fmt.Println(errors.Is(err, kombo.ErrRateLimited))
	}
	// Output:
	// false
	// true
}
