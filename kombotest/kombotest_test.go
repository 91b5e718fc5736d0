package kombotest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

var request = kombo.CreateLinkRequest{
	EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Müller & Söhne <HR>", EndUserOriginID: "42",
}

// service is what is tested with a fake Kombo: it keeps the webhooks that it accepts.
type service struct {
	events chan kombo.Event
	*httptest.Server
}

func newService(t *testing.T, secret string) *service {
	t.Helper()
	s := &service{events: make(chan kombo.Event, 10)}
	verifier, err := kombo.NewWebhookVerifier(secret)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(verifier.Handler(kombo.EventHandlers{
		Fallback: func(_ context.Context, event kombo.Event) error {
			s.events <- event
			return nil
		},
	}))
	t.Cleanup(s.Close)
	return s
}

func newServer(t *testing.T, config kombotest.Config) (*kombotest.Server, *kombo.Client) {
	t.Helper()
	srv := kombotest.NewServer(config)
	t.Cleanup(srv.Close)
	client, err := srv.Client()
	if err != nil {
		t.Fatal(err)
	}
	return srv, client
}

func TestLifeOfAConnection(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, client := newServer(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	ctx := t.Context()

	if _, err := client.CheckAPIKey(ctx); err != nil {
		t.Fatal(err)
	}
	link, err := client.Connect.CreateLink(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	token, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{Tool: "workday"})
	if err != nil {
		t.Fatal(err)
	}
	integration, err := client.Connect.IntegrationByToken(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	want := &kombo.ConnectedIntegration{
		ID: integration.ID, Tool: "workday", EndUserOriginID: "42", EndUserOrganizationName: "Müller & Söhne <HR>",
		EndUserEmail: "ada@acme.example", SetupStatus: kombo.SetupStatusCompleted,
	}
	if diff := cmp.Diff(want, integration); diff != "" || !strings.HasPrefix(integration.ID, "workday:") {
		t.Errorf("integration (-want +got):\n%s", diff)
	}
	endUser := kombo.EndUser{OrganizationName: "Müller & Söhne <HR>", CreatorEmail: "ada@acme.example", OriginID: "42"}
	created := next[*kombo.IntegrationCreatedEvent](t, app)
	if diff := cmp.Diff(kombo.IntegrationCreatedData{
		ID: integration.ID, Tool: "workday", Category: kombo.CategoryHRIS, EndUser: endUser,
	}, created.Data); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	if body := string(created.RawBody()); !strings.HasPrefix(body, "{\n  \"id\": \"") || !strings.HasSuffix(body, "\n}") ||
		!strings.Contains(body, `"organization_name": "Müller & Söhne <HR>"`) {
		t.Errorf("the webhook is not written as Kombo writes: %s", body)
	}

	if err := srv.SetState(ctx, integration.ID, kombo.StateInvalid); err != nil {
		t.Fatal(err)
	}
	if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.State != kombo.StateInvalid || e.Data.IntegrationID != integration.ID {
		t.Errorf("state changed = %+v", e.Data)
	}
	relink, err := client.Integrations.Relink(ctx, integration.ID, kombo.RelinkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	token, err = srv.CompleteFlow(ctx, relink.URL, kombotest.Completion{})
	if err != nil {
		t.Fatal(err)
	}
	if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.State != kombo.StateActive {
		t.Errorf("state changed = %+v", e.Data)
	}
	if same, err := client.Connect.IntegrationByToken(ctx, token); err != nil || same.ID != integration.ID {
		t.Errorf("the reconnected integration is %+v, %v", same, err)
	}

	if err := client.Integrations.Delete(ctx, integration.ID); err != nil {
		t.Fatal(err)
	}
	if e := next[*kombo.IntegrationDeletedEvent](t, app); e.Data.ID != integration.ID || time.Since(e.Data.DeletedAt) > time.Minute {
		t.Errorf("deleted = %+v", e.Data)
	}
	if _, err := client.Connect.IntegrationByToken(ctx, token); !errors.Is(err, kombo.ErrInvalidInput) {
		t.Errorf("the token of a deleted integration: %v", err)
	}
}

func next[E kombo.Event](t *testing.T, app *service) E {
	t.Helper()
	select {
	case event := <-app.events:
		wanted, ok := event.(E)
		if !ok {
			t.Fatalf("event = %T, want %T", event, wanted)
		}
		return wanted
	case <-time.After(10 * time.Second):
		t.Fatal("no webhook came")
		panic("unreachable")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	srv, _ := newServer(t, kombotest.Config{APIKey: "the-key"})
	const problem = `{"error":{"code":"PLATFORM.INPUT_INVALID","log_url":null,"message":"%","title":null},"status":"error"}`
	invalid := func(message string) string { return strings.Replace(problem, "%", message, 1) }
	const notFound = `{"error":{"code":"PLATFORM.INTEGRATION_NOT_FOUND","log_url":null,"message":"There is no integration with this id in this environment.","title":null},"status":"error"}`
	tests := []struct {
		name, method, path, key, body string
		wantStatus                    int
		wantBody                      string
	}{
		{"no key", "GET", "/check-api-key", "", "", 401, `{"error":{"code":"PLATFORM.AUTHENTICATION_INVALID","log_url":null,"message":"The API key is not valid.","title":null},"status":"error"}`},
		{"wrong key", "DELETE", "/integrations/a:1", "other", "{}", 401, `{"error":{"code":"PLATFORM.AUTHENTICATION_INVALID","log_url":null,"message":"The API key is not valid.","title":null},"status":"error"}`},
		{"no such endpoint", "GET", "/nowhere", "the-key", "", 404, `{"error":{"code":null,"log_url":null,"message":"There is no such endpoint.","title":null},"status":"error"}`},
		{"link without body", "POST", "/connect/create-link", "the-key", "", 400, invalid("The body is not a JSON object.")},
		{"link without e-mail address", "POST", "/connect/create-link", "the-key", `{"end_user_organization_name":"A"}`, 400, invalid("end_user_email: an e-mail address is required")},
		{"link without organization", "POST", "/connect/create-link", "the-key", `{"end_user_email":"a@b.example"}`, 400, invalid("end_user_organization_name: a name is required")},
		{
			"environment without tool", "POST", "/connect/create-link", "the-key",
			`{"end_user_email":"a@b.example","end_user_organization_name":"A","remote_environment":"preview"}`,
			400, invalid("remote_environment: only together with integration_tool"),
		},
		{"unknown category", "POST", "/connect/create-link", "the-key", `{"end_user_email":"a@b.example","end_user_organization_name":"A","integration_category":"hris"}`, 400, invalid("integration_category: not one of HRIS, ATS, ASSESSMENT, LMS")},
		{"unknown language", "POST", "/connect/create-link", "the-key", `{"end_user_email":"a@b.example","end_user_organization_name":"A","language":"xx"}`, 400, invalid("language: not one of en, de, fr, it, es")},
		{"unknown link type", "POST", "/connect/create-link", "the-key", `{"end_user_email":"a@b.example","end_user_organization_name":"A","link_type":"magic"}`, 400, invalid("link_type: not one of EMBEDDED, MAGIC_LINK")},
		{"unknown token", "GET", "/connect/integration-by-token/x", "the-key", "", 400, invalid("The token is not valid.")},
		{"relink of an unknown integration", "POST", "/integrations/a%3A1/relink", "the-key", "{}", 404, notFound},
		{"deletion of an unknown integration", "DELETE", "/integrations/a%3A1", "the-key", "{}", 404, notFound},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, _, answer := sendAs(t, srv, test.key, test.method, test.path, test.body)
			if status != test.wantStatus || strings.TrimSpace(answer) != test.wantBody {
				t.Errorf("answer = %d %s\nwant %d %s", status, answer, test.wantStatus, test.wantBody)
			}
		})
	}
}

func TestCustomersChoice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name               string
		inLink, completion string
		wantTool           string
	}{
		{"the link names the tool", "factorial", "workday", "factorial"},
		{"the customer chooses", "", "workday", "workday"},
		{"nobody says", "", "", "personio"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv, client := newServer(t, kombotest.Config{})
			withTool := request
			withTool.IntegrationTool = test.inLink
			withTool.EndUserOriginID = ""
			withTool.EnableStaticIPs = true
			link, err := client.Connect.CreateLink(t.Context(), withTool)
			if err != nil {
				t.Fatal(err)
			}
			if len(link.StaticIPs) == 0 {
				t.Error("no static addresses")
			}
			token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{Tool: test.completion})
			if err != nil {
				t.Fatal(err)
			}
			integration, err := client.Connect.IntegrationByToken(t.Context(), token)
			if err != nil || integration.Tool != test.wantTool || integration.EndUserOriginID != "" {
				t.Errorf("integration = %+v, %v, want tool %s", integration, err, test.wantTool)
			}
		})
	}
}

