package kombo_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

var (
	acme    = kombo.EndUser{OrganizationName: "Acme, Inc.", CreatorEmail: "ada@acme.example", OriginID: "42"}
	updated = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)
)

func header(id string, eventType kombo.EventType) kombo.EventHeader {
	return kombo.EventHeader{ID: id, Type: eventType}
}

func order(id string, eventType kombo.EventType) (kombo.EventHeader, kombo.AssessmentOrderData) {
	return header(id, eventType), kombo.AssessmentOrderData{
		ID: "ordK4dM2xTq7", IntegrationID: "workday:Fx7TqWm3kPz9LdRvN2sYbH5c", PackageID: "go_test",
		Status:    kombo.AssessmentOrderStatusOpen,
		Candidate: kombo.AssessmentCandidate{RemoteID: "c-1", Email: "grace@candidate.example", FirstName: "Grace"},
		Job: kombo.AssessmentJob{
			RemoteID: "j-1", Name: "Compiler Writer", Description: "<p>You will write <b>compilers</b> & more.</p>",
			Location: &kombo.AssessmentLocation{
				Street1: "Domkloster 4", Street2: "Südturm", City: "Köln", State: "NRW", ZIPCode: "50667",
				Country: "DE", Raw: "Köln, Germany",
			},
			HiringTeam: []kombo.AssessmentHiringTeamUser{{
				RemoteID: "u-1", FirstName: "Ada", LastName: "Lovelace",
				HiringTeamRoles: []kombo.HiringTeamRole{kombo.HiringTeamRoleRecruiter, kombo.HiringTeamRoleHiringManager},
			}},
		},
	}
}

// requiredFields are the fields of Data without which an event is refused. Each type has an entry.
var requiredFields = map[kombo.EventType][]string{
	kombo.EventIntegrationCreated:              {"ID"},
	kombo.EventIntegrationDeleted:              {"ID", "DeletedAt"},
	kombo.EventIntegrationStateChanged:         {"IntegrationID", "State", "UpdatedAt"},
	kombo.EventConnectionFlowFailed:            {},
	kombo.EventIssueStatusChanged:              {"Change", "Issue.ID", "Integration.ID"},
	kombo.EventDataChanged:                     {"IntegrationID"},
	kombo.EventSyncFinished:                    {"IntegrationID", "SyncID"},
	kombo.EventAssessmentOrderReceived:         {"ID", "IntegrationID"},
	kombo.EventInlineAssessmentOrderReceived:   {"ID", "IntegrationID"},
	kombo.EventAIApplyApplicationStatusUpdated: {"ID", "UpdatedAt"},
	kombo.EventAIApplyJobPostingStatusUpdated:  {"ID", "UpdatedAt"},
}

