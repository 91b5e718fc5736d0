package kombo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// The whole life of a connection, on a fake Kombo.
func Example() {
	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	client, err := kombo.NewClient(srv.APIKey(), kombo.WithBaseURL(srv.BaseURL()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()

	link, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{
		EndUserEmail:            "ada@acme.example",
		EndUserOrganizationName: "Acme, Inc.",
		EndUserOriginID:         "42",
	})
	if err != nil {
		log.Fatal(err)
	}
	// In production the customer opens link.URL, and the browser ends up with a token.
	token, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{Tool: "personio"})
	if err != nil {
		log.Fatal(err)
	}
	integration, err := client.Connect.IntegrationByToken(ctx, token)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(integration.Tool, "of customer", integration.EndUserOriginID, "is", integration.SetupStatus)

	if err := client.Integrations.Delete(ctx, integration.ID); err != nil {
		log.Fatal(err)
	}
	// Output: personio of customer 42 is COMPLETED
}

func ExampleNewClient() {
	client, err := kombo.NewClient(os.Getenv("KOMBO_API_KEY"), kombo.WithRegion(kombo.RegionUS))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client)
	// Output: kombo: NewClient: the API key is empty
}

func ExampleClient_CheckAPIKey() {
	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	client, err := kombo.NewClient("a-key-of-another-region", kombo.WithBaseURL(srv.BaseURL()))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.CheckAPIKey(context.Background())
	fmt.Println(errors.Is(err, kombo.ErrAuthentication))
	// Output: true
}

func ExampleConnectService_CreateLink() {
	client, done := exampleClient()
	defer done()
	link, err := client.Connect.CreateLink(context.Background(), kombo.CreateLinkRequest{
		EndUserEmail:            "ada@acme.example",
		EndUserOrganizationName: "Acme, Inc.",
		EndUserOriginID:         "42",
		IntegrationCategory:     kombo.CategoryHRIS,
		IntegrationTool:         "personio",
		Language:                kombo.LanguageDE,
		LinkType:                kombo.LinkTypeMagicLink,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(link.URL, "?token="))
	fmt.Println(link) // a link is a secret: this does not print it
	// Output:
	// true
	// kombo.Link([redacted])
}

// A back end must know that the integration belongs to the customer who is signed in: else one
// customer could attach the integration of another.
func ExampleConnectService_IntegrationByToken() {
	client, done := exampleClient()
	defer done()
	signedIn, token := "42", "the token that the browser posted"

	integration, err := client.Connect.IntegrationByToken(context.Background(), token)
	switch {
	case err != nil:
		fmt.Println("refused:", errors.Is(err, kombo.ErrInvalidInput))
	case integration.EndUserOriginID != signedIn:
		fmt.Println("forbidden")
	default:
		fmt.Println("store", integration.ID)
	}
	// Output: refused: true
}

func ExampleIntegrationsService_Relink() {
	client, done := exampleClient()
	defer done()
	link, err := client.Integrations.Relink(context.Background(), "personio:CBNMt7dSNCzBdnRTx87dev4E", kombo.RelinkRequest{
		LinkType: kombo.LinkTypeMagicLink,
	})
	if errors.Is(err, kombo.ErrIntegrationNotFound) {
		fmt.Println("forget this integration")
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("send", link.URL)
	// Output: forget this integration
}

func ExampleIntegrationsService_Delete() {
	client, done := exampleClient()
	defer done()
	err := client.Integrations.Delete(context.Background(), "personio:CBNMt7dSNCzBdnRTx87dev4E")
	if err != nil && !errors.Is(err, kombo.ErrIntegrationNotFound) {
		log.Fatal(err)
	}
	fmt.Println("gone")
	// Output: gone
}

func ExampleError() {
	client, done := exampleClient()
	defer done()
	_, err := client.Integrations.Relink(context.Background(), "personio:gone", kombo.RelinkRequest{})

	var kerr *kombo.Error
	switch {
	case errors.Is(err, kombo.ErrRateLimited):
		fmt.Println("later")
	case errors.As(err, &kerr):
		fmt.Println(kerr.Op)
		fmt.Println(kerr.StatusCode, kerr.Code)
		fmt.Println(kerr.Attempts)
	}
	// Output:
	// POST /integrations/{integration_id}/relink
	// 404 PLATFORM.INTEGRATION_NOT_FOUND
	// 1
}

func ExampleWebhookVerifier_Handler() {
	verifier, err := kombo.NewWebhookVerifier("the webhook secret")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/kombo", verifier.Handler(kombo.EventHandlers{
		IntegrationCreated: func(_ context.Context, e *kombo.IntegrationCreatedEvent) error {
			fmt.Println("connected:", e.Data.ID, "of customer", e.Data.EndUser.OriginID)
			return nil // responds with 204; an error responds with 500
		},
		Fallback: func(_ context.Context, e kombo.Event) error {
			fmt.Println("also came:", e.EventType())
			return nil
		},
	}))

	// What Kombo does:
	body := `{"id":"1","type":"integration-created","data":{"id":"personio:1","tool":"personio","category":"HRIS","end_user":{"origin_id":"42"}}}`
	r := httptest.NewRequest(http.MethodPost, "/webhooks/kombo", strings.NewReader(body))
	r.Header.Set(kombo.SignatureHeader, kombo.SignWebhook("the webhook secret", []byte(body)))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output:
	// connected: personio:1 of customer 42
	// 204
}

