package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
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
		frameSource: strings.TrimSuffix(p.kombo.BaseURL(), "/v1"),
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

// session is the only cookie of a visitor who is signed in.
func (v *visitor) session() *http.Cookie {
	v.service.t.Helper()
	cookies := v.client.Jar.Cookies(v.service.address())
	if len(cookies) != 1 {
		v.service.t.Fatalf("cookies = %v", cookies)
	}
	return cookies[0]
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

	// A page that is open listens no more, and a copy of the cookie is worth nothing.
	session := sessionCookie + "=" + cookie.Value
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.server.URL+"/settings/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := v.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	wantStatus(t, "the copy", p.visitor("").get("/settings", "Cookie", session), http.StatusOK)
	got = v.do(http.MethodPost, "/sign-out", "")
	wantStatus(t, "signing out", got, http.StatusSeeOther)
	wantSame(t, "Location", "/", got.header.Get("Location"))
	if ended, err := http.ParseSetCookie(got.header.Get("Set-Cookie")); err != nil || ended.MaxAge >= 0 || ended.Value != "" || ended.Path != "/" || !ended.HttpOnly {
		t.Errorf("signing out sets the cookie %q", got.header.Get("Set-Cookie"))
	}
	wantStatus(t, "/settings afterwards", v.get("/settings"), http.StatusSeeOther)
	wantStatus(t, "the copy afterwards", p.visitor("").get("/settings/connections", "Cookie", session), http.StatusUnauthorized)
	p.app.tell()
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
	wantStatus(t, "signing out again", v.do(http.MethodPost, "/sign-out", "", "Cookie", session), http.StatusSeeOther)
}

// Who signs in has a session of their own, and the one before has ended.
func TestSigningInAgain(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v := p.visitor("acme")
	before := v.session()
	v.signIn("globex")
	if v.session().Value == before.Value {
		t.Error("both sessions are the same")
	}
	wantStatus(t, "the session before", p.visitor("").get("/settings/connections", "Cookie", before.String()), http.StatusUnauthorized)
	// An id that somebody else has made up does not become one.
	got := p.visitor("").do(http.MethodPost, "/sign-in", "company=acme", "Content-Type", "application/x-www-form-urlencoded", "Cookie", sessionCookie+"=MADEUP")
	if cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie")); err != nil || len(cookie.Value) < 20 {
		t.Errorf("the cookie is %q", got.header.Get("Set-Cookie"))
	}
	wantStatus(t, "a made-up session", p.visitor("").get("/settings/connections", "Cookie", sessionCookie+"=MADEUP"), http.StatusUnauthorized)
}

func TestSecureCookie(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, forwarded string
		https, want     bool
	}{
		{name: "on loopback"}, {name: "a proxy that tells", forwarded: "https", want: true}, {name: "a plain proxy", forwarded: "http"}, {name: "-url", https: true, want: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := startService(t, func(config *appConfig) { config.https = test.https }).visitor("")
			got := v.do(http.MethodPost, "/sign-in", "company=acme", "Content-Type", "application/x-www-form-urlencoded", "X-Forwarded-Proto", test.forwarded)
			cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
			if err != nil || cookie.Secure != test.want || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
				t.Errorf("the cookie is %q", got.header.Get("Set-Cookie"))
			}
		})
	}
}