func TestLinksWorkOnce(t *testing.T) {
	t.Parallel()
	srv, client := newServer(t, kombotest.Config{})
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ link, want string }{
		{link.URL, "kombotest: the link is used up"},
		{srv.BaseURL() + "/connect?token=x", "kombotest: the link is unknown"},
		{"https://elsewhere.example/?token=x", "kombotest: the link is not one of this server"},
		{"", "kombotest: the link is empty, or no URL"},
		{"https://%zz", "kombotest: the link is empty, or no URL"},
	}
	for _, test := range tests {
		if _, err := srv.CompleteFlow(t.Context(), test.link, kombotest.Completion{}); err == nil || err.Error() != test.want {
			t.Errorf("CompleteFlow(%q) = %v, want %s", test.link, err, test.want)
		}
		if err := srv.FailFlow(t.Context(), test.link); err == nil || err.Error() != test.want {
			t.Errorf("FailFlow(%q) = %v, want %s", test.link, err, test.want)
		}
	}
	if err := srv.SetState(t.Context(), "personio:unknown", kombo.StateInvalid); err == nil {
		t.Error("the state of an unknown integration was set")
	}
}

// A link to reconnect leads nowhere once its integration is gone.
func TestLinkOfADeletedIntegration(t *testing.T) {
	t.Parallel()
	srv, client := newServer(t, kombotest.Config{})
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{})
	if err != nil {
		t.Fatal(err)
	}
	integration, err := client.Connect.IntegrationByToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	relink, err := client.Integrations.Relink(t.Context(), integration.ID, kombo.RelinkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Integrations.Delete(t.Context(), integration.ID); err != nil {
		t.Fatal(err)
	}
	const want = "kombotest: the integration of the link is deleted"
	if err := srv.FailFlow(t.Context(), relink.URL); err == nil || err.Error() != want {
		t.Errorf("FailFlow = %v, want %s", err, want)
	}
	if token, err := srv.CompleteFlow(t.Context(), relink.URL, kombotest.Completion{}); token != "" || err == nil || err.Error() != want {
		t.Errorf("CompleteFlow = %q, %v, want %s", token, err, want)
	}
}

