package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
	"github.com/kombo-go/kombo/examples/internal/demo"
	"github.com/kombo-go/kombo/examples/internal/replicas"
	"github.com/kombo-go/kombo/kombotest"
)

// service is the app with a fake Kombo and a separate database.
type service struct {
	t      *testing.T
	kombo  *kombotest.Server
	app    *app
	store  *store.Store
	server *httptest.Server
	log    *safeBuffer

	mutex sync.Mutex
	// secrets must not appear in the log.
	secrets []string
}

// safeBuffer is a buffer for concurrent use.
type safeBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}

// startService starts the app. change, if not nil, changes its config first.
func startService(t *testing.T, change func(*appConfig)) *service {
	t.Helper()
	p := &service{t: t, log: new(safeBuffer)}
	var client *kombo.Client
	p.kombo, client = kombotest.Start(t, kombotest.Config{})
	verifier, err := kombo.NewWebhookVerifier(p.kombo.WebhookSecret())
	if err != nil {
		t.Fatal(err)
	}
	if p.store, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "store.db")); err != nil {
		t.Fatal(err)
	}
	config := appConfig{
		Kombo: demo.Kombo{Client: client, Verifier: verifier, Pages: strings.TrimSuffix(p.kombo.BaseURL(), "/v1")},
		store: p.store, log: slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&config)
	}
	if p.app, err = newApp(config); err != nil {
		t.Fatal(err)
	}
	p.server = httptest.NewServer(p.app)
	p.kombo.SetWebhookURL(p.server.URL + "/webhooks/kombo")
	p.secrets = []string{p.kombo.APIKey(), p.kombo.WebhookSecret()}
	t.Cleanup(func() {
		p.app.endStreams()
		p.server.Close()
		if err := p.store.Close(); err != nil {
			t.Error(err)
		}
		for _, secret := range p.secrets {
			if strings.Contains(p.log.String(), secret) {
				t.Errorf("%q is in the log:\n%s", secret, p.log)
			}
		}
	})
	return p
}

func (p *service) keepSecret(secrets ...string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.secrets = append(p.secrets, secrets...)
}

// visitor is a browser without JavaScript.
type visitor struct {
	service *service
	client  *http.Client
}

// visitor returns a visitor who is signed in as a company, or not signed in if the ID is "".
func (p *service) visitor(companyID string) *visitor {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	v := &visitor{p, &http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout: replicas.Patience, // a stream has no end
	}}
	if companyID != "" {
		if got := v.signIn(companyID); got.status != http.StatusSeeOther {
			p.t.Fatalf("signing in: %d", got.status)
		}
		p.keepSecret(v.session().Value)
	}
	return v
}

func (p *service) address() *url.URL {
	p.t.Helper()
	address, err := url.Parse(p.server.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	return address
}

// session returns the only cookie of a signed-in visitor.
func (v *visitor) session() *http.Cookie {
	v.service.t.Helper()
	cookies := v.client.Jar.Cookies(v.service.address())
	if len(cookies) != 1 {
		v.service.t.Fatalf("cookies = %v", cookies)
	}
	return cookies[0]
}

type result struct {
	status int
	header http.Header
	body   string
}

func (v *visitor) do(method, path, body string, headers ...string) result {
	v.service.t.Helper()
	request, err := http.NewRequestWithContext(v.service.t.Context(), method, v.service.server.URL+path, strings.NewReader(body))
	if err != nil {
		v.service.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.service.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		v.service.t.Fatal(err)
	}
	return result{response.StatusCode, response.Header, string(content)}
}

func (v *visitor) get(path string, headers ...string) result {
	v.service.t.Helper()
	return v.do(http.MethodGet, path, "", headers...)
}

func (v *visitor) post(path, body string, headers ...string) result {
	v.service.t.Helper()
	return v.do(http.MethodPost, path, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

func (v *visitor) signIn(companyID string) result {
	v.service.t.Helper()
	return v.do(http.MethodPost, "/sign-in", url.Values{"company": {companyID}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// link posts a request and returns the link in its response.
func (v *visitor) link(path, body string) string {
	v.service.t.Helper()
	got := v.post(path, body)
	var link kombo.Link
	if err := json.Unmarshal([]byte(got.body), &link); err != nil || got.status != http.StatusOK || link.URL == "" {
		v.service.t.Fatalf("%s = %d %s", path, got.status, got.body)
	}
	v.service.keepSecret(link.URL)
	return link.URL
}

// finish completes a flow as a customer does.
func (p *service) finish(link string) (token string) {
	p.t.Helper()
	token, err := p.kombo.CompleteFlow(p.t.Context(), link, kombotest.Completion{})
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		p.keepSecret(token)
	}
	return token
}

// connect connects an integration by a link and a webhook, without a token.
func (p *service) connect(companyID string) store.Connection {
	p.t.Helper()
	p.kombo.Connect(p.t, kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: companyID, IntegrationCategory: kombo.CategoryHRIS,
	})
	return p.connection(companyID)
}

func (p *service) connections(companyID string) []store.Connection {
	p.t.Helper()
	connections, err := p.store.Connections(p.t.Context(), companyID)
	if err != nil {
		p.t.Fatal(err)
	}
	return connections
}

// connection returns the only connection of a company.
func (p *service) connection(companyID string) store.Connection {
	p.t.Helper()
	connections := p.connections(companyID)
	if len(connections) != 1 {
		p.t.Fatalf("connections = %+v", connections)
	}
	return connections[0]
}

// failedFlow returns the alert of a failed flow of Acme.
func (p *service) failedFlow() store.Alert {
	p.t.Helper()
	err := p.kombo.Deliver(p.t.Context(), &kombo.ConnectionFlowFailedEvent{
		EventHeader: kombo.EventHeader{ID: "failed", Type: kombo.EventConnectionFlowFailed},
		Data: kombo.ConnectionFlowFailedData{
			IntegrationTool: "lever", IntegrationCategory: kombo.CategoryATS, EndUser: kombo.EndUser{OriginID: "acme"}, LogURL: "https://log.example/1",
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return p.attention()[0]
}

// attention returns the alerts of Acme.
func (p *service) attention() []store.Alert {
	p.t.Helper()
	alerts, err := p.store.Attention(p.t.Context(), "acme")
	if err != nil {
		p.t.Fatal(err)
	}
	return alerts
}

// requests returns the operations of the requests to Kombo.
func (p *service) requests() (operations []string) {
	for _, request := range p.kombo.Requests() {
		operations = append(operations, request.Op)
	}
	return operations
}

func body(pairs ...string) string {
	members := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		members[pairs[i]] = pairs[i+1]
	}
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func wantStatus(t *testing.T, what string, got result, want int) {
	t.Helper()
	if got.status != want {
		t.Errorf("%s = %d %s, want %d", what, got.status, got.body, want)
	}
}

func wantSame(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
