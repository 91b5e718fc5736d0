package sandbox

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func newSandbox(t *testing.T, config kombotest.Config) *kombotest.Server {
	t.Helper()
	srv, err := start(config, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

// newService is a service that verifies its webhooks.
func newService(t *testing.T, handle func(kombo.Event) error) *httptest.Server {
	t.Helper()
	verifier, err := kombo.NewWebhookVerifier("test-secret")
	if err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(verifier.Handler(kombo.EventHandlers{
		Fallback: func(_ context.Context, event kombo.Event) error { return handle(event) },
		OnError:  func(context.Context, error) {}, // the default logs it
	}))
	t.Cleanup(app.Close)
	return app
}

func accept(kombo.Event) error { return nil }

// do makes one call of the control API, as a script does.
func do(t *testing.T, srv *kombotest.Server, method, path, body string, header ...string) (status int, content string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(srv.BaseURL(), "/v1")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(all))
}

// ask makes a call that must succeed, and returns a member of its response.
func ask(t *testing.T, srv *kombotest.Server, method, path, body, member string) string {
	t.Helper()
	status, response := do(t, srv, method, path, body)
	var members map[string]any
	if err := json.Unmarshal([]byte(response), &members); err != nil || status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, status, response)
	}
	text, _ := members[member].(string)
	return text
}

const linkBody = `{"end_user_email":"ada@acme.example","end_user_organization_name":"Acme, Inc.","end_user_origin_id":"42","integration_category":"HRIS"}`
