package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
	"github.com/kombo-go/kombo/kombotest"
)

// service is the app with a fake Kombo and a database of its own.
type service struct {
	t      *testing.T
	kombo  *kombotest.Server
	app    *app
	store  *store.Store
	server *httptest.Server
	log    *safeBuffer

	mutex sync.Mutex
	// secrets must not be in the log.
	secrets []string
}

// safeBuffer can be written to and read at once.
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

// startService starts the app, after change, if any, has changed what it is made of.
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
		store: p.store, client: client, verifier: verifier, log: slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		sessionKey: []byte("the session key"), frameSource: strings.TrimSuffix(p.kombo.BaseURL(), "/v1"),
	}
	if change != nil {
		change(&config)
	}
	if p.app, err = newApp(config); err != nil {
		t.Fatal(err)
	}
	p.server = httptest.NewServer(p.app)
	p.kombo.SetWebhookURL(p.server.URL + "/webhooks/kombo")
	p.secrets = []string{p.kombo.APIKey(), p.kombo.WebhookSecret(), "the session key"}
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

// visitor is a browser, but for scripts.
type visitor struct {
	service *service
	client  *http.Client
}

// visitor signs in, "" nobody.
func (p *service) visitor(companyID string) *visitor {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	v := &visitor{p, &http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout: patience, // a stream has no end
	}}
	if companyID != "" {
		if got := v.signIn(companyID); got.status != http.StatusSeeOther {
			p.t.Fatalf("signing in: %d", got.status)
		}
		for _, cookie := range jar.Cookies(p.address("/")) {
			p.keepSecret(cookie.Value)
		}
	}
	return v
}

