package kombotest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

// The state is used only in functions that gate.run and gate.wait call.
func TestOnlyTheGateLocks(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") || name == "state.go" {
			continue
		}
		for _, lock := range []string{"sync.Mutex", "sync.RWMutex", ".Lock()", "gate.state", "gate.mutex"} {
			if strings.Contains(string(source), lock) {
				t.Errorf("%s contains %s", name, lock)
			}
		}
	}
}

// Callbacks run without the lock, so they can read all state of the server.
func TestCallbacksReadTheServer(t *testing.T) {
	t.Parallel()
	var s *Server
	read := func() {
		s.Integrations()
		s.OpenLinks()
		s.Requests()
		s.Deliveries()
		s.Faults()
		s.WebhookFaults()
		s.HeldWebhooks()
		s.WebhookURL()
		s.WebhookSecret()
		_, _ = s.Integration("")
		_ = s.Tools()
	}
	s, client := Start(t, Config{
		OnRequest: func(Request) { read() }, OnDelivery: func(Delivery) { read() },
		OnChange: func() {
			if s != nil {
				read()
			}
		},
		Passthrough: func(string, string, string, kombo.PassthroughRequest) kombo.PassthroughResponse {
			read()
			return kombo.PassthroughResponse{}
		},
	})
	i := s.Connect(t, kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "A"})
	if _, err := client.Integrations.Passthrough(t.Context(), i.ID, i.Tool, "v1", kombo.PassthroughRequest{Method: "GET", Path: "/"}); err != nil {
		t.Error(err)
	}
	s.HoldWebhooks()
	if err := errors.Join(s.DeleteIntegration(t.Context(), i.ID), s.ReleaseWebhooks(t.Context(), InOrder)); err != nil {
		t.Error(err)
	}
}

// An event that is never delivered is a bug in this package.
func TestEventsAreDelivered(t *testing.T) {
	t.Parallel()
	s, _ := Start(t, Config{})
	publish := func(st *state) { st.publish(Sample(kombo.EventDataChanged, Integration{})) }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("withState lost an event")
			}
		}()
		s.withState(publish)
	}()
	if err := s.change(context.Background(), func(st *state) error { publish(st); return nil }); err != nil {
		t.Error(err)
	}
	if got := all(s.Deliveries(), func(d Delivery) kombo.EventType { return d.EventType }); !cmp.Equal(got, []kombo.EventType{kombo.EventDataChanged}) {
		t.Errorf("deliveries = %q", got)
	}
}
