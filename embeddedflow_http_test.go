package kombo_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

// flowHandlers mounts the handlers of a flow.
func flowHandlers(f *kombo.EmbeddedFlow) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/init", f.InitHandler())
	mux.Handle("/relink", f.RelinkHandler())
	mux.Handle("/activate", f.ActivateHandler())
	return mux
}

// serveFlow serves a handler on a real connection, HTTP/2 with TLS or HTTP/1.
func serveFlow(t *testing.T, handler http.Handler, http2 bool, configure func(*http.Server)) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if configure != nil {
		configure(server.Config)
	}
	server.EnableHTTP2 = http2
	if http2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// If a body does not arrive completely, the client gets the error, no matter which function reads the body.
func TestEmbeddedFlowBrokenBodies(t *testing.T) {
	t.Parallel()
	length := func(n int, rest string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", n, rest) }
	chunked := func(rest string) string { return "Transfer-Encoding: chunked\r\n\r\n" + rest }
	tests := map[string]struct {
		rest       string
		waits      bool // keeps the connection open
		wantStatus int
		wantError  string
	}{
		"breaks off":                     {length(100, `{"token":"x`), false, 400, "the body cannot be read"},
		"breaks off after a whole value": {length(100, tokenBody), false, 400, "the body cannot be read"},
		"never begins":                   {length(100, ""), false, 400, "the body cannot be read"},
		"chunks break off":               {chunked("5\r\n{\"tok"), false, 400, "the body cannot be read"},
		"chunks without an end":          {chunked("2\r\n{}\r\n"), false, 400, "the body cannot be read"},
		"a chunk without a length":       {chunked("zz\r\n{}\r\n0\r\n\r\n"), true, 400, "the body cannot be read"},
		"a chunk of another length":      {chunked("1\r\n{}\r\n0\r\n\r\n"), true, 400, "the body cannot be read"},
		"a chunk of a negative length":   {chunked("-1\r\n{}\r\n0\r\n\r\n"), true, 400, "the body cannot be read"},
		"a chunk that overflows":         {chunked("ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"), true, 400, "the body cannot be read"},
		"too slow":                       {length(100, `{"token":`), true, 400, "the body cannot be read"},
		"chunks that are too slow":       {chunked("5\r\n{\"tok"), true, 400, "the body cannot be read"},
		"too long":                       {length(64<<10+1, ""), true, 413, "the body is too large"},
		"chunks that are too long":       {chunked("10001\r\n" + strings.Repeat("x", 64<<10+1)), true, 413, "the body is too large"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var reported []string
			f := newFlowTest(t, 200, linkResponse, func(config *kombo.EmbeddedFlowConfig) {
				config.SignedIn = func(*http.Request) (string, error) {
					t.Error("SignedIn is called")
					return "42", nil
				}
				config.OnError = func(_ context.Context, status int, err error) {
					reported = append(reported, fmt.Sprintf("%d %T", status, err))
				}
			})
			server := serveFlow(t, flowHandlers(f.EmbeddedFlow), false, func(s *http.Server) { s.ReadTimeout = 300 * time.Millisecond })
			for _, path := range []string{"/init", "/relink", "/activate"} {
				connection, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = connection.Close() }()
				_, err = io.WriteString(connection, "POST "+path+" HTTP/1.1\r\nHost: app.example\r\nContent-Type: application/json\r\n"+test.rest)
				if err != nil {
					t.Fatal(err)
				}
				if !test.waits {
					if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
						t.Fatal(err)
					}
				}
				response, err := http.ReadResponse(bufio.NewReader(connection), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				if want := `{"error":"` + test.wantError + `"}`; err != nil || response.StatusCode != test.wantStatus || strings.TrimSpace(string(body)) != want {
					t.Errorf("%s: %d %s, %v, want %d %s", path, response.StatusCode, body, err, test.wantStatus, want)
				}
			}
			want := fmt.Sprintf("%d *fmt.wrapError", test.wantStatus)
			if diff := cmp.Diff([]string{want, want, want}, reported); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
		})
	}
}

