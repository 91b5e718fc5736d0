package kombo_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

const (
	ownOrigin     = "https://app.example"
	trustedOrigin = "https://www.example:8443"
	evilOrigin    = "https://evil.example"
)

func trusting(origins ...string) func(*kombo.EmbeddedFlowConfig) {
	return func(config *kombo.EmbeddedFlowConfig) {
		signedInAs("42")(config)
		config.TrustedOrigins = origins
	}
}

// send sends a request to a handler at https://app.example, with a body that is valid for all handlers.
func send(t *testing.T, handler http.Handler, method string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, ownOrigin+"/x", strings.NewReader(tokenBody))
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// The headers in which a browser reports the origin of a request decide which methods and content types are
// accepted. The JavaScript in Kombo's guide sends the GET and the text/plain.
func TestEmbeddedFlowOrigins(t *testing.T) {
	t.Parallel()
	const (
		proven   = "GET 200, JSON 200, text 200, form 415"
		unproven = "GET 405, JSON 200, text 415, form 415"
		foreign  = "GET 403, JSON 403, text 403, form 403"
	)
	tests := []struct{ name, site, origin, host, want string }{
		{"a page of the same origin", "same-origin", "", "", proven},
		{"a page of the same origin, with Origin", "same-origin", ownOrigin, "", proven},
		{"an older browser", "", ownOrigin, "", proven},
		{"a native app, or an older browser's GET", "", "", "", unproven},
		{"a bookmark", "none", "", "", unproven},
		{"an extension", "none", "chrome-extension://abcdefghijklmnop", "", unproven},
		{"another site", "cross-site", evilOrigin, "", foreign},
		{"another site without Origin, such as an image", "cross-site", "", "", foreign},
		{"another site in an older browser", "", evilOrigin, "", foreign},
		{"a neighbor", "same-site", "https://blog.app.example", "", foreign},
		{"a neighbor without Origin", "same-site", "", "", foreign},
		{"the same host over plain http", "cross-site", "http://app.example", "", foreign},
		{"another port", "same-site", ownOrigin + ":8443", "", foreign},
		{"another port in an older browser", "", ownOrigin + ":8443", "", foreign},
		{"a host that begins alike", "", ownOrigin + ".evil.example", "", foreign},
		{"a sandboxed frame", "cross-site", "null", "", foreign},
		{"a sandboxed frame in an older browser", "", "null", "", foreign},
		{"a sandboxed frame, and no host", "", "null", "-", foreign},
		{"a trusted origin", "cross-site", trustedOrigin, "", proven},
		{"a trusted neighbor", "same-site", trustedOrigin, "", proven},
		{"a trusted origin in an older browser", "", trustedOrigin, "", proven},
		{"an image on a trusted page", "cross-site", "", "", foreign},
		{"the trusted origin without its port", "cross-site", "https://www.example", "", foreign},
		{"the trusted host over plain http", "cross-site", "http://www.example:8443", "", foreign},
		{"a trusted origin in capitals", "", "HTTPS://WWW.EXAMPLE:8443", "", foreign},
		{"a trusted origin among others", "cross-site", trustedOrigin + ", " + evilOrigin, "", foreign},
		{"an Origin that is none", "", "%zz", "", foreign},
		{"a value that does not exist", "same-origin, cross-site", "", "", foreign},
		{"a value in capitals", "SAME-ORIGIN", evilOrigin, "", foreign},
		// Sec-Fetch-Site decides: the browser knows the address that it called, and a proxy may have changed Host.
		{"the browser contradicts a Host", "same-origin", "https://public.example", "", proven},
		{"the browser contradicts an Origin", "cross-site", ownOrigin, "", foreign},
		{"behind a proxy", "same-origin", ownOrigin, "10.0.0.7:8080", proven},
		{"behind a proxy, an older browser", "", ownOrigin, "10.0.0.7:8080", foreign},
		{"behind a proxy, an older browser, and the public origin is trusted", "", trustedOrigin, "10.0.0.7:8080", proven},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			links := newFlowTest(t, 200, linkResponse, trusting(trustedOrigin))
			activations := newFlowTest(t, 200, connectedResponse, trusting(trustedOrigin))
			header := []string{"Sec-Fetch-Site", test.site, "Origin", test.origin, "X-Forwarded-Host", "evil.example"}
			switch test.host {
			case "":
			case "-":
				header = append(header, "Host", "")
			default:
				header = append(header, "Host", test.host)
			}
			get, relink := send(t, links.InitHandler(), http.MethodGet, header...), send(t, links.RelinkHandler(), http.MethodGet, header...)
			if get.Code != relink.Code {
				t.Errorf("GET of init %d, of relink %d", get.Code, relink.Code)
			}
			text := send(t, activations.ActivateHandler(), http.MethodPost, append(header, "Content-Type", "text/plain;charset=UTF-8")...)
			untyped := send(t, activations.ActivateHandler(), http.MethodPost, header...)
			if text.Code != untyped.Code {
				t.Errorf("text/plain %d, no type %d", text.Code, untyped.Code)
			}
			got := fmt.Sprintf("GET %d, JSON %d, text %d", get.Code,
				send(t, activations.ActivateHandler(), http.MethodPost, append(header, "Content-Type", "application/json")...).Code, text.Code)
			for _, form := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
				response := send(t, activations.ActivateHandler(), http.MethodPost, append(header, "Content-Type", form)...)
				if form == "multipart/form-data; boundary=x" {
					got += fmt.Sprintf(", form %d", response.Code)
				} else if !strings.HasSuffix(test.want, fmt.Sprint("form ", response.Code)) {
					t.Errorf("%s: %d", form, response.Code)
				}
			}
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			if test.want == foreign && (len(links.links) > 0 || len(activations.links) > 0) {
				t.Errorf("asked of Kombo: %s %s", links.links, activations.links)
			}
			// Only links can be fetched, and only with GET and POST.
			for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodOptions, http.MethodGet} {
				wantStatus := http.StatusMethodNotAllowed
				if test.want == foreign {
					wantStatus = http.StatusForbidden
				}
				if w := send(t, activations.ActivateHandler(), method, header...); w.Code != wantStatus {
					t.Errorf("%s of activate: %d, want %d", method, w.Code, wantStatus)
				}
				if w := send(t, links.InitHandler(), method, header...); method != http.MethodGet && w.Code != wantStatus {
					t.Errorf("%s of init: %d, want %d", method, w.Code, wantStatus)
				}
			}
		})
	}
}

