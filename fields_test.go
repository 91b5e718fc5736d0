package kombo_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

var (
	wantField = kombo.IntegrationField{
		ID: "FFpTK47GhXnU6QAopPq2bd1s", Key: "tax_id", Model: "hris_employees", Type: kombo.FieldTypeDefault, Label: "Tax ID",
		IsPassthroughEnabled: true,
	}
	wantCustomField = kombo.CustomField{
		ID: "EU3Bwa4iDfGspEELW71WDv1u", Key: "tshirt_size", Model: "hris_employees", Label: "T-Shirt Size", Description: "Map this to the size",
		IntegrationField: &kombo.MappedField{ID: "3n6geaAmKL5tFonXVAtsMD1r", Key: "custom.size", Type: kombo.FieldTypeCustom, Label: "Size"},
	}
)

func TestFieldsPage(t *testing.T) {
	t.Parallel()
	response := fixture(t, "integration-fields")
	tests := []struct {
		name   string
		paging kombo.ListOptions
		query  string
	}{
		{"nothing set", kombo.ListOptions{}, ""},
		{"both set", kombo.ListOptions{Cursor: "a+/= &?#é", PageSize: 2000}, "?cursor=a%2B%2F%3D+%26%3F%23%C3%A9&page_size=2000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "*", "", 200, response)
			page, err := client.Integrations.FieldsPage(t.Context(), testIntegrationID, test.paging)
			if err != nil {
				t.Fatal(err)
			}
			second := wantField
			second.ID, second.Key, second.Type, second.Label, second.IsPassthroughEnabled = "FFpTK47GhXnU6QAopPq2bd2s", "custom.size", "DERIVED", "", false
			want := &kombo.Page[kombo.IntegrationField]{Results: []kombo.IntegrationField{wantField, second}, Next: "eyJvIjoxMDB9+/="}
			if diff := cmp.Diff(want, page); diff != "" {
				t.Errorf("page (-want +got):\n%s", diff)
			}
			checkSent(t, got, "GET", integrationURL+"/integration-fields"+test.query, "", "")
			checkRoundTrip(t, response, page)
		})
	}
}

func TestCustomFieldsPage(t *testing.T) {
	t.Parallel()
	response := fixture(t, "custom-fields")
	client, got := mocked(t, "*", "", 200, response)
	page, err := client.Integrations.CustomFieldsPage(t.Context(), testIntegrationID, kombo.ListOptions{PageSize: 250})
	if err != nil {
		t.Fatal(err)
	}
	second, third := wantCustomField, wantCustomField
	second.ID, second.IntegrationField, second.Label, second.Description = "EU3Bwa4iDfGspEELW71WDv2u", nil, "", ""
	mapped := *wantCustomField.IntegrationField
	mapped.Label = ""
	third.ID, third.IntegrationField = "EU3Bwa4iDfGspEELW71WDv3u", &mapped
	if diff := cmp.Diff(&kombo.Page[kombo.CustomField]{Results: []kombo.CustomField{wantCustomField, second, third}}, page); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
	checkSent(t, got, "GET", integrationURL+"/custom-fields?page_size=250", "", "")
	for i, field := range page.Results {
		var tree struct {
			Data struct{ Results []json.RawMessage }
		}
		if err := json.Unmarshal([]byte(response), &tree); err != nil {
			t.Fatal(err)
		}
		checkRoundTrip(t, `{"data":`+string(tree.Data.Results[i])+`}`, field)
	}
}

func TestSetFieldPassthrough(t *testing.T) {
	t.Parallel()
	for _, enabled := range []bool{true, false} {
		response := fixture(t, "integration-field")
		client, got := mocked(t, "*", "", 200, response)
		field, err := client.Integrations.SetFieldPassthrough(t.Context(), testIntegrationID, "a/b c", enabled)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&wantField, field); diff != "" {
			t.Errorf("field (-want +got):\n%s", diff)
		}
		checkSent(t, got, "PATCH", integrationURL+"/integration-fields/a%2Fb%20c", `{"enable_passthrough":`+strconv.FormatBool(enabled)+`}`, "")
		checkRoundTrip(t, response, field)
	}
}

func TestMapCustomField(t *testing.T) {
	t.Parallel()
	for wantBody, call := range map[string]func(context.Context, *kombo.Client) (*kombo.CustomField, error){
		`{"integration_field_id":"f1"}`: func(ctx context.Context, c *kombo.Client) (*kombo.CustomField, error) {
			return c.Integrations.MapCustomField(ctx, testIntegrationID, "c1", "f1")
		},
		`{"integration_field_id":null}`: func(ctx context.Context, c *kombo.Client) (*kombo.CustomField, error) {
			return c.Integrations.UnmapCustomField(ctx, testIntegrationID, "c1")
		},
	} {
		response := fixture(t, "custom-field")
		client, got := mocked(t, "*", "", 200, response)
		field, err := call(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&wantCustomField, field); diff != "" {
			t.Errorf("field (-want +got):\n%s", diff)
		}
		checkSent(t, got, "PUT", integrationURL+"/custom-fields/c1", wantBody, "")
		checkRoundTrip(t, response, field)
	}
}

// An empty field is refused, because it would remove the mapping.
func TestMapCustomFieldToNothing(t *testing.T) {
	t.Parallel()
	client, got := mocked(t, "*", "", 200, fixture(t, "custom-field"))
	_, err := client.Integrations.MapCustomField(t.Context(), testIntegrationID, "c1", "")
	if !errors.Is(err, kombo.ErrInvalidInput) || !strings.Contains(err.Error(), "integration_field_id is empty; use UnmapCustomField") || got.Method != "" {
		t.Errorf("error = %v, sent %+v", err, got)
	}
}

func TestFieldsIncomplete(t *testing.T) {
	t.Parallel()
	setField := func(c *kombo.Client) error {
		_, err := c.Integrations.SetFieldPassthrough(t.Context(), testIntegrationID, "f", true)
		return err
	}
	mapField := func(c *kombo.Client) error {
		_, err := c.Integrations.MapCustomField(t.Context(), testIntegrationID, "c", "f")
		return err
	}
	tests := []struct {
		name, response, want string
		call                 func(*kombo.Client) error
	}{
		{"no id", `{"status":"success","data":{"key":"k"}}`, "data.id is missing", setField},
		{"no key", `{"status":"success","data":{"id":"f","key":null}}`, "data.key is missing", setField},
		{"null data", `{"status":"success","data":null}`, "it has no data", setField},
		{"custom, no id", `{"status":"success","data":{"id":"","key":"k"}}`, "data.id is missing", mapField},
		{"custom, no key", `{"status":"success","data":{"id":"c"}}`, "data.key is missing", mapField},
		{"custom, null data", `{"status":"success","data":null}`, "it has no data", mapField},
		{"custom, wrong type", `{"status":"success","data":{"id":"c","key":1}}`, "the type of data.key is wrong", mapField},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, _ := mocked(t, "*", "", 200, test.response)
			if err := test.call(client); !errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want %s", err, test.want)
			}
		})
	}
}