// HTTP/2 has no chunks that could be malformed. Its bodies can be slow.
func TestEmbeddedFlowSlowBodyHTTP2(t *testing.T) {
	t.Parallel()
	f := newFlowTest(t, 200, linkResponse, nil)
	server := serveFlow(t, flowHandlers(f.EmbeddedFlow), true, func(s *http.Server) { s.ReadTimeout = 300 * time.Millisecond })
	body, slow := io.Pipe()
	defer func() { _ = slow.Close() }()
	go func() { _, _ = io.WriteString(slow, `{"token":`) }()
	response, err := server.Client().Post(server.URL+"/activate", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusBadRequest || response.ProtoMajor != 2 {
		t.Errorf("%s %d", response.Proto, response.StatusCode)
	}
}

// A handler that is called without a server gets requests without a body, and a middleware may set another limit.
func TestEmbeddedFlowUnusualBodies(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/init":     `200 {"link":"` + testLink + `"}`,
		"/relink":   `200 {"link":"` + testLink + `"}`,
		"/activate": `400 {"error":"the body is not {\"token\": \"…\"}"}`,
	} {
		f := newFlowTest(t, 200, linkResponse, signedInAs("42"))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil)
		r.Header.Set("Content-Type", "application/json")
		r.Body = nil
		w := httptest.NewRecorder()
		flowHandlers(f.EmbeddedFlow).ServeHTTP(w, r)
		if got := fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String())); got != want {
			t.Errorf("%s without a body: %s, want %s", path, got, want)
		}
		w = httptest.NewRecorder()
		r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(tokenBody))
		r.Header.Set("Content-Type", "application/json")
		http.MaxBytesHandler(flowHandlers(f.EmbeddedFlow), 10).ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with another limit: %d %s", path, w.Code, w.Body)
		}
	}
}

// A browser that disconnects is not a failure. The last step of a flow still completes.
func TestEmbeddedFlowBrowserLeaves(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path, during string
		wantReported string // the status of what OnError gets
		wantStored   bool
	}{
		"SignedIn of init":     {"/init", "SignedIn", "499", false},
		"Link":                 {"/init", "Link", "499", false},
		"create-link":          {"/init", "Kombo", "499", false},
		"Relink":               {"/relink", "Relink", "499", false},
		"relink":               {"/relink", "Kombo", "499", false},
		"SignedIn of activate": {"/activate", "SignedIn", "499", false},
		"the exchange":         {"/activate", "Kombo", "", true},
		"Connected":            {"/activate", "Connected", "", true},
		"a failing Connected":  {"/activate", "failing Connected", "500", false},
		"a panic":              {"/init", "panic", "500", false},
	}
	for name, test := range tests {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %t", name, http2), func(t *testing.T) {
				t.Parallel()
				var reported []string
				_, stored := leave(t, test.path, test.during, http2, func(_ context.Context, status int, err error) {
					reported = append(reported, fmt.Sprint(status))
				})
				if got := strings.Join(reported, " "); got != test.wantReported || stored != test.wantStored {
					t.Errorf("reported %q, stored: %t; want %q, %t", got, stored, test.wantReported, test.wantStored)
				}
			})
		}
	}
}

// Without OnError, a browser that disconnects is not logged, unless its connection is lost to the store.
func TestEmbeddedFlowBrowserLeavesQuietly(t *testing.T) { //nolint:paralleltest // changes slog's default
	logged := logs(t)
	for _, step := range [][2]string{
		{"/init", "SignedIn"},
		{"/init", "Link"},
		{"/init", "Kombo"},
		{"/relink", "Relink"},
		{"/relink", "Kombo"},
		{"/activate", "SignedIn"},
		{"/activate", "Kombo"},
		{"/activate", "Connected"},
	} {
		status, _ := leave(t, step[0], step[1], false, nil)
		if logged.Len() > 0 || status == http.StatusBadGateway {
			t.Errorf("%s of %s: %d, logged %s", step[1], step[0], status, logged)
		}
		logged.Reset()
	}
	for _, http2 := range []bool{false, true} {
		leaveDuringBody(t, http2)
		if logged.Len() > 0 {
			t.Errorf("during the body: logged %s", logged)
		}
	}
	leave(t, "/activate", "failing Connected", false, nil)
	if !strings.Contains(logged.String(), `level=ERROR msg="kombo: embedded flow failed" status=500`) {
		t.Errorf("logged %s", logged)
	}
}

