package kombo_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

// The error for a long integration is as precise as for a short one.
func TestDecodeErrorsOfLongResponses(t *testing.T) {
	t.Parallel()
	model := `{"id":"hris_employees","label":"Employees","fields":[` + strings.Repeat(`{"id":"first_name","coverage_status":"SUPPORTED"},`, 100) + `{"id":"last_name"}]},`
	for value, want := range map[string]string{
		`"created_at":"secret day"`: "data.created_at is not a time",
		`"data_expired_at":{}`:      "data.data_expired_at is not a time",
		`"beta":"yes"`:              "the type of data.beta is wrong",
	} {
		client, _ := mocked(t, "*", "", 200, `{"status":"success","data":{"id":"x:1","read_models":[`+strings.Repeat(model, 20)+`{}],`+value+`}}`)
		_, err := client.Integrations.Get(t.Context(), testIntegrationID)
		if err == nil || !strings.Contains(err.Error(), "not what the API promises: "+want) {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
}

// In a response of more than 256 KB, only the values that encoding/json names are named.
func TestDecodeErrorsOfVeryLongResponses(t *testing.T) {
	t.Parallel()
	models := `"read_models":[` + strings.Repeat(`{"id":"hris_employees","label":"Employees","fields":[]},`, 8_000) + `{}]`
	for value, want := range map[string]string{
		`"created_at":"secret day"`: "it cannot be decoded",
		`"beta":"yes"`:              "the type of data.beta is wrong",
	} {
		client, _ := mocked(t, "*", "", 200, `{"status":"success","data":{"id":"x:1","tool":{"id":"x"},"status":"ACTIVE","setup_status":"COMPLETED",`+models+`,`+value+`}}`)
		_, err := client.Integrations.Get(t.Context(), testIntegrationID)
		if err == nil || !strings.Contains(err.Error(), "not what the API promises: "+want) {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
}

// A long response to what was executed is decoded as far as the caller depends on it.
func TestDetailsOfLongResponses(t *testing.T) {
	t.Parallel()
	long := `"description":"` + strings.Repeat("x", 70<<10) + `"`
	for data, want := range map[string]string{
		`{"id":"c1","key":"k","model":"m","label":7,` + long + `}`: "",
		`{"id":1,"key":"k","model":"m","label":7,` + long + `}`:    "the type of data.id is wrong",
		`{"key":"k","model":"m","label":7,` + long + `}`:           "data.id is missing",
	} {
		client, _ := mocked(t, "*", "", 200, `{"status":"success","data":`+data+`}`)
		_, err := client.Integrations.MapCustomField(t.Context(), testIntegrationID, "c1", "f1")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.30s…: error = %v, want %q", data, err, want)
		}
	}
}

// The error names the first value that cannot be decoded, for any type and at any depth.
func TestDecodeErrorsNameTheValue(t *testing.T) {
	t.Parallel()
	const integration = `"id":"x:1","tool":{"id":"x"},"status":"ACTIVE","setup_status":"COMPLETED"`
	get := func(c *kombo.Client) error { _, err := c.Integrations.Get(t.Context(), testIntegrationID); return err }
	tools := func(c *kombo.Client) error { _, err := c.Connect.Tools(t.Context(), kombo.CategoryHRIS); return err }
	fields := func(c *kombo.Client) error {
		_, err := c.Integrations.FieldsPage(t.Context(), testIntegrationID, kombo.ListOptions{})
		return err
	}
	customs := func(c *kombo.Client) error {
		_, err := c.Integrations.CustomFieldsPage(t.Context(), testIntegrationID, kombo.ListOptions{})
		return err
	}
	byToken := func(c *kombo.Client) error {
		_, err := c.Connect.IntegrationByToken(t.Context(), testToken)
		return err
	}
	check := func(c *kombo.Client) error { _, err := c.CheckAPIKey(t.Context()); return err }
	createLink := func(c *kombo.Client) error { _, err := c.Connect.CreateLink(t.Context(), linkRequest); return err }
	sync := func(c *kombo.Client) error {
		_, err := c.Integrations.Sync(t.Context(), testIntegrationID, "")
		return err
	}
	times := func(c *kombo.Client) error {
		_, err := kombo.Call[map[string]time.Time](t.Context(), c, kombo.Request{Path: "/x"})
		return err
	}
	tests := []struct {
		data string
		call func(*kombo.Client) error
		want string
	}{
		{`{"a":"2026-01-01T00:00:00Z","secret":"secret day"}`, times, "data is not a time"},
		{`{` + integration + `,"created_at":"secret day"}`, get, "data.created_at is not a time"},
		{`{` + integration + `,"created_at":7}`, get, "data.created_at is not a time"},
		{`{` + integration + `,"created_at":{}}`, get, "data.created_at is not a time"},
		{`{` + integration + `,"created_at":"2026-13-01T00:00:00Z"}`, get, "data.created_at is not a time"},
		{`{` + integration + `,"data_expired_at":"x","created_at":"y"}`, get, "data.data_expired_at is not a time"},
		{`{"created_at":"x","created_at":"2026-01-02T03:04:05Z",` + integration + `}`, get, "data.created_at is not a time"},
		{`{"CREATED_AT":"x",` + integration + `}`, get, "data.created_at is not a time"},
		{`{` + integration + `,"beta":"yes"}`, get, "the type of data.beta is wrong"},
		{`{` + integration + `,"beta":"yes","created_at":"x"}`, get, "the type of data.beta is wrong"},
		{`{` + integration + `,"end_user":[]}`, get, "the type of data.end_user is wrong"},
		{`{` + integration + `,"end_user":{"origin_id":42}}`, get, "the type of data.end_user.origin_id is wrong"},
		{`{` + integration + `,"scope_config":{"name":false}}`, get, "the type of data.scope_config.name is wrong"},
		{`{` + integration + `,"read_models":{}}`, get, "the type of data.read_models is wrong"},
		{`{` + integration + `,"read_models":[{},7]}`, get, "the type of data.read_models is wrong"},
		{`{` + integration + `,"read_models":[{"id":"a"},{"fields":[{"id":"ok"},{"is_available":0}]}]}`, get, "the type of data.read_models.fields.is_available is wrong"},
		{`{"tool":"personio"}`, get, "the type of data.tool is wrong"},
		{`"x"`, get, "the type of data is wrong"},
		{`[{` + integration + `}]`, get, "the type of data is wrong"},
		{`{"tools":{}}`, tools, "the type of data.tools is wrong"},
		{`{"tools":[{"id":"a","internal_label":7}]}`, tools, "the type of data.tools.internal_label is wrong"},
		{`{"tools":[{"id":"a","coverage":{"read_models":[{"fields":[{"coverage_status":7}]}]}}]}`, tools, "the type of data.tools.coverage.read_models.fields.coverage_status is wrong"},
		{`{"tools":[{"id":"a","coverage":{"features":"x"}}]}`, tools, "the type of data.tools.coverage.features is wrong"},
		{`{"results":7,"next":null}`, fields, "the type of data.results is wrong"},
		{`{"results":[{"id":"f","key":{}}],"next":null}`, fields, "the type of data.results.key is wrong"},
		{`{"results":[],"next":7}`, fields, "the type of data.next is wrong"},
		{`{"results":[]}`, fields, "data.next is missing"},
		{`{"results":[{"id":"c","key":"k","integration_field":{"label":7}}],"next":null}`, customs, "the type of data.results.integration_field.label is wrong"},
		{`{"id":7}`, byToken, "the type of data.id is wrong"},
		{`{"environment_id":["a"]}`, check, "the type of data.environment_id is wrong"},
		// If a request was executed, only a missing required field is an error.
		{`{"link":["a"],"static_ips":7}`, createLink, "the type of data.link is wrong"},
		{`{"static_ips":7}`, createLink, "data.link is missing"},
		{`{"sync_id":7,"type":"FULL"}`, sync, "the type of data.sync_id is wrong"},
		{`{"already_queued":"no","type":7}`, sync, "data.sync_id is missing"},
		{`"queued"`, sync, "the type of data is wrong"},
		{`null`, sync, "it has no data"},
	}
	for _, test := range tests {
		t.Run(test.data, func(t *testing.T) {
			t.Parallel()
			client, _ := mocked(t, "*", "", 200, `{"status":"success","data":`+test.data+`}`)
			err := test.call(client)
			if !errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), "promises: "+test.want+" (JSON, ") {
				t.Errorf("error = %v, want %s", err, test.want)
			}
		})
	}
}

func TestWebhookDecodeErrorsNameTheValue(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"id":"e","type":"sync-finished","data":{"sync_id":"s","integration_id":"x:1","sync_duration_seconds":1e999}}`:           "data.sync_duration_seconds has the wrong type",
		`{"id":"e","type":"sync-finished","data":{"sync_ended_at":"x","sync_started_at":7}}`:                                      "data.sync_ended_at is not a time",
		`{"id":"e","type":"ai-apply-job-posting-status-updated","data":{"id":"j","archived_at":"x"}}`:                             "data.archived_at is not a time",
		`{"id":"e","type":"data-changed","data":{"changed_models":[{"name":"a"},{"name":7}]}}`:                                    "data.changed_models.name has the wrong type",
		`{"id":"e","type":"assessment:order-received","data":{"job":{"hiring_team":[{"hiring_team_roles":["a",7]}]}}}`:            "data.job.hiring_team.hiring_team_roles has the wrong type",
		`{"id":"e","type":"assessment:order-received","data":{"job":{"location":"Berlin"}}}`:                                      "data.job.location has the wrong type",
		`{"id":"e","type":"issue-status-changed","data":{"change":"raised","issue":{"id":"i","first_observed_at":"secret day"}}}`: "data.issue.first_observed_at is not a time",
		`{"type":"integration-deleted","data":{"deleted_at":"secret day"},"id":"e"}`:                                              "data.deleted_at is not a time",
		`{"type":"integration-deleted","data":7,"id":["e"]}`:                                                                      "id has the wrong type",
	} {
		event, err := kombo.ParseEvent([]byte(body))
		if event != nil || !errors.Is(err, kombo.ErrInvalidPayload) || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("%s: error = %v, want %s", body, err, want)
		}
	}
}

// If a request was executed, it is not reported as failed because of a detail of the response.
func TestDetailsOfAnotherForm(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{}`, `[]`, `null`, `"ok"`, `true`, `7`, `[[{}]]`, `{"deleted":{"at":"x"}}`} {
		for _, more := range []string{``, `,"warnings":["text"]`, `,"warnings":{}`, `,"error":"none"`, `,"error":7`} {
			client, _ := mocked(t, "*", "", 200, `{"status":"success","data":`+data+more+`}`)
			if err := client.Integrations.Delete(t.Context(), testIntegrationID); err != nil {
				t.Errorf("Delete, %s%s: %v", data, more, err)
			}
			if err := client.Integrations.SetEnabled(t.Context(), testIntegrationID, true); err != nil {
				t.Errorf("SetEnabled, %s%s: %v", data, more, err)
			}
		}
	}
	for data, want := range map[string]*kombo.SyncRun{
		`{"sync_id":"s"}`: {ID: "s"},
		`{"sync_id":"s","already_queued":"yes","type":7}`:             {ID: "s"},
		`{"already_queued":1,"type":"DELTA","sync_id":"s"}`:           {ID: "s", Type: "DELTA"},
		`{"type":["FULL"],"sync_id":"s","already_queued":true}`:       {ID: "s", AlreadyQueued: true},
		`{"type":null,"sync_id":"s","already_queued":null,"more":[]}`: {ID: "s"},
	} {
		client, _ := mocked(t, "*", "", 200, `{"status":"success","data":`+data+`,"warnings":["text"]}`)
		got, err := client.Integrations.Sync(t.Context(), testIntegrationID, "")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Sync, %s: %v (-want +got):\n%s", data, err, diff)
		}
	}
	client, _ := mocked(t, "*", "", 200, `{"status":"success","data":{"static_ips":"10.0.0.1","link":"`+testLink+`"}}`)
	if link, err := client.Connect.CreateLink(t.Context(), linkRequest); err != nil || link.URL != testLink {
		t.Errorf("CreateLink: %v, %v", link, err)
	}
	client, _ = mocked(t, "*", "", 200, `{"status":"success","data":{"label":7,"id":"f","is_passthrough_enabled":"yes","key":"k"}}`)
	field, err := client.Integrations.SetFieldPassthrough(t.Context(), testIntegrationID, "f", true)
	if diff := cmp.Diff(&kombo.IntegrationField{ID: "f", Key: "k"}, field); err != nil || diff != "" {
		t.Errorf("SetFieldPassthrough: %v (-want +got):\n%s", err, diff)
	}
}

// A 200 alone does not prove that Kombo executed the request: gateways also send 200.
func TestDetailsDoNotReplaceTheStatus(t *testing.T) {
	t.Parallel()
	for response, want := range map[string]string{
		`{}`: "its status is not success", `{"data":{}}`: "its status is not success", `{"status":null,"data":[]}`: "its status is not success",
		`{"status":"pending","data":[]}`: "its status is not success", `{"status":200,"data":{}}`: "the type of status is wrong",
		`[]`: "it is not a JSON object", `"ok"`: "it is not a JSON object", ``: "it is not JSON", `OK`: "it is not JSON", `{"status":"success"`: "it is not JSON",
	} {
		client, _ := mocked(t, "*", "", 200, response)
		err := client.Integrations.Delete(t.Context(), testIntegrationID)
		if !errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), "promises: "+want+" (") {
			t.Errorf("%s: error = %v, want %s", response, err, want)
		}
	}
}