// wantEvents has the event of each body in testdata/webhooks.
func wantEvents() map[string]kombo.Event {
	assessmentHeader, assessment := order("evtOrder00000000000000001", kombo.EventAssessmentOrderReceived)
	inlineHeader, inline := order("evtOrder00000000000000001", kombo.EventInlineAssessmentOrderReceived)
	archived := updated.AddDate(0, 0, 2)
	resolved := updated.AddDate(0, 0, 1)
	posting := kombo.AIApplyJobPostingData{
		ID: "postR4nB6", CareerSite: kombo.AIApplyCareerSite{ID: "siteT5mQ1", Label: "Acme"},
		URL: "https://careers.acme.example/jobs/1", Availability: kombo.AIApplyAvailabilityPending,
		CreatedAt: updated, UpdatedAt: updated.AddDate(0, 0, 1),
	}
	archivedPosting := posting
	archivedPosting.JobCode, archivedPosting.Availability = "CW-1", kombo.AIApplyAvailabilityArchived
	archivedPosting.UpdatedAt, archivedPosting.ArchivedAt, archivedPosting.ArchivedReason = archived, &archived, kombo.AIApplyArchivedReasonManualArchive
	return map[string]kombo.Event{
		"integration-created.json": &kombo.IntegrationCreatedEvent{
			EventHeader: header("evtCreated000000000000001", kombo.EventIntegrationCreated),
			Data: kombo.IntegrationCreatedData{
				ID: testIntegrationID, Tool: "personio", Category: kombo.CategoryHRIS,
				EndUser: kombo.EndUser{OrganizationName: "Müller & Söhne <HR>", CreatorEmail: "ada@acme.example", OriginID: "42"},
			},
		},
		"integration-created.nulls.json": &kombo.IntegrationCreatedEvent{
			EventHeader: header("evtCreated000000000000002", kombo.EventIntegrationCreated),
			Data: kombo.IntegrationCreatedData{
				ID: "successfactors:Fx7TqWm3kPz9LdRvN2sYbH5c", Tool: "successfactors", Category: kombo.CategoryLMS,
				EndUser: kombo.EndUser{OrganizationName: "Acme, Inc."},
			},
		},
		"integration-deleted.json": &kombo.IntegrationDeletedEvent{
			EventHeader: header("evtDeleted000000000000001", kombo.EventIntegrationDeleted),
			Data: kombo.IntegrationDeletedData{
				ID: testIntegrationID, Tool: "personio", Category: kombo.CategoryATS, EndUser: acme, DeletedAt: updated,
			},
		},
		"integration-state-changed.json": &kombo.IntegrationStateChangedEvent{
			EventHeader: header("evtState00000000000000001", kombo.EventIntegrationStateChanged),
			Data: kombo.IntegrationStateChangedData{
				IntegrationID: testIntegrationID, IntegrationTool: "personio", IntegrationCategory: kombo.CategoryHRIS,
				EndUser: acme, State: kombo.StateInvalid, QAStatus: kombo.QAStatusPassed,
				SetupStatus: kombo.SetupStatusCompleted, UpdatedAt: updated,
			},
		},
		"integration-state-changed.older.json": &kombo.IntegrationStateChangedEvent{
			EventHeader: header("evtState00000000000000002", kombo.EventIntegrationStateChanged),
			Data: kombo.IntegrationStateChangedData{
				IntegrationID: testIntegrationID, IntegrationTool: "personio", IntegrationCategory: kombo.CategoryHRIS,
				EndUser: acme, State: kombo.StateActive, QAStatus: kombo.QAStatusPending, UpdatedAt: time.Date(2024, 3, 4, 5, 6, 7, 0, time.UTC),
			},
		},
		"connection-flow-failed.json": &kombo.ConnectionFlowFailedEvent{
			EventHeader: header("evtFailed0000000000000001", kombo.EventConnectionFlowFailed),
			Data: kombo.ConnectionFlowFailedData{
				IntegrationTool: "workday", IntegrationCategory: kombo.CategoryHRIS, EndUser: acme,
				LogURL: "https://app.kombo.dev/env/production/logs?flowId=Qm8s2VxY6tKj",
			},
		},
		"issue-status-changed.json": &kombo.IssueStatusChangedEvent{
			EventHeader: header("evtIssue00000000000000001", kombo.EventIssueStatusChanged),
			Data: kombo.IssueStatusChangedData{
				Change: kombo.IssueChangeRaised,
				Issue: kombo.Issue{
					ID: "issQ7vN3kRz2", Type: kombo.IssueTypeAuthenticationFailed, Title: "Authentication failed", Status: kombo.IssueStatusOpen,
					MarkdownMessage: "Personio **refuses** the credentials of <Acme>.\n\nSend a [reconnection link](https://app.kombo.dev/env/production/integrations) & wait.",
					FirstObservedAt: updated,
				},
				Integration: &kombo.IssueIntegration{ID: testIntegrationID, Tool: "personio", Category: kombo.CategoryHRIS, EndUser: acme},
			},
		},
		"issue-status-changed.environment.json": &kombo.IssueStatusChangedEvent{
			EventHeader: header("evtIssue00000000000000002", kombo.EventIssueStatusChanged),
			Data: kombo.IssueStatusChangedData{
				Change: kombo.IssueChangeResolved,
				Issue: kombo.Issue{
					ID: "issQ7vN3kRz3", Type: "environment.new_thing", Title: "Something about the whole environment", Status: kombo.IssueStatusResolved,
					FirstObservedAt: updated, ResolvedAt: &resolved,
				},
			},
		},
		"data-changed.json": &kombo.DataChangedEvent{
			EventHeader: header("evtData000000000000000001", kombo.EventDataChanged),
			Data: kombo.DataChangedData{
				IntegrationID: testIntegrationID, IntegrationTool: "personio", IntegrationCategory: kombo.CategoryHRIS,
				ChangedModels: []kombo.ChangedModel{{Name: "hris_employees"}, {Name: "hris_teams"}},
			},
		},
		"sync-finished.json": &kombo.SyncFinishedEvent{
			EventHeader: header("evtSync000000000000000001", kombo.EventSyncFinished),
			Data: kombo.SyncFinishedData{
				SyncID: "Wb5nC9fHr3Xk", SyncState: "SUCCEEDED", SyncStartedAt: updated,
				SyncEndedAt: updated.Add(113500 * time.Millisecond), SyncDurationSeconds: 113.5,
				IntegrationID: testIntegrationID, IntegrationTool: "personio", IntegrationCategory: kombo.CategoryHRIS,
				EndUser: acme, LogURL: "https://app.kombo.dev/env/production/logs?interactionId=7781",
			},
		},
		"assessment.order-received.json":        &kombo.AssessmentOrderReceivedEvent{EventHeader: assessmentHeader, Data: assessment},
		"inline-assessment.order-received.json": &kombo.InlineAssessmentOrderReceivedEvent{EventHeader: inlineHeader, Data: inline},
		"assessment.order-received.nulls.json": &kombo.AssessmentOrderReceivedEvent{
			EventHeader: header("evtOrder00000000000000002", kombo.EventAssessmentOrderReceived),
			Data: kombo.AssessmentOrderData{
				ID: "ordK4dM2xTq8", IntegrationID: "workday:Fx7TqWm3kPz9LdRvN2sYbH5c", PackageID: "go_test",
				Status:      kombo.AssessmentOrderStatusCancelled,
				Candidate:   kombo.AssessmentCandidate{Email: "grace@candidate.example"},
				Application: kombo.AssessmentApplication{RemoteID: "a-1"},
				Job:         kombo.AssessmentJob{JobCode: "CW-1", HiringTeam: []kombo.AssessmentHiringTeamUser{}},
			},
		},
		"ai-apply-application-status-updated.json": &kombo.AIApplyApplicationStatusUpdatedEvent{
			EventHeader: header("evtApply00000000000000001", kombo.EventAIApplyApplicationStatusUpdated),
			Data: kombo.AIApplyApplicationData{
				ID: "appL2kV8", JobPostingID: "postR4nB6", Status: kombo.AIApplyApplicationStatusSubmitted,
				CreatedAt: updated, UpdatedAt: updated.AddDate(0, 0, 1),
			},
		},
		"ai-apply-job-posting-status-updated.json": &kombo.AIApplyJobPostingStatusUpdatedEvent{
			EventHeader: header("evtPosting000000000000001", kombo.EventAIApplyJobPostingStatusUpdated), Data: posting,
		},
		"ai-apply-job-posting-status-updated.archived.json": &kombo.AIApplyJobPostingStatusUpdatedEvent{
			EventHeader: header("evtPosting000000000000002", kombo.EventAIApplyJobPostingStatusUpdated), Data: archivedPosting,
		},
		"new-thing.json": &kombo.UnknownEvent{
			EventHeader: header("evtNew0000000000000000001", "new-thing"),
			Data: json.RawMessage("{\n    \"nested\": {\n      \"type\": \"integration-created\",\n" +
				"      \"id\": \"not-an-integration\"\n    }\n  }"),
		},
	}
}