func (p *service) address(path string) *url.URL {
	p.t.Helper()
	address, err := url.Parse(p.server.URL + path)
	if err != nil {
		p.t.Fatal(err)
	}
	return address
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (v *visitor) do(method, path, body string, headers ...string) answer {
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
	return answer{response.StatusCode, response.Header, string(content)}
}

func (v *visitor) get(path string, headers ...string) answer {
	v.service.t.Helper()
	return v.do(http.MethodGet, path, "", headers...)
}

func (v *visitor) post(path, body string, headers ...string) answer {
	v.service.t.Helper()
	return v.do(http.MethodPost, path, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

func (v *visitor) signIn(companyID string) answer {
	v.service.t.Helper()
	return v.do(http.MethodPost, "/sign-in", url.Values{"company": {companyID}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// link posts what is answered with a link.
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

// finish plays the customer who finishes a flow.
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

// connect connects something by a link and a webhook, without a token.
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

// connection is the only one that a company has.
func (p *service) connection(companyID string) store.Connection {
	p.t.Helper()
	connections := p.connections(companyID)
	if len(connections) != 1 {
		p.t.Fatalf("connections = %+v", connections)
	}
	return connections[0]
}

// failedFlow is the alert of a flow that Acme could not finish.
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

// attention is what Acme should look at.
func (p *service) attention() []store.Alert {
	p.t.Helper()
	alerts, err := p.store.Attention(p.t.Context(), "acme")
	if err != nil {
		p.t.Fatal(err)
	}
	return alerts
}

// asked returns the operations that the app has asked of Kombo.
func (p *service) asked() (operations []string) {
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

func wantStatus(t *testing.T, what string, got answer, want int) {
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

// ---- who is signed in ----

func TestSession(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v := p.visitor("")
	wantStatus(t, "the first page", v.get("/"), http.StatusOK)
	for _, unknown := range []string{"", "nobody", "ACME", "acme "} {
		got := v.signIn(unknown)
		wantStatus(t, "signing in as "+unknown, got, http.StatusBadRequest)
		if got.header.Get("Set-Cookie") != "" {
			t.Errorf("%q gets a cookie", unknown)
		}
	}

	got := v.signIn("acme")
	wantStatus(t, "signing in", got, http.StatusSeeOther)
	wantSame(t, "Location", "/settings", got.header.Get("Location"))
	cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge != 12*60*60 {
		t.Errorf("cookie = %+v", cookie)
	}
	got = v.get("/settings")
	wantStatus(t, "/settings", got, http.StatusOK)
	if !strings.Contains(got.body, "Acme, Inc.") || strings.Contains(got.body, "Globex Corporation") {
		t.Errorf("the page of Acme is\n%s", got.body)
	}
	got = v.get("/")
	wantStatus(t, "the first page", got, http.StatusSeeOther)
	wantSame(t, "Location", "/settings", got.header.Get("Location"))

	got = v.do(http.MethodPost, "/sign-out", "")
	wantStatus(t, "signing out", got, http.StatusSeeOther)
	wantSame(t, "Location", "/", got.header.Get("Location"))
	wantStatus(t, "/settings afterwards", v.get("/settings"), http.StatusSeeOther)

	proxied := v.do(http.MethodPost, "/sign-in", "company=acme", "Content-Type", "application/x-www-form-urlencoded", "X-Forwarded-Proto", "https")
	if !strings.Contains(proxied.header.Get("Set-Cookie"), "; Secure") {
		t.Errorf("behind TLS the cookie is %q", proxied.header.Get("Set-Cookie"))
	}
}

// A cookie that this product has not written is nobody's.
func TestTamperedCookie(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	signature := p.app.sign("acme")
	other := &app{appConfig: appConfig{sessionKey: []byte("another key")}}
	wantStatus(t, "the right one", p.visitor("").get("/settings", "Cookie", sessionCookie+"=acme."+signature), http.StatusOK)
	for name, value := range map[string]string{
		"empty":              "",
		"no signature":       "acme",
		"an empty signature": "acme.",
		"another company":    "globex." + signature,
		"a shorter one":      "acme." + signature[:len(signature)-1],
		"a longer one":       "acme." + signature + "A",
		"another case":       "acme." + strings.ToLower(signature),
		"another key":        "acme." + other.sign("acme"),
		"an unknown company": "nobody." + p.app.sign("nobody"),
		"no company":         "." + p.app.sign(""),
		"only a signature":   signature,
	} {
		v := p.visitor("")
		got := v.get("/settings", "Cookie", sessionCookie+"="+value)
		if got.status != http.StatusSeeOther || got.header.Get("Location") != "/" {
			t.Errorf("%s: /settings = %d to %q", name, got.status, got.header.Get("Location"))
		}
		wantStatus(t, name+": the connections", v.get("/settings/connections", "Cookie", sessionCookie+"="+value), http.StatusUnauthorized)
		wantStatus(t, name+": the stream", v.get("/settings/stream", "Cookie", sessionCookie+"="+value), http.StatusUnauthorized)
		wantStatus(t, name+": the first page", v.get("/", "Cookie", sessionCookie+"="+value), http.StatusOK)
	}
}

// ---- pages ----

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	library := filepath.Join(t.TempDir(), "library.js")
	if err := os.WriteFile(library, []byte("// the library"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, library, scripts, source, served string }{
		{"from the CDN", "", "script-src 'self' https://unpkg.com;", libraryCDN, ""},
		{"from a file", library, "script-src 'self';", "/static/kombo-connect.js", "// the library"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startService(t, func(config *appConfig) { config.library = test.library })
			v := p.visitor("acme")
			for _, path := range []string{"/", "/settings", "/settings/connections", "/static/app.js", "/static/nothing", "/nothing"} {
				header := v.get(path).header
				policy := header.Get("Content-Security-Policy") + ";"
				for _, part := range []string{test.scripts, "default-src 'none';", "frame-src " + strings.TrimSuffix(p.kombo.BaseURL(), "/v1") + ";", "frame-ancestors 'none';", "base-uri 'none';", "form-action 'self';"} {
					if !strings.Contains(policy, part) {
						t.Errorf("%s: %q is not in %q", path, part, policy)
					}
				}
				if strings.Contains(policy, "unsafe") {
					t.Errorf("%s: the policy is %q", path, policy)
				}
				wantSame(t, path+": X-Content-Type-Options", "nosniff", header.Get("X-Content-Type-Options"))
				wantSame(t, path+": Referrer-Policy", "same-origin", header.Get("Referrer-Policy"))
			}
			page := v.get("/settings")
			if !strings.Contains(page.body, test.source) || page.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%q is not in the page, or it may be stored: %v\n%s", test.source, page.header, page.body)
			}
			got := v.get("/static/kombo-connect.js")
			if test.served == "" {
				wantStatus(t, "the library", got, http.StatusNotFound)
			} else {
				wantSame(t, "the library", test.served, got.body)
			}
		})
	}
}

func TestStaticFiles(t *testing.T) {
	t.Parallel()
	v := startService(t, nil).visitor("")
	for path, contentType := range map[string]string{"/static/app.js": "text/javascript; charset=utf-8", "/static/app.css": "text/css; charset=utf-8"} {
		got := v.get(path)
		wantStatus(t, path, got, http.StatusOK)
		wantSame(t, path, contentType, got.header.Get("Content-Type"))
	}
	for _, path := range []string{
		"/static/", "/static", "/static/other.js", "/static/settings.html", "/static/web", "/static/..", "/static/%2e%2e%2fapp.go",
		"/static/..%2f..%2fgo.mod", "/static/a/app.js", "/app.js", "/web/app.js", "/nothing",
	} {
		if got := v.get(path); got.status != http.StatusNotFound && got.status != http.StatusTemporaryRedirect && got.status != http.StatusMovedPermanently {
			t.Errorf("%s = %d %s", path, got.status, got.body)
		}
	}
	wantStatus(t, "/favicon.ico", v.get("/favicon.ico"), http.StatusNoContent)
	wantStatus(t, "/healthz", v.get("/healthz"), http.StatusOK)
	wantStatus(t, "another method", v.do(http.MethodPut, "/settings", ""), http.StatusMethodNotAllowed)
}

// A page shows what is the company's own, and no id that is for the API only.
func TestPages(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	acme, globex := p.connect("acme"), p.connect("globex")
	alert := p.failedFlow()
	for _, path := range []string{"/settings", "/settings/connections"} {
		got := p.visitor("acme").get(path)
		wantStatus(t, path, got, http.StatusOK)
		for text, want := range map[string]bool{
			acme.Key: true, "Personio": true, alert.Key: true, "Lever": true, globex.Key: false, acme.IntegrationID: false, globex.IntegrationID: false,
		} {
			if strings.Contains(got.body, text) != want {
				t.Errorf("%s: %q is in the page: %t", path, text, !want)
			}
		}
	}
	if other := p.visitor("mueller").get("/settings").body; strings.Contains(other, acme.Key) || !strings.Contains(other, "Müller &amp; Söhne GmbH") {
		t.Errorf("the page of another company is\n%s", other)
	}
}

// What an HR system is called is Kombo's word: it is text wherever it stands.
func TestPageEscapes(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	const nasty = `"><script>alert(1)</script>`
	err := p.kombo.Deliver(t.Context(), &kombo.IntegrationCreatedEvent{
		EventHeader: kombo.EventHeader{ID: "1", Type: kombo.EventIntegrationCreated},
		Data:        kombo.IntegrationCreatedData{ID: "x", Tool: nasty, Category: nasty, EndUser: kombo.EndUser{OriginID: "acme", CreatorEmail: nasty}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.visitor("acme").get("/settings"); got.status != http.StatusOK || strings.Contains(got.body, nasty) || !strings.Contains(got.body, "&lt;script&gt;alert(1)") {
		t.Errorf("/settings = %d\n%s", got.status, got.body)
	}
}

// A page that listens hears of changes, also of those that another replica made.
func TestStream(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.server.URL+"/settings/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := p.visitor("acme").client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	wantSame(t, "Content-Type", "text/event-stream", response.Header.Get("Content-Type"))
	lines := bufio.NewScanner(response.Body)
	await := func(what string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == "event: change" {
				return
			}
		}
		t.Fatalf("%s: the stream has ended: %v", what, lines.Err())
	}
	await("at first")
	p.connect("acme")
	await("a webhook")
	// What does not go through this app is what another replica does.
	if err := p.store.Disconnected(t.Context(), "acme", p.connection("acme").Key, time.Now()); err != nil {
		t.Fatal(err)
	}
	await("another replica")
	p.app.endStreams()
	for lines.Scan() {
		if lines.Text() == "event: change" {
			t.Error("a change that nobody has made")
		}
	}
	if lines.Err() != nil {
		t.Error(lines.Err())
	}
}

// ---- what pages can ask for ----

// actions are the requests that a page makes, with bodies that would work for Acme, which has a connection and an alert.
func (p *service) actions() map[string]string {
	p.t.Helper()
	connection, alert := p.connect("acme"), p.failedFlow()
	link, err := p.app.client.Connect.CreateLink(p.t.Context(), kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "acme", IntegrationCategory: kombo.CategoryHRIS,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.kombo.HoldWebhooks()
	token := p.finish(link.URL)
	return map[string]string{
		"/integrations/kombo/init":     body("category", "HRIS"),
		"/integrations/kombo/relink":   body("connection", connection.Key),
		"/integrations/kombo/activate": body("token", token),
		"/integrations/magic-link":     body("category", "ATS"),
		"/integrations/disconnect":     body("connection", connection.Key),
		"/attention/dismiss":           body("key", alert.Key),
	}
}

// Whoever may not ask gets nothing done.
func TestRefusedActions(t *testing.T) {
	t.Parallel()
	malformed := []string{"", "{", `[]`, `"text"`, `{"category":1,"connection":1,"token":1,"key":1}`}
	tests := []struct {
		name    string
		company string
		headers []string
		bodies  []string // in place of the right one
		want    int
		orElse  int
	}{
		{name: "not signed in", want: http.StatusUnauthorized},
		{name: "a page of another site", company: "acme", headers: []string{"Sec-Fetch-Site", "cross-site"}, want: http.StatusForbidden},
		{name: "a page of a neighbor", company: "acme", headers: []string{"Sec-Fetch-Site", "same-site"}, want: http.StatusForbidden},
		{name: "another origin", company: "acme", headers: []string{"Origin", "https://evil.example"}, want: http.StatusForbidden},
		{name: "a forged cookie", headers: []string{"Cookie", sessionCookie + "=acme.AAAA"}, want: http.StatusUnauthorized},
		{name: "malformed", company: "acme", bodies: malformed, want: http.StatusBadRequest},
		{name: "too long", company: "acme", bodies: []string{body("category", strings.Repeat("x", 70_000))}, want: http.StatusBadRequest, orElse: http.StatusRequestEntityTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startService(t, nil)
			actions := p.actions()
			connections, alerts, asked := p.connections("acme"), p.attention(), p.asked()
			v := p.visitor(test.company)
			for path, right := range actions {
				bodies := test.bodies
				if bodies == nil {
					bodies = []string{right}
				}
				for _, body := range bodies {
					got := v.post(path, body, test.headers...)
					if got.status != test.want && got.status != test.orElse {
						t.Errorf("%s with %.100s = %d %s, want %d", path, body, got.status, got.body, test.want)
					}
				}
			}
			wantSame(t, "connections", connections, p.connections("acme"))
			wantSame(t, "alerts", alerts, p.attention())
			wantSame(t, "requests of Kombo", asked, p.asked())
		})
	}
	t.Run("signing in and out from another site", func(t *testing.T) {
		t.Parallel()
		v := startService(t, nil).visitor("acme")
		for path, body := range map[string]string{"/sign-in": "company=globex", "/sign-out": ""} {
			got := v.do(http.MethodPost, path, body, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site")
			wantStatus(t, path, got, http.StatusForbidden)
		}
		wantStatus(t, "/settings", v.get("/settings"), http.StatusOK)
	})
}

// Nobody can do anything with what is another company's.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path  string
		wants []int
	}{
		{"/integrations/kombo/relink", []int{http.StatusBadRequest, http.StatusNotFound}},
		{"/integrations/disconnect", []int{http.StatusNotFound}},
		{"/attention/dismiss", []int{http.StatusNotFound}},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			p := startService(t, nil)
			connection, alert := p.connect("acme"), p.failedFlow()
			asked := p.asked()
			for _, key := range []string{connection.Key, alert.Key, connection.IntegrationID, "", "none", "%", "' OR 1=1 --", "\x00"} {
				got := p.visitor("globex").post(test.path, body("connection", key, "key", key))
				if got.status != test.wants[0] && got.status != test.wants[len(test.wants)-1] {
					t.Errorf("with %q: %d %s, want one of %v", key, got.status, got.body, test.wants)
				}
			}
			wantSame(t, "requests of Kombo", asked, p.asked())
			wantSame(t, "the connection", connection, p.connection("acme"))
			wantSame(t, "alerts", []store.Alert{alert}, p.attention())
		})
	}
}

func TestUnknownChoices(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v, connection := p.visitor("acme"), p.connect("acme")
	for _, category := range []string{"", "hris", "PAYROLL", "ASSESSMENT"} {
		wantStatus(t, "init of "+category, v.post("/integrations/kombo/init", body("category", category)), http.StatusBadRequest)
		wantStatus(t, "magic link of "+category, v.post("/integrations/magic-link", body("category", category)), http.StatusBadRequest)
	}
	wantStatus(t, "another scope config", v.post("/integrations/kombo/relink", body("connection", connection.Key, "scope_config_id", "all")), http.StatusBadRequest)
	wantStatus(t, "an unknown token", v.post("/integrations/kombo/activate", body("token", "unknown")), http.StatusBadRequest)
	wantStatus(t, "a token as a form", v.do(http.MethodPost, "/integrations/kombo/activate", body("token", "x"), "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	wantSame(t, "requests of Kombo", []string{"GET /connect/integration-by-token/{token}"}, p.asked())
}

// Kombo does not answer, or not as it should.
func TestKomboDown(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]kombotest.Fault{
		"503": {Status: http.StatusServiceUnavailable}, "cut": {Cut: true}, "a page of a proxy": {Body: "<html>"}, "the key is wrong": {Code: kombo.CodeAuthenticationInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startService(t, nil)
			v, actions := p.visitor("acme"), p.actions()
			connections := p.connections("acme")
			fault.Times = -1
			p.kombo.InjectFault(fault)
			for path, body := range actions {
				want := http.StatusBadGateway
				if path == "/attention/dismiss" {
					want = http.StatusOK // has nothing to do with Kombo
				}
				got := v.post(path, body)
				wantStatus(t, path, got, want)
				if want == http.StatusBadGateway && !json.Valid([]byte(got.body)) {
					t.Errorf("%s: the body is %s", path, got.body)
				}
			}
			wantSame(t, "connections", connections, p.connections("acme"))
			if !strings.Contains(p.log.String(), "level=ERROR") && !strings.Contains(p.log.String(), "level=WARN") {
				t.Errorf("the log says nothing:\n%s", p.log)
			}
		})
	}
}

// A flow from its beginning to its end: the webhook may come before the token, after it, or with it.
func TestConnecting(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                  string
		before, after, beside bool
	}{
		{name: "webhook before the token", before: true}, {name: "webhook after it", after: true}, {name: "both at once", beside: true}, {name: "no webhook"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startService(t, nil)
			v := p.visitor("acme")
			link := v.link("/integrations/kombo/init", body("category", "HRIS"))
			if !test.before {
				p.kombo.HoldWebhooks()
			}
			token := p.finish(link)
			var release sync.WaitGroup
			send := func() {
				if err := p.kombo.ReleaseWebhooks(t.Context(), kombotest.AtOnce); err != nil {
					t.Error(err)
				}
			}
			if test.beside {
				release.Go(send)
			}
			for range 2 { // a page may post a token again
				got := v.post("/integrations/kombo/activate", body("token", token))
				wantStatus(t, "activating", got, http.StatusOK)
				if strings.Contains(got.body, p.kombo.Integrations()[0].ID) {
					t.Errorf("the integration's id is in %s", got.body)
				}
			}
			release.Wait()
			if test.after {
				send()
			}
			got, want := p.connection("acme"), p.kombo.Integrations()[0]
			if got.IntegrationID != want.ID || got.Tool != "personio" || got.CustomerID != "acme" || got.CreatedBy != "ada@acme.example" {
				t.Errorf("connection = %+v", got)
			}
			if told := test.before || test.after || test.beside; told && got.Category != kombo.CategoryHRIS {
				t.Errorf("category = %q", got.Category)
			}
			wantSame(t, "the other's", 0, len(p.connections("globex")))
		})
	}
}

func TestForeignToken(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	link := p.visitor("acme").link("/integrations/kombo/init", body("category", "HRIS"))
	p.kombo.HoldWebhooks()
	token := p.finish(link)
	wantStatus(t, "activating", p.visitor("globex").post("/integrations/kombo/activate", body("token", token)), http.StatusForbidden)
	wantSame(t, "rows", 0, len(p.connections("acme"))+len(p.connections("globex")))
	// It is still its owner's.
	wantStatus(t, "activating", p.visitor("acme").post("/integrations/kombo/activate", body("token", token)), http.StatusOK)
	p.connection("acme")
}

func TestMagicLink(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	link := p.visitor("globex").link("/integrations/magic-link", body("category", "ATS"))
	open := p.kombo.OpenLinks()
	if len(open) != 1 || open[0].LinkType != kombo.LinkTypeMagicLink || open[0].EndUser.OriginID != "globex" || open[0].Category != kombo.CategoryATS {
		t.Fatalf("links = %+v", open)
	}
	if token := p.finish(link); token != "" {
		t.Errorf("a token: %q", token)
	}
	if got := p.connection("globex"); got.Category != kombo.CategoryATS {
		t.Errorf("connection = %+v", got)
	}
}

func TestReconnecting(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v, before := p.visitor("acme"), p.connect("acme")
	if err := p.kombo.SetState(t.Context(), before.IntegrationID, kombo.StateInvalid); err != nil {
		t.Fatal(err)
	}
	if got := p.attention(); len(got) != 1 || got[0].Kind != store.KindInvalid {
		t.Errorf("attention = %+v", got)
	}
	if !strings.Contains(p.log.String(), `msg="a customer has to reconnect" customer=acme tool=personio`) {
		t.Errorf("the log is\n%s", p.log)
	}
	link := v.link("/integrations/kombo/relink", body("connection", before.Key, "scope_config_id", "rosterly-full"))
	wantStatus(t, "activating", v.post("/integrations/kombo/activate", body("token", p.finish(link))), http.StatusOK)
	after := p.connection("acme")
	if after.State != kombo.StateActive || after.Key != before.Key || len(p.attention()) != 0 {
		t.Errorf("connection = %+v, attention = %+v", after, p.attention())
	}
	if got, _ := p.kombo.Integration(after.IntegrationID); got.ScopeConfigID != "rosterly-full" {
		t.Errorf("integration = %+v", got)
	}
}

func TestDisconnecting(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(p *service, c store.Connection)
	}{
		{"as it should be", func(*service, store.Connection) {}},
		{"the integration is gone already", func(p *service, c store.Connection) {
			p.kombo.InjectWebhookFault(kombotest.WebhookFault{Lost: true})
			if err := p.kombo.DeleteIntegration(p.t.Context(), c.IntegrationID); err != nil {
				p.t.Fatal(err)
			}
		}},
		{"the answer gets lost", func(p *service, _ store.Connection) {
			p.kombo.InjectFault(kombotest.Fault{Op: "DELETE /integrations/{integration_id}", Cut: true, Executed: true})
		}},
		{"the webhook gets lost", func(p *service, _ store.Connection) {
			p.kombo.InjectWebhookFault(kombotest.WebhookFault{Lost: true})
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startService(t, nil)
			v, connection := p.visitor("acme"), p.connect("acme")
			test.prepare(p, connection)
			wantStatus(t, "disconnecting", v.post("/integrations/disconnect", body("connection", connection.Key)), http.StatusOK)
			wantSame(t, "connections", 0, len(p.connections("acme")))
			wantSame(t, "integrations", 0, len(p.kombo.Integrations()))
			wantStatus(t, "disconnecting again", v.post("/integrations/disconnect", body("connection", connection.Key)), http.StatusNotFound)
			if err := p.kombo.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			wantSame(t, "connections after the webhook", 0, len(p.connections("acme")))
		})
	}
	t.Run("reconnecting what is gone", func(t *testing.T) {
		t.Parallel()
		p := startService(t, nil)
		v, connection := p.visitor("acme"), p.connect("acme")
		p.kombo.InjectWebhookFault(kombotest.WebhookFault{Lost: true})
		if err := p.kombo.DeleteIntegration(t.Context(), connection.IntegrationID); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, "relink", v.post("/integrations/kombo/relink", body("connection", connection.Key)), http.StatusNotFound)
	})
}

func TestDismissing(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v, alert := p.visitor("acme"), p.failedFlow()
	for range 2 {
		wantStatus(t, "dismissing", v.post("/attention/dismiss", body("key", alert.Key)), http.StatusOK)
	}
	wantSame(t, "alerts", 0, len(p.attention()))
	if strings.Contains(v.get("/settings/connections").body, alert.Key) {
		t.Error("the page shows it still")
	}
}

// An answer is JSON that no cache keeps, and that tells nothing of what is inside.
func TestAnswers(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v, actions := p.visitor("acme"), p.actions()
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	for path, body := range actions {
		got := v.post(path, body)
		var decoded map[string]any
		if err := json.Unmarshal([]byte(got.body), &decoded); err != nil || got.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %v\n%s", path, got.header, got.body)
		}
		if path == "/integrations/kombo/init" || path == "/integrations/magic-link" {
			wantStatus(t, path, got, http.StatusOK)
			continue
		}
		wantStatus(t, path, got, http.StatusInternalServerError)
		wantSame(t, path, any(map[string]any{"error": "something went wrong"}), any(decoded))
	}
	wantStatus(t, "/settings", v.get("/settings"), http.StatusInternalServerError)
	// All of it is in the log of the app.
	for _, part := range []string{"embedded flow", "path=/integrations/disconnect", "path=/attention/dismiss", "msg=page"} {
		if !strings.Contains(p.log.String(), part) {
			t.Errorf("%q is not in the log:\n%s", part, p.log)
		}
	}
}