// Current browsers work behind a proxy that rewrites Host. For old browsers, the service trusts its public origin.
// X-Forwarded-Host is not trusted, because anyone can send it.
func TestEmbeddedFlowBehindProxy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		trustsPublic bool
		site         string
		want         int
	}{
		{"a current browser", false, "same-origin", 200},
		{"an older browser", false, "", 403},
		{"an older browser, and the public origin is trusted", true, "", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var origins []string
			proxy := &httputil.ReverseProxy{}
			public := serveFlow(t, proxy, false, nil)
			if test.trustsPublic {
				origins = append(origins, public.URL)
			}
			f := newFlowTest(t, 200, linkResponse, trusting(origins...))
			backend, err := url.Parse(serveFlow(t, flowHandlers(f.EmbeddedFlow), false, nil).URL)
			if err != nil {
				t.Fatal(err)
			}
			proxy.Rewrite = func(r *httputil.ProxyRequest) {
				r.SetURL(backend) // rewrites Host
				r.SetXForwarded()
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, public.URL+"/init", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Origin", public.URL)
			if test.site != "" {
				r.Header.Set("Sec-Fetch-Site", test.site)
			}
			response, err := public.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != test.want {
				t.Errorf("%d, want %d; reported %s", response.StatusCode, test.want, f.reported)
			}
		})
	}
}

