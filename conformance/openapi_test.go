package conformance_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sandbox"
	"github.com/kombo-go/kombo/internal/sdkcalls"
	"github.com/kombo-go/kombo/kombotest"
)

// loadDocument reads what Kombo promises: an extract of ours, or the whole document that KOMBO_OPENAPI names.
func loadDocument(t *testing.T, extract string) *openapi3.T {
	t.Helper()
	file, err := os.ReadFile(cmp.Or(os.Getenv("KOMBO_OPENAPI"), extract))
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(file, &tree); err != nil {
		t.Fatal(err)
	}
	adapt(tree)
	file, err = json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	loader := openapi3.NewLoader()
	document, err := loader.LoadFromData(file)
	if err != nil {
		t.Fatal(err)
	}
	document.Servers = openapi3.Servers{{URL: "/v1"}}
	return document
}

// adapt rewrites what Kombo's document means, but does not say in a way that the validator follows.
func adapt(node any) {
	switch node := node.(type) {
	case map[string]any:
		// Of OpenAPI 3.0; 3.1 has a type for null, which an enumeration has to name too.
		if kind, ok := node["type"].(string); ok && node["nullable"] == true {
			node["type"] = []any{kind, "null"}
		}
		delete(node, "nullable")
		// Dates and the values of fields have no type there but null; in the document's own examples they are not null.
		properties, _ := node["properties"].(map[string]any)
		for _, property := range properties {
			if property, ok := property.(map[string]any); ok && property["type"] == "null" {
				delete(property, "type")
			}
		}
		kinds, _ := node["type"].([]any)
		if values, ok := node["enum"].([]any); ok && slices.Contains(kinds, any("null")) && !slices.Contains(values, nil) {
			node["enum"] = append(values, nil)
		}
		// Go's regular expressions know no lookahead.
		if pattern, ok := node["pattern"].(string); ok && strings.Contains(pattern, "(?!") {
			node["pattern"] = `^([\w'+,\-][\w'+,\-.]*)?[\w+\-]@([\da-z][\da-z-]*\.)+[a-z]{2,}$`
		}
		for _, child := range node {
			adapt(child)
		}
	case []any:
		for _, child := range node {
			adapt(child)
		}
	}
}

// formats lets the validator look at the formats that it does not know by itself.
var formats = []openapi3.SchemaValidationOption{
	openapi3.EnableFormatValidation(),
	openapi3.WithStringFormatValidator("email", openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForEmail)),
	openapi3.WithStringFormatValidator("uri", openapi3.NewCallbackValidator(func(text string) error {
		parsed, err := url.Parse(text)
		if err == nil && !parsed.IsAbs() {
			err = errors.New("not absolute")
		}
		return err
	})),
	openapi3.WithStringFormatValidator("date-time", openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringDateTime)),
}

// validator is a transport that compares what goes by with the document.
type validator struct {
	t      *testing.T
	router routers.Router
	// invalid lets requests through that break the document, to see the response.
	invalid bool

	mutex sync.Mutex
	seen  map[string]bool
}

func (v *validator) RoundTrip(r *http.Request) (*http.Response, error) {
	input := &openapi3filter.RequestValidationInput{
		Request: r, Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, SkipSettingDefaults: true,
			SchemaValidationOptions: formats,
		},
	}
	// The router compares addresses with its server's, which has no host.
	routed := r.Clone(r.Context())
	routed.URL.Scheme, routed.URL.Host = "", ""
	route, values, err := v.router.FindRoute(routed)
	if err != nil {
		v.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		return http.DefaultTransport.RoundTrip(r)
	}
	input.Route, input.PathParams = route, values
	if err := openapi3filter.ValidateRequest(r.Context(), input); (err != nil) != v.invalid {
		v.t.Errorf("the request %s %s: invalid: %t, but %v", r.Method, route.Path, v.invalid, err)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: response.StatusCode, Header: response.Header, Options: input.Options,
	}
	if err := openapi3filter.ValidateResponse(r.Context(), answer.SetBodyBytes(body)); err != nil {
		v.t.Errorf("the response to %s %s: %v\n%s", r.Method, route.Path, err, body)
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	outcome := "success"
	if response.StatusCode != http.StatusOK {
		outcome = "error"
	}
	v.seen[r.Method+" "+route.Path+" "+outcome] = true
	return response, nil
}