func TestFailFlow(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, client := newServer(t, kombotest.Config{WebhookSecret: "test-secret"})
	srv.SetWebhookURL(app.URL)
	withTool := request
	withTool.IntegrationTool, withTool.IntegrationCategory = "workday", kombo.CategoryATS
	link, err := client.Connect.CreateLink(t.Context(), withTool)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.FailFlow(t.Context(), link.URL); err != nil {
		t.Fatal(err)
	}
	endUser := kombo.EndUser{OrganizationName: "Müller & Söhne <HR>", CreatorEmail: "ada@acme.example", OriginID: "42"}
	failed := next[*kombo.ConnectionFlowFailedEvent](t, app)
	want := kombo.ConnectionFlowFailedData{
		IntegrationTool: "workday", IntegrationCategory: kombo.CategoryATS, EndUser: endUser, LogURL: failed.Data.LogURL,
	}
	if diff := cmp.Diff(want, failed.Data); diff != "" || failed.Data.LogURL == "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}

	// The customer tries again, and later fails to reconnect.
	token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{})
	if err != nil {
		t.Fatal(err)
	}
	created := next[*kombo.IntegrationCreatedEvent](t, app)
	if token == "" {
		t.Error("no token")
	}
	relink, err := client.Integrations.Relink(t.Context(), created.Data.ID, kombo.RelinkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.FailFlow(t.Context(), relink.URL); err != nil {
		t.Fatal(err)
	}
	failed = next[*kombo.ConnectionFlowFailedEvent](t, app)
	want.LogURL = failed.Data.LogURL
	if diff := cmp.Diff(want, failed.Data); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
}

