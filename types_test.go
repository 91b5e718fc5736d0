package kombo_test

import (
	"encoding/json"
	"testing"

	"github.com/kombo-go/kombo"
)

// Only the nullable members of the value itself become null, not those of what it contains, and no text.
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