func ExampleWebhookVerifier_Parse() {
	// While a secret is being replaced, both count.
	verifier, err := kombo.NewWebhookVerifier("current secret", "previous secret")
	if err != nil {
		log.Fatal(err)
	}
	body := []byte(`{"id":"1","type":"integration-state-changed","data":{"integration_id":"personio:1","state":"INVALID","updated_at":"2026-03-04T05:06:07.089Z"}}`)
	event, err := verifier.Parse(body, kombo.SignWebhook("previous secret", body))
	if err != nil {
		log.Fatal(err)
	}
	switch e := event.(type) {
	case *kombo.IntegrationStateChangedEvent:
		fmt.Println(e.Data.IntegrationID, "is", e.Data.State)
	case *kombo.UnknownEvent:
		fmt.Println("new:", e.Type)
	}

	_, err = verifier.Parse(body, kombo.SignWebhook("a guess", body))
	fmt.Println(errors.Is(err, kombo.ErrInvalidSignature))
	// Output:
	// personio:1 is INVALID
	// true
}

func ExampleParseEvent() {
	fromQueue := []byte(`{"id":"1","type":"integration-deleted","data":{"id":"personio:1","deleted_at":"2026-03-04T05:06:07.089Z"}}`)
	event, err := kombo.ParseEvent(fromQueue)
	if err != nil {
		log.Fatal(err)
	}
	if e, ok := event.(*kombo.IntegrationDeletedEvent); ok {
		fmt.Println("forget", e.Data.ID, "deleted on", e.Data.DeletedAt.Format("2 January 2006"))
	}
	// Output: forget personio:1 deleted on 4 March 2026
}

// exampleClient is on a fake Kombo without integrations.
func exampleClient() (client *kombo.Client, done func()) {
	srv := kombotest.NewServer(kombotest.Config{})
	client, err := srv.Client()
	if err != nil {
		log.Fatal(err)
	}
	return client, srv.Close
}

