package kombotest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// The predefined records refer to each other by the IDs in the integration. A test in conformance compares them with the
// OpenAPI document.
func TestSampleRecords(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id, other := srv.Connect(t, request).ID, srv.Connect(t, request).ID
	lists := map[string]int{}
	for _, path := range kombotest.Lists() {
		for _, record := range kombotest.SampleRecords(id, path) {
			lists[path]++
			if err := srv.PutRecord(id, path, record); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		for _, record := range srv.Records(id, path) {
			if strings.Contains(string(record), `"#`) {
				t.Errorf("%s: a reference is left in %s", path, record)
			}
		}
	}
	if lists["/hris/employees"] != 3 || lists["/hris/teams"] != 3 || lists["/ats/offers"] != 0 || len(lists) != 9 {
		t.Errorf("records: %v", lists)
	}
	first := func(path string, filters map[string][]string) string {
		t.Helper()
		page, err := kombo.ListPage[created](t.Context(), client, kombo.ListRequest{Path: path, IntegrationID: id, Filters: filters})
		if err != nil || len(page.Results) == 0 {
			t.Fatalf("%s %v: %+v, %v", path, filters, page, err)
		}
		return page.Results[0].ID
	}
	for _, reference := range []struct{ from, filter, to string }{
		{"/hris/groups", "group_ids", "/hris/employees"},
		{"/hris/absence-types", "type_ids", "/hris/absences"},
		{"/ats/jobs", "job_ids", "/ats/applications"},
		{"/ats/jobs", "job_ids", "/ats/candidates"},
	} {
		first(reference.to, map[string][]string{reference.filter: {first(reference.from, nil)}})
	}
	for _, path := range []string{"/hris/employees", "/ats/applications"} {
		mine, others := kombotest.SampleRecords(id, path), kombotest.SampleRecords(other, path)
		if mine[0]["id"] == others[0]["id"] || mine[0]["remote_id"] != others[0]["remote_id"] {
			t.Errorf("%s: ids %v and %v", path, mine[0]["id"], others[0]["id"])
		}
	}
	// Each call returns new maps, and a changed map is served as changed.
	employees := kombotest.SampleRecords(id, "/hris/employees")
	employees[0]["work_email"] = "new@acme.example"
	if again := kombotest.SampleRecords(id, "/hris/employees"); again[0]["work_email"] == "new@acme.example" {
		t.Error("the records are shared")
	}
	if err := srv.PutRecord(id, "/hris/employees", employees[0]); err != nil {
		t.Fatal(err)
	}
	var found employee
	if err := json.Unmarshal(srv.Records(id, "/hris/employees")[0], &found); err != nil || found.WorkEmail != "new@acme.example" {
		t.Errorf("%+v, %v", found, err)
	}
	if got := kombotest.SampleRecords(id, "/unknown"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if got := slices.Sorted(slices.Values(kombotest.Lists())); len(slices.Compact(got)) != len(kombotest.Lists()) {
		t.Errorf("Lists = %q", kombotest.Lists())
	}
}
