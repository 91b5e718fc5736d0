package kombo_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

const integrationURL = "https://api.kombo.dev/v1/integrations/personio%3AFx7TqWm3kPz9LdRvN2sYbH5c"

func TestRelink(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		request  kombo.RelinkRequest
		wantBody string
	}{
		{"nothing set", kombo.RelinkRequest{}, `{}`},
		{
			"every field",
			kombo.RelinkRequest{Language: kombo.LanguageFR, ScopeConfigID: "scope1", LinkType: kombo.LinkTypeMagicLink},
			`{"language":"fr","scope_config_id":"scope1","link_type":"MAGIC_LINK"}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "POST", integrationURL+"/relink", 200, `{"status":"success","data":{"link":"`+testLink+`"}}`)
			link, err := client.Integrations.Relink(t.Context(), testIntegrationID, test.request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&kombo.Link{URL: testLink}, link); diff != "" {
				t.Errorf("link (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantBody, got.Body); diff != "" {
				t.Errorf("body on the wire (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)
	expired := time.Date(2026, 4, 5, 6, 7, 8, 9_000_000, time.UTC)
	tests := []struct {
		name string
		want *kombo.Integration
	}{
		{"integration", &kombo.Integration{
			ID: testIntegrationID,
			Tool: kombo.IntegrationTool{
				ID: "personio", Label: "Personio",
				LogoURL: "https://assets.example/personio/logo.svg", IconURL: "https://assets.example/personio/icon.svg",
			},
			Category: kombo.CategoryHRIS, Status: kombo.StateActive, SetupStatus: kombo.SetupStatusCompleted,
			EndUser:     kombo.EndUser{OrganizationName: "Müller & Söhne <HR>", CreatorEmail: "ada@acme.example", OriginID: "42"},
			ScopeConfig: kombo.ScopeConfig{ID: "9Pv6aCFwNDEzPNmwjSsY9SQx", Name: "Employees only"},
			CreatedAt:   created,
			ReadModels: []kombo.ReadModel{
				{
					ID: "hris_employees", Label: "Employees", IsAvailable: true,
					CoverageStatus: kombo.CoverageStatusSupported, ScopeConfigSetting: kombo.ScopeConfigSettingEnabled,
					Fields: []kombo.ReadModelField{
						{
							ID: "date_of_birth", CoverageStatus: kombo.CoverageStatusSupported,
							ScopeConfigSetting: kombo.ScopeConfigSettingOptional, OptedOutByCustomer: true,
						},
						{
							ID: "ssn", CoverageStatus: kombo.CoverageStatusNotImplemented,
							ScopeConfigSetting: kombo.ScopeConfigSettingDisabled,
						},
					},
				},
				{
					ID: "hris_teams", Label: "Groups", CoverageStatus: kombo.CoverageStatusUnsupported,
					ScopeConfigSetting: kombo.ScopeConfigSettingDisabled, Fields: []kombo.ReadModelField{},
				},
			},
			WriteActions: []kombo.WriteAction{{
				ID: "hris_create_employee", Label: "Create employee", IsAvailable: true,
				CoverageStatus: kombo.CoverageStatusSupported, ScopeConfigSetting: kombo.ScopeConfigSettingEnabled,
				Fields: []kombo.WriteActionField{{ID: "first_name", IsAvailable: true, CoverageStatus: kombo.CoverageStatusUnknown}},
			}},
		}},
		{"integration-nulls", &kombo.Integration{
			ID: "newtool:Fx7TqWm3kPz9LdRvN2sYbH5c",
			Tool: kombo.IntegrationTool{
				ID: "newtool", Label: "New Tool", InternalLabel: "New Tool (v2)",
				LogoURL: "https://assets.example/newtool/logo.svg", IconURL: "https://assets.example/newtool/icon.svg",
			},
			Category: "PAYROLL", Status: "PAUSED", SetupStatus: "WAITING",
			EndUser:       kombo.EndUser{OrganizationName: "Acme, Inc."},
			ScopeConfig:   kombo.ScopeConfig{ID: "9Pv6aCFwNDEzPNmwjSsY9SQx"},
			DataExpiredAt: &expired, CreatedAt: created, Beta: true,
			ReadModels: []kombo.ReadModel{{
				ID: "payroll_runs", Label: "Runs", IsAvailable: true, CoverageStatus: "PARTIAL", ScopeConfigSetting: "INHERITED",
				Fields: []kombo.ReadModelField{},
			}},
			WriteActions: []kombo.WriteAction{},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answer := fixture(t, test.name)
			// What is new does no harm.
			client, got := mocked(t, "*", "", 200, strings.Replace(answer, `"data": {`, `"data": {"new_field": [1],`, 1))
			integration, err := client.Integrations.Get(t.Context(), testIntegrationID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, integration); diff != "" {
				t.Errorf("integration (-want +got):\n%s", diff)
			}
			checkSent(t, got, "GET", integrationURL, "", "")
			checkRoundTrip(t, answer, integration)
		})
	}
}

func TestGetThatBreaksItsPromise(t *testing.T) {
	t.Parallel()
	const full = `{"status":"success","data":{"id":"x:1","tool":{"id":"x"},"status":"ACTIVE","setup_status":"COMPLETED"}}`
	for old, want := range map[string]string{
		`"id":"x:1"`: "data.id is missing", `{"id":"x"}`: "data.tool.id is missing", `"status":"ACTIVE"`: "data.status is missing",
		`"setup_status":"COMPLETED"`: "data.setup_status is missing", full[27 : len(full)-1]: "it has no data",
	} {
		name, _, _ := strings.Cut(old, ":")
		replacement := name + ":null"
		if old[0] == '{' {
			replacement = "null"
		}
		client, _ := mocked(t, "*", "", 200, strings.Replace(full, old, replacement, 1))
		_, err := client.Integrations.Get(t.Context(), testIntegrationID)
		if !errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %s", old, err, want)
		}
	}
}

func TestSetEnabled(t *testing.T) {
	t.Parallel()
	for enabled, wantBody := range map[bool]string{true: `{"value":true}`, false: `{"value":false}`} {
		client, got := mocked(t, "*", "", 200, `{"status":"success","data":{}}`)
		if err := client.Integrations.SetEnabled(t.Context(), testIntegrationID, enabled); err != nil {
			t.Error(err)
		}
		checkSent(t, got, "PUT", integrationURL+"/enabled", wantBody, "")
	}
}

func TestSetupLink(t *testing.T) {
	t.Parallel()
	for wantBody, request := range map[string]kombo.SetupLinkRequest{
		`{"link_type":"MAGIC_LINK"}`:               {LinkType: kombo.LinkTypeMagicLink},
		`{"link_type":"EMBEDDED","language":"it"}`: {LinkType: kombo.LinkTypeEmbedded, Language: kombo.LanguageIT},
	} {
		client, got := mocked(t, "*", "", 200, `{"status":"success","data":{"link":"`+testLink+`"}}`)
		link, err := client.Integrations.SetupLink(t.Context(), testIntegrationID, request)
		if err != nil || link.URL != testLink {
			t.Errorf("%v, %v", link, err)
		}
		checkSent(t, got, "POST", integrationURL+"/setup-link", wantBody, "")
	}
}

func TestNewOperationsCheckTheirInput(t *testing.T) {
	t.Parallel()
	client, got := mocked(t, "*", "", 200, "{}")
	service, ctx := client.Integrations, t.Context()
	check := func(err error, want string) {
		t.Helper()
		checkRefused(t, err, got, "kombo: "+want+" (nothing was sent)")
	}
	_, err := service.Get(ctx, "")
	check(err, "GET /integrations/{integration_id}: integration_id is empty")
	check(service.SetEnabled(ctx, "", true), "PUT /integrations/{integration_id}/enabled: integration_id is empty")
	_, err = service.SetupLink(ctx, "", kombo.SetupLinkRequest{LinkType: kombo.LinkTypeEmbedded})
	check(err, "POST /integrations/{integration_id}/setup-link: integration_id is empty")
	_, err = service.SetupLink(ctx, testIntegrationID, kombo.SetupLinkRequest{})
	check(err, "POST /integrations/{integration_id}/setup-link: LinkType is required")
	_, err = service.SetFieldPassthrough(ctx, testIntegrationID, "", true)
	check(err, "PATCH /integrations/{integration_id}/integration-fields/{integration_field_id}: integration_field_id is empty")
	_, err = service.MapCustomField(ctx, testIntegrationID, "..", "f")
	check(err, "PUT /integrations/{integration_id}/custom-fields/{custom_field_id}: custom_field_id must not hold the path step ..")
	_, err = service.FieldsPage(ctx, "", kombo.Paging{})
	check(err, "GET /integrations/{integration_id}/integration-fields: integration_id is empty")
	_, err = service.CustomFieldsPage(ctx, "", kombo.Paging{})
	check(err, "GET /integrations/{integration_id}/custom-fields: integration_id is empty")
}

func TestDelete(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`{"status":"success","data":{}}`, `{"status":"success","data":null}`, `{"status":"success"}`,
	} {
		client, got := mocked(t, "DELETE", integrationURL, 200, answer)
		if err := client.Integrations.Delete(t.Context(), testIntegrationID); err != nil {
			t.Errorf("%s: %v", answer, err)
		}
		if got.Body != "{}" || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("body on the wire = %q", got.Body)
		}
	}
}

const notFoundAnswer = `{"status":"error","error":{"code":"PLATFORM.INTEGRATION_NOT_FOUND","title":"Not found","message":"No such integration.","log_url":null}}`

// A deletion whose answer was lost must not fail because its repetition finds nothing.
func TestDeleteWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	notFound := httpmock.NewStringResponder(404, notFoundAnswer)
	tests := []struct {
		name  string
		first httpmock.Responder
		want  error
	}{
		{"connection cut", httpmock.NewErrorResponder(errors.New("connection reset by peer")), nil},
		{"bad gateway", httpmock.NewStringResponder(502, "<html>"), nil},
		{"rate limited", httpmock.NewStringResponder(429, ""), kombo.ErrIntegrationNotFound},
		{"cut, then rate limited", httpmock.NewErrorResponder(errors.New("connection reset by peer")).
			Then(httpmock.NewStringResponder(429, "")), nil},
		{"proxy refused the connection", httpmock.NewErrorResponder(&net.OpError{
			Op: "proxyconnect", Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")},
		}), kombo.ErrIntegrationNotFound},
		{"dialing took too long", httpmock.NewErrorResponder(&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}), kombo.ErrIntegrationNotFound},
		{"not found at once", notFound, kombo.ErrIntegrationNotFound},
		{"404 that Kombo did not write", httpmock.NewErrorResponder(errors.New("connection reset by peer")).
			Then(httpmock.NewStringResponder(404, "<html>no route</html>")), kombo.ErrUnexpectedResponse},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mock := httpmock.NewMockTransport()
				mock.RegisterNoResponder(httpmock.NewNotFoundResponder(t.Fatal))
				mock.RegisterResponder("DELETE", integrationURL, test.first.Then(notFound))
				client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}))
				if err := client.Integrations.Delete(t.Context(), testIntegrationID); !errors.Is(err, test.want) {
					t.Errorf("error = %v, want %v", err, test.want)
				}
			})
		})
	}
}
