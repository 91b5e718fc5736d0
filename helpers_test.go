package kombo_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

const (
	testAPIKey        = "ks_dev_test-api-key-0123456789"
	testToken         = "eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJ0ZXN0In0.c2lnbmF0dXJl"
	testLink          = "https://connect.kombo.dev/v1?token=eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJsaW5rIn0.c2lnbmF0dXJl"
	testSecret        = "test-webhook-secret"
	testIntegrationID = "personio:Fx7TqWm3kPz9LdRvN2sYbH5c"
)

// sent is a request as it went over the wire.
type sent struct {
	Method, URL, Body string
	Header            http.Header
}

// mocked returns a client on a mock that gives one answer to one request, and any other request
// fails the test; the method "*" stands for every request. What was sent stands in the returned value after the call.
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

// webhooks returns the bodies in testdata by the name of their file.
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

// declaredValues returns the values of the package's enumerations, by the name of their type.
func declaredValues(t testing.TB) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{}
	for _, file := range files {
		for _, spec := range declarations(t, token.CONST, file) {
			enumeration, ok := spec.Type.(*ast.Ident)
			if !ok || len(spec.Values) == 0 || !spec.Names[0].IsExported() {
				continue
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				continue
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			values[enumeration.Name] = append(values[enumeration.Name], value)
		}
	}
	return values
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