// The flow of a magic link ends on a page of Kombo's: no browser of the caller's gets a token.
func TestMagicLinksGiveNoToken(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, client := newServer(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	magic := request
	magic.LinkType = kombo.LinkTypeMagicLink
	link, err := client.Connect.CreateLink(t.Context(), magic)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err != nil || token != "" {
		t.Errorf("CompleteFlow = %q, %v", token, err)
	}
	created := next[*kombo.IntegrationCreatedEvent](t, app)
	link, err = client.Integrations.Relink(t.Context(), created.Data.ID, kombo.RelinkRequest{LinkType: kombo.LinkTypeMagicLink})
	if err != nil {
		t.Fatal(err)
	}
	if token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err != nil || token != "" {
		t.Errorf("CompleteFlow of a reconnection = %q, %v", token, err)
	}
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, _ := newServer(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	event := &kombo.DataChangedEvent{
		EventHeader: kombo.EventHeader{ID: "event1", Type: kombo.EventDataChanged},
		Data:        kombo.DataChangedData{IntegrationID: "personio:1", ChangedModels: []kombo.ChangedModel{{Name: "hris_employees"}}},
	}
	for range 2 {
		if err := srv.Deliver(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		got := next[*kombo.DataChangedEvent](t, app)
		if diff := cmp.Diff(event, got); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	}
	if err := srv.Deliver(t.Context(), nil); err == nil {
		t.Error("nothing was delivered")
	}
	for _, incomplete := range []kombo.EventHeader{{}, {ID: "event1"}, {Type: kombo.EventDataChanged}} {
		if err := srv.Deliver(t.Context(), &kombo.DataChangedEvent{EventHeader: incomplete}); err == nil {
			t.Errorf("%+v was delivered", incomplete)
		}
	}
}

// A deletion is announced after the answer; Wait is for its arrival.
func TestWait(t *testing.T) {
	t.Parallel()
	release, status := make(chan struct{}), http.StatusInternalServerError
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
		w.WriteHeader(status)
	}))
	defer app.Close()
	srv, client := newServer(t, kombotest.Config{})
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{})
	if err != nil {
		t.Fatal(err)
	}
	integration, err := client.Connect.IntegrationByToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Wait(t.Context()); err != nil {
		t.Errorf("Wait for nothing = %v", err)
	}
	srv.SetWebhookURL(app.URL)
	if err := client.Integrations.Delete(t.Context(), integration.ID); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := srv.Wait(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with a cancelled context = %v", err)
	}
	close(release)
	if err := srv.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "delivering integration-deleted: the receiver answered 500") {
		t.Errorf("Wait = %v, want the refusal", err)
	}
	if err := srv.Wait(t.Context()); err != nil {
		t.Errorf("Wait again = %v, want the refusal once", err)
	}
}

func TestWrongSecretIsHintedAt(t *testing.T) {
	t.Parallel()
	app := newService(t, "another-secret")
	srv, client := newServer(t, kombotest.Config{WebhookURL: app.URL})
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	_, err = srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{})
	if err == nil || !strings.Contains(err.Error(), "does it verify with Config.WebhookSecret?") {
		t.Errorf("CompleteFlow = %v", err)
	}
}

