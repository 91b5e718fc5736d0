package kombotest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// send sends one request as it stands, with the right key.
func send(t *testing.T, srv *kombotest.Server, method, path, body string) (status int, header http.Header, answer string) {
	t.Helper()
	return sendAs(t, srv, srv.APIKey(), method, path, body)
}

func sendAs(t *testing.T, srv *kombotest.Server, key, method, path, body string) (status int, header http.Header, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, srv.BaseURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	return exchange(t, r)
}

func exchange(t *testing.T, r *http.Request) (status int, header http.Header, answer string) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(content)
}

// data returns the data of a successful answer.
func data(t *testing.T, answer string) map[string]any {
	t.Helper()
	var envelope struct {
		Status string
		Data   map[string]any
	}
	if err := json.Unmarshal([]byte(answer), &envelope); err != nil || envelope.Status != "success" {
		t.Fatalf("the answer is %s (%v)", answer, err)
	}
	return envelope.Data
}

// escaped is an integration's id as it stands in a path.
func escaped(integrationID string) string { return strings.ReplaceAll(integrationID, ":", "%3A") }

// at is a clock that stands still.
func at(value string) func() time.Time {
	return func() time.Time {
		now, err := time.Parse(time.RFC3339, value)
		if err != nil {
			panic(err)
		}
		return now
	}
}

func TestGetIntegration(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{Now: at("2026-05-04T03:02:01Z")})
	withScope := request
	withScope.IntegrationTool, withScope.ScopeConfigID, withScope.EndUserOriginID = "workday", "scope2", ""
	id := srv.Connect(t, withScope).ID

	status, _, answer := send(t, srv, "GET", "/integrations/"+escaped(id), "")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	got := data(t, answer)
	models, actions := got["read_models"], got["write_actions"]
	delete(got, "read_models")
	delete(got, "write_actions")
	icon := strings.TrimSuffix(srv.BaseURL(), "/v1") + "/connect/v1/icons/workday.svg"
	want := map[string]any{
		"id":       id,
		"tool":     map[string]any{"id": "workday", "label": "Workday", "internal_label": nil, "logo_url": icon, "icon_url": icon},
		"category": "HRIS", "status": "ACTIVE", "setup_status": "COMPLETED",
		"end_user":        map[string]any{"organization_name": "Müller & Söhne <HR>", "creator_email": "ada@acme.example", "origin_id": nil},
		"scope_config":    map[string]any{"id": "scope2", "name": nil},
		"data_expired_at": nil, "created_at": "2026-05-04T03:02:01.000Z", "beta": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("integration (-want +got):\n%s", diff)
	}
	field := func(id string) map[string]any {
		return map[string]any{
			"id": id, "is_available": true, "coverage_status": "SUPPORTED", "scope_config_setting": "ENABLED", "opted_out_by_customer": false,
		}
	}
	wantModel := field("hris_employees")
	wantModel["label"], wantModel["fields"] = "Employees", []any{field("first_name"), field("date_of_birth")}
	if diff := cmp.Diff(wantModel, models.([]any)[0]); diff != "" {
		t.Errorf("model (-want +got):\n%s", diff)
	}
	wantAction := field("hris_create_employee")
	wantAction["label"] = "Create employee"
	wantAction["fields"] = []any{map[string]any{"id": "first_name", "is_available": true, "coverage_status": "SUPPORTED"}}
	if diff := cmp.Diff([]any{wantAction}, actions); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
}

func TestSetEnabled(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	id := srv.Connect(t, request).ID
	next[*kombo.IntegrationCreatedEvent](t, app)
	steps := []struct {
		body      string
		wantState kombo.State
		wantEvent bool
	}{
		{`{"value":true}`, kombo.StateActive, false}, // nothing changes
		{`{"value":false}`, kombo.StateInactive, true},
		{`{"value":false}`, kombo.StateInactive, false},
		{`{"value":true}`, kombo.StateActive, true},
	}
	for i, step := range steps {
		status, _, answer := send(t, srv, "PUT", "/integrations/"+escaped(id)+"/enabled", step.body)
		if status != http.StatusOK || strings.TrimSpace(answer) != `{"data":{},"status":"success"}` {
			t.Fatalf("step %d: %d %s", i, status, answer)
		}
		if got, _ := srv.Integration(id); got.State != step.wantState {
			t.Errorf("step %d: state %s, want %s", i, got.State, step.wantState)
		}
		if err := srv.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(app.events) > 0; got != step.wantEvent {
			t.Fatalf("step %d: an event came: %t, want %t", i, got, step.wantEvent)
		}
		if step.wantEvent {
			if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.State != step.wantState {
				t.Errorf("step %d: the event tells %s, want %s", i, e.Data.State, step.wantState)
			}
		}
	}
	// Switching on does not mend credentials.
	if err := srv.SetState(t.Context(), id, kombo.StateInvalid); err != nil {
		t.Fatal(err)
	}
	send(t, srv, "PUT", "/integrations/"+escaped(id)+"/enabled", `{"value":true}`)
	if got, _ := srv.Integration(id); got.State != kombo.StateInvalid {
		t.Errorf("state %s, want INVALID", got.State)
	}
}

