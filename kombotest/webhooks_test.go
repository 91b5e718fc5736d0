package kombotest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

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

// A webhook that is not accepted is delivered again with the same ID and the same bytes.
func TestRedelivery(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		redelivery   kombotest.Redelivery
		statuses     []int
		wantStatuses []int
		wantErr      string
	}{
		{"accepted", kombotest.Redelivery{}, []int{204}, []int{204}, ""},
		{"accepted at last", kombotest.Redelivery{}, []int{500, 302, 200}, []int{500, 302, 200}, ""},
		{"never accepted", kombotest.Redelivery{}, []int{503}, []int{503, 503, 503}, "kombotest: delivering data-changed: the receiver returned 503 Service Unavailable"},
		{"more attempts", kombotest.Redelivery{MaxAttempts: 5, BaseDelay: time.Microsecond, MaxDelay: 2 * time.Microsecond}, []int{500, 500, 500, 500, 204}, []int{500, 500, 500, 500, 204}, ""},
		{"no retry", kombotest.Redelivery{MaxAttempts: 1}, []int{500}, []int{500}, "kombotest: delivering data-changed: the receiver returned 500 Internal Server Error"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			app := newReceiver(t, test.statuses...)
			srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret", Redelivery: test.redelivery})
			if got := errorText(srv.Deliver(t.Context(), dataChanged("event1"))); got != test.wantErr {
				t.Errorf("Deliver = %q, want %q", got, test.wantErr)
			}
			var statuses []int
			for i, d := range srv.Deliveries() {
				statuses = append(statuses, d.StatusCode)
				if d.Number != i+1 || d.Attempt != i+1 || d.EventID != "event1" || d.URL != app.URL || d.Duration <= 0 || d.Time.IsZero() {
					t.Errorf("delivery %d = %+v", i, d)
				}
			}
			if diff := cmp.Diff(test.wantStatuses, statuses); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
			bodies, verified := app.seen()
			for i := range bodies {
				if bodies[i] != bodies[0] || !verified[i] {
					t.Errorf("delivery %d is verified: %t, and its body is %s", i, verified[i], bodies[i])
				}
			}
		})
	}
}

func TestDeliveryThatCannotBegin(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: closed.URL})
	if err := srv.Deliver(t.Context(), dataChanged("event1")); err == nil || !strings.Contains(err.Error(), "delivering data-changed: Post") {
		t.Errorf("Deliver = %v", err)
	}
	srv.SetWebhookURL("://")
	if err := srv.DeliverForged(t.Context(), dataChanged("event1")); err == nil || !strings.Contains(err.Error(), "delivering a forged data-changed: ") {
		t.Errorf("DeliverForged = %v", err)
	}
	if got := srv.Deliveries(); len(got) != 4 || got[0].Err == nil || got[0].StatusCode != 0 {
		t.Errorf("deliveries = %+v", got)
	}
}