// leave disconnects a browser during a step of a flow and lets the step continue. It returns the status that an
// access log would contain, and whether the integration was stored.
func leave(t *testing.T, path, during string, http2 bool, onError func(context.Context, int, error)) (status int, stored bool) {
	t.Helper()
	begun, left, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	// step waits if it is the one during which the browser disconnects.
	step := func(ctx context.Context, name string) error {
		if name != during {
			return nil
		}
		close(begun)
		<-left
		return ctx.Err()
	}
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = step(context.Background(), "Kombo")
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, connectedResponse)
			return
		}
		if during == "Kombo" { // the call ends when the request of the browser ends
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}
		respondWithLink(w, r)
	})
	flow, err := kombo.NewEmbeddedFlow(client, kombo.EmbeddedFlowConfig{
		SignedIn: func(r *http.Request) (string, error) { return "42", step(r.Context(), "SignedIn") },
		Link: func(r *http.Request, _ string) (kombo.CreateLinkRequest, error) {
			_ = step(context.Background(), "panic")
			if during == "panic" {
				panic("oh")
			}
			if err := step(r.Context(), "Link"); err != nil {
				return kombo.CreateLinkRequest{}, errors.New("the driver hides why") // as some database drivers do
			}
			return linkRequest, nil
		},
		Relink: func(r *http.Request, _ string) (string, kombo.RelinkRequest, error) {
			return testIntegrationID, kombo.RelinkRequest{}, step(r.Context(), "Relink")
		},
		Connected: func(ctx context.Context, _ *kombo.ConnectedIntegration) error {
			if err := errors.Join(step(ctx, "Connected"), step(ctx, "failing Connected")); err != nil {
				return err
			}
			if during == "failing Connected" {
				return fmt.Errorf("the database: %w", context.Canceled)
			}
			stored = true
			return nil
		},
		OnError: onError,
	})
	if err != nil {
		t.Fatal(err)
	}
	handlers := flowHandlers(flow)
	server := serveFlow(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		context.AfterFunc(r.Context(), func() { close(left) })
		recorded := httptest.NewRecorder()
		handlers.ServeHTTP(recorded, r)
		status = recorded.Code
	}), http2, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+path, strings.NewReader(tokenBody))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	go func() {
		<-begun
		cancel()
	}()
	if response, err := server.Client().Do(r); err == nil {
		_ = response.Body.Close()
		t.Errorf("a response: %d", response.StatusCode)
	}
	<-done
	return status, stored
}

// leaveDuringBody disconnects a browser before it has sent the whole body.
func leaveDuringBody(t *testing.T, http2 bool) {
	t.Helper()
	f := newFlowTest(t, 200, connectedResponse, func(config *kombo.EmbeddedFlowConfig) { config.OnError = nil })
	begun, done := make(chan struct{}), make(chan struct{})
	server := serveFlow(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		close(begun)
		f.ActivateHandler().ServeHTTP(w, r)
	}), http2, nil)
	body, sender := io.Pipe()
	go func() {
		_, _ = io.WriteString(sender, `{"token":`)
		<-begun
		_ = sender.CloseWithError(context.Canceled)
	}()
	if response, err := server.Client().Post(server.URL, "application/json", body); err == nil {
		_ = response.Body.Close()
		t.Errorf("a response: %d", response.StatusCode)
	}
	<-done
}

// logs returns what is logged to slog's default logger.
func logs(t *testing.T) *bytes.Buffer {
	t.Helper()
	var logged bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &logged
}

// If the request's own deadline ends, the browser is still there and waits for a response.
func TestEmbeddedFlowDeadline(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/init":     "502, reported 502, stored: false",
		"/relink":   "502, reported 502, stored: false",
		"/activate": "200, reported , stored: true",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFlowTest(t, 200, "", signedInAs("42"))
				mock := httpmock.NewMockTransport()
				mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
					select {
					case <-time.After(time.Minute):
						return httpmock.NewStringResponse(200, connectedResponse), nil
					case <-r.Context().Done():
						return nil, r.Context().Err()
					}
				})
				stored, reported := false, ""
				f.config.Connected = func(ctx context.Context, _ *kombo.ConnectedIntegration) error {
					stored = true
					return ctx.Err()
				}
				f.config.OnError = func(_ context.Context, status int, _ error) { reported = fmt.Sprint(status) }
				flow, err := kombo.NewEmbeddedFlow(newClient(t, kombo.WithTimeout(0), kombo.WithHTTPClient(&http.Client{Transport: mock})), f.config)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(tokenBody))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				flowHandlers(flow).ServeHTTP(w, r)
				if got := fmt.Sprintf("%d, reported %s, stored: %t", w.Code, reported, stored); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			})
		})
	}
}

// Work that continues after the browser has disconnected has a separate time limit and keeps the values of the
// request's context.
func TestEmbeddedFlowActivationEnds(t *testing.T) {
	t.Parallel()
	type key struct{}
	for name, want := range map[string]string{"the exchange": "502 after 2m0s", "Connected": "500 after 2m0s"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFlowTest(t, 200, "", signedInAs("42"))
				mock := httpmock.NewMockTransport()
				mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
					if name == "the exchange" {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return httpmock.NewStringResponse(200, connectedResponse), nil
				})
				f.config.Connected = func(ctx context.Context, _ *kombo.ConnectedIntegration) error {
					if ctx.Value(key{}) != "value" {
						t.Errorf("value = %v", ctx.Value(key{}))
					}
					<-ctx.Done()
					return ctx.Err()
				}
				f.config.OnError = func(ctx context.Context, _ int, _ error) {
					if ctx.Err() != nil || ctx.Value(key{}) != "value" {
						t.Errorf("context of OnError: %v", ctx)
					}
				}
				flow, err := kombo.NewEmbeddedFlow(newClient(t, kombo.WithTimeout(0), kombo.WithHTTPClient(&http.Client{Transport: mock})), f.config)
				if err != nil {
					t.Fatal(err)
				}
				// The browser has disconnected already.
				ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
				cancel()
				r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/activate", strings.NewReader(tokenBody))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				began := time.Now()
				flow.ActivateHandler().ServeHTTP(w, r)
				if got := fmt.Sprintf("%d after %v", w.Code, time.Since(began)); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			})
		})
	}
}

