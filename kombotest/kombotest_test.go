package kombotest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

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

func TestServerHidesItsSecrets(t *testing.T) {
	t.Parallel()
	srv, _ := newServer(t, kombotest.Config{APIKey: "the-api-key", WebhookSecret: "the-webhook-secret"})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, srv); strings.Contains(got, "the-api-key") || strings.Contains(got, "the-webhook-secret") {
			t.Errorf("%s prints a secret: %s", verb, got)
		}
	}
}

// A receiver that never responds does not block Close.
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

// Close waits for OnDelivery.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusNoContent)
	told, release, closed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	srv := kombotest.NewServer(kombotest.Config{WebhookURL: app.URL, DeliverInBackground: true, OnDelivery: func(kombotest.Delivery) {
		close(told)
		<-release
	}})
	srv.Connect(t, request)
	<-told
	go func() {
		srv.Close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("the server is closed, but not at rest")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	<-closed
}

// A closed server reports webhooks that it cannot deliver as errors.
func TestBackgroundAfterClose(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{DeliverInBackground: true})
	link := createLink(t, client, request)
	srv.Close()
	if _, err := srv.CompleteFlow(t.Context(), link, kombotest.Completion{}); errorText(err) != "kombotest: the server is closed" {
		t.Errorf("CompleteFlow = %v", err)
	}
}

// With a seed and a clock, each run of a test has the same values.
func TestSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) []string {
		srv, _ := kombotest.Start(t, kombotest.Config{Seed: seed, Now: at("2026-05-04T03:02:01Z")})
		id := srv.Connect(t, request).ID
		event := srv.Deliveries()[0]
		return []string{srv.APIKey(), srv.WebhookSecret(), id, event.EventID, string(event.Body), event.Signature}
	}
	first := run(7)
	if diff := cmp.Diff(first, run(7)); diff != "" {
		t.Errorf("two runs (-first +second):\n%s", diff)
	}
	if other := run(8); other[0] == first[0] || other[2] == first[2] {
		t.Errorf("another seed produced the same: %v", other)
	}
	if one, two := run(0), run(0); one[0] == two[0] || one[2] == two[2] {
		t.Errorf("without a seed two runs produced the same: %v", one)
	}
	if form := regexp.MustCompile(`^personio:[1-9A-HJ-NP-Za-km-z]{24}$`); !form.MatchString(first[2]) {
		t.Errorf("the id %s does not look like one of Kombo's", first[2])
	}
}

// Links have the configured public address.
func TestURL(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	if !strings.HasPrefix(srv.BaseURL(), "http://127.0.0.1:") {
		t.Errorf("base URL = %s", srv.BaseURL())
	}
	srv.Handle("GET /v1/mine", http.RedirectHandler("/elsewhere", http.StatusTeapot))
	if status, _, _ := send(t, srv, "GET", "/mine", ""); status != http.StatusTeapot {
		t.Errorf("the test's handler responds with %d", status)
	}
	named := kombotest.NewServer(kombotest.Config{URL: "http://kombo.example:8900/"})
	defer named.Close()
	if named.BaseURL() != "http://kombo.example:8900/v1" {
		t.Errorf("base URL = %s", named.BaseURL())
	}
	if _, err := named.Client(); err == nil {
		t.Error("the SDK talks plain http to another host")
	}
}