// raw sends a request that the SDK has no method for, or would not send.
func (v *validator) raw(srv *kombotest.Server, key, method, path, body string) (data map[string]any) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, srv.BaseURL()+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	if path == "/force-sync" || strings.HasPrefix(path, "/passthrough/") {
		r.Header.Set("X-Integration-Id", "personio:unknown")
	}
	response, err := v.RoundTrip(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var envelope struct{ Data map[string]any }
	if err := json.NewDecoder(response.Body).Decode(&envelope); err != nil {
		v.t.Fatal(err)
	}
	return envelope.Data
}

// Every operation, its responses and its errors are as Kombo's OpenAPI document says.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	document := loadDocument(t, "testdata/openapi.json")
	router, err := legacy.NewRouter(document, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaPatternValidation())
	if err != nil {
		t.Fatal(err)
	}
	v := &validator{t: t, router: router, seen: map[string]bool{}}
	srv := kombotest.NewServer(kombotest.Config{StrictTools: true})
	defer srv.Close()
	client, err := srv.Client(kombo.WithHTTPClient(&http.Client{Transport: v}))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := client.CheckAPIKey(ctx); err != nil {
		t.Error(err)
	}
	for _, category := range []string{"hris", "ats", "assessment", "lms"} {
		v.raw(srv, srv.APIKey(), "GET", "/tools/"+category, "")
	}

	minimal := kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc."}
	full := kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "42",
		IntegrationTool: "workday", RemoteEnvironment: "preview", Language: kombo.LanguageFR,
		ScopeConfigID: "scope1", EnableFiltering: true, EnableFieldMapping: true, LinkType: kombo.LinkTypeEmbedded,
	}
	requests := []kombo.CreateLinkRequest{minimal, full}
	for _, category := range []kombo.Category{kombo.CategoryATS, kombo.CategoryAssessment, kombo.CategoryLMS} {
		minimal.IntegrationCategory = category
		requests = append(requests, minimal)
	}
	for _, request := range requests {
		lifeOf(ctx, t, srv, client, v, request)
	}
	v.refusals(srv)

	var missing []string
	for _, path := range slices.Sorted(maps.Keys(document.Paths.Map())) {
		for method := range document.Paths.Value(path).Operations() {
			if !slices.Contains(kombotest.Operations(), method+" "+path) {
				continue
			}
			for _, outcome := range []string{"success", "error"} {
				if key := method + " " + path + " " + outcome; !v.seen[key] {
					missing = append(missing, key)
				}
			}
		}
	}
	if len(missing) > 0 || len(v.seen) != 2*len(kombotest.Operations()) {
		t.Errorf("not seen: %q, of %d operations", missing, len(kombotest.Operations()))
	}
}

