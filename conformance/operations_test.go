package conformance_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// Every operation of Kombo's API is called through Call or List, against Prism: it checks requests against the
// OpenAPI document, and makes up responses from it, the examples in it as well as random ones.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	path := operationsDocument(t)
	document := loadOperations(t, path)
	prism := startPrism(t, path)
	client, err := kombo.NewClient("ks_dev_conformance-0123456789", kombo.WithBaseURL(prism.url),
		kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}), kombo.WithHTTPClient(&http.Client{Transport: prism}))
	if err != nil {
		t.Fatal(err)
	}
	prism.refusesInvalidRequests(t)

	operations, lists := 0, 0
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		for method, operation := range document.Paths[path] {
			operations++
			if operation.isList(document, method) {
				lists++
			}
			t.Run(method+" "+path, func(t *testing.T) {
				t.Parallel()
				for _, kind := range []string{"static", "random", "random"} {
					for _, complete := range []bool{false, true} {
						recorder := &recorder{prefer: fmt.Sprintf("code=200, dynamic=%t", kind == "random")}
						c := caller{t: t, client: client, document: document, recorder: recorder, complete: complete}
						c.call(context.WithValue(t.Context(), recorderKey{}, recorder), strings.ToUpper(method), path, operation)
					}
				}
			})
		}
	}
	// go test -v shows it.
	t.Logf("%d operations, of which %d are lists reached by List, and %d are reached by Call", operations, lists, operations-lists)
	if operations < 121 || lists < 39 {
		t.Errorf("the document has fewer operations or lists than Kombo had in May 2026: 121 and 39")
	}
}

// operationsDocument returns the path of the document: the whole one if it is there, or else what the program extract
// keeps of it.
func operationsDocument(t *testing.T) string {
	t.Helper()
	path := os.Getenv("KOMBO_OPENAPI_FULL")
	if path == "" {
		path = filepath.Join("testdata", "operations.json")
		beside, err := filepath.Glob(filepath.Join("..", "..", "shared", "openapi", "kombo-full-*.openapi.json"))
		if err == nil && len(beside) > 0 {
			path = beside[len(beside)-1]
		}
	}
	t.Logf("the document is %s", filepath.Base(path))
	return path
}

// caller calls one operation with the parameters and properties that are required, or with all.
type caller struct {
	t        *testing.T
	client   *kombo.Client
	document *operations
	recorder *recorder
	complete bool
}

// record has what items of most lists and results of most actions have in common.
type record struct {
	ID              string     `json:"id"`
	RemoteID        *string    `json:"remote_id"`
	ChangedAt       time.Time  `json:"changed_at"`
	RemoteDeletedAt *time.Time `json:"remote_deleted_at"`
}

func (c caller) call(ctx context.Context, method, path string, operation operation) {
	c.t.Helper()
	request := kombo.Request{Method: method, Path: path, Query: url.Values{}}
	for _, p := range operation.Parameters {
		value := fmt.Sprint(c.document.sample(p.Schema, c.complete))
		switch {
		case p.In == "path":
			// The values are in the order of the path, which that of the document need not be.
		case p.In == "header":
			request.IntegrationID = "personio:CBNMt7dSNCzBdnRTx87dev4E"
		case p.Required || c.complete:
			request.Query.Set(p.Name, value)
		}
	}
	for _, name := range placeholder.FindAllStringSubmatch(path, -1) {
		i := slices.IndexFunc(operation.Parameters, func(p parameter) bool { return p.In == "path" && p.Name == name[1] })
		request.PathValues = append(request.PathValues, fmt.Sprint(c.document.sample(operation.Parameters[i].Schema, true)))
	}
	if operation.isList(c.document, method) {
		c.list(ctx, request)
		return
	}
	for contentType, content := range operation.RequestBody.Content {
		request.Body = c.document.sample(content.Schema, c.complete)
		if contentType != "application/json" {
			request.ContentType, request.Body = contentType, []byte("{\"a\":1}\n{\"a\":2}\n")
		}
	}
	response, err := kombo.Call[map[string]any](ctx, c.client, request)
	if err != nil {
		c.t.Error(err)
		return
	}
	c.same(c.recorder.bodies[0].Data, response.Data)
	if len(response.Warnings) != min(len(c.recorder.bodies[0].Warnings), 100) {
		c.t.Errorf("%d warnings, of %d", len(response.Warnings), len(c.recorder.bodies[0].Warnings))
	}
	if c.document.hasRecord(operation.data(c.document)) {
		if _, err := kombo.Call[record](ctx, c.client, request); err != nil {
			c.t.Error(err)
		}
	}
	if _, err := kombo.Call[struct{}](ctx, c.client, request); err != nil {
		c.t.Error(err)
	}
}

