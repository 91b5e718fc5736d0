package kombotest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

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

// A lost webhook can be sent later, as if it had been delayed.
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

// The next webhook overtakes a delayed one.
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
	// A webhook that is never delivered does not block Close.
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

// A fault affects the next event, even if events are released in another order.
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