func TestFailedDeliveriesAreTold(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	defer app.Close()
	srv, client := newServer(t, kombotest.Config{WebhookURL: app.URL})
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{})
	if err == nil || !strings.Contains(err.Error(), "delivering integration-created: the receiver answered 418") {
		t.Errorf("CompleteFlow = %v", err)
	}
	// The flow is finished nevertheless, and so is that of a reconnection.
	integration, err := client.Connect.IntegrationByToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	relink, err := client.Integrations.Relink(t.Context(), integration.ID, kombo.RelinkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	token, err = srv.CompleteFlow(t.Context(), relink.URL, kombotest.Completion{})
	if err == nil || !strings.Contains(err.Error(), "delivering integration-state-changed: the receiver answered 418") {
		t.Errorf("CompleteFlow = %v", err)
	}
	if same, err := client.Connect.IntegrationByToken(t.Context(), token); err != nil || same.ID != integration.ID {
		t.Errorf("the reconnected integration is %+v, %v", same, err)
	}
}

func TestRedirectIsNoDelivery(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/login" {
			http.Redirect(w, r, "/login", http.StatusFound)
		}
	}))
	defer app.Close()
	srv, client := newServer(t, kombotest.Config{WebhookURL: app.URL})
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err == nil || !strings.Contains(err.Error(), "the receiver answered 302") {
		t.Errorf("CompleteFlow = %v", err)
	}
}

func TestCloseEndsDeliveries(t *testing.T) {
	t.Parallel()
	arrived, hang := make(chan struct{}), make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-hang
	}))
	defer app.Close()
	defer close(hang)
	srv, client := newServer(t, kombotest.Config{WebhookURL: app.URL})
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	second, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-arrived
		srv.Close()
	}()
	if _, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err == nil || !strings.Contains(err.Error(), "the server was closed") {
		t.Errorf("CompleteFlow while Close = %v", err)
	}
	if _, err := srv.CompleteFlow(t.Context(), second.URL, kombotest.Completion{}); err == nil || err.Error() != "kombotest: the server is closed" {
		t.Errorf("CompleteFlow after Close = %v", err)
	}
}

func TestServerHidesItsSecrets(t *testing.T) {
	t.Parallel()
	srv, _ := newServer(t, kombotest.Config{APIKey: "the-api-key", WebhookSecret: "the-webhook-secret"})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, srv); strings.Contains(got, "the-api-key") || strings.Contains(got, "the-webhook-secret") {
			t.Errorf("%s prints a secret: %s", verb, got)
		}
	}
}

// A receiver that never answers does not keep Close from ending.
func TestCloseLeavesNothing(t *testing.T) { //nolint:paralleltest // counts goroutines
	before := runtime.NumGoroutine()
	hang := make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	srv := kombotest.NewServer(kombotest.Config{WebhookURL: app.URL})
	transport := &http.Transport{}
	client, err := srv.Client(kombo.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	token, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("CompleteFlow = %v", err)
	}
	integration, err := client.Connect.IntegrationByToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Integrations.Delete(t.Context(), integration.ID); err != nil {
		t.Fatal(err)
	}
	srv.Close()
	close(hang)
	app.Close()
	transport.CloseIdleConnections()
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if got := runtime.NumGoroutine(); got > before {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", got, before, stacks[:runtime.Stack(stacks, true)])
	}
}

// What the fake says is what the documentation promises, field by field.
func TestAnswersHoldEveryDocumentedField(t *testing.T) {
	t.Parallel()
	srv, client := newServer(t, kombotest.Config{})
	link, err := client.Connect.CreateLink(t.Context(), kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "A"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{})
	if err != nil {
		t.Fatal(err)
	}
	_, _, answer := send(t, srv, "GET", "/connect/integration-by-token/"+token, "")
	got := data(t, answer)
	got["id"] = "…"
	want := map[string]any{
		"id": "…", "tool": "personio", "end_user_origin_id": nil, "end_user_organization_name": "A",
		"end_user_email": "a@b.example", "setup_status": "COMPLETED",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}
