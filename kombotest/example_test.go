package kombotest_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// app is a service that exchanges tokens and receives webhooks.
type app struct {
	client *kombo.Client

	mutex     sync.Mutex
	connected map[string]string // integration ID by customer
}

func newApp(client *kombo.Client, webhookSecret string) (http.Handler, *app) {
	a := &app{client: client, connected: map[string]string{}}
	verifier, err := kombo.NewWebhookVerifier(webhookSecret)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /activate", a.activate)
	mux.Handle("POST /webhooks/kombo", verifier.Handler(kombo.EventHandlers{
		IntegrationDeleted: func(_ context.Context, e *kombo.IntegrationDeletedEvent) error {
			a.set(e.Data.EndUser.OriginID, "")
			return nil
		},
	}))
	return mux, a
}

func (a *app) activate(w http.ResponseWriter, r *http.Request) {
	integration, err := a.client.Connect.IntegrationByToken(r.Context(), r.FormValue("token"))
	if err != nil {
		http.Error(w, "not connected", http.StatusBadGateway)
		return
	}
	a.set(integration.EndUserOriginID, integration.ID) // a real service compares it with the signed-in customer first
}

func (a *app) set(customer, integrationID string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.connected[customer] = integrationID
}

func (a *app) of(customer string) string {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.connected[customer]
}

// A test of a service that connects an integration and handles its deletion.
func Example() {
	ctx := context.Background()
	srv := kombotest.NewServer(kombotest.Config{WebhookSecret: "test-secret"})
	defer srv.Close()
	client, err := srv.Client()
	if err != nil {
		log.Fatal(err)
	}
	handler, app := newApp(client, "test-secret")
	web := httptest.NewServer(handler)
	defer web.Close()
	srv.SetWebhookURL(web.URL + "/webhooks/kombo")

	link, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "42",
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{Tool: "personio"})
	if err != nil {
		log.Fatal(err)
	}
	response, err := http.Post(web.URL+"/activate", "application/x-www-form-urlencoded", strings.NewReader("token="+token))
	if err != nil {
		log.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	fmt.Println("connected:", app.of("42") != "")

	if err := client.Integrations.Delete(ctx, app.of("42")); err != nil {
		log.Fatal(err)
	}
	if err := srv.Wait(ctx); err != nil { // for integration-deleted
		log.Fatal(err)
	}
	fmt.Println("connected:", app.of("42") != "")
	// Output:
	// connected: true
	// connected: false
}
