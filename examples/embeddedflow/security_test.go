package main

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// If another site points its host name here, the browser sees one origin. Only the Host header shows it.
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
		{"POST", "/healthz"},
		{"POST", "/webhooks/kombo"},
		{"GET", "/nothing"},
	}
	asked := p.requests()
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
	wantSame(t, "requests of Kombo", asked, p.requests())
	wantSame(t, "the connection", connection, p.connection("acme"))

	// An absolute URL takes precedence over the header, and HTTP/1.0 needs neither.
	for first, want := range map[string]string{
		"GET http://evil.example/favicon.ico HTTP/1.1\r\nHost: localhost": "421", "GET http://localhost/favicon.ico HTTP/1.1\r\nHost: evil.example": "204", "GET /favicon.ico HTTP/1.0": "421",
		"GET /healthz HTTP/1.1\r\nHost: 10.1.2.3:8080": "200", "GET /healthz HTTP/1.0": "200", "GET //healthz HTTP/1.1\r\nHost: evil.example": "421",
	} {
		conn, err := net.Dial("tcp", p.address().Host)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, first+"\r\nConnection: close\r\n\r\n")
		content, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(strings.TrimLeft(string(content), "HTP/1.0 "), want) {
			t.Errorf("%q = %q, %v", first, content, err)
		}
		_ = conn.Close()
	}
	if !strings.Contains(p.log.String(), "-url") {
		t.Error("the log does not say what to do")
	}
}

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

// Pages load one external file in one version, and browsers check its hash.
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