// A function that panics with http.ErrAbortHandler aborts the response, as net/http does.
func TestEmbeddedFlowAborts(t *testing.T) {
	t.Parallel()
	abort := map[string]func(*kombo.EmbeddedFlowConfig){
		"SignedIn": func(c *kombo.EmbeddedFlowConfig) {
			c.SignedIn = func(*http.Request) (string, error) { panic(http.ErrAbortHandler) }
		},
		"Link": func(c *kombo.EmbeddedFlowConfig) {
			c.Link = func(*http.Request, string) (kombo.CreateLinkRequest, error) { panic(http.ErrAbortHandler) }
		},
		"Relink": func(c *kombo.EmbeddedFlowConfig) {
			c.Relink = func(*http.Request, string) (string, kombo.RelinkRequest, error) { panic(http.ErrAbortHandler) }
		},
		"Connected": func(c *kombo.EmbeddedFlowConfig) {
			c.Connected = func(context.Context, *kombo.ConnectedIntegration) error { panic(http.ErrAbortHandler) }
		},
	}
	for name, change := range abort {
		path := map[string]string{"SignedIn": "/init", "Link": "/init", "Relink": "/relink", "Connected": "/activate"}[name]
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %t", name, http2), func(t *testing.T) {
				t.Parallel()
				var reported, logged bytes.Buffer
				f := newFlowTest(t, 200, connectedResponse, func(c *kombo.EmbeddedFlowConfig) {
					signedInAs("42")(c)
					c.OnError = func(_ context.Context, status int, err error) { fmt.Fprint(&reported, status, err) }
					change(c)
				})
				server := serveFlow(t, flowHandlers(f.EmbeddedFlow), http2, func(s *http.Server) { s.ErrorLog = log.New(&logged, "", 0) })
				response, err := server.Client().Post(server.URL+path, "application/json", strings.NewReader(tokenBody))
				if err == nil {
					_ = response.Body.Close()
					t.Errorf("a response: %d", response.StatusCode)
				}
				server.Close()
				if reported.Len() > 0 || logged.Len() > 0 {
					t.Errorf("reported %s, logged %s", &reported, &logged)
				}
			})
		}
	}
}

// With routers such as echo and gin, r.PathValue is empty unless an adapter sets the values. The contexts of those
// routers are kept.
func TestEmbeddedFlowOtherRouters(t *testing.T) {
	t.Parallel()
	type params struct{}
	var mutex sync.Mutex
	var got []string
	f := newFlowTest(t, 200, linkResponse, func(config *kombo.EmbeddedFlowConfig) {
		config.SignedIn = func(r *http.Request) (string, error) {
			mutex.Lock()
			defer mutex.Unlock()
			got = append(got, fmt.Sprintf("path value %q, context %v", r.PathValue("connection"), r.Context().Value(params{})))
			return "42", nil
		}
		config.Relink = func(r *http.Request, _ string) (string, kombo.RelinkRequest, error) {
			return r.PathValue("connection"), kombo.RelinkRequest{}, nil
		}
	})
	relink := f.RelinkHandler()
	mux := http.NewServeMux()
	mux.Handle("/connections/{connection}/relink", relink)
	// other is a router that keeps its parameters in the context of the request.
	other := func(adapt func(r *http.Request, connection string)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			connection := strings.Split(r.URL.Path, "/")[2]
			r = r.WithContext(context.WithValue(r.Context(), params{}, connection))
			adapt(r, connection)
			relink.ServeHTTP(w, r)
		})
	}
	for _, test := range []struct {
		name, wantSeen, wantReported string
		router                       http.Handler
		wantStatus                   int
	}{
		{"net/http", `path value "7", context <nil>`, "", mux, 200},
		{"another", `path value "", context 7`, "500 kombo: EmbeddedFlow: relink: Relink returned no integration ID (PathValue is empty with routers such as echo and gin)", other(func(*http.Request, string) {}), 500},
		{"another with an adapter", `path value "7", context 7`, "", other(func(r *http.Request, connection string) { r.SetPathValue("connection", connection) }), 200},
	} {
		got, f.reported = nil, nil
		server := serveFlow(t, test.router, false, nil)
		response, err := server.Client().Post(server.URL+"/connections/7/relink", "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if seen := strings.Join(got, "\n"); response.StatusCode != test.wantStatus || seen != test.wantSeen || strings.Join(f.reported, "\n") != test.wantReported {
			t.Errorf("%s: %d, seen %s, reported %s", test.name, response.StatusCode, seen, f.reported)
		}
	}
}
