package kombo_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// quick makes retries fast enough for tests on real servers.
var quick = kombo.WithRetry(kombo.RetryPolicy{BaseDelay: time.Nanosecond})

func serve(t testing.TB, handler http.HandlerFunc, options ...kombo.Option) (*kombo.Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newClient(t, append([]kombo.Option{kombo.WithBaseURL(server.URL + "/v1"), quick}, options...)...), server
}

func answerLink(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"status":"success","data":{"link":"`+testLink+`"}}`)
}

var linkRequest = kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc."}

// 64 callers need 64 connections, not one for each call. They call in rounds, all at once: the server
// answers nobody before everybody has asked.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	const callers, rounds = 64, 50
	var connections atomic.Int64
	everybody := newMeeting(callers)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		everybody.wait()
		answerLink(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := newClient(t, kombo.WithBaseURL(server.URL+"/v1"))
	for range rounds {
		var wait sync.WaitGroup
		for range callers {
			wait.Go(func() {
				if _, err := client.Connect.CreateLink(t.Context(), linkRequest); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
	}
	t.Logf("%d calls by %d callers opened %d connections", callers*rounds, callers, connections.Load())
	if got := connections.Load(); got > callers+callers/8 {
		t.Errorf("%d calls by %d callers opened %d connections", callers*rounds, callers, got)
	}
}

// meeting lets nobody go on before everybody has come, again and again.
type meeting struct {
	mutex    sync.Mutex
	size     int
	missing  int
	complete chan struct{}
}

func newMeeting(size int) *meeting {
	return &meeting{size: size, missing: size, complete: make(chan struct{})}
}

func (m *meeting) wait() {
	m.mutex.Lock()
	complete := m.complete
	if m.missing--; m.missing == 0 {
		close(complete)
		m.missing, m.complete = m.size, make(chan struct{})
	}
	m.mutex.Unlock()
	<-complete
}

// A failed answer, and a failed call, leave the connection and the caller's pool as they are.
func TestFailuresKeepIdleConnections(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write(bytes.Repeat([]byte("x"), 100<<10))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := newClient(t, kombo.WithBaseURL(server.URL), quick, kombo.WithHTTPClient(&http.Client{Transport: transport}))
	for range 5 {
		if _, err := client.CheckAPIKey(t.Context()); err == nil {
			t.Fatal("no error")
		}
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("20 attempts opened %d connections, want 1", got)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{"", "/elsewhere", "https://other.example/?token=eyJhbGciOiJIUzI1NiJ9", "http://%zz"} {
			var elsewhere atomic.Int64
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.URL.Path, "/v1/") {
					elsewhere.Add(1)
				}
				if location != "" {
					w.Header().Set("Location", location)
				}
				w.WriteHeader(status)
			}, kombo.WithHTTPClient(&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}))
			err := client.Integrations.Delete(t.Context(), testIntegrationID)
			var kerr *kombo.Error
			if !errors.Is(err, kombo.ErrUnexpectedResponse) || !errors.As(err, &kerr) || kerr.StatusCode != status || kerr.Attempts != 1 {
				t.Errorf("%d to %q: %v", status, location, err)
			}
			if elsewhere.Load() != 0 {
				t.Errorf("%d to %q was followed", status, location)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "other.example") {
				t.Errorf("%d: the error tells the Location: %v", status, err)
			}
		}
	}
}

// hijack answers with raw bytes, and then cuts the connection.
func hijack(t testing.TB, raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(connection, raw)
		_ = connection.Close()
	}
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	good := `{"status":"success","data":{"link":"` + testLink + `"}}`
	tests := []struct{ name, raw string }{
		{"cut before the headers", ""},
		{"cut in the headers", head},
		{"cut before the body", head + "Content-Length: 100\r\n\r\n"},
		{"cut in the body", head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(good)+1, good)},
		{"cut in a chunk", head + "Transfer-Encoding: chunked\r\n\r\n20\r\n{\"status\""},
		{"cut after a chunk", head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(good), good)},
		{"no HTTP", "220 mail.example ESMTP\r\n"},
		{"two lengths", head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			broken := hijack(t, test.raw)
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) < 4 {
					broken(w, r)
					return
				}
				answerLink(w, r)
			})
			link, err := client.Connect.CreateLink(t.Context(), linkRequest)
			if err != nil || link.URL != testLink || requests.Load() != 4 {
				t.Errorf("CreateLink = %v, %v after %d requests, want success with the fourth", link, err, requests.Load())
			}

			requests.Store(-1000)
			_, err = client.Connect.CreateLink(t.Context(), linkRequest)
			var kerr *kombo.Error
			if !errors.Is(err, kombo.ErrNetwork) || !errors.As(err, &kerr) || kerr.Attempts != 4 || kerr.StatusCode != 0 {
				t.Errorf("error = %v, want ErrNetwork after 4 attempts", err)
			}
		})
	}
}

func TestSlowBodyEndsWithTheTimeLimit(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":`)
		_ = http.NewResponseController(w).Flush()
		<-done
	}, kombo.WithTimeout(50*time.Millisecond), kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	defer close(done)
	_, err := client.CheckAPIKey(t.Context())
	if !errors.Is(err, kombo.ErrNetwork) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error = %v, want ErrNetwork and os.ErrDeadlineExceeded", err)
	}
}

