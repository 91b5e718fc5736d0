package conformance_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// Every list that the document has: pages, filters, deletions and errors of the fake are as the document says, and so are the
// ready-made records, and the models in data-changed.
func TestDataOpenAPI(t *testing.T) {
	t.Parallel()
	document := loadDocument(t, "testdata/data.json")
	router, err := legacy.NewRouter(document, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaPatternValidation())
	if err != nil {
		t.Fatal(err)
	}
	v := &validator{t: t, router: router, seen: map[string]bool{}}
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer app.Close()
	srv, client := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL}, kombo.WithHTTPClient(&http.Client{Transport: v}))
	id := srv.Connect(t, kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc."}).ID

	var paths, withRecords []string
	for _, path := range kombotest.Lists() {
		if document.Paths.Value(path) == nil {
			continue
		}
		paths = append(paths, path)
		samples := kombotest.SampleRecords(id, path)
		if len(samples) > 0 {
			withRecords = append(withRecords, path)
		}
		for _, record := range samples {
			if err := srv.PutRecord(id, path, record); err != nil {
				t.Error(err)
			}
		}
		readList(t, srv, client, v, id, path, len(samples))
	}
	want := []string{
		"/hris/employees", "/hris/groups", "/hris/teams", "/hris/absence-types", "/hris/absences",
		"/ats/applications", "/ats/candidates", "/ats/jobs", "/lms/courses",
	}
	if !slices.Equal(withRecords, want) {
		t.Errorf("there are records for %q, want %q", withRecords, want)
	}
	for path := range document.Paths.Map() {
		operation := document.Paths.Value(path).Get
		if operation != nil && operation.Parameters.GetByInAndName("query", "page_size") != nil && operation.Parameters.GetByInAndName("header", "X-Integration-Id") != nil &&
			!slices.Contains(paths, path) {
			t.Errorf("the fake does not know the list %s", path)
		}
	}
	t.Logf("%d lists, %d with ready-made records", len(paths), len(withRecords))

	// A change of each list is reported with a model that the document knows.
	for _, path := range kombotest.Lists() {
		if err := srv.PutRecord(id, path, json.RawMessage(`{"id":"changed"}`)); err != nil {
			t.Error(err)
		}
	}
	if err := srv.FinishSync(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	var body any
	for _, d := range srv.Deliveries() {
		if d.EventType == kombo.EventDataChanged {
			if err := json.Unmarshal(d.Body, &body); err != nil {
				t.Fatal(err)
			}
		}
	}
	schema := document.Webhooks[string(kombo.EventDataChanged)].Post.RequestBody.Value.Content.Get("application/json").Schema.Value
	if err := schema.VisitJSON(body, append(formats, openapi3.EnableJSONSchema2020())...); err != nil {
		t.Errorf("data-changed: %v", err)
	}
}

// readList reads a list in every way that the document has parameters for.
func readList(t *testing.T, srv *kombotest.Server, client *kombo.Client, v *validator, id, path string, records int) {
	t.Helper()
	parameters := v.parameters(path)
	read := func(request kombo.ListRequest) (ids []string) {
		request.Path, request.IntegrationID = path, id
		for item, err := range kombo.List[struct{ ID string }](t.Context(), client, request) {
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return ids
			}
			ids = append(ids, item.ID)
		}
		return ids
	}
	if got := read(kombo.ListRequest{}); len(got) != records {
		t.Errorf("%s: %d records, want %d", path, len(got), records)
	}
	if parameters["page_size"] {
		if got := read(kombo.ListRequest{ListOptions: kombo.ListOptions{PageSize: 1}}); len(got) != records {
			t.Errorf("%s in pages: %d records, want %d", path, len(got), records)
		}
	}
	if parameters["updated_after"] {
		request := kombo.ListRequest{
			UpdatedAfter: time.Now().Add(-time.Hour), IncludeDeleted: true, Filters: map[string][]string{"ignore_unsupported_filters": {"true"}},
		}
		if records > 0 {
			deleted := read(kombo.ListRequest{})[0]
			if err := srv.DeleteRecord(id, path, deleted); err != nil {
				t.Error(err)
			}
			request.IDs = []string{deleted, "none"}
		}
		if got := read(request); len(got) != min(1, records) {
			t.Errorf("%s: %d deleted records, want %d", path, len(got), min(1, records))
		}
	}
	for name := range parameters {
		request := kombo.ListRequest{Filters: map[string][]string{name: {valueOf(name)}}}
		if !slices.Contains([]string{"cursor", "page_size", "updated_after", "include_deleted"}, name) {
			read(request)
		}
	}
	codes := []kombo.ErrorCode{kombo.CodeIntegrationSetupSyncPending, kombo.CodeIntegrationModelNotAvailable}
	if strings.HasPrefix(path, "/lms/") {
		codes = []kombo.ErrorCode{kombo.CodeIPNotWhitelisted} // the document has no codes of integrations for LMS
	}
	for _, code := range codes {
		srv.InjectFault(kombotest.Fault{Op: "GET " + path, Code: code})
		if _, err := kombo.ListPage[struct{}](t.Context(), client, kombo.ListRequest{Path: path, IntegrationID: id}); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	_, err := kombo.ListPage[struct{}](t.Context(), client, kombo.ListRequest{Path: path, IntegrationID: "personio:unknown"})
	if !errors.Is(err, kombo.ErrIntegrationNotFound) {
		t.Errorf("%s: %v, want ErrIntegrationNotFound", path, err)
	}
	if parameters["cursor"] {
		_, err = kombo.ListPage[struct{}](t.Context(), client, kombo.ListRequest{Path: path, IntegrationID: id, ListOptions: kombo.ListOptions{Cursor: "none"}})
		if !errors.Is(err, kombo.ErrInvalidInput) {
			t.Errorf("%s: %v, want ErrInvalidInput", path, err)
		}
	}
}

// parameters returns the parameters of the query of a list.
func (v *validator) parameters(path string) map[string]bool {
	names := map[string]bool{}
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, "/v1"+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	route, _, err := v.router.FindRoute(r)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, parameter := range route.Operation.Parameters {
		if parameter.Value.In == "query" {
			names[parameter.Value.Name] = true
		}
	}
	return names
}

// valueOf returns a value for a parameter that the document accepts.
func valueOf(name string) string {
	switch {
	case strings.HasPrefix(name, "date_"), strings.HasPrefix(name, "time_"), strings.HasSuffix(name, "_after"), strings.HasSuffix(name, "_before"):
		return "2026-03-01T00:00:00.000Z"
	case name == "ignore_unsupported_filters":
		return "true"
	case name == "employment_status":
		return "ACTIVE"
	case name == "outcome":
		return "PENDING"
	case name == "status":
		return "OPEN"
	case name == "email":
		return "ada@acme.example"
	case name == "custom_fields":
		return `{"size":3}`
	}
	return "a,b"
}