func TestSetupLink(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, client := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	withSetup := request
	withSetup.EnableFiltering, withSetup.EnableFieldMapping = true, true
	link, err := client.Connect.CreateLink(t.Context(), withSetup)
	if err != nil {
		t.Fatal(err)
	}
	token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{LeaveSetup: true})
	if err != nil {
		t.Fatal(err)
	}
	connected, err := client.Connect.IntegrationByToken(t.Context(), token)
	if err != nil || connected.SetupStatus != kombo.SetupStatusIncomplete {
		t.Fatalf("%+v, %v, want an incomplete setup", connected, err)
	}
	next[*kombo.IntegrationCreatedEvent](t, app)

	_, _, answer := send(t, srv, "POST", "/integrations/"+escaped(connected.ID)+"/setup-link", `{"link_type":"EMBEDDED","language":"fr"}`)
	setupLink := data(t, answer)["link"].(string)
	if err := srv.FailFlow(t.Context(), setupLink); err == nil {
		t.Error("a setup link failed without credentials")
	}
	if _, err := srv.CompleteFlow(t.Context(), setupLink, kombotest.Completion{LeaveSetup: true}); err == nil {
		t.Error("a setup link was left")
	}
	token, err = srv.CompleteFlow(t.Context(), setupLink, kombotest.Completion{})
	if err != nil {
		t.Fatal(err)
	}
	if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("event = %+v", e.Data)
	}
	again, err := client.Connect.IntegrationByToken(t.Context(), token)
	if err != nil || again.ID != connected.ID || again.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("%+v, %v, want the same integration, set up", again, err)
	}
	if _, err := srv.CompleteFlow(t.Context(), setupLink, kombotest.Completion{}); err == nil {
		t.Error("a setup link was used twice")
	}
}

// Filtering is for HRIS tools alone.
func TestFilteringIsForHRIS(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	for category, want := range map[kombo.Category]kombo.SetupStatus{
		kombo.CategoryHRIS: kombo.SetupStatusIncomplete, kombo.CategoryATS: kombo.SetupStatusCompleted,
	} {
		filtered := request
		filtered.IntegrationCategory, filtered.EnableFiltering = category, true
		token, err := srv.CompleteFlow(t.Context(), createLink(t, client, filtered), kombotest.Completion{LeaveSetup: true})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := client.Connect.IntegrationByToken(t.Context(), token); err != nil || got.SetupStatus != want {
			t.Errorf("%s: %+v, %v, want %s", category, got, err, want)
		}
	}
}

// Which of two events is newer shows also where the clock stands still.
func TestUpdatesHaveAnOrder(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret", Now: at("2026-05-04T03:02:01Z")})
	id := srv.Connect(t, request).ID
	next[*kombo.IntegrationCreatedEvent](t, app)
	last := at("2026-05-04T03:02:01Z")()
	for range 2 {
		if err := srv.SetState(t.Context(), id, kombo.StateInvalid); err != nil {
			t.Fatal(err)
		}
		updated := next[*kombo.IntegrationStateChangedEvent](t, app).Data.UpdatedAt
		if !updated.After(last) {
			t.Errorf("updated at %s, before at %s", updated, last)
		}
		last = updated
	}
	if err := srv.DeleteIntegration(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if deleted := next[*kombo.IntegrationDeletedEvent](t, app).Data.DeletedAt; !deleted.After(last) {
		t.Errorf("deleted at %s, updated at %s", deleted, last)
	}
}

// An integration can be connected in one step, whatever kind of link the request asks for.
func TestConnectOfAMagicLink(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	magic := request
	magic.LinkType = kombo.LinkTypeMagicLink
	if got := srv.Connect(t, magic); got.EndUserOriginID != "42" {
		t.Errorf("connected %+v", got)
	}
}

// A flow whose setup is finished at once announces both: the integration, and that it is set up.
func TestSetupInTheFlow(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	withSetup := request
	withSetup.EnableFieldMapping = true
	connected := srv.Connect(t, withSetup)
	if connected.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("setup status = %s", connected.SetupStatus)
	}
	next[*kombo.IntegrationCreatedEvent](t, app)
	if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("event = %+v", e.Data)
	}
	if err := srv.SetSetupStatus(t.Context(), connected.ID, kombo.SetupStatusFinalSyncPending); err != nil {
		t.Fatal(err)
	}
	if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.SetupStatus != kombo.SetupStatusFinalSyncPending {
		t.Errorf("event = %+v", e.Data)
	}
	if err := srv.SetSetupStatus(t.Context(), "personio:unknown", kombo.SetupStatusCompleted); err == nil {
		t.Error("the setup of an unknown integration was changed")
	}
}