// Events from before the first webhook URL can be delivered later.
func TestNowhereToDeliverTo(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusNoContent)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookSecret: "test-secret"})
	srv.Connect(t, request)
	got := srv.Deliveries()
	if len(got) != 1 || got[0].URL != "" || got[0].Accepted() || got[0].EventType != kombo.EventIntegrationCreated {
		t.Fatalf("deliveries = %+v", got)
	}
	srv.SetWebhookURL(app.URL)
	if err := srv.Redeliver(t.Context(), got[0].EventID); err != nil {
		t.Fatal(err)
	}
	if bodies, verified := app.seen(); len(bodies) != 1 || bodies[0] != string(got[0].Body) || !verified[0] {
		t.Errorf("the receiver got %q, verified: %t", bodies, verified)
	}
	if err := srv.Redeliver(t.Context(), "unknown"); err == nil || err.Error() != `kombotest: no event "unknown" was sent` {
		t.Errorf("Redeliver = %v", err)
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

func TestFailedDeliveriesAreReported(t *testing.T) {
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
	if err == nil || !strings.Contains(err.Error(), "delivering integration-created: the receiver returned 418") {
		t.Errorf("CompleteFlow = %v", err)
	}
	// The flow is finished all the same, and so is that of a reconnection.
	integration, err := client.Connect.IntegrationByToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	relink, err := client.Integrations.Relink(t.Context(), integration.ID, kombo.RelinkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	token, err = srv.CompleteFlow(t.Context(), relink.URL, kombotest.Completion{})
	if err == nil || !strings.Contains(err.Error(), "delivering integration-state-changed: the receiver returned 418") {
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
	if _, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err == nil || !strings.Contains(err.Error(), "the receiver returned 302") {
		t.Errorf("CompleteFlow = %v", err)
	}
}

func TestDeliverForged(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	if err := srv.DeliverForged(t.Context(), dataChanged("event1")); err != nil {
		t.Errorf("the service refuses it, but DeliverForged = %v", err)
	}
	if got := srv.Deliveries(); len(got) != 1 || !got[0].Forged || got[0].StatusCode != http.StatusUnauthorized {
		t.Errorf("deliveries = %+v", got)
	}
	if err := srv.DeliverForged(t.Context(), nil); err == nil {
		t.Error("nothing was forged")
	}
}

// DeliverForged fails if the receiver accepts the forged webhook, and if there is no receiver.
func TestDeliveriesThatProveNothing(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	const nowhere = "kombotest: there is no webhook URL to deliver to; see Server.SetWebhookURL"
	for name, deliver := range map[string]func(context.Context, kombo.Event) error{"Deliver": srv.Deliver, "DeliverForged": srv.DeliverForged} {
		if got := errorText(deliver(t.Context(), dataChanged("event1"))); got != nowhere {
			t.Errorf("%s = %q, want %q", name, got, nowhere)
		}
	}
	if got := errorText(srv.Redeliver(t.Context(), "event1")); got != nowhere {
		t.Errorf("Redeliver = %q, want %q", got, nowhere)
	}
	for status, want := range map[int]string{
		400: "", 401: "", 403: "",
		404: "kombotest: the receiver did not reject a forged data-changed, but returned 404 Not Found",
		405: "kombotest: the receiver did not reject a forged data-changed, but returned 405 Method Not Allowed",
		302: "kombotest: the receiver did not reject a forged data-changed, but returned 302 Found",
		500: "kombotest: the receiver did not reject a forged data-changed, but returned 500 Internal Server Error",
		200: "kombotest: the receiver accepted a forged data-changed: 200",
	} {
		srv.SetWebhookURL(newReceiver(t, status).URL)
		if got := errorText(srv.DeliverForged(t.Context(), dataChanged("event1"))); got != want {
			t.Errorf("DeliverForged to a receiver that responds with %d = %q, want %q", status, got, want)
		}
	}
}

// A forged webhook cannot be delivered again by its ID.
func TestRedeliverSendsWhatWasTrue(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusUnauthorized, http.StatusNoContent)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	evil := dataChanged("event1")
	evil.Data.IntegrationID = "evil:1"
	if err := srv.DeliverForged(t.Context(), evil); err != nil {
		t.Fatal(err)
	}
	if err := srv.Deliver(t.Context(), dataChanged("event1")); err != nil {
		t.Fatal(err)
	}
	if err := srv.Redeliver(t.Context(), "event1"); err != nil {
		t.Fatal(err)
	}
	bodies, verified := app.seen()
	if len(bodies) != 3 || bodies[1] != bodies[2] || strings.Contains(bodies[2], "evil") || !cmp.Equal(verified, []bool{false, true, true}) {
		t.Errorf("%s %t", bodies, verified)
	}
}

func TestSetWebhookSecret(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusNoContent)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "old-secret"})
	for _, secret := range []string{"old-secret", "test-secret"} {
		srv.SetWebhookSecret(secret)
		if err := srv.Deliver(t.Context(), dataChanged("event1")); err != nil || srv.WebhookSecret() != secret {
			t.Errorf("%v, secret %s", err, srv.WebhookSecret())
		}
	}
	if _, verified := app.seen(); !cmp.Equal(verified, []bool{false, true}) {
		t.Errorf("verified = %t", verified)
	}
}

// A secret that no service can use is refused at the start, not by crypto/hmac in the middle of a test.
func TestWebhookSecretThatCannotBe(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookSecret: "test-secret"})
	panics := func(f func()) (message string) {
		defer func() { message = fmt.Sprint(recover()) }()
		f()
		return ""
	}
	for _, secret := range []string{" padded", "line\n", "\xff"} {
		for name, f := range map[string]func(){
			"NewServer":        func() { kombotest.NewServer(kombotest.Config{WebhookSecret: secret}).Close() },
			"SetWebhookSecret": func() { srv.SetWebhookSecret(secret) },
		} {
			if got := panics(f); !strings.HasPrefix(got, "kombotest: the webhook secret: kombo: NewWebhookVerifier: ") {
				t.Errorf("%s(%q) panics with %s", name, secret, got)
			}
		}
	}
	if srv.WebhookSecret() != "test-secret" {
		t.Errorf("secret = %q", srv.WebhookSecret())
	}
}