// Pages of trusted origins can read all responses, including errors. Other pages can read none.
func TestEmbeddedFlowCORS(t *testing.T) {
	t.Parallel()
	allowed := http.Header{"Access-Control-Allow-Origin": {trustedOrigin}, "Access-Control-Allow-Credentials": {"true"}}
	tests := []struct {
		name       string
		handler    string
		method     string
		origin     string
		header     []string
		change     func(*kombo.EmbeddedFlowConfig)
		wantStatus int
		want       http.Header
	}{
		{"success", "init", "POST", trustedOrigin, nil, nil, 200, allowed},
		{"a GET", "init", "GET", trustedOrigin, nil, nil, 200, allowed},
		{"not signed in", "init", "POST", trustedOrigin, nil, func(c *kombo.EmbeddedFlowConfig) {
			c.SignedIn = func(*http.Request) (string, error) { return "", kombo.ErrFlowNotSignedIn }
		}, 401, allowed},
		{"a failure", "relink", "POST", trustedOrigin, nil, refusing(io.ErrNoProgress), 500, allowed},
		{"a panic", "init", "POST", trustedOrigin, nil, func(c *kombo.EmbeddedFlowConfig) {
			c.SignedIn = func(*http.Request) (string, error) { panic("oh") }
		}, 500, allowed},
		{"a wrong method", "init", "PUT", trustedOrigin, nil, nil, 405, allowed},
		{"a wrong type", "activate", "POST", trustedOrigin, []string{"Content-Type", "text/xml"}, nil, 415, allowed},
		{"no preflight", "init", "OPTIONS", trustedOrigin, nil, nil, 405, allowed},
		{"another origin", "init", "POST", evilOrigin, nil, nil, 403, http.Header{}},
		{"another origin's preflight", "init", "OPTIONS", evilOrigin, []string{"Access-Control-Request-Method", "POST"}, nil, 403, http.Header{}},
		{"the same origin's preflight", "init", "OPTIONS", ownOrigin, []string{"Access-Control-Request-Method", "POST"}, nil, 405, http.Header{}},
		{"the same origin", "init", "POST", ownOrigin, nil, nil, 200, http.Header{}},
		{"no origin", "init", "POST", "", nil, nil, 200, http.Header{}},
		{
			"a preflight", "activate", "OPTIONS", trustedOrigin,
			[]string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type", "Sec-Fetch-Site", "cross-site"},
			nil, 204,
			http.Header{
				"Access-Control-Allow-Origin": {trustedOrigin}, "Access-Control-Allow-Credentials": {"true"},
				"Access-Control-Allow-Methods": {"GET, POST"}, "Access-Control-Allow-Headers": {"authorization,content-type"}, "Access-Control-Max-Age": {"600"},
			},
		},
		{
			"a preflight without headers", "init", "OPTIONS", trustedOrigin,
			[]string{"Access-Control-Request-Method", "PUT"},
			nil, 204,
			http.Header{
				"Access-Control-Allow-Origin": {trustedOrigin}, "Access-Control-Allow-Credentials": {"true"},
				"Access-Control-Allow-Methods": {"GET, POST"}, "Access-Control-Max-Age": {"600"},
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFlowTest(t, 200, linkResponse, func(c *kombo.EmbeddedFlowConfig) {
				trusting("http://localhost:3000", trustedOrigin)(c)
				if test.change != nil {
					test.change(c)
				}
			})
			handler := map[string]func() http.Handler{"init": f.InitHandler, "relink": f.RelinkHandler, "activate": f.ActivateHandler}[test.handler]()
			w := send(t, handler, test.method, append(test.header, "Origin", test.origin)...)
			got := http.Header{}
			for name, values := range w.Header() {
				if strings.HasPrefix(name, "Access-Control-") {
					got[name] = values
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" || w.Code != test.wantStatus {
				t.Errorf("%d, want %d; CORS headers (-want +got):\n%s", w.Code, test.wantStatus, diff)
			}
			if vary := w.Header().Values("Vary"); !slices.Contains(vary, "Origin") || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("Vary: %q, Cache-Control: %s", vary, w.Header().Get("Cache-Control"))
			}
		})
	}
}