// A reconnection with another scope config changes the integration when the flow is finished, not before.
func TestRelinkChangesTheScope(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, request).ID
	if err := srv.SetState(t.Context(), id, kombo.StateInvalid); err != nil {
		t.Fatal(err)
	}
	before, _ := srv.Integration(id)
	link, err := client.Integrations.Relink(t.Context(), id, kombo.RelinkRequest{ScopeConfigID: "scope2"})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := srv.Integration(id); got != before {
		t.Errorf("the link alone changed %+v to %+v", before, got)
	}
	if _, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err != nil {
		t.Fatal(err)
	}
	want := before
	want.State, want.ScopeConfigID = kombo.StateActive, "scope2"
	got, ok := srv.Integration(id)
	if !ok || !got.UpdatedAt.After(before.UpdatedAt) {
		t.Errorf("updated at %s, was %s", got.UpdatedAt, before.UpdatedAt)
	}
	want.UpdatedAt = got.UpdatedAt
	if diff := cmp.Diff([]kombotest.Integration{want}, srv.Integrations()); diff != "" {
		t.Errorf("integrations (-want +got):\n%s", diff)
	}
}

func TestDeleteIntegration(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	id := srv.Connect(t, request).ID
	next[*kombo.IntegrationCreatedEvent](t, app)
	if err := srv.DeleteIntegration(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if e := next[*kombo.IntegrationDeletedEvent](t, app); e.Data.ID != id {
		t.Errorf("event = %+v", e.Data)
	}
	if _, ok := srv.Integration(id); ok {
		t.Error("it is still there")
	}
	if err := srv.DeleteIntegration(t.Context(), id); err == nil || err.Error() != `kombotest: no integration "`+id+`"` {
		t.Errorf("a second deletion: %v", err)
	}
}

func TestTools(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{Tools: []kombotest.Tool{
		{ID: "brandnew", Categories: []kombo.Category{kombo.CategoryLMS}},
		{ID: "moodle", Label: "Our Moodle", Categories: []kombo.Category{kombo.CategoryLMS}},
	}})
	_, _, answer := send(t, srv, "GET", "/tools/lms", "")
	labels := map[string]string{}
	for _, tool := range data(t, answer)["tools"].([]any) {
		labels[tool.(map[string]any)["id"].(string)] = tool.(map[string]any)["label"].(string)
	}
	want := map[string]string{
		"brandnew": "brandnew", "moodle": "Our Moodle", "360learning": "360Learning",
		"linkedinlearning": "LinkedIn Learning", "talentlms": "TalentLMS", "udemy": "Udemy",
	}
	if diff := cmp.Diff(want, labels); diff != "" {
		t.Errorf("tools (-want +got):\n%s", diff)
	}
	for _, category := range []string{"hris", "ats", "assessment"} {
		if _, _, answer := send(t, srv, "GET", "/tools/"+category, ""); len(data(t, answer)["tools"].([]any)) == 0 {
			t.Errorf("no tools for %s", category)
		}
	}
	newer := request
	newer.IntegrationTool = "brandnew"
	if got := srv.Connect(t, newer); got.Tool != "brandnew" {
		t.Errorf("connected %+v", got)
	}
}

func TestToolWithoutIDPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	kombotest.NewServer(kombotest.Config{Tools: []kombotest.Tool{{Label: "nameless"}}}).Close()
}