func TestParseEvent(t *testing.T) {
	t.Parallel()
	want := wantEvents()
	for name, body := range webhooks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event, err := kombo.ParseEvent(body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[name], event); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
			if event.EventID() == "" || event.EventType() == "" || &event.RawBody()[0] != &body[0] || len(event.RawBody()) != len(body) {
				t.Errorf("id %q, type %q, raw body %q", event.EventID(), event.EventType(), event.RawBody())
			}
		})
	}
}

// sameInstant compares strings, and times by their instant: Go writes fewer zeros than Kombo.
var sameInstant = cmp.Comparer(func(a, b string) bool {
	timeA, errA := time.Parse(time.RFC3339, a)
	timeB, errB := time.Parse(time.RFC3339, b)
	return a == b || errA == nil && errB == nil && timeA.Equal(timeB)
})

// The members are in the order of the struct. No field and no null is lost.
func TestMarshalledEventIsTheDocumentedPayload(t *testing.T) {
	t.Parallel()
	for name, body := range webhooks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event, err := kombo.ParseEvent(body)
			if err != nil {
				t.Fatal(err)
			}
			marshalled, err := json.Marshal(event)
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if err := json.Unmarshal(marshalled, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(body, &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, sameInstant); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
		})
	}
}

// The caller's encoder decides if HTML is escaped.
func TestMarshalDoesNotForceEscapes(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	encoder := json.NewEncoder(&got)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(kombo.EndUser{OrganizationName: "Müller & Söhne <HR>"}); err != nil {
		t.Fatal(err)
	}
	want := `{"organization_name":"Müller & Söhne <HR>","creator_email":null,"origin_id":null}` + "\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

func TestParseEventRefuses(t *testing.T) {
	t.Parallel()
	const invalid = "kombo: webhook payload invalid: "
	tests := []struct{ name, body, want string }{
		{"nothing", "", "it is not JSON"},
		{"no JSON", "hello", "it is not JSON"},
		{"cut", `{"id":"e","type":"integration-created","data":{"id":"a:1"`, "it is not JSON"},
		{"trailing bytes", `{"id":"e","type":"integration-created","data":{"id":"a:1"}} x`, "it is not JSON"},
		{"trailing document", `{"id":"e","type":"integration-created","data":{"id":"a:1"}}{}`, "it is not JSON"},
		{"trailing brace", `{"id":"e","type":"integration-created","data":{"id":"a:1"}}}`, "it is not JSON"},
		{"array", `[{"id":"e"}]`, "it is not a JSON object"},
		{"null", `null`, "type is missing"},
		{"no type", `{"id":"e","data":{"id":"a:1"}}`, "type is missing"},
		{"type is a number", `{"id":"e","type":7,"data":{"id":"a:1"}}`, "type has the wrong type"},
		{"no id", `{"type":"integration-created","data":{"id":"a:1"}}`, "integration-created: id is missing"},
		{"empty id", `{"id":"","type":"integration-created","data":{"id":"a:1"}}`, "integration-created: id is missing"},
		{"no data", `{"id":"e","type":"integration-created"}`, "integration-created: data is missing"},
		{"null data", `{"id":"e","type":"integration-created","data":null}`, "integration-created: data is missing"},
		{"null data of an unknown type", `{"id":"e","type":"new-thing","data": null }`, "new-thing: data is missing"},
		{"data is a string", `{"id":"e","type":"integration-created","data":"a:1"}`, "integration-created: data has the wrong type"},
		{"field of the wrong type", `{"id":"e","type":"integration-created","data":{"id":7}}`, "integration-created: data.id has the wrong type"},
		{"field inside of the wrong type", `{"id":"e","type":"integration-created","data":{"id":"a:1","end_user":{"origin_id":42}}}`, "integration-created: data.end_user.origin_id has the wrong type"},
		{"no time", `{"id":"e","type":"integration-deleted","data":{"id":"a:1","deleted_at":"secret day"}}`, "integration-deleted: data.deleted_at is not a time"},
		{"invalid time, and unknown fields with invalid times", `{"id":"e","type":"integration-deleted","data":{"id":"a:1","deleted_at":"x","a_at":1,"b_at":1,"c_at":1,"token-eyJ_at":1}}`, "integration-deleted: data.deleted_at is not a time"},
		{"no time, then another", `{"id":"e","type":"integration-deleted","data":{"id":"a:1","deleted_at":"secret day","deleted_at":"2026-01-02T03:04:05Z"}}`, "integration-deleted: data.deleted_at is not a time"},
		{"type that would break a log", `{"id":"e","type":"new\nthing"}`, "new thing: data is missing"},

		{"created without id", `{"id":"e","type":"integration-created","data":{"tool":"a"}}`, "integration-created: data.id is missing"},
		{"deleted without id", `{"id":"e","type":"integration-deleted","data":{"id":null}}`, "integration-deleted: data.id is missing"},
		{"state changed without id", `{"id":"e","type":"integration-state-changed","data":{"state":"ACTIVE"}}`, "integration-state-changed: data.integration_id is missing"},
		{"state changed without state", `{"id":"e","type":"integration-state-changed","data":{"integration_id":"a:1"}}`, "integration-state-changed: data.state is missing"},
		{"state changed without time", `{"id":"e","type":"integration-state-changed","data":{"integration_id":"a:1","state":"ACTIVE"}}`, "integration-state-changed: data.updated_at is missing"},
		{"deleted without time", `{"id":"e","type":"integration-deleted","data":{"id":"a:1","deleted_at":null}}`, "integration-deleted: data.deleted_at is missing"},
		{"issue without id", `{"id":"e","type":"issue-status-changed","data":{"change":"raised","issue":{"type":"integration.action_failing"}}}`, "issue-status-changed: data.issue.id is missing"},
		{"issue is null", `{"id":"e","type":"issue-status-changed","data":{"change":"raised","issue":null}}`, "issue-status-changed: data.issue.id is missing"},
		{"issue with a time that is none", `{"id":"e","type":"issue-status-changed","data":{"change":"raised","issue":{"id":"i","first_observed_at":"secret day"}}}`, "issue-status-changed: data.issue.first_observed_at is not a time"},
		{"issue with a list for an object", `{"id":"e","type":"issue-status-changed","data":{"change":"raised","issue":[]}}`, "issue-status-changed: data.issue has the wrong type"},
		{"issue of an integration that is a string", `{"id":"e","type":"issue-status-changed","data":{"change":"raised","issue":{"id":"i"},"integration":"a:1"}}`, "issue-status-changed: data.integration has the wrong type"},
		{"issue without change", `{"id":"e","type":"issue-status-changed","data":{"issue":{"id":"i"}}}`, "issue-status-changed: data.change is missing"},
		{"issue of an integration without id", `{"id":"e","type":"issue-status-changed","data":{"change":"raised","issue":{"id":"i"},"integration":{"tool":"a"}}}`, "issue-status-changed: data.integration.id is missing"},
		{"data changed without id", `{"id":"e","type":"data-changed","data":{}}`, "data-changed: data.integration_id is missing"},
		{"sync finished without integration", `{"id":"e","type":"sync-finished","data":{"sync_id":"s"}}`, "sync-finished: data.integration_id is missing"},
		{"sync finished without id", `{"id":"e","type":"sync-finished","data":{"integration_id":"a:1"}}`, "sync-finished: data.sync_id is missing"},
		{"order without id", `{"id":"e","type":"assessment:order-received","data":{"integration_id":"a:1"}}`, "assessment:order-received: data.id is missing"},
		{"order without integration", `{"id":"e","type":"assessment:order-received","data":{"id":"o"}}`, "assessment:order-received: data.integration_id is missing"},
		{"inline order without id", `{"id":"e","type":"inline-assessment:order-received","data":{"integration_id":"a:1"}}`, "inline-assessment:order-received: data.id is missing"},
		{"inline order without integration", `{"id":"e","type":"inline-assessment:order-received","data":{"id":"o"}}`, "inline-assessment:order-received: data.integration_id is missing"},
		{"application without id", `{"id":"e","type":"ai-apply-application-status-updated","data":{}}`, "ai-apply-application-status-updated: data.id is missing"},
		{"application without time", `{"id":"e","type":"ai-apply-application-status-updated","data":{"id":"a"}}`, "ai-apply-application-status-updated: data.updated_at is missing"},
		{"job posting without time", `{"id":"e","type":"ai-apply-job-posting-status-updated","data":{"id":"p"}}`, "ai-apply-job-posting-status-updated: data.updated_at is missing"},
		{"job posting without id", `{"id":"e","type":"ai-apply-job-posting-status-updated","data":{}}`, "ai-apply-job-posting-status-updated: data.id is missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event, err := kombo.ParseEvent([]byte(test.body))
			if event != nil || err == nil {
				t.Fatalf("event = %+v, %v, want an error", event, err)
			}
			if got := err.Error(); got != invalid+test.want {
				t.Errorf("error:\n got %s\nwant %s", got, invalid+test.want)
			}
		})
	}
}