// maxPages ends a list, as random cursors do not.
const maxPages = 3

func (c caller) list(ctx context.Context, query kombo.Request) {
	c.t.Helper()
	request := kombo.ListRequest{Path: query.Path, PathValues: query.PathValues, IntegrationID: query.IntegrationID, Filters: query.Query}
	take := func(name string) bool {
		defer request.Filters.Del(name)
		return request.Filters.Has(name)
	}
	take("cursor")
	if take("page_size") {
		request.PageSize = 5 // which all allow
	}
	if take("updated_after") {
		request.UpdatedAfter = time.Now().Add(-time.Hour)
	}
	request.IncludeDeleted = take("include_deleted")
	if take("ids") {
		request.IDs = []string{"222k7eCGyUdgt2JWZDNnkDs3", "B5DVmypWENfU6eMe6gYDyJG3"}
	}
	if take("remote_ids") {
		request.RemoteIDs = []string{"32", "33"}
	}
	items := []map[string]any{}
	for item, err := range kombo.List[map[string]any](ctx, c.client, request) {
		if ends(err) {
			break
		}
		if err != nil {
			c.t.Error(err)
			return
		}
		items = append(items, item)
		if len(c.recorder.bodies) > maxPages {
			break
		}
	}
	sent := []map[string]any{}
	for _, body := range c.recorder.bodies {
		var page struct{ Results []map[string]any }
		if err := json.Unmarshal(body.Data, &page); err != nil {
			c.t.Error(err)
		}
		sent = append(sent, page.Results...)
	}
	if encoded, err := json.Marshal(sent[:min(len(items), len(sent))]); err != nil || len(items) == 0 && len(sent) > 0 {
		c.t.Errorf("%d items, of %d: %v", len(items), len(sent), err)
	} else {
		c.same(encoded, items)
	}
	for _, err := range kombo.List[record](ctx, c.client, request) {
		if ends(err) || len(c.recorder.bodies) > 2*maxPages {
			break
		}
		if err != nil {
			c.t.Error(err)
		}
	}
}

// ends reports whether a list has ended because the mock repeats its cursor.
func ends(err error) bool {
	return errors.Is(err, kombo.ErrUnexpectedResponse) && strings.Contains(err.Error(), "a cursor is repeated")
}

// same compares what was decoded with what was sent.
func (c caller) same(sent json.RawMessage, got any) {
	c.t.Helper()
	var want any
	encoded, err := json.Marshal(got)
	if err == nil {
		err = json.Unmarshal(encoded, &got)
	}
	if err == nil {
		err = json.Unmarshal(sent, &want)
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) { // maps are printed in order
		c.t.Errorf("decoded %v\n   sent %v: %v", got, want, err)
	}
}

// prism is the mock, and a transport to it that reports what it objects to.
type prism struct {
	t   *testing.T
	url string
}

const prismFolder = "prism"