// What the OpenAPI document does not allow is refused, and the answer names the field.
func TestInvalidInput(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	id := escaped(srv.Connect(t, request).ID)
	const base = `"end_user_email":"a@b.example","end_user_organization_name":"A"`
	link := func(members string) string { return "{" + base + "," + members + "}" }
	tests := []struct {
		name, method, path, body string
		want                     string // "" means that it is fine
	}{
		{"all that may be null", "POST", "/connect/create-link", link(`"end_user_origin_id":null,"integration_tool":null,"remote_environment":null,"language":null,"scope_config_id":null`), ""},
		{"members that nobody knows", "POST", "/connect/create-link", link(`"brand_new":{}`), ""},
		{"everything", "POST", "/connect/create-link", link(`"end_user_origin_id":"1","integration_category":"ATS","integration_tool":"lever","remote_environment":"x","language":"it","scope_config_id":"s","enable_filtering":false,"enable_field_mapping":true,"enable_static_ips":true,"link_type":"MAGIC_LINK"`), ""},
		{"an array", "POST", "/connect/create-link", `[]`, "The body is not a JSON object."},
		{"null", "POST", "/connect/create-link", `null`, "The body is not a JSON object."},
		{"no JSON", "POST", "/connect/create-link", `{`, "The body is not a JSON object."},
		{"an address that is a number", "POST", "/connect/create-link", `{"end_user_email":1}`, "end_user_email: not an e-mail address"},
		{"an address that is null", "POST", "/connect/create-link", `{"end_user_email":null}`, "end_user_email: not an e-mail address"},
		{"an address without a domain", "POST", "/connect/create-link", `{"end_user_email":"ada@localhost"}`, "end_user_email: not an e-mail address"},
		{"an address with two dots", "POST", "/connect/create-link", `{"end_user_email":"a..b@c.example"}`, "end_user_email: not an e-mail address"},
		{"a name that is empty", "POST", "/connect/create-link", `{"end_user_email":"a@b.example","end_user_organization_name":""}`, "end_user_organization_name: a name is required"},
		{"an id that is empty", "POST", "/connect/create-link", link(`"end_user_origin_id":""`), "end_user_origin_id: not empty where it is there"},
		{"a category that is null", "POST", "/connect/create-link", link(`"integration_category":null`), "integration_category: not one of HRIS, ATS, ASSESSMENT, LMS"},
		{"a tool that is none", "POST", "/connect/create-link", link(`"integration_tool":"Personio"`), `integration_tool: there is no tool "Personio"; see Config.Tools`},
		{"a flag that is a string", "POST", "/connect/create-link", link(`"enable_filtering":"yes"`), "enable_filtering: not true or false"},
		{"a flag that is null", "POST", "/connect/create-link", link(`"enable_static_ips":null`), "enable_static_ips: not true or false"},
		{"a link type that is null", "POST", "/connect/create-link", link(`"link_type":null`), "link_type: not one of EMBEDDED, MAGIC_LINK"},
		{"relink without a body", "POST", "/integrations/" + id + "/relink", ``, ""},
		{"relink with null", "POST", "/integrations/" + id + "/relink", `{"language":null,"scope_config_id":null}`, ""},
		{"relink in a strange language", "POST", "/integrations/" + id + "/relink", `{"language":"nl"}`, "language: not one of en, de, fr, it, es"},
		{"relink to a number", "POST", "/integrations/" + id + "/relink", `{"scope_config_id":7}`, "scope_config_id: not a string or null"},
		{"setup without a link type", "POST", "/integrations/" + id + "/setup-link", `{}`, "link_type: one of EMBEDDED, MAGIC_LINK is required"},
		{"setup without steps", "POST", "/integrations/" + id + "/setup-link", `{"link_type":"EMBEDDED"}`, "No setup step is enabled for this integration."},
		{"enabled without a value", "PUT", "/integrations/" + id + "/enabled", `{}`, "value: true or false is required"},
		{"enabled by a number", "PUT", "/integrations/" + id + "/enabled", `{"value":1}`, "value: not true or false"},
		{"tools of no category", "GET", "/tools/payroll", ``, "category: not one of hris, ats, assessment, lms"},
		{"tools in upper case", "GET", "/tools/HRIS", ``, "category: not one of hris, ats, assessment, lms"},
		{"a body that is too long", "POST", "/connect/create-link", strings.Repeat(" ", 1<<20) + "{}", "The body is too long, or was not sent whole."},
		{"deletion with an array", "DELETE", "/integrations/" + id, `[]`, "The body is not a JSON object."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, _, answer := send(t, srv, test.method, test.path, test.body)
			if test.want == "" {
				if status != http.StatusOK {
					t.Errorf("answer = %d %s, want 200", status, answer)
				}
				return
			}
			var got struct {
				Error struct{ Code, Message string }
			}
			if err := json.Unmarshal([]byte(answer), &got); err != nil {
				t.Fatal(err)
			}
			if status != http.StatusBadRequest || got.Error.Code != "PLATFORM.INPUT_INVALID" || got.Error.Message != test.want {
				t.Errorf("answer = %d %s\nwant 400 %s", status, answer, test.want)
			}
		})
	}
}

