package sandbox

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// eventTypes are those that the dashboard offers; any other can be sent too.
var eventTypes = []kombo.EventType{
	kombo.EventIntegrationCreated, kombo.EventIntegrationDeleted, kombo.EventIntegrationStateChanged,
	kombo.EventConnectionFlowFailed, kombo.EventDataChanged, kombo.EventSyncFinished,
	kombo.EventAssessmentOrderReceived, kombo.EventInlineAssessmentOrderReceived,
	kombo.EventAIApplyApplicationStatusUpdated, kombo.EventAIApplyJobPostingStatusUpdated,
}

func newID() string { return rand.Text()[:24] }

// sampleData makes data of a type, about an integration where there is one.
func sampleData(eventType kombo.EventType, about kombotest.Integration) any {
	now := time.Now().UTC().Truncate(time.Millisecond)
	i := about
	if i.ID == "" {
		i = kombotest.Integration{
			ID: "personio:" + newID(), Tool: "personio", Category: kombo.CategoryHRIS,
			EndUser: kombo.EndUser{OrganizationName: "Acme, Inc.", CreatorEmail: "ada@acme.example", OriginID: "42"},
		}
	}
	state, setup := cmp.Or(i.State, kombo.StateActive), cmp.Or(i.SetupStatus, kombo.SetupStatusCompleted)
	const logURL = "https://app.kombo.dev/env/sandbox/logs"
	switch eventType {
	case kombo.EventIntegrationCreated:
		return kombo.IntegrationCreatedData{ID: i.ID, Tool: i.Tool, Category: i.Category, EndUser: i.EndUser}
	case kombo.EventIntegrationDeleted:
		return kombo.IntegrationDeletedData{ID: i.ID, Tool: i.Tool, Category: i.Category, EndUser: i.EndUser, DeletedAt: now}
	case kombo.EventIntegrationStateChanged:
		return kombo.IntegrationStateChangedData{
			IntegrationID: i.ID, IntegrationTool: i.Tool, IntegrationCategory: i.Category, EndUser: i.EndUser,
			State: state, QAStatus: kombo.QAStatusPassed, SetupStatus: setup, UpdatedAt: now,
		}
	case kombo.EventConnectionFlowFailed:
		return kombo.ConnectionFlowFailedData{
			IntegrationTool: i.Tool, IntegrationCategory: i.Category, EndUser: i.EndUser, LogURL: logURL,
		}
	case kombo.EventDataChanged:
		return kombo.DataChangedData{
			IntegrationID: i.ID, IntegrationTool: i.Tool, IntegrationCategory: i.Category,
			ChangedModels: []kombo.ChangedModel{{Name: "hris_employees"}},
		}
	case kombo.EventSyncFinished:
		return map[string]any{
			"sync_id": newID(), "sync_state": "SUCCEEDED", "sync_started_at": now.Add(-time.Minute), "sync_ended_at": now,
			"sync_duration_seconds": 60, "integration_id": i.ID, "integration_tool": i.Tool, "integration_category": i.Category,
			"end_user": i.EndUser, "log_url": logURL,
		}
	case kombo.EventAssessmentOrderReceived, kombo.EventInlineAssessmentOrderReceived:
		return map[string]any{
			"id": newID(), "integration_id": i.ID, "package_id": "go_test", "status": "OPEN",
			"candidate": map[string]any{
				"remote_id": "c1", "email": "grace@candidate.example", "first_name": "Grace", "last_name": "Example", "phone": nil,
			},
			"application": map[string]any{"remote_id": "a1"},
			"job": map[string]any{
				"remote_id": "j1", "name": "Engineer", "job_code": nil, "description": nil, "location": nil, "hiring_team": []any{},
			},
		}
	case kombo.EventAIApplyApplicationStatusUpdated:
		return kombo.AIApplyApplicationData{
			ID: newID(), JobPostingID: newID(), Status: kombo.AIApplyApplicationStatusPending, CreatedAt: now, UpdatedAt: now,
		}
	case kombo.EventAIApplyJobPostingStatusUpdated:
		return kombo.AIApplyJobPostingData{
			ID: newID(), CareerSite: kombo.AIApplyCareerSite{ID: newID(), Label: "Acme"}, URL: "https://careers.acme.example/1",
			Availability: kombo.AIApplyAvailabilityApplyable, CreatedAt: now, UpdatedAt: now,
		}
	default:
		return json.RawMessage("{}")
	}
}
