package kombo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sdkcalls"
)

const (
	testAPIKey        = "ks_dev_test-api-key-0123456789"
	testToken         = sdkcalls.Activation
	testLink          = "https://connect.kombo.dev/v1?token=eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJsaW5rIn0.c2lnbmF0dXJl"
	testSecret        = "test-webhook-secret"
	testIntegrationID = sdkcalls.IntegrationID
)

// sent is a request as it was sent.
type sent struct {
	Method, URL, Body string
	Header            http.Header
}

// mocked returns a client whose transport sends one response to one request. Any other request fails the test. The
// method "*" matches every request. After the call, the returned value has the request.
func mocked(t *testing.T, method, url string, status int, body string, options ...kombo.Option) (*kombo.Client, *sent) {
	t.Helper()
	got := &sent{}
	respond := func(r *http.Request) (*http.Response, error) {
		*got = sent{Method: r.Method, URL: r.URL.String(), Header: r.Header.Clone()}
		if r.Body != nil {
			content, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			got.Body = string(content)
		}
		response := httpmock.NewStringResponse(status, body)
		response.Header.Set("Content-Type", "application/json; charset=utf-8")
		return response, nil
	}
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewNotFoundResponder(t.Fatal))
	if method == "*" {
		mock.RegisterNoResponder(respond)
	} else {
		mock.RegisterResponder(method, url, respond)
	}
	options = append([]kombo.Option{
		kombo.WithHTTPClient(&http.Client{Transport: mock}),
		kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}),
	}, options...)
	return newClient(t, options...), got
}

func newClient(t testing.TB, options ...kombo.Option) *kombo.Client {
	t.Helper()
	client, err := kombo.NewClient(testAPIKey, options...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// webhooks returns the bodies in testdata by file name.
func webhooks(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/webhooks/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no webhooks in testdata: %v", err)
	}
	bodies := map[string][]byte{}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bodies[filepath.Base(path)] = body
	}
	return bodies
}

func webhook(t testing.TB, name string) []byte {
	t.Helper()
	body, ok := webhooks(t)[name+".json"]
	if !ok {
		t.Fatalf("no webhook %s in testdata", name)
	}
	return body
}

// declaredErrors returns the names of the exported error variables in a file of the package.
func declaredErrors(t testing.TB, file string) []string {
	t.Helper()
	var names []string
	for _, spec := range declarations(t, token.VAR, file) {
		if name := spec.Names[0].Name; strings.HasPrefix(name, "Err") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatalf("no errors in %s", file)
	}
	return names
}

// declarations returns the constants or variables that a file declares at its top level.
func declarations(t testing.TB, kind token.Token, file string) []*ast.ValueSpec {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var specs []*ast.ValueSpec
	for _, declaration := range parsed.Decls {
		if group, ok := declaration.(*ast.GenDecl); ok && group.Tok == kind {
			for _, spec := range group.Specs {
				specs = append(specs, spec.(*ast.ValueSpec))
			}
		}
	}
	return specs
}

// raceDetector reports whether the tests were built with -race.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// fixture returns a response in testdata/api.
func fixture(t testing.TB, name string) string {
	t.Helper()
	body, err := os.ReadFile("testdata/api/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// checkRoundTrip checks that decoding and encoding a response preserves its data.
func checkRoundTrip(t *testing.T, response string, decoded any) {
	t.Helper()
	var envelope struct{ Data any }
	if err := json.Unmarshal([]byte(response), &envelope); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(decoded)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(envelope.Data, got); diff != "" {
		t.Errorf("encoded again (-want +got):\n%s", diff)
	}
}

func checkSent(t *testing.T, got *sent, wantMethod, wantURL, wantBody, wantIntegrationID string) {
	t.Helper()
	if got.Method != wantMethod || got.URL != wantURL || got.Body != wantBody {
		t.Errorf("on the wire:\n got %s %s %s\nwant %s %s %s", got.Method, got.URL, got.Body, wantMethod, wantURL, wantBody)
	}
	want := http.Header{
		"Authorization": {"Bearer " + testAPIKey}, "Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"kombo-go/" + kombo.Version},
	}
	if wantBody != "" {
		want.Set("Content-Type", "application/json")
	}
	if wantIntegrationID != "" {
		want.Set("X-Integration-Id", wantIntegrationID)
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("headers on the wire (-want +got):\n%s", diff)
	}
}

// checkRefused checks that input was refused before anything was sent.
func checkRefused(t *testing.T, err error, got *sent, want string) {
	t.Helper()
	var kerr *kombo.Error
	if !errors.Is(err, kombo.ErrInvalidInput) || !errors.As(err, &kerr) || kerr.Attempts != 0 || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	if got.Method != "" {
		t.Errorf("sent %s %s", got.Method, got.URL)
	}
}

func envelope(code, title, message, logURL string) string {
	return `{"status":"error","error":{"code":` + code + `,"title":` + title + `,"message":` + message + `,"log_url":` + logURL + `}}`
}

// kinds has every error that errors.Is matches. TestKindsAreComplete compares it with the source.
var kinds = map[string]error{
	"ErrAuthentication":        kombo.ErrAuthentication,
	"ErrIPNotAllowed":          kombo.ErrIPNotAllowed,
	"ErrInvalidInput":          kombo.ErrInvalidInput,
	"ErrIntegrationNotFound":   kombo.ErrIntegrationNotFound,
	"ErrIntegrationNotReady":   kombo.ErrIntegrationNotReady,
	"ErrReconnectRequired":     kombo.ErrReconnectRequired,
	"ErrRateLimited":           kombo.ErrRateLimited,
	"ErrTaskTimedOut":          kombo.ErrTaskTimedOut,
	"ErrNetwork":               kombo.ErrNetwork,
	"ErrUnexpectedResponse":    kombo.ErrUnexpectedResponse,
	"context.Canceled":         context.Canceled,
	"context.DeadlineExceeded": context.DeadlineExceeded,
}

func kindsOf(err error) string {
	var found []string
	for name, kind := range kinds {
		if errors.Is(err, kind) {
			found = append(found, name)
		}
	}
	return strings.Join(found, " ")
}

const notFoundResponse = `{"status":"error","error":{"code":"PLATFORM.INTEGRATION_NOT_FOUND","title":"Not found","message":"No such integration.","log_url":null}}`

// quick makes retries fast enough for tests on real servers.
var quick = kombo.WithRetry(kombo.RetryPolicy{BaseDelay: time.Nanosecond})

func serve(t testing.TB, handler http.HandlerFunc, options ...kombo.Option) (*kombo.Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newClient(t, append([]kombo.Option{kombo.WithBaseURL(server.URL + "/v1"), quick}, options...)...), server
}

func respondWithLink(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"status":"success","data":{"link":"`+testLink+`"}}`)
}

var linkRequest = kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc."}

// hijack sends raw bytes and closes the connection.
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

// waitForHangUp never responds. It reads the body first, because only then does the server notice a disconnect.
func waitForHangUp(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
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

func newVerifier(t testing.TB, secrets ...string) *kombo.WebhookVerifier {
	t.Helper()
	verifier, err := kombo.NewWebhookVerifier(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

func komboError(code string) string {
	return `{"status":"error","error":{"code":"` + code + `","title":"Title","message":"Message.","log_url":null}}`
}
