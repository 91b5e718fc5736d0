package kombotest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo/kombotest"
)

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
	if err := srv.ReleaseWebhooks(t.Context(), kombotest.AtOnce); strings.Count(errorText(err), "returned 418") != 2 {
		t.Errorf("ReleaseWebhooks = %v", err)
	}
}

// Held webhooks are not lost if their release ends early.
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

// A release sends all held webhooks, even if another hold begins meanwhile.
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
