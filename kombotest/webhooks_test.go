package kombotest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// receiver verifies with test-secret, but answers webhooks with one status after the other, the last of them for ever, and keeps what
// came.
type receiver struct {
	mutex    sync.Mutex
	statuses []int
	bodies   []string
	verified []bool
	*httptest.Server
}

func newReceiver(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	verifier, err := kombo.NewWebhookVerifier("test-secret")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{statuses: statuses}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.bodies = append(r.bodies, string(body))
		r.verified = append(r.verified, verifier.Verify(body, request.Header.Get(kombo.SignatureHeader)) == nil)
		w.WriteHeader(r.statuses[0])
		if len(r.statuses) > 1 {
			r.statuses = r.statuses[1:]
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) seen() (bodies []string, verified []bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.bodies, r.verified
}

func dataChanged(id string) *kombo.DataChangedEvent {
	return &kombo.DataChangedEvent{EventHeader: kombo.EventHeader{ID: id, Type: kombo.EventDataChanged}, Data: kombo.DataChangedData{IntegrationID: "personio:1"}}
}

// A webhook that is not accepted comes again: the same id, the same bytes.
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
		{"never accepted", kombotest.Redelivery{}, []int{503}, []int{503, 503, 503}, "kombotest: delivering data-changed: the receiver answered 503 Service Unavailable"},
		{"more attempts", kombotest.Redelivery{MaxAttempts: 5, BaseDelay: time.Microsecond, MaxDelay: 2 * time.Microsecond}, []int{500, 500, 500, 500, 204}, []int{500, 500, 500, 500, 204}, ""},
		{"no repetition", kombotest.Redelivery{MaxAttempts: 1}, []int{500}, []int{500}, "kombotest: delivering data-changed: the receiver answered 500 Internal Server Error"},
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

// What happens before there is an address can be sent when there is one.
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

func TestWebhookFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		fault        kombotest.WebhookFault
		wantVerified []bool
		wantErr      string
		wantLeft     []kombotest.WebhookFault
	}{
		{"copies", kombotest.WebhookFault{Copies: 2}, []bool{true, true, true, true}, "", []kombotest.WebhookFault{}},
		{"lost", kombotest.WebhookFault{Lost: true}, []bool{true}, "", []kombotest.WebhookFault{}},
		{"forged", kombotest.WebhookFault{Forged: true}, []bool{false, true}, "kombotest: the receiver accepted a forged data-changed: 204", []kombotest.WebhookFault{}},
		{"twice", kombotest.WebhookFault{Times: 2, Copies: 1}, []bool{true, true, true, true}, "", []kombotest.WebhookFault{}},
		{"for ever", kombotest.WebhookFault{Times: -1, Copies: 1}, []bool{true, true, true, true}, "", []kombotest.WebhookFault{{Times: -1, Copies: 1}}},
		{"of the type", kombotest.WebhookFault{Type: kombo.EventDataChanged, Lost: true}, []bool{true}, "", []kombotest.WebhookFault{}},
		{
			"of another type",
			kombotest.WebhookFault{Type: kombo.EventIntegrationDeleted, Lost: true},
			[]bool{true, true},
			"",
			[]kombotest.WebhookFault{{Type: kombo.EventIntegrationDeleted, Times: 1, Lost: true}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			app := newReceiver(t, http.StatusNoContent)
			srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
			srv.InjectWebhookFault(test.fault)
			if got := errorText(srv.Deliver(t.Context(), dataChanged("event1"))); got != test.wantErr {
				t.Errorf("Deliver = %q, want %q", got, test.wantErr)
			}
			if err := srv.Deliver(t.Context(), dataChanged("event2")); err != nil {
				t.Errorf("the second Deliver = %v", err)
			}
			if _, verified := app.seen(); !cmp.Equal(test.wantVerified, verified) {
				t.Errorf("verified = %t, want %t", verified, test.wantVerified)
			}
			if diff := cmp.Diff(test.wantLeft, srv.WebhookFaults()); diff != "" {
				t.Errorf("faults that are left (-want +got):\n%s", diff)
			}
			srv.ClearWebhookFaults()
			if left := srv.WebhookFaults(); len(left) != 0 {
				t.Errorf("ClearWebhookFaults leaves %+v", left)
			}
		})
	}
}

