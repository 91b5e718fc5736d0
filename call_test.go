package kombo_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

func TestPathValuesAreChecked(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", ".", ".."} {
		problem := "is empty"
		if value != "" {
			problem = "must not contain the path step " + value
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

// A response without a required field must never look like a success.
func TestIncompleteResponses(t *testing.T) {
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
		name, response string
		call           func(*testing.T, *kombo.Client) error
		want           string
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
			client, _ := mocked(t, "*", "", 200, test.response)
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
				t.Errorf("error contains a secret: %v", err)
			}
		})
	}
}

func TestClientThatNewClientDidNotMake(t *testing.T) {
	t.Parallel()
	var client kombo.Client
	const want = ": the client was not made by NewClient (nothing was sent)"
	calls := map[string]func() error{
		"GET /check-api-key": func() error { _, err := client.CheckAPIKey(t.Context()); return err },
		"POST /connect/create-link": func() error {
			_, err := client.Connect.CreateLink(t.Context(), kombo.CreateLinkRequest{})
			return err
		},
		"DELETE /integrations/{integration_id}": func() error { return client.Integrations.Delete(t.Context(), "x") },
	}
	for op, call := range calls {
		if err := call(); err == nil || err.Error() != "kombo: "+op+want {
			t.Errorf("error = %v", err)
		}
	}
}

func TestNilContext(t *testing.T) {
	t.Parallel()
	client, got := mocked(t, "*", "", 200, "{}")
	var none context.Context
	_, err := client.CheckAPIKey(none)
	checkRefused(t, err, got, "kombo: GET /check-api-key: the context is nil (nothing was sent)")
}

// An error names the mistake in the settings of the client that probably caused it.
func TestHints(t *testing.T) {
	t.Parallel()
	const (
		secretHint  = "the API key does not start with ks_prod_ or ks_dev_; is it a webhook secret?"
		versionHint = "the base URL does not end with /v1; is the version missing?"
		badKey      = `{"status":"error","error":{"code":"PLATFORM.AUTHENTICATION_INVALID","message":"no"}}`
	)
	tests := []struct {
		name, key, baseURL string
		status             int
		body, want         string
	}{
		{"webhook secret", "whsec-0123456789", "https://api.kombo.dev/v1", 401, badKey, secretHint},
		{"webhook secret, refused by a gateway", "whsec-0123456789", "https://api.kombo.dev/v1", 401, "", secretHint},
		{"production key", "ks_prod_0123456789", "https://api.kombo.dev/v1", 401, badKey, ""},
		{"development key", "ks_dev_0123456789", "https://api.kombo.dev/v1", 401, badKey, ""},
		{"another error", "whsec-0123456789", "https://api.kombo.dev/v1", 400, "", ""},
		{"no version", "ks_dev_0123456789", "https://proxy.example/kombo", 404, "not found", versionHint},
		{"with version", "ks_dev_0123456789", "https://proxy.example/kombo/v1", 404, "not found", ""},
		{"not found by Kombo", "ks_dev_0123456789", "https://proxy.example/kombo", 404, notFoundResponse, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mock := httpmock.NewMockTransport()
			mock.RegisterNoResponder(httpmock.NewStringResponder(test.status, test.body))
			client, err := kombo.NewClient(test.key, kombo.WithBaseURL(test.baseURL), kombo.WithHTTPClient(&http.Client{Transport: mock}))
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.CheckAPIKey(t.Context())
			if err == nil || strings.Contains(err.Error(), test.key) {
				t.Fatalf("error = %v", err)
			}
			if test.want != "" && !strings.HasSuffix(err.Error(), ": "+test.want+" (attempts: 1)") ||
				test.want == "" && (strings.Contains(err.Error(), secretHint) || strings.Contains(err.Error(), versionHint)) {
				t.Errorf("error = %v, want hint %q", err, test.want)
			}
		})
	}
}

// A byte order mark changes nothing.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	const mark = "\ufeff"
	client, _ := mocked(t, "*", "", 404, mark+notFoundResponse)
	err := client.Integrations.Delete(t.Context(), testIntegrationID)
	want := &kombo.Error{
		Op: "DELETE /integrations/{integration_id}", StatusCode: 404, Attempts: 1, Body: []byte(mark + notFoundResponse),
		Code: kombo.CodeIntegrationNotFound, Title: "Not found", Message: "No such integration.",
	}
	if diff := cmp.Diff(error(want), err, cmpopts.IgnoreUnexported(kombo.Error{})); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	client, _ = mocked(t, "*", "", 200, mark+fixture(t, "integration-field"))
	if field, err := client.Integrations.SetFieldPassthrough(t.Context(), testIntegrationID, "f", true); err != nil || field.ID != wantField.ID {
		t.Errorf("%v, %v", field, err)
	}
	client, _ = mocked(t, "*", "", 200, mark+envelope(`"PLATFORM.INTEGRATION_NOT_FOUND"`, "null", `"m"`, "null"))
	if err := client.Integrations.Delete(t.Context(), testIntegrationID); !errors.Is(err, kombo.ErrIntegrationNotFound) {
		t.Errorf("error in a 200 = %v", err)
	}
	client, _ = mocked(t, "*", "", 200, mark+mark+`{"status":"success"}`)
	if err := client.Integrations.Delete(t.Context(), testIntegrationID); !errors.Is(err, kombo.ErrUnexpectedResponse) {
		t.Errorf("two marks: %v", err)
	}
}