func TestEmbeddedFlowTrustedOrigins(t *testing.T) {
	t.Parallel()
	try := func(origins ...string) error {
		_, err := kombo.NewEmbeddedFlow(newClient(t), kombo.EmbeddedFlowConfig{
			SignedIn:       func(*http.Request) (string, error) { return "42", nil },
			Link:           func(*http.Request, string) (kombo.CreateLinkRequest, error) { return linkRequest, nil },
			Connected:      func(context.Context, *kombo.ConnectedIntegration) error { return nil },
			TrustedOrigins: origins,
		})
		return err
	}
	for _, origin := range []string{
		"https://app.example", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:5173", "https://app.example:8443", "https://xn--mller-kva.example",
		"capacitor://localhost", "chrome-extension://abcdefghijklmnop", "http://app.example:443", "https://app_1.example",
	} {
		if err := try("https://other.example", origin); err != nil {
			t.Errorf("%s: %v", origin, err)
		}
	}
	for _, origin := range []string{
		"", "null", "*", "app.example", "//app.example", "https://", "https:app.example", "https:///", "https://app.example/", "https://app.example/path",
		"https://app.example?", "https://app.example?a", "https://app.example#", "https://app.example#a", "https://user@app.example", "https://*.app.example", "https://*",
		"https://App.example", "HTTPS://app.example", "https://müller.example", "https://app.example:", "https://:443", "https://:8443", "https://app.example:443", "http://app.example:80", "https://app.example:port",
		"https://app.example,https://b.example", "https://a.example,b.example", "https://a.example https://b.example", " https://app.example", "https://app.example\n", "https://app.ex\x00ample", "https://app%2eexample",
		"https://[::1", "https://app.ex\xffample",
	} {
		err := try("https://other.example", origin)
		if want := fmt.Sprintf("kombo: NewEmbeddedFlow: TrustedOrigins[1] is %q, want an origin as browsers send it", origin); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s…", origin, err, want)
		}
	}
	// The config is copied.
	origins := []string{trustedOrigin}
	f := newFlowTest(t, 200, linkResponse, trusting(origins...))
	origins[0], f.config.TrustedOrigins[0] = evilOrigin, evilOrigin
	if w := send(t, f.InitHandler(), http.MethodPost, "Origin", evilOrigin, "Sec-Fetch-Site", "cross-site"); w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// The three refusals have different responses and different log records.
func TestEmbeddedFlowWarnings(t *testing.T) { //nolint:paralleltest // changes slog's default
	logged := logs(t)
	quiet := func(config *kombo.EmbeddedFlowConfig) {
		trusting(trustedOrigin)(config)
		config.OnError = nil
	}
	long := "https://" + strings.Repeat("\n\x1b[31m\u2028\xff", 1<<18)
	tests := []struct {
		name, origin string
		change       func(*kombo.EmbeddedFlowConfig)
		response     string
		wantBody     string
		wantLog      []string
	}{
		{"another origin", evilOrigin, nil, connectedResponse, "this origin is not allowed; see TrustedOrigins", []string{`a request from another origin, \"https://evil.example\"`, "add it to TrustedOrigins"}},
		{"an endless origin", long, nil, connectedResponse, "this origin is not allowed; see TrustedOrigins", []string{"add it to TrustedOrigins"}},
		{"forbidden", "", func(c *kombo.EmbeddedFlowConfig) {
			c.SignedIn = func(*http.Request) (string, error) { return "", fmt.Errorf("a guest: %w", kombo.ErrFlowForbidden) }
		}, connectedResponse, "this is not allowed", []string{"a guest: kombo: forbidden"}},
		{"another customer's token", "", nil, strings.Replace(connectedResponse, `"42"`, `"43"`, 1), "the integration belongs to another customer", []string{"the token is of another customer's integration"}},
	}
	for _, test := range tests {
		logged.Reset()
		f := newFlowTest(t, 200, test.response, func(c *kombo.EmbeddedFlowConfig) {
			quiet(c)
			if test.change != nil {
				test.change(c)
			}
		})
		header := []string{"Content-Type", "application/json", "Origin", test.origin}
		if test.origin == long {
			header = append(header, "Sec-Fetch-Site", long, "Host", long)
		}
		w := send(t, f.ActivateHandler(), http.MethodPost, header...)
		if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusForbidden || got != `{"error":"`+test.wantBody+`"}` {
			t.Errorf("%s: %d %s", test.name, w.Code, got)
		}
		line := logged.String()
		for _, want := range append(test.wantLog, `level=WARN msg="kombo: embedded flow refused a request" status=403`) {
			if !strings.Contains(line, want) {
				t.Errorf("%s: logged %s, want %s", test.name, line, want)
			}
		}
		if strings.Count(line, "\n") != 1 || len(line) > 16<<10 || strings.Contains(line, testToken) {
			t.Errorf("%s: logged %d bytes, %d lines", test.name, len(line), strings.Count(line, "\n"))
		}
	}
	// A page sends a preflight before it posts JSON, so the preflight must show why the request fails.
	logged.Reset()
	f := newFlowTest(t, 200, connectedResponse, quiet)
	send(t, f.ActivateHandler(), http.MethodOptions, "Access-Control-Request-Method", "POST", "Origin", evilOrigin)
	if !strings.Contains(logged.String(), evilOrigin) {
		t.Errorf("a preflight: logged %s", logged)
	}
}