// What was lost can be sent later, as if it had been delayed.
func TestLostWebhookCanBeSent(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusNoContent)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	srv.InjectWebhookFault(kombotest.WebhookFault{Lost: true})
	srv.Connect(t, request)
	if bodies, _ := app.seen(); len(bodies) != 0 {
		t.Fatalf("it arrived: %s", bodies)
	}
	lost := srv.Deliveries()[0]
	if !lost.Lost || lost.Accepted() || lost.URL != app.URL || lost.Attempt != 1 || lost.Signature == "" {
		t.Errorf("delivery = %+v", lost)
	}
	if err := srv.Redeliver(t.Context(), lost.EventID); err != nil {
		t.Fatal(err)
	}
	if d := srv.AwaitDelivery(t, kombo.EventIntegrationCreated); d.EventID != lost.EventID {
		t.Errorf("delivery = %+v", d)
	}
}

// A webhook that is delayed is overtaken by the next.
func TestDelayedWebhook(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusNoContent)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	srv.InjectWebhookFault(kombotest.WebhookFault{Delay: 50 * time.Millisecond})
	for _, id := range []string{"first", "second"} {
		if err := srv.Deliver(t.Context(), dataChanged(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := srv.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	bodies, _ := app.seen()
	if len(bodies) != 2 || !strings.Contains(bodies[0], `"second"`) || !strings.Contains(bodies[1], `"first"`) {
		t.Errorf("the receiver got %s", bodies)
	}
	// One that never comes does not keep Close from ending.
	srv.InjectWebhookFault(kombotest.WebhookFault{Delay: time.Hour})
	if err := srv.Deliver(t.Context(), dataChanged("third")); err != nil {
		t.Fatal(err)
	}
	srv.Close()
	if err := srv.Wait(t.Context()); err == nil || err.Error() != "kombotest: delivering data-changed: the server was closed" {
		t.Errorf("Wait = %v", err)
	}
}

func TestWebhookFaultThatMakesNoSense(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault kombotest.WebhookFault
		want  string
	}{
		{kombotest.WebhookFault{}, "kombotest: the WebhookFault does nothing; set Copies, Delay, Lost or Forged"},
		{kombotest.WebhookFault{Lost: true, Times: -2}, "kombotest: WebhookFault.Times is less than -1"},
		{kombotest.WebhookFault{Copies: -1}, "kombotest: WebhookFault.Copies is negative"},
		{kombotest.WebhookFault{Lost: true, Copies: 1}, "kombotest: WebhookFault.Lost leaves nothing for Copies, Delay or Forged"},
		{kombotest.WebhookFault{Delay: -1}, "kombotest: WebhookFault.Delay is negative"},
	}
	srv, _ := kombotest.Start(t, kombotest.Config{})
	for _, test := range tests {
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || err.Error() != test.want {
					t.Errorf("InjectWebhookFault(%+v) panics with %v, want %s", test.fault, err, test.want)
				}
			}()
			srv.InjectWebhookFault(test.fault)
		}()
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

func TestHoldAndRelease(t *testing.T) {
	t.Parallel()
	ids := []string{"event1", "event2", "event3", "event4", "event5"}
	tests := []struct {
		order kombotest.Order
		want  []string // nil for any order
	}{
		{kombotest.InOrder, ids},
		{kombotest.Reversed, []string{"event5", "event4", "event3", "event2", "event1"}},
		{kombotest.Shuffled, []string{"event1", "event3", "event2", "event5", "event4"}},
		{kombotest.AtOnce, nil},
	}
	for _, test := range tests {
		t.Run(string(test.order), func(t *testing.T) {
			t.Parallel()
			app := newReceiver(t, http.StatusNoContent)
			srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret", Seed: 2})
			srv.HoldWebhooks()
			for _, id := range ids {
				if err := srv.Deliver(t.Context(), dataChanged(id)); err != nil {
					t.Fatal(err)
				}
			}
			if held, holding := srv.HeldWebhooks(); held != len(ids) || !holding || len(srv.Deliveries()) != 0 {
				t.Errorf("%d are held, %t, %d delivered", held, holding, len(srv.Deliveries()))
			}
			if err := srv.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := srv.ReleaseWebhooks(t.Context(), test.order); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range srv.Deliveries() {
				got = append(got, d.EventID)
			}
			if len(got) != len(ids) || test.want != nil && !cmp.Equal(test.want, got) {
				t.Errorf("delivered %q, want %q", got, test.want)
			}
			if held, holding := srv.HeldWebhooks(); held != 0 || holding {
				t.Errorf("%d are held, %t", held, holding)
			}
		})
	}
	srv, _ := kombotest.Start(t, kombotest.Config{})
	if err := srv.ReleaseWebhooks(t.Context(), "backwards"); err == nil || err.Error() != `kombotest: the order "backwards" is unknown` {
		t.Errorf("ReleaseWebhooks = %v", err)
	}
}

func TestReleaseTellsWhatWasRefused(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusTeapot)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, Redelivery: kombotest.Redelivery{MaxAttempts: 1}})
	srv.HoldWebhooks()
	for _, id := range []string{"event1", "event2"} {
		if err := srv.Deliver(t.Context(), dataChanged(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := srv.ReleaseWebhooks(t.Context(), kombotest.AtOnce); strings.Count(errorText(err), "answered 418") != 2 {
		t.Errorf("ReleaseWebhooks = %v", err)
	}
}

// In the background webhooks come after what caused them, one after the other.
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
		t.Errorf("%d deliveries and %d changes were told, want 6 and more", deliveries, changes)
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
	// The data of an unknown event is the test's own.
	raw := &kombo.UnknownEvent{EventHeader: kombo.EventHeader{ID: "event1", Type: "brand-new"}, Data: []byte(`{"seen_at":"2026-05-04T03:02:01+02:00"}`)}
	if err := srv.Deliver(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	sent := srv.Deliveries()
	if body := string(sent[len(sent)-1].Body); !strings.Contains(body, `"seen_at": "2026-05-04T03:02:01+02:00"`) {
		t.Errorf("body = %s", body)
	}
}

// What nobody refuses is no proof that forged webhooks are refused, and what nobody gets was not accepted.
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
		404: "kombotest: the receiver did not reject a forged data-changed, but answered 404 Not Found",
		405: "kombotest: the receiver did not reject a forged data-changed, but answered 405 Method Not Allowed",
		302: "kombotest: the receiver did not reject a forged data-changed, but answered 302 Found",
		500: "kombotest: the receiver did not reject a forged data-changed, but answered 500 Internal Server Error",
		200: "kombotest: the receiver accepted a forged data-changed: 200",
	} {
		srv.SetWebhookURL(newReceiver(t, status).URL)
		if got := errorText(srv.DeliverForged(t.Context(), dataChanged("event1"))); got != want {
			t.Errorf("DeliverForged to one who answers %d = %q, want %q", status, got, want)
		}
	}
}

