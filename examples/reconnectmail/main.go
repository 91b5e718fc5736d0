// Reconnectmail teaches how to react when a customer's credentials no longer work: it sends an e-mail with a magic
// link, which the administrator of the HR system can open without a login to the product.
//
//	go run ./examples/reconnectmail
package main

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/usage"
	"github.com/kombo-go/kombo/kombotest"
)

// mailer stands for the service that sends the product's mails.
type mailer func(ctx context.Context, to, subject, body string) error

// remind asks a customer to reconnect. If the mail cannot be sent, the webhook fails and comes again. A
// real service remembers whom it has written to: an event can come twice, and a link works for a year.
func remind(client *kombo.Client, send mailer) kombo.EventHandlers {
	return kombo.EventHandlers{
		IntegrationStateChanged: func(ctx context.Context, e *kombo.IntegrationStateChangedEvent) error {
			if e.Data.State != kombo.StateInvalid || e.Data.EndUser.CreatorEmail == "" {
				return nil
			}
			link, err := client.Integrations.Relink(ctx, e.Data.IntegrationID, kombo.RelinkRequest{LinkType: kombo.LinkTypeMagicLink})
			if err != nil {
				return err
			}
			return send(ctx, e.Data.EndUser.CreatorEmail, "Please reconnect "+e.Data.IntegrationTool,
				"The credentials of "+e.Data.IntegrationTool+" no longer work. Enter new ones here:\n"+link.URL)
		},
	}
}

func main() {
	usage.Main("reconnectmail", "Sends an e-mail with a magic link when the credentials of a customer no longer work. It uses a fake Kombo.", run)
}

func run(ctx context.Context, output io.Writer) error {
	verifier, err := kombo.NewWebhookVerifier("webhook-secret")
	if err != nil {
		return err
	}
	srv := kombotest.NewServer(kombotest.Config{WebhookSecret: "webhook-secret"})
	defer srv.Close()
	client, err := srv.Client()
	if err != nil {
		return err
	}
	var linkInMail string
	receiver := httptest.NewServer(verifier.Handler(remind(client, func(_ context.Context, to, subject, body string) error {
		linkInMail = body[strings.LastIndex(body, "\n")+1:]
		fmt.Fprintf(output, "mail to %s: %s\n", to, subject)
		return nil
	})))
	defer receiver.Close()
	srv.SetWebhookURL(receiver.URL)

	link, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "42",
	})
	if err != nil {
		return err
	}
	if _, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{Tool: "personio"}); err != nil {
		return err
	}
	integration := srv.Integrations()[0]
	if err := srv.SetState(ctx, integration.ID, kombo.StateInvalid); err != nil {
		return err
	}
	if _, err := srv.CompleteFlow(ctx, linkInMail, kombotest.Completion{}); err != nil {
		return err
	}
	mended, _ := srv.Integration(integration.ID)
	fmt.Fprintf(output, "the customer has opened the link: %s\n", mended.State)
	return nil
}