// startPrism runs Prism on a port that is free.
func startPrism(t *testing.T, document string) *prism {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs Node.js 20 or newer on the PATH")
	}
	program := filepath.Join(prismFolder, "node_modules", "@stoplight", "prism-cli", "dist", "index.js")
	if _, err := os.Stat(program); err != nil {
		t.Skip("needs Prism: run npm ci --prefix conformance/" + prismFolder)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // in case that it hangs
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, node, program, "mock", "--port", "0", document)
	var said bytes.Buffer
	command.Stderr = &said
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if found := listening.FindString(lines.Text()); found != "" {
			go func() { _, _ = io.Copy(io.Discard, output) }() // or it would wait for a reader
			return &prism{t: t, url: found}
		}
	}
	t.Fatalf("Prism did not start: %v\n%s", lines.Err(), &said)
	return nil
}

var (
	listening   = regexp.MustCompile(`http://127\.0\.0\.1:\d+$`)
	placeholder = regexp.MustCompile(`\{(\w+)\}`)
)

// recorder has what the requests of one context prefer, and the bodies of their responses.
type recorder struct {
	prefer string
	mutex  sync.Mutex
	bodies []recordedBody
}

type recordedBody struct {
	Data     json.RawMessage
	Warnings []any
}

type recorderKey struct{}