func TestUnknownIntegrations(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	for _, op := range kombotest.Operations() {
		method, path, _ := strings.Cut(op, " ")
		if !strings.Contains(path, "{integration_id}") {
			continue
		}
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			status, _, answer := send(t, srv, method, strings.ReplaceAll(path, "{integration_id}", "personio%3Aunknown"), "{}")
			if status != http.StatusNotFound || !strings.Contains(answer, `"code":"PLATFORM.INTEGRATION_NOT_FOUND"`) {
				t.Errorf("answer = %d %s", status, answer)
			}
		})
	}
}

func TestLinksExpire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		linkType kombo.LinkType
		after    time.Duration
		wantErr  string
	}{
		{kombo.LinkTypeEmbedded, time.Hour - time.Second, ""},
		{kombo.LinkTypeEmbedded, time.Hour, "kombotest: the link has expired"},
		{kombo.LinkTypeMagicLink, 365*24*time.Hour - time.Second, ""},
		{kombo.LinkTypeMagicLink, 365 * 24 * time.Hour, "kombotest: the link has expired"},
	}
	for _, test := range tests {
		t.Run(string(test.linkType)+" "+test.after.String(), func(t *testing.T) {
			t.Parallel()
			clock := at("2026-01-01T00:00:00Z")
			passed := make(chan time.Duration, 1)
			passed <- 0
			srv, client := kombotest.Start(t, kombotest.Config{Now: func() time.Time {
				d := <-passed
				passed <- d
				return clock().Add(d)
			}})
			typed := request
			typed.LinkType = test.linkType
			link, err := client.Connect.CreateLink(t.Context(), typed)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(srv.OpenLinks()); got != 1 {
				t.Errorf("%d links are open", got)
			}
			<-passed
			passed <- test.after
			_, err = srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{})
			if got := errorText(err); got != test.wantErr {
				t.Errorf("CompleteFlow = %q, want %q", got, test.wantErr)
			}
			if got := len(srv.OpenLinks()); got != 0 {
				t.Errorf("%d links are open", got)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestOpenLinks(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{Now: at("2026-05-04T03:02:01Z")})
	magic := request
	magic.LinkType, magic.IntegrationCategory = kombo.LinkTypeMagicLink, kombo.CategoryATS
	first, err := client.Connect.CreateLink(t.Context(), magic)
	if err != nil {
		t.Fatal(err)
	}
	id := srv.Connect(t, request).ID
	second, err := client.Integrations.Relink(t.Context(), id, kombo.RelinkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	endUser := kombo.EndUser{OrganizationName: "Müller & Söhne <HR>", CreatorEmail: "ada@acme.example", OriginID: "42"}
	want := []kombotest.OpenLink{
		{
			URL: first.URL, Kind: kombotest.LinkKindConnect, LinkType: kombo.LinkTypeMagicLink, EndUser: endUser,
			Category: kombo.CategoryATS, ExpiresAt: time.Date(2027, 5, 4, 3, 2, 1, 0, time.UTC),
		},
		{
			URL: second.URL, Kind: kombotest.LinkKindRelink, LinkType: kombo.LinkTypeEmbedded, EndUser: endUser,
			Category: kombo.CategoryHRIS, Tool: "personio", IntegrationID: id, ExpiresAt: time.Date(2026, 5, 4, 4, 2, 1, 0, time.UTC),
		},
	}
	if diff := cmp.Diff(want, srv.OpenLinks()); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if err := srv.DeleteIntegration(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[:1], srv.OpenLinks()); diff != "" {
		t.Errorf("links after the deletion (-want +got):\n%s", diff)
	}
}

func TestUnknownToolIsNoChoice(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	const want = `kombotest: the tool "Workday" is unknown; see Config.Tools`
	if _, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{Tool: "Workday"}); err == nil || err.Error() != want {
		t.Errorf("CompleteFlow = %v, want %s", err, want)
	}
}

// With a seed and a clock a test sees the same in each run.
func TestSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) []string {
		srv, _ := kombotest.Start(t, kombotest.Config{Seed: seed, Now: at("2026-05-04T03:02:01Z")})
		id := srv.Connect(t, request).ID
		event := srv.Deliveries()[0]
		return []string{srv.APIKey(), srv.WebhookSecret(), id, event.EventID, string(event.Body), event.Signature}
	}
	first := run(7)
	if diff := cmp.Diff(first, run(7)); diff != "" {
		t.Errorf("two runs (-first +second):\n%s", diff)
	}
	if other := run(8); other[0] == first[0] || other[2] == first[2] {
		t.Errorf("another seed gave the same: %v", other)
	}
	if one, two := run(0), run(0); one[0] == two[0] || one[2] == two[2] {
		t.Errorf("without a seed two runs gave the same: %v", one)
	}
	if form := regexp.MustCompile(`^personio:[1-9A-HJ-NP-Za-km-z]{24}$`); !form.MatchString(first[2]) {
		t.Errorf("the id %s does not look like one of Kombo's", first[2])
	}
}

