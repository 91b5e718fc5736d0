package kombotest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

var request = kombo.CreateLinkRequest{
	EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Müller & Söhne <HR>", EndUserOriginID: "42",
}

// service is a service under test. It keeps the webhooks that it accepts.
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

// receiver verifies with test-secret and keeps the webhooks that arrive. It responds with one status after the other, and
// then always with the last one.
type receiver struct {
	mutex    sync.Mutex
	statuses []int
	bodies   []string
	verified []bool
	*httptest.Server
}

func (r *receiver) seen() (bodies []string, verified []bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.bodies, r.verified
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

func dataChanged(id string) *kombo.DataChangedEvent {
	return &kombo.DataChangedEvent{EventHeader: kombo.EventHeader{ID: id, Type: kombo.EventDataChanged}, Data: kombo.DataChangedData{IntegrationID: "personio:1"}}
}

// send sends one request with the right API key, without the SDK.
func send(t *testing.T, srv *kombotest.Server, method, path, body string) (status int, header http.Header, content string) {
	t.Helper()
	return sendAs(t, srv, srv.APIKey(), method, path, body)
}

func sendAs(t *testing.T, srv *kombotest.Server, key, method, path, body string) (status int, header http.Header, content string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, srv.BaseURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	return exchange(t, r)
}

func exchange(t *testing.T, r *http.Request) (status int, header http.Header, content string) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(all)
}

// data returns the data of a successful response.
func data(t *testing.T, content string) map[string]any {
	t.Helper()
	var envelope struct {
		Status string
		Data   map[string]any
	}
	if err := json.Unmarshal([]byte(content), &envelope); err != nil || envelope.Status != "success" {
		t.Fatalf("the response is %s (%v)", content, err)
	}
	return envelope.Data
}

// escaped is an integration ID as a segment of a path.
func escaped(integrationID string) string { return strings.ReplaceAll(integrationID, ":", "%3A") }

// at returns a clock that stands still.
func at(value string) func() time.Time {
	return func() time.Time {
		now, err := time.Parse(time.RFC3339, value)
		if err != nil {
			panic(err)
		}
		return now
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func createLink(t *testing.T, client *kombo.Client, request kombo.CreateLinkRequest) string {
	t.Helper()
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return link.URL
}

func second(_ string, err error) error { return err }

func sorted(values []string) []string { return slices.Sorted(slices.Values(values)) }

func firstOf(languages ...kombo.Language) kombo.Language {
	for _, language := range languages {
		if language != "" {
			return language
		}
	}
	return ""
}