// A cookie that this product has not set, or not for now, is nobody's.
func TestTamperedCookie(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	start := func(companyID string, lifetime time.Duration) string {
		t.Helper()
		id, err := p.store.StartSession(t.Context(), companyID, lifetime)
		if err != nil {
			t.Fatal(err)
		}
		p.keepSecret(id)
		return id
	}
	session := start("acme", time.Hour)
	wantStatus(t, "the right one", p.visitor("").get("/settings", "Cookie", sessionCookie+"="+session), http.StatusOK)
	for name, value := range map[string]string{
		"empty":              "",
		"a company":          "acme",
		"as it was signed":   "acme.mFpcgCUrVk4bGmbcXHbT2XSCHgMmY1rDFKT4rE0YqwE",
		"a shorter one":      session[:len(session)-1],
		"a longer one":       session + "A",
		"another case":       strings.ToLower(session),
		"another company":    "globex." + session,
		"an unknown company": start("nobody", time.Hour),
		"no company":         start("", time.Hour),
		"over":               start("acme", 0),
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

// ---- hosts ----

// A page of another site whose name leads here is of the same origin for its browser: only the Host tells.
func TestHosts(t *testing.T) {
	t.Parallel()
	p := startService(t, func(config *appConfig) { config.hosts = []string{"192.0.2.7", "app.example.com", ""} })
	connection, session := p.connect("acme"), p.visitor("acme").session()
	send := func(method, path, host string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, p.server.URL+path, strings.NewReader(body("connection", connection.Key, "category", "HRIS")))
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		request.AddCookie(session)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Sec-Fetch-Site", "same-origin")
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	for _, host := range []string{
		"localhost", "localhost:8080", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8080", "127.5.6.7", "[::1]", "[::1]:8080",
		"192.0.2.7:8080", "app.example.com", "APP.example.com:443",
	} {
		if got := send(http.MethodGet, "/settings", host); got != http.StatusOK {
			t.Errorf("%q = %d", host, got)
		}
	}
	routes := [][2]string{
		{"GET", "/"},
		{"POST", "/sign-in"},
		{"POST", "/sign-out"},
		{"GET", "/settings"},
		{"GET", "/settings/connections"},
		{"GET", "/settings/stream"},
		{"POST", "/integrations/kombo/init"},
		{"GET", "/integrations/kombo/init"},
		{"POST", "/integrations/kombo/relink"},
		{"POST", "/integrations/kombo/activate"},
		{"POST", "/integrations/magic-link"},
		{"POST", "/integrations/disconnect"},
		{"POST", "/attention/dismiss"},
		{"GET", "/static/app.js"},
		{"GET", "/favicon.ico"},
		{"GET", "/healthz"},
		{"POST", "/webhooks/kombo"},
		{"GET", "/nothing"},
	}
	asked := p.asked()
	for _, route := range routes {
		for _, host := range []string{"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "app.example.com.evil.example", "evil-app.example.com"} {
			if got := send(route[0], route[1], host); got != http.StatusMisdirectedRequest {
				t.Errorf("%v of %q = %d", route, host, got)
			}
		}
	}
	for _, host := range []string{"0.0.0.0", "[::]:8080", "192.0.2.8", "10.0.0.1", "127.1", "2130706433", "user@127.0.0.1", "127.0.0.1:80:evil", "x.localhost", "evil.example#127.0.0.1"} {
		if got := send(http.MethodGet, "/settings", host); got != http.StatusMisdirectedRequest && got != http.StatusBadRequest {
			t.Errorf("%q = %d", host, got)
		}
	}
	wantSame(t, "requests of Kombo", asked, p.asked())
	wantSame(t, "the connection", connection, p.connection("acme"))

	// An absolute URL counts before the header, and HTTP/1.0 needs neither.
	for first, want := range map[string]string{
		"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost": "421", "GET http://localhost/healthz HTTP/1.1\r\nHost: evil.example": "200", "GET /healthz HTTP/1.0": "421",
	} {
		conn, err := net.Dial("tcp", p.address().Host)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, first+"\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(strings.TrimLeft(string(answer), "HTP/1.0 "), want) {
			t.Errorf("%q = %q, %v", first, answer, err)
		}
		_ = conn.Close()
	}
	if !strings.Contains(p.log.String(), "-url") {
		t.Error("the log does not say what to do")
	}
}

// ---- pages ----

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	library := filepath.Join(t.TempDir(), "library.js")
	if err := os.WriteFile(library, []byte("// the library"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, library, scripts, script, served string }{
		{
			"from the CDN", "", "script-src 'self' " + libraryCDN + ";",
			`<script src="` + libraryCDN + `" integrity="` + libraryIntegrity + `" crossorigin="anonymous" defer></script>`, "",
		},
		{"from a file", library, "script-src 'self';", `<script src="/static/kombo-connect.js" defer></script>`, "// the library"},
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
			if !strings.Contains(page.body, test.script) || page.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%q is not in the page, or it may be stored: %v\n%s", test.script, page.header, page.body)
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

// What pages load from elsewhere is one version of one file, and browsers check it.
func TestPinnedLibrary(t *testing.T) {
	t.Parallel()
	if !regexp.MustCompile(`^https://unpkg\.com/@kombo-api/connect@\d+\.\d+\.\d+/dist/index\.js$`).MatchString(libraryCDN) {
		t.Errorf("the library is %s", libraryCDN)
	}
	pages, err := filepath.Glob("web/*.html")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`<(script|link|img|iframe)[^>]*(src|href)="(https?:)?//[^>]*>`).Find(content); found != nil {
			t.Errorf("%s loads %s", page, found)
		}
	}

	content, err := os.ReadFile(browserLibrary)
	if err != nil {
		t.Skip("the browser library is not installed: run npm ci --prefix conformance/typescript")
	}
	hash := sha512.Sum384(content)
	manifest, err := os.ReadFile(filepath.Join(filepath.Dir(browserLibrary), "../package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var installed struct{ Version string }
	if err := json.Unmarshal(manifest, &installed); err != nil {
		t.Fatal(err)
	}
	wantSame(t, "the version", "https://unpkg.com/@kombo-api/connect@"+installed.Version+"/dist/index.js", libraryCDN)
	wantSame(t, "the hash", "sha384-"+base64.StdEncoding.EncodeToString(hash[:]), libraryIntegrity)
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
			// Only the vendor can open it.
			alert.LogURL: false, "See the log": false,
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

// No name ends a sentence: it may end with a mark of its own.
func TestNames(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	p.connect("acme")
	p.failedFlow()
	tags, spaces := regexp.MustCompile(`<[^>]*>`), regexp.MustCompile(`\s+`)
	for _, name := range []string{"Acme, Inc.", "Yahoo!", "Who?", "Acme"} {
		page, err := p.app.page(t.Context(), company{ID: "acme", Name: name, Email: "ada@acme.example"})
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Attention {
			page.Attention[i].Tool = name
		}
		for i := range page.Categories {
			for j := range page.Categories[i].Connections {
				page.Categories[i].Connections[j].ToolLabel = name
			}
		}
		var html strings.Builder
		if err := p.app.templates.ExecuteTemplate(&html, "settings.html", page); err != nil {
			t.Fatal(err)
		}
		text := spaces.ReplaceAllString(tags.ReplaceAllString(html.String(), ""), " ")
		if !strings.Contains(text, name) {
			t.Fatalf("%q is not in the page", name)
		}
		for _, mark := range []string{".", "!", "?"} {
			if i := strings.Index(text, name+mark); i >= 0 {
				t.Errorf("the page says %q", text[max(0, i-60):i+len(name)+1])
			}
		}
	}
}

// A connection that must be renewed is worse than an attempt that failed, however new that is.
func TestOrderOfAlerts(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	if err := p.kombo.SetState(t.Context(), p.connect("acme").IntegrationID, kombo.StateInvalid); err != nil {
		t.Fatal(err)
	}
	p.failedFlow()
	page := p.visitor("acme").get("/settings/connections").body
	if red, amber := strings.Index(page, `data-alert="invalid"`), strings.Index(page, `data-alert="flow-failed"`); red < 0 || amber < red {
		t.Errorf("the page is\n%s", page)
	}
}

// Issues are for the vendor.
func TestIssues(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	connection := p.connect("acme")
	before := p.visitor("acme").get("/settings/connections").body
	for id, data := range map[string]kombo.IssueStatusChangedData{
		"1": {Change: kombo.IssueChangeRaised, Issue: kombo.Issue{ID: "a", Title: "Action failing"}, Integration: &kombo.IssueIntegration{
			ID: connection.IntegrationID, EndUser: kombo.EndUser{OriginID: "acme"},
		}},
		"2": {Change: kombo.IssueChangeResolved, Issue: kombo.Issue{ID: "b", Title: "Webhooks failing"}},
	} {
		for range 2 { // a second delivery says nothing new
			event := &kombo.IssueStatusChangedEvent{EventHeader: kombo.EventHeader{ID: id, Type: kombo.EventIssueStatusChanged}, Data: data}
			if err := p.kombo.Deliver(t.Context(), event); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, line := range []string{
		`level=WARN msg="Kombo reports an issue" change=raised type="" title="Action failing" customer=acme`,
		`level=INFO msg="Kombo reports an issue" change=resolved type="" title="Webhooks failing" customer=""`,
	} {
		if strings.Count(p.log.String(), line) != 1 {
			t.Errorf("%s is not once in the log:\n%s", line, p.log)
		}
	}
	wantSame(t, "the page", before, p.visitor("acme").get("/settings/connections").body)
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
	p.kombo.HoldWebhooks()
	token := p.finish(link)
	// If the state cannot be had, the webhook brings it.
	p.kombo.InjectFault(kombotest.Fault{Op: "GET /integrations/{integration_id}", Code: kombo.CodeInputInvalid})
	wantStatus(t, "activating", v.post("/integrations/kombo/activate", body("token", token)), http.StatusOK)
	wantSame(t, "the state without Get", kombo.StateInvalid, p.connection("acme").State)
	// Otherwise the row is right before the webhook comes.
	wantStatus(t, "activating", v.post("/integrations/kombo/activate", body("token", token)), http.StatusOK)
	if got := p.connection("acme"); got.State != kombo.StateActive || len(p.attention()) != 0 {
		t.Errorf("connection = %+v, attention = %+v", got, p.attention())
	}
	if err := p.kombo.ReleaseWebhooks(t.Context(), kombotest.AtOnce); err != nil {
		t.Error(err)
	}
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
	t.Run("Kombo does not delete it", func(t *testing.T) {
		t.Parallel()
		p := startService(t, nil)
		v, connection := p.visitor("acme"), p.connect("acme")
		p.kombo.InjectFault(kombotest.Fault{Op: "DELETE /integrations/{integration_id}", Code: kombo.CodeInputInvalid})
		wantStatus(t, "disconnecting", v.post("/integrations/disconnect", body("connection", connection.Key)), http.StatusBadGateway)
		wantSame(t, "the connection", connection, p.connection("acme"))
		wantStatus(t, "disconnecting again", v.post("/integrations/disconnect", body("connection", connection.Key)), http.StatusOK)
		wantSame(t, "connections", 0, len(p.connections("acme")))
	})
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

// A browser that leaves while Kombo is called interrupts nothing that has begun.
func TestBrowserLeaves(t *testing.T) {
	t.Parallel()
	type action struct {
		path string
		body func(p *service) string
		done func(p *service) bool
	}
	actions := []action{
		{"/integrations/disconnect", func(p *service) string { return body("connection", p.connect("acme").Key) }, func(p *service) bool {
			return len(p.connections("acme")) == 0 && len(p.kombo.Integrations()) == 0
		}},
		{"/integrations/kombo/activate", func(p *service) string {
			link := p.visitor("acme").link("/integrations/kombo/init", body("category", "ATS"))
			p.kombo.HoldWebhooks()
			return body("token", p.finish(link))
		}, func(p *service) bool {
			c := p.connection("acme")
			return c.State == kombo.StateActive && c.Category == kombo.CategoryATS
		}},
		{"/integrations/kombo/activate", func(p *service) string { // after a reconnection
			c := p.connect("acme")
			if err := p.kombo.SetState(p.t.Context(), c.IntegrationID, kombo.StateInvalid); err != nil {
				p.t.Fatal(err)
			}
			link := p.visitor("acme").link("/integrations/kombo/relink", body("connection", c.Key))
			p.kombo.HoldWebhooks()
			return body("token", p.finish(link))
		}, func(p *service) bool {
			return p.connection("acme").State == kombo.StateActive && len(p.attention()) == 0
		}},
	}
	for i, action := range actions {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d %s, before Kombo is called: %t", i, action.path, before), func(t *testing.T) {
				t.Parallel()
				p := startService(t, nil)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				config := p.app.appConfig
				// As soon as the request is sent, or when its response has come.
				client, err := p.kombo.Client(kombo.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if before {
						leave()
					}
					response, err := http.DefaultTransport.RoundTrip(r)
					leave()
					return response, err
				})}))
				if err != nil {
					t.Fatal(err)
				}
				config.client = client
				app, err := newApp(config)
				if err != nil {
					t.Fatal(err)
				}
				request := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+action.path, strings.NewReader(action.body(p)))
				request.Header.Set("Content-Type", "application/json")
				request.AddCookie(p.visitor("acme").session())
				app.ServeHTTP(httptest.NewRecorder(), request)
				if ctx.Err() == nil || !action.done(p) {
					t.Errorf("connections = %+v, integrations = %+v", p.connections("acme"), p.kombo.Integrations())
				}
				if strings.Contains(p.log.String(), "level=ERROR") {
					t.Errorf("the log is\n%s", p.log)
				}
			})
		}
	}
	t.Run("before anything has begun", func(t *testing.T) {
		t.Parallel()
		p := startService(t, nil)
		actions, cookie := p.actions(), p.visitor("acme").session()
		ctx, leave := context.WithCancel(t.Context())
		leave()
		for path, body := range actions {
			request := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+path, strings.NewReader(body))
			request.Header.Set("Content-Type", "application/json")
			request.AddCookie(cookie)
			p.app.ServeHTTP(httptest.NewRecorder(), request)
		}
		if strings.Contains(p.log.String(), "level=ERROR") {
			t.Errorf("the log is\n%s", p.log)
		}
	})
	t.Run("signing out", func(t *testing.T) {
		t.Parallel()
		p := startService(t, nil)
		v := p.visitor("acme")
		ctx, leave := context.WithCancel(t.Context())
		leave()
		request := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/sign-out", nil)
		request.AddCookie(v.session())
		p.app.ServeHTTP(httptest.NewRecorder(), request)
		wantStatus(t, "the session afterwards", v.get("/settings/connections"), http.StatusUnauthorized)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

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
		"no URL":           {args: []string{"-url", "app.example.com"}, want: "-url: "},
		"no http":          {args: []string{"-url", "ftp://app.example.com"}, want: "-url: "},
		"no host":          {args: []string{"-url", "https://:443"}, want: "-url: "},
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
	if err := run(t.Context(), []string{"-h"}, environment(), help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-url") {
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