// The address in links is the one that others know.
func TestURL(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	if !strings.HasPrefix(srv.BaseURL(), "http://127.0.0.1:") {
		t.Errorf("base URL = %s", srv.BaseURL())
	}
	srv.Handle("GET /v1/mine", http.RedirectHandler("/elsewhere", http.StatusTeapot))
	if status, _, _ := send(t, srv, "GET", "/mine", ""); status != http.StatusTeapot {
		t.Errorf("the test's own handler answers %d", status)
	}
	named := kombotest.NewServer(kombotest.Config{URL: "http://kombo.example:8900/"})
	defer named.Close()
	if named.BaseURL() != "http://kombo.example:8900/v1" {
		t.Errorf("base URL = %s", named.BaseURL())
	}
	if _, err := named.Client(); err == nil {
		t.Error("the SDK talks plain http to another host")
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	var seen []string
	srv, client := kombotest.Start(t, kombotest.Config{OnRequest: func(r kombotest.Request) { seen = append(seen, r.Op) }})
	if _, err := client.Connect.CreateLink(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	send(t, srv, "POST", "/integrations/a%3A1/relink?x=1", "{}")
	send(t, srv, "GET", "/nowhere", "")
	got := srv.Requests()
	for i := range got {
		if got[i].Time.IsZero() || got[i].Duration <= 0 || got[i].Header.Get("Authorization") != "Bearer "+srv.APIKey() {
			t.Errorf("request %d = %+v", i, got[i])
		}
		got[i].Time, got[i].Duration, got[i].Header = time.Time{}, 0, nil
	}
	want := []kombotest.Request{
		{
			Number: 1, Op: "POST /connect/create-link", Method: "POST", Path: "/connect/create-link", StatusCode: 200,
			Body: []byte(`{"end_user_email":"ada@acme.example","end_user_organization_name":"Müller \u0026 Söhne \u003cHR\u003e","end_user_origin_id":"42"}`),
		},
		{
			Number: 2, Op: "POST /integrations/{integration_id}/relink", Method: "POST", Path: "/integrations/a%3A1/relink?x=1",
			Body: []byte("{}"), StatusCode: 404, ErrorCode: kombo.CodeIntegrationNotFound,
		},
		{Number: 3, Method: "GET", Path: "/nowhere", Body: []byte{}, StatusCode: 404},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"POST /connect/create-link", "POST /integrations/{integration_id}/relink", ""}, seen); diff != "" {
		t.Errorf("OnRequest (-want +got):\n%s", diff)
	}
}

// A server that runs for long remembers the beginning of long bodies.
func TestLongBodiesAreRecordedInPart(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	long := `{"end_user_email":"a@b.example","end_user_organization_name":"` + strings.Repeat("x", 100<<10) + `"}`
	if status, _, answer := send(t, srv, "POST", "/connect/create-link", long); status != http.StatusOK {
		t.Errorf("%d %s", status, answer)
	}
	if got := string(srv.Requests()[0].Body); len(got) != 64<<10 || !strings.HasPrefix(long, got) {
		t.Errorf("%d bytes are recorded", len(got))
	}
}
