package kombotest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// The webhook of a deletion follows the response; Wait waits for it.
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
	if err := srv.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "delivering integration-deleted: the receiver returned 500") {
		t.Errorf("Wait = %v, want the refusal", err)
	}
	if err := srv.Wait(t.Context()); err != nil {
		t.Errorf("Wait again = %v, want the refusal once", err)
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

// fakeTB is a test that fails.
type fakeTB struct {
	testing.TB
	ctx    context.Context
	failed chan string
}

func (f *fakeTB) Helper() {}

func (f *fakeTB) Context() context.Context { return f.ctx }

func (f *fakeTB) Fatal(args ...any) { f.fatal(fmt.Sprint(args...)) }

func (f *fakeTB) Fatalf(format string, args ...any) { f.fatal(fmt.Sprintf(format, args...)) }

func (f *fakeTB) fatal(message string) {
	f.failed <- message
	panic(errEnded)
}

var errEnded = errors.New("the test has ended")

// ended runs the cleanup of a test, and returns its messages.
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
		}, "kombotest: no data-changed was accepted; the last response was 418"},
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