// What is held back is not lost when its release ends early.
func TestReleaseThatEndsEarly(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusNoContent)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL})
	srv.HoldWebhooks()
	for _, id := range []string{"event1", "event2"} {
		if err := srv.Deliver(t.Context(), dataChanged(id)); err != nil {
			t.Fatal(err)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := srv.ReleaseWebhooks(over, kombotest.InOrder); !errors.Is(err, context.Canceled) {
		t.Errorf("ReleaseWebhooks = %v", err)
	}
	if held, holding := srv.HeldWebhooks(); held != 2 || !holding {
		t.Errorf("%d are held, %t", held, holding)
	}
	if err := srv.ReleaseWebhooks(t.Context(), kombotest.InOrder); err != nil {
		t.Fatal(err)
	}
	if bodies, _ := app.seen(); len(bodies) != 2 || !strings.Contains(bodies[0], "event1") {
		t.Errorf("the receiver got %s", bodies)
	}
}

// A release sends all that was held, whoever holds back again meanwhile.
func TestHoldDuringRelease(t *testing.T) {
	t.Parallel()
	var srv *kombotest.Server
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { srv.HoldWebhooks() }))
	defer app.Close()
	srv, _ = kombotest.Start(t, kombotest.Config{WebhookURL: app.URL})
	srv.HoldWebhooks()
	for _, id := range []string{"event1", "event2"} {
		if err := srv.Deliver(t.Context(), dataChanged(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := srv.ReleaseWebhooks(t.Context(), kombotest.InOrder); err != nil || len(srv.Deliveries()) != 2 {
		t.Errorf("ReleaseWebhooks = %v, and %d were sent", err, len(srv.Deliveries()))
	}
}

// A fault strikes the event that comes next, in whatever order they are released.
func TestFaultOfAHeldWebhook(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusNoContent)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL})
	srv.HoldWebhooks()
	srv.InjectWebhookFault(kombotest.WebhookFault{Lost: true})
	for _, id := range []string{"first", "second"} {
		if err := srv.Deliver(t.Context(), dataChanged(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := srv.ReleaseWebhooks(t.Context(), kombotest.Reversed); err != nil {
		t.Fatal(err)
	}
	for _, d := range srv.Deliveries() {
		if d.Lost != (d.EventID == "first") {
			t.Errorf("%s is lost: %t", d.EventID, d.Lost)
		}
	}
}

// A forged webhook leaves nothing that could be sent again under its id.
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

func TestAwaitDeliveryOfAnIntegration(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, http.StatusNoContent)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL})
	first, second := srv.Connect(t, request), srv.Connect(t, request)
	for i, id := range []string{first.ID, second.ID} {
		if d := srv.AwaitDelivery(t, kombo.EventIntegrationCreated, id); d.Number != i+1 {
			t.Errorf("the delivery about %s is %d", id, d.Number)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if got := ended(over, func(tb testing.TB) { srv.AwaitDelivery(tb, kombo.EventIntegrationCreated, "personio:other") }); got == "" {
		t.Error("a delivery about another integration was taken for it")
	}
}

// What a closed server cannot announce is an error.
func TestBackgroundAfterClose(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{DeliverInBackground: true})
	link := createLink(t, client, request)
	srv.Close()
	if _, err := srv.CompleteFlow(t.Context(), link, kombotest.Completion{}); errorText(err) != "kombotest: the server is closed" {
		t.Errorf("CompleteFlow = %v", err)
	}
}

