package kombo_test

import (
	"encoding/json"
	"go/token"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sdksource"
)

// Only the nullable members of the value itself become null, not members of nested values, and not text.
func TestNullsAreWritten(t *testing.T) {
	t.Parallel()
	const text = `"label":"" and "name":""`
	for want, value := range map[string]any{
		`{"organization_name":"","creator_email":null,"origin_id":null}`: kombo.EndUser{},
		`{"id":"","name":null}`: kombo.ScopeConfig{},
		`{"id":"","key":"","integration_field":{"id":"","key":"","type":"","label":null},"model":"","label":null,"description":"\"label\":\"\" and \"name\":\"\""}`: kombo.CustomField{
			IntegrationField: &kombo.MappedField{}, Description: text,
		},
		`{"remote_id":null,"name":"\"label\":\"\" and \"name\":\"\"","job_code":null,"description":null,"location":null,"hiring_team":[{"remote_id":null,"email":null,"first_name":null,"last_name":null,"hiring_team_roles":null}]}`: kombo.AssessmentJob{
			Name: text, HiringTeam: []kombo.AssessmentHiringTeamUser{{}},
		},
		`{"id":"","career_site":{"id":"","label":""},"url":"","job_code":null,"availability":"","created_at":"0001-01-01T00:00:00Z","updated_at":"0001-01-01T00:00:00Z","archived_at":null,"archived_reason":null}`: kombo.AIApplyJobPostingData{},
	} {
		if got, err := json.Marshal(value); err != nil || string(got) != want {
			t.Errorf("%T:\n got %s, %v\nwant %s", value, got, err, want)
		}
	}
}

// The values of every enumeration, as the API writes them.
func TestEnumerations(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"Category":                 {"HRIS", "ATS", "ASSESSMENT", "LMS"},
		"Language":                 {"en", "de", "fr", "it", "es"},
		"LinkType":                 {"EMBEDDED", "MAGIC_LINK"},
		"State":                    {"ACTIVE", "INVALID", "INACTIVE"},
		"SetupStatus":              {"INCOMPLETE", "FINAL_SYNC_PENDING", "COMPLETED"},
		"QAStatus":                 {"PENDING", "FAILED", "PASSED"},
		"SyncType":                 {"FULL", "DELTA"},
		"FieldType":                {"DEFAULT", "CUSTOM"},
		"CoverageStatus":           {"SUPPORTED", "UNSUPPORTED", "NOT_IMPLEMENTED", "UNKNOWN"},
		"ScopeConfigSetting":       {"ENABLED", "DISABLED", "OPTIONAL"},
		"SyncState":                {"SUCCEEDED", "PARTIALLY_FAILED", "FAILED", "AUTHENTICATION_FAILED", "CANCELLED", "TIMED_OUT"},
		"IssueChange":              {"raised", "resolved"},
		"IssueType":                {"integration.authentication_failed", "integration.action_failing", "integration.incoming_webhook_failing"},
		"IssueStatus":              {"OPEN", "RESOLVED"},
		"AssessmentOrderStatus":    {"OPEN", "COMPLETED", "CANCELLED", "REJECTED"},
		"HiringTeamRole":           {"RECRUITER", "HIRING_MANAGER"},
		"AIApplyApplicationStatus": {"SUBMITTED", "DUPLICATE", "PENDING", "FAILED"},
		"AIApplyAvailability":      {"APPLYABLE", "PENDING", "ARCHIVED", "UNAVAILABLE"},
		"AIApplyArchivedReason":    {"JOB_POSTING_TAKEN_OFFLINE", "MANUAL_ARCHIVE", "REMOVED_FROM_JOB_FEED"},
		"ErrorCode": {
			"PLATFORM.RATE_LIMIT_EXCEEDED", "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED", "PLATFORM.INTEGRATION_NOT_FOUND",
			"PLATFORM.INPUT_INVALID", "PLATFORM.UNKNOWN_ERROR", "PLATFORM.IP_NOT_WHITELISTED", "PLATFORM.AUTHENTICATION_INVALID",
			"PLATFORM.TASK_TIMED_OUT", "INTEGRATION.PERMISSION_MISSING", "INTEGRATION.AUTHENTICATION_INVALID", "INTEGRATION.QA_FAILED",
			"INTEGRATION.SETUP_SYNC_PENDING", "INTEGRATION.SETUP_INCOMPLETE", "INTEGRATION.INACTIVE", "INTEGRATION.MODEL_NOT_AVAILABLE",
			"INTEGRATION.MODEL_DISABLED", "INTEGRATION.ACTION_NOT_AVAILABLE", "INTEGRATION.ACTION_DISABLED", "REMOTE.SERVICE_UNAVAILABLE",
			"REMOTE.RATE_LIMIT_EXCEEDED", "REMOTE.INPUT_INVALID", "REMOTE.UNKNOWN_HTTP_ERROR", "ATS.JOB_CLOSED",
			"ATS.APPLICATION_ALREADY_EXISTS", "HRIS.EMPLOYEE_ALREADY_EXISTS", "HRIS.STAFFING_ENTITY_CLOSED",
			"LMS.COURSE_UPDATE_NOT_SUPPORTED", "AI_APPLY.JOB_FEED_IMPORT_ALREADY_RUNNING", "AI_APPLY.JOB_FEED_IMPORT_TIMED_OUT",
		},
	}
	got := sdksource.Enumerations(t, ".")
	maps.DeleteFunc(got, func(name string, _ []string) bool { return !token.IsExported(name) })
	delete(got, "Region")    // not a value of the API
	delete(got, "EventType") // TestEventTypesAreComplete compares them with the payloads in testdata
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}
