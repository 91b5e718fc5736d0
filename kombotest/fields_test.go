package kombotest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestFieldsInPages(t *testing.T) {
	t.Parallel()
	fields := make([]kombo.IntegrationField, 4001)
	customs := make([]kombo.CustomField, 501)
	for i := range fields {
		fields[i] = kombo.IntegrationField{ID: fmt.Sprintf("f%d", i), Key: "k", Model: "hris_employees", Type: kombo.FieldTypeCustom}
	}
	for i := range customs {
		customs[i] = kombo.CustomField{ID: fmt.Sprintf("c%d", i), Key: "k", Model: "hris_employees"}
	}
	srv, client := kombotest.Start(t, kombotest.Config{Fields: fields, CustomFields: customs})
	id := srv.Connect(t, request).ID
	for size, wantRequests := range map[int]int{0: 41, 2000: 3, 250: 17} {
		before := len(srv.Requests())
		var got []kombo.IntegrationField
		for field, err := range client.Integrations.Fields(t.Context(), id, kombo.ListOptions{PageSize: size}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, field)
		}
		if diff := cmp.Diff(fields, got); diff != "" {
			t.Errorf("fields (-want +got):\n%s", diff)
		}
		if n := len(srv.Requests()) - before; n != wantRequests {
			t.Errorf("page size %d: %d requests, want %d", size, n, wantRequests)
		}
	}
	var got []kombo.CustomField
	for field, err := range client.Integrations.CustomFields(t.Context(), id, kombo.ListOptions{PageSize: 250}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, field)
	}
	if diff := cmp.Diff(customs, got); diff != "" {
		t.Errorf("custom fields (-want +got):\n%s", diff)
	}
}

func TestPageOnTheWire(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	path := "/integrations/" + escaped(srv.Connect(t, request).ID)
	_, _, response := send(t, srv, "GET", path+"/integration-fields?page_size=3", "")
	first := data(t, response)
	next, _ := first["next"].(string)
	if len(first["results"].([]any)) != 3 || next == "" || first["next_cursor"] != next {
		t.Fatalf("first page = %v", first)
	}
	_, _, response = send(t, srv, "GET", path+"/integration-fields?cursor="+url.QueryEscape(next), "")
	last := data(t, response)
	want := map[string]any{"results": []any{map[string]any{
		"id": "kombotestFieldHRIS000004", "key": "tax_id", "model": "hris_employees", "type": "CUSTOM", "label": "Tax ID (old)",
		"is_passthrough_enabled": false, "is_writable": false,
	}}, "next": nil, "next_cursor": nil}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("last page (-want +got):\n%s", diff)
	}
	_, _, response = send(t, srv, "GET", path+"/custom-fields?page_size=1", "")
	want = map[string]any{
		"id": "kombotestCustomHRIS000001", "key": "unified_tax_id", "model": "hris_employees", "label": nil, "description": nil,
		"integration_field": map[string]any{"id": "kombotestFieldHRIS000001", "key": "tax_id", "type": "DEFAULT", "label": "Tax ID"},
	}
	if diff := cmp.Diff(want, data(t, response)["results"].([]any)[0]); diff != "" {
		t.Errorf("custom field (-want +got):\n%s", diff)
	}
	// A cursor belongs to one list.
	for _, wrong := range []struct{ path, want string }{
		{"/custom-fields?cursor=" + next, "cursor: it is of no page of this list"},
		{"/integration-fields?cursor=", "cursor: it is of no page of this list"},
		{"/integration-fields?page_size=0", "page_size: not a number from 1 to 2000"},
		{"/integration-fields?page_size=2001", "page_size: not a number from 1 to 2000"},
		{"/custom-fields?page_size=251", "page_size: not a number from 1 to 250"},
		{"/custom-fields?page_size=x", "page_size: not a number from 1 to 250"},
	} {
		status, _, response := send(t, srv, "GET", path+wrong.path, "")
		if status != http.StatusBadRequest || !strings.Contains(response, `"code":"PLATFORM.INPUT_INVALID"`) || !strings.Contains(response, wrong.want) {
			t.Errorf("%s: %d %s, want 400 %s", wrong.path, status, response, wrong.want)
		}
	}
}

// Settings are stored, for one integration.
func TestFieldSettings(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id, other := srv.Connect(t, request).ID, srv.Connect(t, request).ID
	service, ctx := client.Integrations, t.Context()
	state := func(id string) (passthrough bool, mapped *kombo.MappedField) {
		t.Helper()
		fields, err := service.FieldsPage(ctx, id, kombo.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		customs, err := service.CustomFieldsPage(ctx, id, kombo.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return fields.Results[2].IsPassthroughEnabled, customs.Results[1].IntegrationField
	}
	const fieldID, customID = "kombotestFieldHRIS000003", "kombotestCustomHRIS000002"
	field, err := service.SetFieldPassthrough(ctx, id, fieldID, true)
	if err != nil || !field.IsPassthroughEnabled {
		t.Fatalf("%+v, %v", field, err)
	}
	custom, err := service.MapCustomField(ctx, id, customID, fieldID)
	if err != nil || custom.IntegrationField == nil || custom.IntegrationField.ID != fieldID {
		t.Fatalf("%+v, %v", custom, err)
	}
	if status, _, response := send(t, srv, "PATCH", "/integrations/"+escaped(id)+"/integration-fields/"+fieldID, `{"enable_passthrough":null}`); status != http.StatusOK {
		t.Errorf("%d %s", status, response)
	}
	if passthrough, mapped := state(id); !passthrough || mapped == nil || mapped.Label != "T-Shirt Size" {
		t.Errorf("%t, %+v, want both to be set", passthrough, mapped)
	}
	if passthrough, mapped := state(other); passthrough || mapped != nil {
		t.Errorf("%t, %+v of another integration, want none to be set", passthrough, mapped)
	}
	if _, err := service.SetFieldPassthrough(ctx, id, fieldID, false); err != nil {
		t.Error(err)
	}
	if _, err := service.UnmapCustomField(ctx, id, customID); err != nil {
		t.Error(err)
	}
	if passthrough, mapped := state(id); passthrough || mapped != nil {
		t.Errorf("%t, %+v, want none to be set", passthrough, mapped)
	}
	for _, err := range []error{
		func() error { _, err := service.SetFieldPassthrough(ctx, id, "unknown", true); return err }(),
		func() error { _, err := service.MapCustomField(ctx, id, "unknown", fieldID); return err }(),
		func() error { _, err := service.MapCustomField(ctx, id, customID, "unknown"); return err }(),
	} {
		if !errors.Is(err, kombo.ErrInvalidInput) {
			t.Errorf("error = %v, want ErrInvalidInput", err)
		}
	}
}