// lifeOf takes an integration through all that can happen to it.
func lifeOf(ctx context.Context, t *testing.T, srv *kombotest.Server, client *kombo.Client, v *validator, request kombo.CreateLinkRequest) {
	t.Helper()
	link, err := client.Connect.CreateLink(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	token, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{LeaveSetup: true})
	if err != nil {
		t.Fatal(err)
	}
	integration, err := client.Connect.IntegrationByToken(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	path := "/integrations/" + strings.ReplaceAll(integration.ID, ":", "%3A")
	states := []kombo.State{kombo.StateActive, kombo.StateInvalid, kombo.StateInactive}
	setups := []kombo.SetupStatus{kombo.SetupStatusIncomplete, kombo.SetupStatusFinalSyncPending, kombo.SetupStatusCompleted}
	for i := range states {
		if err := srv.SetState(ctx, integration.ID, states[i]); err != nil {
			t.Fatal(err)
		}
		if err := srv.SetSetupStatus(ctx, integration.ID, setups[i]); err != nil {
			t.Fatal(err)
		}
		if got := v.raw(srv, srv.APIKey(), "GET", path, ""); got["status"] != string(states[i]) || got["setup_status"] != string(setups[i]) {
			t.Errorf("integration = %v, want %s, %s", got, states[i], setups[i])
		}
	}
	v.raw(srv, srv.APIKey(), "PUT", path+"/enabled", `{"value":true}`)
	if request.EnableFiltering { // without which there is no setup link
		allCalls(ctx, t, client, token, integration)
		v.raw(srv, srv.APIKey(), "POST", path+"/setup-link", `{"link_type":"MAGIC_LINK","language":"it"}`)
	}
	aboutData(ctx, t, srv, client, integration)
	relink, err := client.Integrations.Relink(ctx, integration.ID, kombo.RelinkRequest{
		Language: kombo.LanguageES, ScopeConfigID: "scope2", LinkType: kombo.LinkTypeMagicLink,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.CompleteFlow(ctx, relink.URL, kombotest.Completion{}); err != nil {
		t.Fatal(err)
	}
	v.raw(srv, srv.APIKey(), "GET", path, "")
	if err := client.Integrations.Delete(ctx, integration.ID); err != nil {
		t.Fatal(err)
	}
}

// allCalls calls each operation, except the deletion.
func allCalls(ctx context.Context, t *testing.T, client *kombo.Client, token string, integration *kombo.ConnectedIntegration) {
	t.Helper()
	fields, err := client.Integrations.FieldsPage(ctx, integration.ID, kombo.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	custom, err := client.Integrations.CustomFieldsPage(ctx, integration.ID, kombo.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for op, call := range sdkcalls.With(sdkcalls.Values{
		Token: token, IntegrationID: integration.ID, Tool: integration.Tool, FieldID: fields.Results[1].ID, CustomFieldID: custom.Results[0].ID,
	}) {
		if op != "DELETE /integrations/{integration_id}" {
			if err := call(ctx, client); err != nil {
				t.Error(err)
			}
		}
	}
}

// aboutData goes through the fields of an integration, has it synced, and asks its tool.
func aboutData(ctx context.Context, t *testing.T, srv *kombotest.Server, client *kombo.Client, integration *kombo.ConnectedIntegration) {
	t.Helper()
	var fields []kombo.IntegrationField
	for field, err := range client.Integrations.Fields(ctx, integration.ID, kombo.ListOptions{PageSize: 3}) {
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, field)
	}
	if _, err := client.Integrations.SetFieldPassthrough(ctx, integration.ID, fields[1].ID, true); err != nil {
		t.Error(err)
	}
	for custom, err := range client.Integrations.CustomFields(ctx, integration.ID, kombo.ListOptions{PageSize: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Integrations.MapCustomField(ctx, integration.ID, custom.ID, fields[1].ID); err != nil {
			t.Error(err)
		}
		if _, err := client.Integrations.UnmapCustomField(ctx, integration.ID, custom.ID); err != nil {
			t.Error(err)
		}
	}
	for _, syncType := range []kombo.SyncType{kombo.SyncDelta, ""} {
		if _, err := client.Integrations.Sync(ctx, integration.ID, syncType); err != nil {
			t.Error(err)
		}
	}
	if err := srv.FinishSync(ctx, integration.ID); err != nil {
		t.Error(err)
	}
	for _, request := range []kombo.PassthroughRequest{
		{Method: http.MethodGet, Path: "/company/employees", Headers: map[string]string{"X-A": "b"}, Params: map[string]string{"limit": "1"}},
		{Method: http.MethodPost, Path: "/", Data: []int{1}, APIOptions: map[string]string{"a": "b"}, ResponseAsBase64: true},
		{Method: http.MethodPut, Path: "/", MultipartFormData: []kombo.PassthroughFormField{
			{Name: "text", Value: "a"},
			{Name: "data", File: &kombo.PassthroughFile{Name: "a.pdf", ContentType: "application/pdf", Data: []byte("a")}},
			{Name: "url", File: &kombo.PassthroughFile{Name: "a.pdf", DataURL: "https://files.acme.example/a.pdf"}},
		}},
	} {
		if _, err := client.Integrations.Passthrough(ctx, integration.ID, integration.Tool, "api", request); err != nil {
			t.Error(err)
		}
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// requestBodies returns a valid body of each operation, as the SDK sends it.
func requestBodies(t *testing.T) map[string]string {
	t.Helper()
	bodies := map[string]string{}
	client, err := kombo.NewClient("key", kombo.WithHTTPClient(&http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			bodies[kombo.OperationFromContext(r.Context())] = string(body)
		}
		return &http.Response{StatusCode: http.StatusTeapot, Body: http.NoBody, Request: r}, nil
	})}))
	if err != nil {
		t.Fatal(err)
	}
	for op, call := range sdkcalls.All() {
		if err := call(t.Context(), client); err == nil {
			t.Errorf("%s succeeds with status 418", op)
		}
	}
	return bodies
}

// refusals sees an error of each operation, and each code that limits and faults give.
func (v *validator) refusals(srv *kombotest.Server) {
	fillIn := strings.NewReplacer("{integration_id}", "personio%3Aunknown", "{token}", "unknown", "{category}", "hris",
		"{integration_field_id}", "unknown", "{custom_field_id}", "unknown", "{tool}", "personio", "{api}", "personnel")
	bodies := requestBodies(v.t)
	for _, op := range kombotest.Operations() {
		method, path, _ := strings.Cut(op, " ")
		body := cmp.Or(bodies[op], "{}")
		if method == http.MethodGet {
			body = ""
		}
		v.raw(srv, "wrong", method, fillIn.Replace(path), body)
		v.raw(srv, srv.APIKey(), method, fillIn.Replace(path), body)
		for _, code := range []kombo.ErrorCode{
			kombo.CodeRateLimitExceeded, kombo.CodeConcurrencyLimitExceeded, kombo.CodeUnknownError,
			kombo.CodeIPNotWhitelisted, kombo.CodeTaskTimedOut,
		} {
			srv.InjectFault(kombotest.Fault{Op: op, Code: code})
			v.raw(srv, srv.APIKey(), method, fillIn.Replace(path), body)
		}
	}
	v.raw(srv, srv.APIKey(), "PATCH", "/integrations/unknown/integration-fields/unknown", `{"enable_passthrough":null}`)
	v.invalid = true
	defer func() { v.invalid = false }()
	for _, body := range []string{
		`{}`, `[]`, `{"end_user_email":"ada","end_user_organization_name":"A"}`, `{"end_user_email":"a@b.example","end_user_organization_name":""}`,
		`{"end_user_email":"a@b.example","end_user_organization_name":"A","integration_tool":"none"}`,
		`{"end_user_email":"a@b.example","end_user_organization_name":"A","integration_category":"PAYROLL"}`,
		`{"end_user_email":"a@b.example","end_user_organization_name":"A","end_user_origin_id":""}`,
		`{"end_user_email":"a@b.example","end_user_organization_name":"A","enable_filtering":"yes"}`,
	} {
		if data := v.raw(srv, srv.APIKey(), "POST", "/connect/create-link", body); data != nil {
			v.t.Errorf("the fake takes %s", body)
		}
	}
	v.raw(srv, srv.APIKey(), "GET", "/tools/payroll", "")
	path := "/integrations/" + strings.ReplaceAll(srv.Connect(v.t, kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.",
	}).ID, ":", "%3A")
	for _, wrong := range []struct{ method, path, body string }{
		{"GET", path + "/integration-fields?page_size=0", ""},
		{"GET", path + "/integration-fields?page_size=2001", ""},
		{"GET", path + "/custom-fields?page_size=251", ""},
		{"GET", path + "/custom-fields?page_size=many", ""},
		{"PATCH", path + "/integration-fields/unknown", `{}`},
		{"PATCH", path + "/integration-fields/unknown", `{"enable_passthrough":"yes"}`},
		{"PUT", path + "/custom-fields/unknown", `{"integration_field_id":1}`},
	} {
		if data := v.raw(srv, srv.APIKey(), wrong.method, wrong.path, wrong.body); data != nil {
			v.t.Errorf("the fake takes %s %s with %q", wrong.method, wrong.path, wrong.body)
		}
	}
}

// Every webhook, those that the fake sends by itself and the samples of the sandbox, is as Kombo's OpenAPI
// document says.
func TestWebhooksOpenAPI(t *testing.T) {
	t.Parallel()
	document := loadDocument(t, "testdata/openapi.json")
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer app.Close()
	srv, err := sandbox.Start(kombotest.Config{WebhookURL: app.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	client, err := srv.Client()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, originID := range []string{"42", ""} {
		request := kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: originID}
		link, err := client.Connect.CreateLink(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.FailFlow(ctx, link.URL); err != nil {
			t.Fatal(err)
		}
		integration := srv.Connect(t, request)
		if err := srv.SetState(ctx, integration.ID, kombo.StateInvalid); err != nil {
			t.Fatal(err)
		}
		if err := client.Integrations.Delete(ctx, integration.ID); err != nil {
			t.Fatal(err)
		}
	}
	for eventType := range document.Webhooks {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost,
			strings.TrimSuffix(srv.BaseURL(), "/v1")+"/_sandbox/events", strings.NewReader(`{"type":"`+eventType+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", eventType, response.Status)
		}
	}
	if err := srv.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	sent := map[string]int{}
	for _, d := range srv.Deliveries() {
		sent[string(d.EventType)]++
		var body any
		if err := json.Unmarshal(d.Body, &body); err != nil {
			t.Fatal(err)
		}
		schema := document.Webhooks[string(d.EventType)].Post.RequestBody.Value.Content.Get("application/json").Schema.Value
		if err := schema.VisitJSON(body, append(formats, openapi3.EnableJSONSchema2020())...); err != nil {
			t.Errorf("%s: %v\n%s", d.EventType, err, d.Body)
		}
	}
	for eventType := range document.Webhooks {
		want := map[string]int{"integration-created": 3, "integration-deleted": 3, "integration-state-changed": 3, "connection-flow-failed": 3}[eventType]
		if sent[eventType] != max(1, want) {
			t.Errorf("%d of %s, want %d", sent[eventType], eventType, max(1, want))
		}
	}
}