// A customer who is signed in connects, and posts the token that the browser got; another one posts it, too.
func ExampleEmbeddedFlow() {
	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	client, err := srv.Client()
	if err != nil {
		log.Fatal(err)
	}
	flow, err := kombo.NewEmbeddedFlow(client, kombo.EmbeddedFlowConfig{
		SignedIn: func(r *http.Request) (string, error) {
			session, err := r.Cookie("customer") // a real session cannot be made up
			if err != nil {
				return "", kombo.ErrFlowNotSignedIn
			}
			return session.Value, nil
		},
		Link: func(_ *http.Request, originID string) (kombo.CreateLinkRequest, error) {
			return kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Customer " + originID}, nil
		},
		Connected: func(_ context.Context, i *kombo.ConnectedIntegration) error {
			fmt.Println("customer", i.EndUserOriginID, "has connected", i.Tool)
			return nil
		},
		OnError: func(_ context.Context, status int, err error) { fmt.Println(status, err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/integrations/kombo/init", flow.InitHandler())
	mux.Handle("/integrations/kombo/activate", flow.ActivateHandler())

	post := func(path, customer, body string) string {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.AddCookie(&http.Cookie{Name: "customer", Value: customer})
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Body.String()
	}
	post("/integrations/kombo/init", "42", "")
	token, err := srv.CompleteFlow(context.Background(), srv.OpenLinks()[0].URL, kombotest.Completion{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(post("/integrations/kombo/activate", "43", `{"token":"`+token+`"}`))
	fmt.Print(post("/integrations/kombo/activate", "42", `{"token":"`+token+`"}`))
	// Output:
	// 403 kombo: EmbeddedFlow: activate: the token is of another customer's integration
	// {"error":"the integration belongs to another customer"}
	// customer 42 has connected personio
	// {"tool":"personio","setup_status":"COMPLETED"}
}

func ExampleIntegrationsService_Get() {
	client, done := exampleClient()
	defer done()
	integration, err := client.Integrations.Get(context.Background(), "personio:CBNMt7dSNCzBdnRTx87dev4E")
	switch {
	case errors.Is(err, kombo.ErrIntegrationNotFound):
		fmt.Println("forget this integration")
	case err != nil:
		log.Fatal(err)
	case integration.Status == kombo.StateInvalid:
		fmt.Println(integration.Tool.Label, "has to be reconnected")
	}
	// Output: forget this integration
}

func ExampleIntegrationsService_Fields() {
	client, integrationID, done := exampleIntegration(kombotest.Config{})
	defer done()
	// Pages are fetched as the loop gets to them.
	for field, err := range client.Integrations.Fields(context.Background(), integrationID, kombo.ListOptions{PageSize: 2}) {
		if err != nil {
			log.Fatal(err)
		}
		if field.Type == kombo.FieldTypeCustom {
			fmt.Println(field.Model, field.Key)
		}
	}
	// Output:
	// hris_employees custom.tshirt_size
	// hris_employees tax_id
}

func ExampleIntegrationsService_WaitUntilReady() {
	client, integrationID, done := exampleIntegration(kombotest.Config{})
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour) // the first sync can take long
	defer cancel()
	integration, err := client.Integrations.WaitUntilReady(ctx, integrationID, func(i *kombo.Integration) {
		fmt.Println("the setup is", i.SetupStatus)
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(integration.Tool.Label, "is", integration.Status)
	// Output:
	// the setup is COMPLETED
	// Personio is ACTIVE
}

func ExampleIntegrationsService_Passthrough() {
	client, integrationID, done := exampleIntegration(kombotest.Config{
		Passthrough: func(_, _, _ string, r kombo.PassthroughRequest) kombo.PassthroughResponse {
			return kombo.PassthroughResponse{Data: json.RawMessage(`{"data":[{"id":1}]}`)} // what the tool says
		},
	})
	defer done()
	response, err := client.Integrations.Passthrough(context.Background(), integrationID, "personio", "personnel", kombo.PassthroughRequest{
		Method: http.MethodGet, Path: "/company/employees", Params: map[string]string{"limit": "1"},
	})
	if err != nil {
		log.Fatal(err) // Kombo could not ask the tool
	}
	fmt.Println(response.StatusCode, string(response.Data)) // what the tool says, be it an error
	// Output: 200 {"data":[{"id":1}]}
}

func ExampleConnectService_Tools() {
	client, done := exampleClient()
	defer done()
	tools, err := client.Connect.Tools(context.Background(), kombo.CategoryLMS)
	if err != nil {
		log.Fatal(err)
	}
	for _, tool := range tools[:2] {
		fmt.Println(tool.ID, tool.Label)
	}
	// Output:
	// 360learning 360Learning
	// linkedinlearning LinkedIn Learning
}

// Count every call of a client by route and status.
func ExampleWithObserver() {
	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	client, err := srv.Client(
		kombo.WithObserver(func(_ context.Context, call kombo.CallInfo) {
			fmt.Println(call.Op, call.StatusCode, call.Attempts)
		}))
	if err != nil {
		log.Fatal(err)
	}
	_, _ = client.CheckAPIKey(context.Background())
	_, _ = client.Integrations.Get(context.Background(), "personio:CBNMt7dSNCzBdnRTx87dev4E")
	// Output:
	// GET /check-api-key 200 1
	// GET /integrations/{integration_id} 404 1
}

// An instrumentation is called at the start of a call and, through an observer, at its end. Package otelkombo is one.
func ExampleWithInstrumentation() {
	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	client, err := srv.Client(kombo.WithInstrumentation(kombo.Instrumentation{
		CallContext: func(ctx context.Context, op string) context.Context {
			fmt.Println("begin", op)
			return kombo.ContextWithObserver(ctx, func(_ context.Context, call kombo.CallInfo) {
				fmt.Println("end", call.StatusCode)
			})
		},
	}))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.CheckAPIKey(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// begin GET /check-api-key
	// end 200
}

// Read a header of one response.
func ExampleContextWithObserver() {
	client, done := exampleClient()
	defer done()
	ctx := kombo.ContextWithObserver(context.Background(), func(_ context.Context, call kombo.CallInfo) {
		fmt.Println(call.Op, call.StatusCode, call.Attempts, call.Header.Get("Concurrency-Remaining") != "")
	})
	_, _ = client.Integrations.Passthrough(ctx, "personio:CBNMt7dSNCzBdnRTx87dev4E", "personio", "personnel", kombo.PassthroughRequest{
		Method: http.MethodGet, Path: "/company/employees",
	})
	// Output: POST /passthrough/{tool}/{api} 404 1 true
}

// exampleIntegration is on a fake Kombo with one integration.
func exampleIntegration(config kombotest.Config) (client *kombo.Client, integrationID string, done func()) {
	srv := kombotest.NewServer(config)
	client, err := srv.Client()
	if err != nil {
		log.Fatal(err)
	}
	link, err := client.Connect.CreateLink(context.Background(), kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.",
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := srv.CompleteFlow(context.Background(), link.URL, kombotest.Completion{Tool: "personio"}); err != nil {
		log.Fatal(err)
	}
	return client, srv.Integrations()[0].ID, srv.Close
}