func (p *prism) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder, _ := r.Context().Value(recorderKey{}).(*recorder)
	r = r.Clone(r.Context())
	r.Header.Set("Prefer", recorder.prefer)
	r.Header.Del("Accept-Encoding") // so that net/http asks for gzip, and decompresses
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	if violations := violationsOf(response.Header); len(violations) > 0 || response.StatusCode != http.StatusOK {
		p.t.Errorf("%s: %s: %s\n%.1000s", kombo.OperationFromContext(r.Context()), r.URL, violations, body)
	}
	var recorded recordedBody
	if err := json.Unmarshal(body, &recorded); err != nil {
		p.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	recorder.mutex.Lock()
	defer recorder.mutex.Unlock()
	recorder.bodies = append(recorder.bodies, recorded)
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// violationsOf returns what Prism objects to in a request. It objects to responses, too, if examples in the document
// or its own random values do not match a pattern.
func violationsOf(header http.Header) []string {
	var violations []struct {
		Location []string
		Message  string
	}
	_ = json.Unmarshal([]byte(header.Get("Sl-Violations")), &violations)
	var messages []string
	for _, v := range violations {
		if len(v.Location) == 0 || v.Location[0] != "response" {
			messages = append(messages, strings.Join(v.Location, ".")+": "+v.Message)
		}
	}
	return messages
}

// refusesInvalidRequests checks that the judge judges.
func (p *prism) refusesInvalidRequests(t *testing.T) {
	t.Helper()
	for _, invalid := range []struct{ method, path, body string }{
		{"GET", "/hris/employees?page_size=251", ""},
		{"GET", "/hris/employees?include_deleted=yes", ""},
		{"GET", "/hris/employees?updated_after=yesterday", ""},
		{"GET", "/custom/datev/available-documents", ""}, // without its period
		{"POST", "/hris/absences", "{}"},
		{"PUT", "/integrations/x/enabled", `{"value":"yes"}`},
		{"GET", "/hris/unknown", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), invalid.method, p.url+invalid.path, strings.NewReader(invalid.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer x")
		r.Header.Set("X-Integration-Id", "x")
		if invalid.body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK && len(violationsOf(response.Header)) == 0 {
			t.Errorf("%s %s is accepted", invalid.method, invalid.path)
		}
	}
}

// operations is an OpenAPI document.
type operations struct {
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	Parameters  []parameter        `json:"parameters"`
	RequestBody content            `json:"requestBody"`
	Responses   map[string]content `json:"responses"`
}

type parameter struct {
	Name     string  `json:"name"`
	In       string  `json:"in"`
	Required bool    `json:"required"`
	Schema   *schema `json:"schema"`
}

type content struct {
	Content map[string]struct {
		Schema *schema `json:"schema"`
	} `json:"content"`
}

type schema struct {
	Ref        string             `json:"$ref"`
	Type       any                `json:"type"`
	Const      any                `json:"const"`
	Enum       []any              `json:"enum"`
	Format     string             `json:"format"`
	Pattern    string             `json:"pattern"`
	MinLength  int                `json:"minLength"`
	MaxLength  int                `json:"maxLength"`
	Minimum    *float64           `json:"minimum"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Items      *schema            `json:"items"`
	AnyOf      []*schema          `json:"anyOf"`
	OneOf      []*schema          `json:"oneOf"`
	AllOf      []*schema          `json:"allOf"`
}

func loadOperations(t *testing.T, path string) *operations {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	document := &operations{}
	if err := json.Unmarshal(file, document); err != nil {
		t.Fatal(err)
	}
	return document
}

func (d *operations) resolve(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	return s
}

// property returns a property of an object, or nil.
func (d *operations) property(s *schema, name string) *schema {
	if s = d.resolve(s); s == nil {
		return nil
	}
	return d.resolve(s.Properties[name])
}

// data returns the schema of the data of a response.
func (o operation) data(d *operations) *schema {
	return d.property(o.Responses["200"].Content["application/json"].Schema, "data")
}

// isList reports whether the data is a page with a cursor.
func (o operation) isList(d *operations, method string) bool {
	return strings.EqualFold(method, http.MethodGet) && d.property(o.data(d), "results") != nil && d.property(o.data(d), "next") != nil
}

// hasRecord reports whether an object fits a record.
func (d *operations) hasRecord(s *schema) bool {
	id := d.property(s, "id")
	return id != nil && id.Type == "string"
}

// sample returns a valid value, with all that it can have or only with what it must have.
func (d *operations) sample(s *schema, complete bool) any {
	s = d.resolve(s)
	switch {
	case s == nil:
		return map[string]any{}
	case s.Const != nil:
		return s.Const
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.AnyOf) > 0:
		return d.sample(s.AnyOf[0], complete)
	case len(s.OneOf) > 0:
		return d.sample(s.OneOf[0], complete)
	case len(s.AllOf) > 0:
		merged := map[string]any{}
		for _, part := range s.AllOf {
			if object, ok := d.sample(part, complete).(map[string]any); ok {
				maps.Copy(merged, object)
			}
		}
		return merged
	}
	kind := s.Type
	if kinds, ok := kind.([]any); ok {
		kind = kinds[0]
	}
	switch kind {
	case "object", nil:
		object := map[string]any{}
		for name, property := range s.Properties {
			if complete || slices.Contains(s.Required, name) {
				object[name] = d.sample(property, complete)
			}
		}
		return object
	case "array":
		return []any{d.sample(s.Items, complete)}
	case "boolean":
		return true
	case "integer", "number":
		if s.Minimum != nil {
			return max(1, *s.Minimum)
		}
		return 1
	}
	pattern, err := regexp.Compile(s.Pattern)
	if err != nil { // Go's regular expressions know no lookahead, which those for e-mail addresses have
		return formatted["email"]
	}
	fits := func(text string) bool {
		return pattern.MatchString(text) && len(text) >= s.MinLength && (s.MaxLength == 0 || len(text) <= s.MaxLength)
	}
	for _, text := range append([]string{formatted[s.Format]}, texts...) {
		if text != "" && fits(text) {
			return text
		}
	}
	return strings.Repeat("a", s.MinLength)
}

// formatted has a text for each format, and texts some for patterns and lengths.
var (
	formatted = map[string]string{
		"date-time": "2026-11-26T01:02:03.004Z", "date": "2026-11-26", "email": "ada@acme.example", "uri": "https://acme.example/a",
		"uuid": "3f0a4b5e-93a5-4c4e-8a3c-6a2b9d3e7f10",
	}
	texts = []string{
		"abcd", "2026-11-26T01:02:03.004Z", "2026-11-26", "12:30", "+4930123456", "1234", "DE", "en", "application/pdf",
		"ada@acme.example", "https://acme.example/a",
	}
)
