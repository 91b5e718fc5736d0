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
	"github.com/kombo-go/kombo/internal/sdksource"
)

// The state is used in the functions that gate.run and gate.wait call, and nowhere else.
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

// The server's own callbacks run without the lock: they can read all of its state.
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

// An event that nobody would deliver is a mistake of this package.
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

// A link in a language without texts, which the API does not accept, would be shown in English.
func TestLanguageWithoutTexts(t *testing.T) {
	t.Parallel()
	s, _ := Start(t, Config{})
	s.withState(func(st *state) {
		linkURL := st.newLink(flow{OpenLink: OpenLink{Kind: LinkKindConnect}, language: "nl"})
		token, err := s.tokenOf(linkURL)
		if page := st.page(token, ""); err != nil || page.Texts["connect"] != "Connect" {
			t.Errorf("texts = %v, %v", page.Texts, err)
		}
	})
}

// The page has texts for what it shows by name, and the lists here are those of the SDK.
func TestLists(t *testing.T) {
	t.Parallel()
	want := sdksource.Values(t, "..", "Category")
	if diff := cmp.Diff(want, categories); diff != "" {
		t.Errorf("categories (-of the SDK +of the fake):\n%s", diff)
	}
	keys := all(want, func(category string) string { return "category_" + category })
	for _, reason := range sdksource.Values(t, ".", "linkError") {
		keys = append(keys, "problem_"+reason, "problem_"+reason+"_title")
	}
	for _, step := range sdksource.Values(t, ".", "setupStep") {
		keys = append(keys, step+"_title", step+"_lead")
	}
	for _, kind := range sdksource.Values(t, ".", "LinkKind") {
		keys = append(keys, "page_title_"+kind)
	}
	for _, tool := range catalog {
		keys = append(keys, all(tool.Credentials, func(name string) string { return "field_" + name })...)
	}
	for _, key := range keys {
		if textsIn(kombo.LanguageEN)[key] == "" {
			t.Errorf("page/texts.json has no %s", key)
		}
	}
}