// A webhook that follows from a request comes after its answer.
func TestWebhooksComeAfterTheAnswer(t *testing.T) {
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

// Close waits for what is told of a delivery.
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

// fakeTB is a test that fails.
type fakeTB struct {
	testing.TB
	ctx    context.Context //nolint:containedctx // it stands for a test's
	failed chan string
}

func (f *fakeTB) Helper()                  {}
func (f *fakeTB) Context() context.Context { return f.ctx }
func (f *fakeTB) Fatal(args ...any)        { f.fatal(fmt.Sprint(args...)) }

func (f *fakeTB) Fatalf(format string, args ...any) { f.fatal(fmt.Sprintf(format, args...)) }

func (f *fakeTB) fatal(message string) {
	f.failed <- message
	panic(errEnded)
}

var errEnded = errors.New("the test has ended")

// ended runs what ends a test, and returns what it says.
func ended(ctx context.Context, run func(testing.TB)) (message string) {
	fake := &fakeTB{ctx: ctx, failed: make(chan string, 1)}
	defer func() {
		if recovered := recover(); recovered != nil && recovered != any(errEnded) {
			panic(recovered)
		}
		select {
		case message = <-fake.failed:
		default:
		}
	}()
	run(fake)
	return ""
}

func TestHelpersEndTheTest(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	refusing := newReceiver(t, http.StatusTeapot)
	tests := []struct {
		name string
		run  func(testing.TB)
		want string
	}{
		{"nothing was sent", func(tb testing.TB) {
			srv, _ := kombotest.Start(t, kombotest.Config{})
			srv.AwaitDelivery(tb, kombo.EventIntegrationCreated)
		}, "kombotest: no integration-created was accepted"},
		{"there is no address", func(tb testing.TB) {
			srv, _ := kombotest.Start(t, kombotest.Config{})
			srv.Connect(t, request)
			srv.AwaitDelivery(tb, kombo.EventIntegrationCreated)
		}, "kombotest: no integration-created was accepted; there is no webhook URL to deliver it to"},
		{"the service refuses", func(tb testing.TB) {
			srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: refusing.URL})
			_ = srv.Deliver(t.Context(), dataChanged("event1"))
			srv.AwaitDelivery(tb, kombo.EventDataChanged)
		}, "kombotest: no data-changed was accepted; the last one was answered 418"},
		{"the service is gone", func(tb testing.TB) {
			srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: "http://127.0.0.1:1"})
			_ = srv.Deliver(t.Context(), dataChanged("event1"))
			srv.AwaitDelivery(tb, kombo.EventDataChanged)
		}, "kombotest: no data-changed was accepted; the last attempt failed: Post \"http://127.0.0.1:1\": dial tcp 127.0.0.1:1: connect: connection refused"},
		{"a forged one does not count", func(tb testing.TB) {
			app := newReceiver(t, http.StatusNoContent)
			srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL})
			_ = srv.DeliverForged(t.Context(), dataChanged("event1"))
			srv.AwaitDelivery(tb, kombo.EventDataChanged)
		}, "kombotest: no data-changed was accepted"},
		{"an invalid request", func(tb testing.TB) {
			srv, _ := kombotest.Start(t, kombotest.Config{})
			srv.Connect(tb, kombo.CreateLinkRequest{})
		}, "kombotest: the request is not valid: end_user_email: not an e-mail address"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := ended(over, test.run)
			if got != test.want {
				t.Errorf("the test ends with %q, want %q", got, test.want)
			}
		})
	}
}