// Background webhooks follow the request that caused them, one after the other.
func TestDeliverInBackground(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusInternalServerError, http.StatusNoContent)
	var deliveries, changes int
	var mutex sync.Mutex
	count := func(counter *int) {
		mutex.Lock()
		defer mutex.Unlock()
		*counter++
	}
	srv, client := kombotest.Start(t, kombotest.Config{
		WebhookURL: app.URL, WebhookSecret: "test-secret", DeliverInBackground: true,
		OnDelivery: func(kombotest.Delivery) { count(&deliveries) }, OnChange: func() { count(&changes) },
	})
	connected := srv.Connect(t, request)
	for _, state := range []kombo.State{kombo.StateInvalid, kombo.StateActive, kombo.StateInactive} {
		if err := srv.SetState(t.Context(), connected.ID, state); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Integrations.Delete(t.Context(), connected.ID); err != nil {
		t.Fatal(err)
	}
	if err := srv.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	var first []kombo.EventType
	for _, d := range srv.Deliveries() {
		if d.Attempt == 1 {
			first = append(first, d.EventType)
		}
	}
	want := []kombo.EventType{
		kombo.EventIntegrationCreated, kombo.EventIntegrationStateChanged, kombo.EventIntegrationStateChanged,
		kombo.EventIntegrationStateChanged, kombo.EventIntegrationDeleted,
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("first attempts (-want +got):\n%s", diff)
	}
	mutex.Lock()
	defer mutex.Unlock()
	if deliveries != 6 || changes < deliveries {
		t.Errorf("%d deliveries and %d changes were reported, want 6 or more", deliveries, changes)
	}
}

// The webhook that a request causes is delivered after the response.
func TestWebhooksComeAfterTheResponse(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusNoContent)
	seen := make(chan string, 10)
	srv, client := kombotest.Start(t, kombotest.Config{
		WebhookURL: app.URL,
		OnRequest:  func(r kombotest.Request) { seen <- r.Method },
		OnDelivery: func(d kombotest.Delivery) { seen <- string(d.EventType) },
	})
	id := srv.Connect(t, request).ID
	<-seen // integration-created
	srv.InjectFault(kombotest.Fault{Delay: 50 * time.Millisecond})
	if err := client.Integrations.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if first, second := <-seen, <-seen; first != "DELETE" || second != "integration-deleted" {
		t.Errorf("%s came before %s", first, second)
	}
}

// Times are written to the millisecond and in UTC, as JavaScript does.
func TestTimesOfWebhooks(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusNoContent)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL})
	base := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for at, want := range map[time.Time]string{
		base:                             "2026-05-04T03:02:01.000Z",
		base.Add(90 * time.Millisecond):  "2026-05-04T03:02:01.090Z",
		base.Add(500 * time.Millisecond): "2026-05-04T03:02:01.500Z",
		base.Add(123456 * time.Microsecond).In(time.FixedZone("CET", 3600)): "2026-05-04T03:02:01.123Z",
	} {
		event := &kombo.IntegrationDeletedEvent{
			EventHeader: kombo.EventHeader{ID: "event1", Type: kombo.EventIntegrationDeleted},
			Data:        kombo.IntegrationDeletedData{ID: "personio:1", DeletedAt: at},
		}
		if err := srv.Deliver(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		sent := srv.Deliveries()
		if body := string(sent[len(sent)-1].Body); !strings.Contains(body, `"deleted_at": "`+want+`"`) {
			t.Errorf("%s: %s", at, body)
		}
	}
	// The test chooses the data of an unknown event.
	raw := &kombo.UnknownEvent{EventHeader: kombo.EventHeader{ID: "event1", Type: "brand-new"}, Data: []byte(`{"seen_at":"2026-05-04T03:02:01+02:00"}`)}
	if err := srv.Deliver(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	sent := srv.Deliveries()
	if body := string(sent[len(sent)-1].Body); !strings.Contains(body, `"seen_at": "2026-05-04T03:02:01+02:00"`) {
		t.Errorf("body = %s", body)
	}
}