// ---- webhooks ----

func TestForgedWebhook(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	event := &kombo.IntegrationCreatedEvent{
		EventHeader: kombo.EventHeader{ID: "1", Type: kombo.EventIntegrationCreated},
		Data:        kombo.IntegrationCreatedData{ID: "personio:1", Tool: "personio", Category: kombo.CategoryHRIS, EndUser: kombo.EndUser{OriginID: "acme"}},
	}
	if err := p.kombo.DeliverForged(t.Context(), event); err != nil {
		t.Error(err)
	}
	wantSame(t, "connections", 0, len(p.connections("acme")))
	wantStatus(t, "no signature", p.visitor("acme").post("/webhooks/kombo", `{"id":"1","type":"integration-created","data":{}}`), http.StatusUnauthorized)
	// The forged one has not used up the id.
	if err := p.kombo.Deliver(t.Context(), event); err != nil {
		t.Error(err)
	}
	p.connection("acme")
}

func TestWebhooksThatAreNotStored(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	err := p.kombo.Deliver(t.Context(), &kombo.DataChangedEvent{
		EventHeader: kombo.EventHeader{ID: "1", Type: kombo.EventDataChanged}, Data: kombo.DataChangedData{IntegrationID: "personio:1"},
	})
	if err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("Deliver = %v", err)
	}
	if !strings.Contains(p.log.String(), "msg=webhook") {
		t.Errorf("the log is\n%s", p.log)
	}
}