// After 101 the connection belongs to another protocol, and nothing ends it.
func TestSwitchingProtocolsIsNoAnswer(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
		<-done
		_ = connection.Close()
	})
	defer close(done)
	_, err := client.CheckAPIKey(t.Context())
	if !errors.Is(err, kombo.ErrUnexpectedResponse) {
		t.Errorf("error = %v, want ErrUnexpectedResponse", err)
	}
}

func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	client, server := serve(t, answerLink)
	server.Close()
	_, err := client.Connect.CreateLink(t.Context(), linkRequest)
	var kerr *kombo.Error
	var netErr *net.OpError
	if !errors.Is(err, kombo.ErrNetwork) || !errors.As(err, &kerr) || kerr.Attempts != 4 || !errors.As(err, &netErr) {
		t.Errorf("error = %v, want ErrNetwork after 4 attempts", err)
	}
}

func TestUntrustedCertificateIsNotRetried(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(answerLink))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	_, err := newClient(t, kombo.WithBaseURL(server.URL), quick).CheckAPIKey(t.Context())
	var kerr *kombo.Error
	var unknown x509.UnknownAuthorityError
	if !errors.Is(err, kombo.ErrNetwork) || !errors.As(err, &kerr) || kerr.Attempts != 1 || !errors.As(err, &unknown) {
		t.Errorf("error = %v, want one attempt and x509.UnknownAuthorityError", err)
	}
}

func TestPlainHTTPOnATLSPortIsNotRetried(t *testing.T) {
	t.Parallel()
	_, server := serve(t, answerLink)
	client := newClient(t, quick, kombo.WithBaseURL(strings.Replace(server.URL, "http:", "https:", 1)))
	_, err := client.CheckAPIKey(t.Context())
	var kerr *kombo.Error
	if !errors.Is(err, kombo.ErrNetwork) || !errors.As(err, &kerr) || kerr.Attempts != 1 {
		t.Errorf("error = %v, want one attempt", err)
	}
}

func TestTLSAndHTTP2(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("protocol = %s", r.Proto)
		}
		answerLink(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12},
	}
	defer transport.CloseIdleConnections()
	client := newClient(t, kombo.WithBaseURL(server.URL), kombo.WithHTTPClient(&http.Client{Transport: transport}))
	if _, err := client.Connect.CreateLink(t.Context(), linkRequest); err != nil {
		t.Error(err)
	}
}

func TestPathValuesArriveAsOneSegment(t *testing.T) {
	t.Parallel()
	for _, id := range []string{testIntegrationID, "a/b", "..a/b..", "a?b#c", "%2e%2e", "ä ö+ü", "\r\nX: y"} {
		mux := http.NewServeMux()
		got := ""
		mux.HandleFunc("DELETE /v1/integrations/{id}", func(w http.ResponseWriter, r *http.Request) {
			got = r.PathValue("id")
			_, _ = io.WriteString(w, `{"status":"success","data":{}}`)
		})
		client, _ := serve(t, mux.ServeHTTP)
		if err := client.Integrations.Delete(t.Context(), id); err != nil || got != id {
			t.Errorf("%q arrived as %q, %v", id, got, err)
		}
	}
}

