package kombo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

func TestTools(t *testing.T) {
	t.Parallel()
	response := fixture(t, "tools")
	client, got := mocked(t, "*", "", 200, response)
	tools, err := client.Connect.Tools(t.Context(), kombo.CategoryHRIS)
	if err != nil {
		t.Fatal(err)
	}
	assets := func(tool string) kombo.ToolAssets {
		return kombo.ToolAssets{
			LogoURL: "https://assets.example/" + tool + "/logo.svg", IconURL: "https://assets.example/" + tool + "/icon.svg",
			IconBlackURL: "https://assets.example/" + tool + "/black.svg",
		}
	}
	want := []kombo.Tool{
		{
			ID: "personio", Label: "Personio", Assets: assets("personio"),
			Coverage: kombo.ToolCoverage{
				ReadModels: []kombo.CoveredModel{{
					ID: "hris_employees", Label: "Employees", CoverageStatus: kombo.CoverageStatusSupported,
					Fields: []kombo.CoveredField{{ID: "date_of_birth", CoverageStatus: kombo.CoverageStatusSupported}},
				}},
				WriteActions: []kombo.CoveredModel{{
					ID: "hris_create_employee", Label: "Create employee", CoverageStatus: kombo.CoverageStatusNotImplemented,
					Fields: []kombo.CoveredField{},
				}},
				Features: []kombo.CoveredFeature{{ID: "automatic_source_writing", Label: "Automatic source writing", CoverageStatus: "PARTIAL"}},
			},
		},
		{
			ID: "newtool", Label: "New Tool", InternalLabel: "New Tool (v2)", Assets: assets("newtool"),
			PaidAPIDetailsMarkdown: "Costs **a lot**.", FastTrackDetailsMarkdown: "Ask <us>.",
			PartnerOnlyDetailsMarkdown: "For partners & friends.", ConnectionGuideURL: "https://help.example/newtool",
			Coverage: kombo.ToolCoverage{ReadModels: []kombo.CoveredModel{}, WriteActions: []kombo.CoveredModel{}, Features: []kombo.CoveredFeature{}},
		},
	}
	if diff := cmp.Diff(want, tools); diff != "" {
		t.Errorf("tools (-want +got):\n%s", diff)
	}
	checkSent(t, got, "GET", "https://api.kombo.dev/v1/tools/hris", "", "")
	checkRoundTrip(t, response, map[string]any{"tools": tools})
}

func TestToolsOfCategories(t *testing.T) {
	t.Parallel()
	for category, path := range map[kombo.Category]string{
		kombo.CategoryATS: "ats", kombo.CategoryAssessment: "assessment", kombo.CategoryLMS: "lms", "NEW/ONE": "new%2Fone",
	} {
		client, got := mocked(t, "*", "", 200, `{"status":"success","data":{"tools":[]}}`)
		tools, err := client.Connect.Tools(t.Context(), category)
		if err != nil || tools == nil || len(tools) != 0 || got.URL != "https://api.kombo.dev/v1/tools/"+path {
			t.Errorf("%s: %v, %v from %s", category, tools, err, got.URL)
		}
	}
	client, got := mocked(t, "*", "", 200, "{}")
	_, err := client.Connect.Tools(t.Context(), "")
	checkRefused(t, err, got, "kombo: GET /tools/{category}: category is empty (nothing was sent)")
}

func TestToolsIncomplete(t *testing.T) {
	t.Parallel()
	for response, want := range map[string]string{
		`{"status":"success","data":{}}`:                                 "data.tools is missing",
		`{"status":"success","data":{"tools":null}}`:                     "data.tools is missing",
		`{"status":"success","data":null}`:                               "it has no data",
		`{"status":"success","data":{"tools":[{"id":"a"},{"id":null}]}}`: "data.tools.id is missing",
	} {
		client, _ := mocked(t, "*", "", 200, response)
		_, err := client.Connect.Tools(t.Context(), kombo.CategoryHRIS)
		if !errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %s", response, err, want)
		}
	}
}
