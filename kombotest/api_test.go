package kombotest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/kombo-go/kombo/kombotest"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	srv, _ := newServer(t, kombotest.Config{APIKey: "the-key"})
	const problem = `{"error":{"code":"PLATFORM.INPUT_INVALID","log_url":null,"message":"%","title":null},"status":"error"}`
	invalid := func(message string) string { return strings.Replace(problem, "%", message, 1) }
	const notFound = `{"error":{"code":"PLATFORM.INTEGRATION_NOT_FOUND","log_url":null,"message":"There is no integration with this id in this environment.","title":null},"status":"error"}`
	tests := []struct {
		name, method, path, key, body string
		wantStatus                    int
		wantBody                      string
	}{
		{"no key", "GET", "/check-api-key", "", "", 401, `{"error":{"code":"PLATFORM.AUTHENTICATION_INVALID","log_url":null,"message":"The API key is not valid.","title":null},"status":"error"}`},
		{"wrong key", "DELETE", "/integrations/a:1", "other", "{}", 401, `{"error":{"code":"PLATFORM.AUTHENTICATION_INVALID","log_url":null,"message":"The API key is not valid.","title":null},"status":"error"}`},
		{"no such endpoint", "GET", "/nowhere", "the-key", "", 404, `{"error":{"code":null,"log_url":null,"message":"There is no such endpoint. In a test, Server.HandleFunc adds those that are about data.","title":null},"status":"error"}`},
		{"link without body", "POST", "/connect/create-link", "the-key", "", 400, invalid("The body is not a JSON object.")},
		{"link without e-mail address", "POST", "/connect/create-link", "the-key", `{"end_user_organization_name":"A"}`, 400, invalid("end_user_email: an e-mail address is required")},
		{"link without organization", "POST", "/connect/create-link", "the-key", `{"end_user_email":"a@b.example"}`, 400, invalid("end_user_organization_name: a name is required")},
		{
			"environment without tool", "POST", "/connect/create-link", "the-key",
			`{"end_user_email":"a@b.example","end_user_organization_name":"A","remote_environment":"preview"}`,
			400, invalid("remote_environment: only together with integration_tool"),
		},
		{"unknown category", "POST", "/connect/create-link", "the-key", `{"end_user_email":"a@b.example","end_user_organization_name":"A","integration_category":"hris"}`, 400, invalid("integration_category: not one of HRIS, ATS, ASSESSMENT, LMS")},
		{"unknown language", "POST", "/connect/create-link", "the-key", `{"end_user_email":"a@b.example","end_user_organization_name":"A","language":"xx"}`, 400, invalid("language: not one of en, de, fr, it, es")},
		{"unknown link type", "POST", "/connect/create-link", "the-key", `{"end_user_email":"a@b.example","end_user_organization_name":"A","link_type":"magic"}`, 400, invalid("link_type: not one of EMBEDDED, MAGIC_LINK")},
		{"unknown token", "GET", "/connect/integration-by-token/x", "the-key", "", 400, invalid("The token is not valid.")},
		{"relink of an unknown integration", "POST", "/integrations/a%3A1/relink", "the-key", "{}", 404, notFound},
		{"deletion of an unknown integration", "DELETE", "/integrations/a%3A1", "the-key", "{}", 404, notFound},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, _, response := sendAs(t, srv, test.key, test.method, test.path, test.body)
			if status != test.wantStatus || strings.TrimSpace(response) != test.wantBody {
				t.Errorf("response = %d %s\nwant %d %s", status, response, test.wantStatus, test.wantBody)
			}
		})
	}
}

// A request that the OpenAPI document does not allow is refused with a response that names the field.
func TestInvalidInput(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	id := escaped(srv.Connect(t, request).ID)
	const base = `"end_user_email":"a@b.example","end_user_organization_name":"A"`
	link := func(members string) string { return "{" + base + "," + members + "}" }
	tests := []struct {
		name, method, path, body string
		want                     string // "" if the request is valid
	}{
		{"all that may be null", "POST", "/connect/create-link", link(`"end_user_origin_id":null,"integration_tool":null,"remote_environment":null,"language":null,"scope_config_id":null`), ""},
		{"unknown members", "POST", "/connect/create-link", link(`"brand_new":{}`), ""},
		{"everything", "POST", "/connect/create-link", link(`"end_user_origin_id":"1","integration_category":"ATS","integration_tool":"lever","remote_environment":"x","language":"it","scope_config_id":"s","enable_filtering":false,"enable_field_mapping":true,"enable_static_ips":true,"link_type":"MAGIC_LINK"`), ""},
		{"an array", "POST", "/connect/create-link", `[]`, "The body is not a JSON object."},
		{"null", "POST", "/connect/create-link", `null`, "The body is not a JSON object."},
		{"no JSON", "POST", "/connect/create-link", `{`, "The body is not a JSON object."},
		{"an address that is a number", "POST", "/connect/create-link", `{"end_user_email":1}`, "end_user_email: not an e-mail address"},
		{"an address that is null", "POST", "/connect/create-link", `{"end_user_email":null}`, "end_user_email: not an e-mail address"},
		{"an address without a domain", "POST", "/connect/create-link", `{"end_user_email":"ada@localhost"}`, "end_user_email: not an e-mail address"},
		{"an address with two dots", "POST", "/connect/create-link", `{"end_user_email":"a..b@c.example"}`, "end_user_email: not an e-mail address"},
		{"a name that is empty", "POST", "/connect/create-link", `{"end_user_email":"a@b.example","end_user_organization_name":""}`, "end_user_organization_name: a name is required"},
		{"an empty ID", "POST", "/connect/create-link", link(`"end_user_origin_id":""`), "end_user_origin_id: not empty if present"},
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
		{"a body that is too long", "POST", "/connect/create-link", strings.Repeat(" ", 1<<20) + "{}", "The body is too long or incomplete."},
		{"deletion with an array", "DELETE", "/integrations/" + id, `[]`, "The body is not a JSON object."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, _, response := send(t, srv, test.method, test.path, test.body)
			if test.want == "" {
				if status != http.StatusOK {
					t.Errorf("response = %d %s, want 200", status, response)
				}
				return
			}
			var got struct {
				Error struct{ Code, Message string }
			}
			if err := json.Unmarshal([]byte(response), &got); err != nil {
				t.Fatal(err)
			}
			if status != http.StatusBadRequest || got.Error.Code != "PLATFORM.INPUT_INVALID" || got.Error.Message != test.want {
				t.Errorf("response = %d %s\nwant 400 %s", status, response, test.want)
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
			status, _, response := send(t, srv, method, strings.ReplaceAll(path, "{integration_id}", "personio%3Aunknown"), "{}")
			if status != http.StatusNotFound || !strings.Contains(response, `"code":"PLATFORM.INTEGRATION_NOT_FOUND"`) {
				t.Errorf("response = %d %s", status, response)
			}
		})
	}
}
