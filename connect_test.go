package kombo_test

import (
	"errors"
	"runtime"
	"strings"
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
		answer   string
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
			client, got := mocked(t, "POST", createLinkURL, 200, test.answer)
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

func TestIntegrationByToken(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, answer string
		want         *kombo.ConnectedIntegration
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
			"null where it may be, and a setup status that is new",
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
			client, got := mocked(t, "GET", url, 200, test.answer)
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

func TestPathValuesAreChecked(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", ".", ".."} {
		problem := "is empty"
		if value != "" {
			problem = "must not hold the path step " + value
		}
		client, got := mocked(t, "GET", "https://api.kombo.dev/v1/", 200, "{}")
		_, err := client.Connect.IntegrationByToken(t.Context(), value)
		checkRefused(t, err, got, "kombo: GET /connect/integration-by-token/{token}: token "+problem+" (nothing was sent)")

		_, err = client.Integrations.Relink(t.Context(), value, kombo.RelinkRequest{})
		checkRefused(t, err, got, "kombo: POST /integrations/{integration_id}/relink: integration_id "+problem+" (nothing was sent)")

		err = client.Integrations.Delete(t.Context(), value)
		checkRefused(t, err, got, "kombo: DELETE /integrations/{integration_id}: integration_id "+problem+" (nothing was sent)")
	}
}

// An answer that lacks what it promises must never look like a success.
// Of data that is there twice, the last counts. After null, too, what is not known of it is skipped and takes
// no memory.
func TestDataAfterNull(t *testing.T) { //nolint:paralleltest // counts allocated bytes
	unknown := `"unknown":{"deeper":[` + strings.Repeat("[],", 1<<20) + `[]]}`
	answer := `{"status":"success","data":null,"data":{"link":"` + testLink + `",` + unknown + `}}`
	client, _ := mocked(t, "*", "", 200, answer)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	link, err := client.Connect.CreateLink(t.Context(), linkRequest)
	runtime.ReadMemStats(&after)
	if err != nil || link.URL != testLink {
		t.Fatalf("%v, %v", link, err)
	}
	// The answer is copied a few times while it is read; a decoded "[]" takes eight times its own bytes.
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(6*len(answer)) {
		t.Errorf("%d bytes were allocated for an answer of %d", got, len(answer))
	}
}

func TestAnswersThatBreakTheirPromise(t *testing.T) {
	t.Parallel()
	full := `{"id":"x:1","tool":"x","end_user_origin_id":"42","end_user_organization_name":"Acme","end_user_email":null,"setup_status":"COMPLETED"}`
	byToken := func(t *testing.T, c *kombo.Client) error {
		_, err := c.Connect.IntegrationByToken(t.Context(), testToken)
		return err
	}
	createLink := func(t *testing.T, c *kombo.Client) error {
		_, err := c.Connect.CreateLink(t.Context(), kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "A"})
		return err
	}
	tests := []struct {
		name, answer string
		call         func(*testing.T, *kombo.Client) error
		want         string
	}{
		{"no link", `{"status":"success","data":{"lnk":"` + testLink + `"}}`, createLink, "data.link is missing"},
		{"null link", `{"status":"success","data":{"link":null}}`, createLink, "data.link is missing"},
		{"empty link", `{"status":"success","data":{"link":""}}`, createLink, "data.link is missing"},
		{"link is no string", `{"status":"success","data":{"link":["` + testLink + `"]}}`, createLink, "the type of data.link is wrong"},
		{"no data", `{"status":"success"}`, createLink, "it has no data"},
		{"null data", `{"status":"success","data":null}`, createLink, "it has no data"},
		{"data, then null", `{"status":"success","data":{"link":"` + testLink + `"},"data":null}`, createLink, "it has no data"},
		{"no status", `{"data":{"link":"` + testLink + `"}}`, createLink, "its status is not success"},
		{"another status", `{"status":"pending","data":{"link":"` + testLink + `"}}`, createLink, "its status is not success"},
		{"HTML", "<html>Please log in</html>", createLink, "it is not JSON"},
		{"empty", "", createLink, "it is not JSON"},
		{"cut", `{"status":"success","data":{"link":"` + testLink, createLink, "it is not JSON"},
		{"two documents", `{"status":"success","data":{"link":"` + testLink + `"}}{}`, createLink, "it is not JSON"},
		{"array", `["success"]`, createLink, "it is not a JSON object"},
		{"string", `"success"`, createLink, "it is not a JSON object"},
		{"over the limit", `{"status":"success","data":{"link":"` + testLink + `"},"x":"` + strings.Repeat("x", 10<<20) + `"}`, createLink, "it is longer than the limit; see WithMaxResponseSize"},
		{"over the limit, in spaces", `{"status":"success","data":{"link":"` + testLink + `"}}` + strings.Repeat(" ", 10<<20), createLink, "it is longer than the limit; see WithMaxResponseSize"},
		{"no id", `{"status":"success","data":` + strings.Replace(full, `"id":"x:1"`, `"id":null`, 1) + `}`, byToken, "data.id is missing"},
		{"no tool", `{"status":"success","data":` + strings.Replace(full, `"tool"`, `"tol"`, 1) + `}`, byToken, "data.tool is missing"},
		{"no organization", `{"status":"success","data":` + strings.Replace(full, "organization", "organisation", 1) + `}`, byToken, "data.end_user_organization_name is missing"},
		{"no setup status", `{"status":"success","data":` + strings.Replace(full, "COMPLETED", "", 1) + `}`, byToken, "data.setup_status is missing"},
		{
			"no environment", `{"status":"success","data":{}}`,
			func(t *testing.T, c *kombo.Client) error { _, err := c.CheckAPIKey(t.Context()); return err },
			"data.environment_id is missing",
		},
		{
			"deletion that is not confirmed", `<html>OK</html>`,
			func(t *testing.T, c *kombo.Client) error {
				return c.Integrations.Delete(t.Context(), testIntegrationID)
			},
			"it is not JSON",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, _ := mocked(t, "*", "", 200, test.answer)
			err := test.call(t, client)
			var kerr *kombo.Error
			if !errors.Is(err, kombo.ErrUnexpectedResponse) || !errors.As(err, &kerr) {
				t.Fatalf("error = %v, want ErrUnexpectedResponse", err)
			}
			if kerr.StatusCode != 200 || kerr.Attempts != 1 || kerr.Body != nil {
				t.Errorf("error = %#v with body %q, want status 200, 1 attempt, no body", kerr, kerr.Body)
			}
			if !strings.Contains(err.Error(), "not what the API promises: "+test.want+" (JSON, ") {
				t.Errorf("error = %v, want one with %q", err, test.want)
			}
			if strings.Contains(err.Error(), "eyJ") {
				t.Errorf("error tells a secret: %v", err)
			}
		})
	}
}