// The caller's http.Client is used, but never changed.
func TestCallersHTTPClient(t *testing.T) {
	t.Parallel()
	jar := &countingJar{}
	original := &http.Client{Jar: jar, Timeout: time.Minute}
	before := *original
	client, server := serve(t, answerLink, kombo.WithHTTPClient(original))
	if _, err := client.Connect.CreateLink(t.Context(), linkRequest); err != nil {
		t.Fatal(err)
	}
	if original.Transport != before.Transport || original.CheckRedirect != nil || original.Timeout != before.Timeout || original.Jar != before.Jar {
		t.Errorf("the client was changed: %+v", original)
	}
	if jar.asked.Load() != 1 {
		t.Errorf("the cookie jar was asked %d times", jar.asked.Load())
	}
	original.Transport = failing{}
	if _, err := client.Connect.CreateLink(t.Context(), linkRequest); err != nil {
		t.Errorf("a later change of the caller's client counts: %v", err)
	}
	_ = server
}

type countingJar struct{ asked atomic.Int64 }

func (*countingJar) SetCookies(*url.URL, []*http.Cookie) {}

func (j *countingJar) Cookies(*url.URL) []*http.Cookie {
	j.asked.Add(1)
	return nil
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("not me") }

// A run with every fault that could repeat a secret, and everything that a program could print of
// it: neither key, nor token, nor link, nor webhook secret.
func TestNothingSecretIsSaid(t *testing.T) {
	t.Parallel()
	var said syncBuffer
	logger := slog.New(slog.NewJSONHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: false}))
	const opaqueToken = "opaque-activation-token/with slash"

	echo := func(status int, contentType, format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			all := fmt.Sprintf("%s %s %s %s", r.Header.Get("Authorization"), r.URL.Path, r.URL.EscapedPath(), testLink)
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, format, all)
		}
	}
	leaking := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("proxy said: %w", &url.Error{
			Op: "Get", URL: r.URL.String(), Err: fmt.Errorf("header %v of %s", r.Header, r.URL.Path),
		})
	})
	faults := map[string]struct {
		handler http.HandlerFunc
		options []kombo.Option
	}{
		"error that repeats":         {handler: echo(400, "application/json", `{"status":"error","error":{"code":"%[1]s","title":"%[1]s","message":"%[1]s","log_url":"%[1]s"}}`)},
		"HTML that repeats":          {handler: echo(502, "text/html", "<html>%s</html>")},
		"success without its fields": {handler: echo(200, "application/json", `{"status":"success","data":{"lnk":"%s"}}`)},
		"success that is no JSON":    {handler: echo(200, "text/plain", "%s")},
		"content type that repeats":  {handler: func(w http.ResponseWriter, r *http.Request) { echo(500, "text/x-"+testAPIKey+r.URL.Path, "%s")(w, r) }},
		"header that is none": {handler: func(w http.ResponseWriter, r *http.Request) {
			hijack(t, "HTTP/1.1 200 OK\r\nEcho "+r.Header.Get("Authorization")+r.URL.Path+r.URL.EscapedPath()+"\r\n\r\n")(w, r)
		}},
		"status line that repeats": {handler: func(w http.ResponseWriter, r *http.Request) {
			hijack(t, "HTTP/1.1 2OO "+r.Header.Get("Authorization")+r.URL.Path+r.URL.EscapedPath()+"\r\n\r\n")(w, r)
		}},
		"redirect that repeats": {handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://evil.example"+r.URL.Path+"?token="+testToken)
			w.WriteHeader(302)
		}},
		"no HTTP that repeats":    {handler: hijack(t, "Bearer "+testAPIKey+" "+testToken+"\r\n\r\n")},
		"cut":                     {handler: hijack(t, "")},
		"transport that repeats":  {handler: answerLink, options: []kombo.Option{kombo.WithHTTPClient(&http.Client{Transport: leaking})}},
		"time limit":              {handler: waitForHangUp, options: []kombo.Option{kombo.WithTimeout(20 * time.Millisecond)}},
		"everything goes well":    {handler: answerLink},
		"rate limit that repeats": {handler: echo(429, "text/plain", "%s")},
	}
	for name, fault := range faults {
		client, server := serve(t, fault.handler, append([]kombo.Option{kombo.WithLogger(logger)}, fault.options...)...)
		server.Config.ErrorLog = log.New(&said, "", 0)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		because, cancelBecause := context.WithCancelCause(t.Context())
		cancelBecause(&url.Error{Op: "Get", URL: testLink, Err: errors.New("key " + testAPIKey)})
		for _, ctx := range []context.Context{t.Context(), cancelled, because} {
			for _, call := range allCalls {
				say(&said, logger, name, call(ctx, client))
			}
			_, err := client.Connect.IntegrationByToken(ctx, opaqueToken)
			say(&said, logger, name, err)
			_, err = kombo.Call[employee](ctx, client, kombo.Request{
				Path: "/connect/integration-by-token/{token}", PathValues: []string{opaqueToken},
			})
			say(&said, logger, name, err)
			link, _ := client.Connect.CreateLink(ctx, linkRequest)
			relink, _ := client.Integrations.Relink(ctx, testIntegrationID, kombo.RelinkRequest{})
			setup, _ := client.Integrations.SetupLink(ctx, testIntegrationID, kombo.SetupLinkRequest{LinkType: kombo.LinkTypeEmbedded})
			for _, value := range []any{client, *client, link, relink, setup} {
				_, _ = fmt.Fprintf(&said, "%v %+v %#v\n", value, value, value)
				logger.Info(name, "value", value)
			}
		}
	}
	verifier := newVerifier(t, testSecret)
	body := webhook(t, "integration-created")
	for _, signature := range []string{"", "wrong", kombo.SignWebhook("other", body)} {
		_, err := verifier.Parse(body, signature)
		say(&said, logger, "webhook", err)
	}
	_, _ = fmt.Fprintf(&said, "%v %+v %#v", verifier, verifier, verifier)

	text := said.String()
	if !strings.Contains(text, "[redacted]") || strings.Count(text, `"msg":"kombo: attempt"`) < 50 {
		t.Fatalf("the run did not say what it should have:\n%s", text)
	}
	for _, secret := range []string{
		testAPIKey, testToken, opaqueToken, url.PathEscape(opaqueToken), url.QueryEscape(opaqueToken), "opaque-activation",
		testLink, "eyJ", testSecret, kombo.SignWebhook(testSecret, body),
	} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%q was said: …%s…", secret, text[max(0, i-300):min(len(text), i+100)])
		}
	}
}

