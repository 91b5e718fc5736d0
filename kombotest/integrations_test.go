package kombotest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestGetIntegration(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{Now: at("2026-05-04T03:02:01Z")})
	withScope := request
	withScope.IntegrationTool, withScope.ScopeConfigID, withScope.EndUserOriginID = "workday", "scope2", ""
	id := srv.Connect(t, withScope).ID

	status, _, response := send(t, srv, "GET", "/integrations/"+escaped(id), "")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, response)
	}
	got := data(t, response)
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

// The responses of the fake have every documented field.
func TestResponsesHaveEveryDocumentedField(t *testing.T) {
	t.Parallel()
	srv, client := newServer(t, kombotest.Config{})
	link, err := client.Connect.CreateLink(t.Context(), kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "A"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{})
	if err != nil {
		t.Fatal(err)
	}
	_, _, response := send(t, srv, "GET", "/connect/integration-by-token/"+token, "")
	got := data(t, response)
	got["id"] = "…"
	want := map[string]any{
		"id": "…", "tool": "personio", "end_user_origin_id": nil, "end_user_organization_name": "A",
		"end_user_email": "a@b.example", "setup_status": "COMPLETED",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
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
		status, _, response := send(t, srv, "PUT", "/integrations/"+escaped(id)+"/enabled", step.body)
		if status != http.StatusOK || strings.TrimSpace(response) != `{"data":{},"status":"success"}` {
			t.Fatalf("step %d: %d %s", i, status, response)
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
				t.Errorf("step %d: the event has %s, want %s", i, e.Data.State, step.wantState)
			}
		}
	}
	// Enabling does not repair credentials.
	if err := srv.SetState(t.Context(), id, kombo.StateInvalid); err != nil {
		t.Fatal(err)
	}
	send(t, srv, "PUT", "/integrations/"+escaped(id)+"/enabled", `{"value":true}`)
	if got, _ := srv.Integration(id); got.State != kombo.StateInvalid {
		t.Errorf("state %s, want INVALID", got.State)
	}
}

// The order of two events is visible even if the clock stands still.
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
