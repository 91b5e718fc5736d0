package kombo_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

const createLinkURL = "https://api.kombo.dev/v1/connect/create-link"

func TestCreateLink(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		request  kombo.CreateLinkRequest
		wantBody string
		response string
		want     *kombo.Link
	}{
		{
			"required fields only",
			kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc."},
			`{"end_user_email":"ada@acme.example","end_user_organization_name":"Acme, Inc."}`,
			`{"status":"success","data":{"link":"` + testLink + `"}}`,
			&kombo.Link{URL: testLink},
		},
		{
			"every field",
			kombo.CreateLinkRequest{
				EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "42",
				IntegrationCategory: kombo.CategoryATS, IntegrationTool: "workday", RemoteEnvironment: "preview",
				Language: kombo.LanguageDE, ScopeConfigID: "scope1",
				EnableFiltering: true, EnableFieldMapping: true, EnableStaticIPs: true,
				LinkType: kombo.LinkTypeMagicLink,
			},
			`{"end_user_email":"ada@acme.example","end_user_organization_name":"Acme, Inc.","end_user_origin_id":"42",` +
				`"integration_category":"ATS","integration_tool":"workday","remote_environment":"preview",` +
				`"language":"de","scope_config_id":"scope1",` +
				`"enable_filtering":true,"enable_field_mapping":true,"enable_static_ips":true,"link_type":"MAGIC_LINK"}`,
			`{"status":"success","data":{"link":"` + testLink + `","static_ips":["192.0.2.1","2001:db8::1"]}}`,
			&kombo.Link{URL: testLink, StaticIPs: []string{"192.0.2.1", "2001:db8::1"}},
		},
		{
			"values and fields that this package does not know",
			kombo.CreateLinkRequest{
				EndUserEmail: "o'brien+hr@sub.acme.example", EndUserOrganizationName: "A",
				IntegrationCategory: "CRM", Language: "pt", LinkType: "QR_CODE",
			},
			`{"end_user_email":"o'brien+hr@sub.acme.example","end_user_organization_name":"A","integration_category":"CRM","language":"pt","link_type":"QR_CODE"}`,
			`{"status":"success","data":{"link":"` + testLink + `","expires_at":"2030-01-01"},"warnings":[]}`,
			&kombo.Link{URL: testLink},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "POST", createLinkURL, 200, test.response)
			link, err := client.Connect.CreateLink(t.Context(), test.request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, link); diff != "" {
				t.Errorf("link (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantBody, got.Body); diff != "" {
				t.Errorf("body on the wire (-want +got):\n%s", diff)
			}
			wantHeader := map[string][]string{
				"Authorization":   {"Bearer " + testAPIKey},
				"Accept":          {"application/json"},
				"Accept-Encoding": {"gzip"},
				"Content-Type":    {"application/json"},
				"User-Agent":      {"kombo-go/" + kombo.Version},
			}
			if diff := cmp.Diff(wantHeader, map[string][]string(got.Header)); diff != "" {
				t.Errorf("headers on the wire (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCreateLinkRefusesBadInput(t *testing.T) {
	t.Parallel()
	good := kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc."}
	tests := []struct {
		name   string
		change func(*kombo.CreateLinkRequest)
		want   string
	}{
		{"no e-mail address", func(r *kombo.CreateLinkRequest) { r.EndUserEmail = "" }, "EndUserEmail is required"},
		{"e-mail address without @", func(r *kombo.CreateLinkRequest) { r.EndUserEmail = "ada" }, "EndUserEmail is not an e-mail address"},
		{"e-mail address without user", func(r *kombo.CreateLinkRequest) { r.EndUserEmail = "@acme.example" }, "EndUserEmail is not an e-mail address"},
		{"e-mail address without host", func(r *kombo.CreateLinkRequest) { r.EndUserEmail = "ada@" }, "EndUserEmail is not an e-mail address"},
		{"e-mail address with name", func(r *kombo.CreateLinkRequest) { r.EndUserEmail = "Ada <ada@acme.example>" }, "EndUserEmail is not an e-mail address"},
		{"e-mail address with a line break", func(r *kombo.CreateLinkRequest) { r.EndUserEmail = "ada@acme.example\r\n" }, "EndUserEmail is not an e-mail address"},
		{"e-mail address with a tab", func(r *kombo.CreateLinkRequest) { r.EndUserEmail = "a\tda@acme.example" }, "EndUserEmail is not an e-mail address"},
		{"no organization", func(r *kombo.CreateLinkRequest) { r.EndUserOrganizationName = "" }, "EndUserOrganizationName is required"},
		{"environment without tool", func(r *kombo.CreateLinkRequest) { r.RemoteEnvironment = "preview" }, "RemoteEnvironment needs an IntegrationTool"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "POST", createLinkURL, 200, "{}")
			request := good
			test.change(&request)
			_, err := client.Connect.CreateLink(t.Context(), request)
			checkRefused(t, err, got, "kombo: POST /connect/create-link: "+test.want+" (nothing was sent)")
		})
	}
}

func TestIntegrationByToken(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, response string
		want           *kombo.ConnectedIntegration
	}{
		{
			"every field",
			`{"status":"success","data":{"id":"` + testIntegrationID + `","tool":"personio","end_user_origin_id":"42",` +
				`"end_user_organization_name":"Acme, Inc.","end_user_email":"ada@acme.example","setup_status":"COMPLETED"}}`,
			&kombo.ConnectedIntegration{
				ID: testIntegrationID, Tool: "personio", EndUserOriginID: "42", EndUserOrganizationName: "Acme, Inc.",
				EndUserEmail: "ada@acme.example", SetupStatus: kombo.SetupStatusCompleted,
			},
		},
		{
			"null if that is allowed, and a setup status that is new",
			`{"status":"success","data":{"id":"` + testIntegrationID + `","tool":"newtool","end_user_origin_id":null,` +
				`"end_user_organization_name":"Acme, Inc.","end_user_email":null,"setup_status":"PAUSED"}}`,
			&kombo.ConnectedIntegration{
				ID: testIntegrationID, Tool: "newtool", EndUserOrganizationName: "Acme, Inc.", SetupStatus: "PAUSED",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := "https://api.kombo.dev/v1/connect/integration-by-token/" + testToken
			client, got := mocked(t, "GET", url, 200, test.response)
			integration, err := client.Connect.IntegrationByToken(t.Context(), testToken)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, integration); diff != "" {
				t.Errorf("integration (-want +got):\n%s", diff)
			}
			if got.Body != "" || got.Header.Get("Content-Type") != "" {
				t.Errorf("body on the wire = %q", got.Body)
			}
		})
	}
}