// go-retryablehttp logs to stderr, URLs included, unless it is told not to. A program's own streams
// are seen from outside only, so the run above runs again in a process of its own.
func TestNothingIsPrinted(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestNothingSecretIsSaid$", "-test.v")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil || !strings.Contains(stdout.String(), "--- PASS: TestNothingSecretIsSaid") {
		t.Fatalf("%v: %s", err, &stdout)
	}
	if stderr.Len() > 0 {
		t.Errorf("printed to stderr: %.1000s", &stderr)
	}
	for _, secret := range []string{testAPIKey, "eyJ", "opaque-activation", testSecret} {
		if strings.Contains(stdout.String(), secret) {
			t.Errorf("printed to stdout: %.1000s", &stdout)
		}
	}
}

// waitForHangUp never answers. The server notices that the client has gone once it has read the body.
func waitForHangUp(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// say prints err in every way that a program could.
func say(to io.Writer, logger *slog.Logger, name string, err error) {
	for ; err != nil; err = errors.Unwrap(err) {
		_, _ = fmt.Fprintf(to, "%v %+v %#v %s %q\n", err, err, err, err, err)
		logger.Error(name, "error", err)
		if kerr := (*kombo.Error)(nil); errors.As(err, &kerr) {
			_, _ = fmt.Fprintf(to, "%s %+v\n", kerr.Body, *kerr)
		}
		if urlErr := (*url.Error)(nil); errors.As(err, &urlErr) {
			_, _ = fmt.Fprintf(to, "%v\n", urlErr)
		}
		for _, found := range []any{
			new(net.Error), new(*net.OpError), new(textproto.ProtocolError), new(interface{ Unwrap() []error }), new(interface{ Timeout() bool }),
		} {
			if errors.As(err, found) {
				_, _ = fmt.Fprintf(to, "%v %+v\n", reflect.ValueOf(found).Elem(), reflect.ValueOf(found).Elem())
			}
		}
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type syncBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}