// ---- the program ----

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestConnectKombo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		environment func(string) string
		frameSource string
		wantErr     string
	}{
		{name: "the real one", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret"), frameSource: "https://connect.kombo.dev"},
		{name: "region", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret", "KOMBO_REGION", "US"), frameSource: "https://connect.kombo.dev"},
		{name: "a sandbox elsewhere", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret", "KOMBO_BASE_URL", "http://127.0.0.1:1/v1"), frameSource: "http://127.0.0.1:1"},
		{name: "two secrets", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "new", "KOMBO_WEBHOOK_SECRET_PREVIOUS", "secret"), frameSource: "https://connect.kombo.dev"},
		{name: "bad region", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret", "KOMBO_REGION", "mars"), wantErr: "mars"},
		{name: "no secret", environment: environment("KOMBO_API_KEY", "key"), wantErr: "secret 1 is empty"},
		{name: "bad secret", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret\n"), wantErr: "white space"},
		{name: "bad key", environment: environment("KOMBO_API_KEY", "ke\ny", "KOMBO_WEBHOOK_SECRET", "secret"), wantErr: "kombo: "},
		{name: "bad address", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret", "KOMBO_BASE_URL", "nonsense"), wantErr: "kombo: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var config appConfig
			closeKombo, err := connectKombo(t.Context(), &config, test.environment, "not used", "not used")
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) || strings.Contains(err.Error(), "secret\n") {
					t.Errorf("error = %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer closeKombo()
			wantSame(t, "frame source", test.frameSource, config.frameSource)
			wantSame(t, "sandbox", "", config.sandboxURL)
			if err := config.verifier.Verify([]byte("{}"), kombo.SignWebhook("secret", []byte("{}"))); err != nil || config.client == nil {
				t.Errorf("Verify = %v, client = %v", err, config.client)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	folder := t.TempDir()
	database := filepath.Join(folder, "store.db")
	for name, test := range map[string]struct {
		args        []string
		environment func(string) string
		want        string
	}{
		"unknown flag":     {args: []string{"-nonsense"}, want: "nonsense"},
		"no such library":  {args: []string{"-library", filepath.Join(folder, "none.js"), "-database", database}, want: "-library: "},
		"no flag":          {args: []string{"nonsense"}, want: `"nonsense" is no flag`},
		"taken address":    {args: []string{"-listen", taken.Addr().String(), "-database", database}, want: "address already in use"},
		"bad address":      {args: []string{"-listen", "nonsense", "-database", database}, want: "nonsense"},
		"bad database":     {args: []string{"-listen", "127.0.0.1:0", "-database", "mysql://user:password@host"}, want: "store: "},
		"no such folder":   {args: []string{"-listen", "127.0.0.1:0", "-database", filepath.Join(folder, "none", "store.db")}, want: "store: "},
		"taken by another": {args: []string{"-listen", "127.0.0.1:0", "-database", database, "-sandbox", taken.Addr().String()}, want: "the fake Kombo: "},
		"bad region":       {args: []string{"-listen", "127.0.0.1:0", "-database", database}, environment: environment("KOMBO_API_KEY", "key", "KOMBO_REGION", "mars"), want: "mars"},
	} {
		getenv := test.environment
		if getenv == nil {
			getenv = environment()
		}
		err := run(t.Context(), test.args, getenv, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "password") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	help := new(safeBuffer)
	if err := run(t.Context(), []string{"-h"}, environment(), help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-session-key") {
		t.Errorf("-h: %v\n%s", err, help)
	}
}

// Without an account it brings its own Kombo, and ends when it is told to.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-listen", "127.0.0.1:0", "-sandbox", "127.0.0.1:0", "-database", filepath.Join(t.TempDir(), "store.db")}, environment(), writer)
		_ = writer.CloseWithError(err)
		ended <- err
	}()
	output := bufio.NewScanner(reader)
	for _, pattern := range []string{`^The product +(http://127\.0\.0\.1:\d+/)$`, `^A fake Kombo +(http://127\.0\.0\.1:\d+/)$`} {
		if !output.Scan() {
			t.Fatalf("the output has ended: %v", output.Err())
		}
		found := regexp.MustCompile(pattern).FindStringSubmatch(output.Text())
		if found == nil {
			t.Fatalf("%q is not %s", output.Text(), pattern)
		}
		response, err := http.Get(found[1])
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		wantSame(t, found[1], http.StatusOK, response.StatusCode)
	}
	cancel()
	if _, err := io.Copy(io.Discard, reader); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A library that npm has installed nearby is found; one that is named is taken at its word.
func TestFindLibrary(t *testing.T) {
	t.Chdir(t.TempDir())
	wantSame(t, "nothing is installed", "", findLibrary(""))
	wantSame(t, "named", "somewhere/index.js", findLibrary("somewhere/index.js"))
	for _, folder := range []string{"conformance/typescript", "examples/embeddedflow", "."} {
		file := folder + "/node_modules/@kombo-api/connect/dist/index.js"
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		wantSame(t, "installed", file, findLibrary(""))
		wantSame(t, "named", "somewhere/index.js", findLibrary("somewhere/index.js"))
	}
}
