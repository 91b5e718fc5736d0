package kombotest

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/kombo-go/kombo"
)

// samples returns an event of each type. A test compares the types with the SDK's.
func samples(i Integration, now time.Time) []kombo.Event {
	header := func(eventType kombo.EventType) kombo.EventHeader {
		return kombo.EventHeader{ID: sampleID(), Type: eventType}
	}
	const logURL = "https://app.kombo.dev/env/sandbox/logs"
	order := kombo.AssessmentOrderData{
		ID: sampleID(), IntegrationID: i.ID, PackageID: "go_test", Status: kombo.AssessmentOrderStatusOpen,
		Candidate:   kombo.AssessmentCandidate{RemoteID: "c1", Email: "grace@candidate.example", FirstName: "Grace", LastName: "Example"},
		Application: kombo.AssessmentApplication{RemoteID: "a1"},
		Job: kombo.AssessmentJob{RemoteID: "j1", Name: "Engineer", HiringTeam: []kombo.AssessmentHiringTeamUser{{
			RemoteID: "u1", Email: "ada@acme.example", FirstName: "Ada", LastName: "Example",
			HiringTeamRoles: []kombo.HiringTeamRole{kombo.HiringTeamRoleRecruiter},
		}}},
	}
	return []kombo.Event{
		&kombo.IntegrationCreatedEvent{
			EventHeader: header(kombo.EventIntegrationCreated),
			Data:        kombo.IntegrationCreatedData{ID: i.ID, Tool: i.Tool, Category: i.Category, EndUser: i.EndUser},
		},
		&kombo.IntegrationDeletedEvent{
			EventHeader: header(kombo.EventIntegrationDeleted),
			Data:        kombo.IntegrationDeletedData{ID: i.ID, Tool: i.Tool, Category: i.Category, EndUser: i.EndUser, DeletedAt: now},
		},
		&kombo.IntegrationStateChangedEvent{
			EventHeader: header(kombo.EventIntegrationStateChanged),
			Data: kombo.IntegrationStateChangedData{
				IntegrationID: i.ID, IntegrationTool: i.Tool, IntegrationCategory: i.Category, EndUser: i.EndUser,
				State: i.State, QAStatus: kombo.QAStatusPassed, SetupStatus: i.SetupStatus, UpdatedAt: now,
			},
		},
		&kombo.ConnectionFlowFailedEvent{
			EventHeader: header(kombo.EventConnectionFlowFailed),
			Data: kombo.ConnectionFlowFailedData{
				IntegrationTool: i.Tool, IntegrationCategory: i.Category, EndUser: i.EndUser, LogURL: logURL,
			},
		},
		&kombo.IssueStatusChangedEvent{
			EventHeader: header(kombo.EventIssueStatusChanged),
			Data: kombo.IssueStatusChangedData{
				Change: kombo.IssueChangeRaised, Issue: newIssue(sampleID(), kombo.IssueTypeAuthenticationFailed, now),
				Integration: &kombo.IssueIntegration{ID: i.ID, Tool: i.Tool, Category: i.Category, EndUser: i.EndUser},
			},
		},
		&kombo.DataChangedEvent{
			EventHeader: header(kombo.EventDataChanged),
			Data: kombo.DataChangedData{
				IntegrationID: i.ID, IntegrationTool: i.Tool, IntegrationCategory: i.Category,
				ChangedModels: []kombo.ChangedModel{{Name: samplesOf(i.Category).mainModel()}},
			},
		},
		&kombo.SyncFinishedEvent{
			EventHeader: header(kombo.EventSyncFinished),
			Data: kombo.SyncFinishedData{
				SyncID: sampleID(), SyncState: kombo.SyncStateSucceeded, SyncStartedAt: now.Add(-time.Minute), SyncEndedAt: now,
				SyncDurationSeconds: 60, IntegrationID: i.ID, IntegrationTool: i.Tool, IntegrationCategory: i.Category,
				EndUser: i.EndUser, LogURL: logURL,
			},
		},
		&kombo.AssessmentOrderReceivedEvent{EventHeader: header(kombo.EventAssessmentOrderReceived), Data: order},
		&kombo.InlineAssessmentOrderReceivedEvent{EventHeader: header(kombo.EventInlineAssessmentOrderReceived), Data: order},
		&kombo.AIApplyApplicationStatusUpdatedEvent{
			EventHeader: header(kombo.EventAIApplyApplicationStatusUpdated),
			Data: kombo.AIApplyApplicationData{
				ID: sampleID(), JobPostingID: sampleID(), Status: kombo.AIApplyApplicationStatusPending, CreatedAt: now, UpdatedAt: now,
			},
		},
		&kombo.AIApplyJobPostingStatusUpdatedEvent{
			EventHeader: header(kombo.EventAIApplyJobPostingStatusUpdated),
			Data: kombo.AIApplyJobPostingData{
				ID: sampleID(), CareerSite: kombo.AIApplyCareerSite{ID: sampleID(), Label: "Acme"}, URL: "https://careers.acme.example/1",
				Availability: kombo.AIApplyAvailabilityApplyable, CreatedAt: now, UpdatedAt: now,
			},
		},
	}
}

// EventTypes returns the types that [Sample] has data for: all types that the SDK knows.
func EventTypes() []kombo.EventType {
	return all(samples(Integration{}, time.Time{}), kombo.Event.EventType)
}

// Sample returns an event of a type as [kombo.ParseEvent] returns it for a webhook: a pointer to the event's struct, with
// a new ID and the body that Kombo would send ([kombo.Event.RawBody]). The event is about the integration, or about a sample
// if that has no ID. [Server.Deliver] sends it. For a type that the SDK does not know, Sample returns a [*kombo.UnknownEvent] with the data {}.
func Sample(eventType kombo.EventType, about Integration) kombo.Event {
	if about.ID == "" {
		about = Integration{
			ID: "personio:" + sampleID(), Tool: "personio", Category: kombo.CategoryHRIS,
			EndUser: kombo.EndUser{OrganizationName: "Acme, Inc.", CreatorEmail: "ada@acme.example", OriginID: "42"},
		}
	}
	about.State = cmp.Or(about.State, kombo.StateActive)
	about.SetupStatus = cmp.Or(about.SetupStatus, kombo.SetupStatusCompleted)
	var event kombo.Event = &kombo.UnknownEvent{
		EventHeader: kombo.EventHeader{ID: sampleID(), Type: cmp.Or(eventType, "unknown")}, Data: []byte("{}"),
	}
	for _, sample := range samples(about, time.Now()) {
		if sample.EventType() == eventType {
			event = sample
		}
	}
	body, err := eventBody(event)
	if err == nil {
		event, err = kombo.ParseEvent(body)
	}
	if err != nil {
		panic(fmt.Sprintf("kombotest: Sample: %v", err)) // the integration lacks what an event must have
	}
	return event
}

func sampleID() string { return rand.Text()[:24] }

// eventBody writes an event as Kombo does: indented by two spaces, times in UTC with milliseconds, [] for an empty list.
func eventBody(event kombo.Event) ([]byte, error) {
	if value := reflect.ValueOf(event); event == nil || value.Kind() == reflect.Pointer && value.IsNil() {
		return nil, errors.New("kombotest: the event is nil")
	}
	if event.EventID() == "" || event.EventType() == "" {
		return nil, errors.New("kombotest: the event has no ID or no Type")
	}
	data, err := eventData(event)
	if err != nil {
		return nil, err
	}
	body, err := encodeJSON(object{{"id", event.EventID()}, {"type", event.EventType()}, {"data", data}}, "  ")
	if err != nil {
		return nil, fmt.Errorf("kombotest: %w", err)
	}
	return body, nil
}

func eventData(event kombo.Event) (any, error) {
	switch e := event.(type) {
	case *kombo.IntegrationCreatedEvent:
		d := e.Data
		return object{{"id", d.ID}, {"tool", d.Tool}, {"category", d.Category}, {"end_user", endUser(d.EndUser)}}, nil
	case *kombo.IntegrationDeletedEvent:
		d := e.Data
		return object{
			{"id", d.ID},
			{"tool", d.Tool},
			{"category", d.Category},
			{"end_user", endUser(d.EndUser)},
			{"deleted_at", timeText(d.DeletedAt)},
		}, nil
	case *kombo.IntegrationStateChangedEvent:
		return stateChangedData(e.Data), nil
	case *kombo.ConnectionFlowFailedEvent:
		d := e.Data
		return object{
			{"integration_tool", d.IntegrationTool},
			{"integration_category", d.IntegrationCategory},
			{"end_user", endUser(d.EndUser)},
			{"log_url", d.LogURL},
		}, nil
	case *kombo.IssueStatusChangedEvent:
		return issueData(e.Data), nil
	case *kombo.DataChangedEvent:
		d := e.Data
		return object{
			{"integration_id", d.IntegrationID},
			{"integration_tool", d.IntegrationTool},
			{"integration_category", d.IntegrationCategory},
			{"changed_models", all(d.ChangedModels, func(m kombo.ChangedModel) object { return object{{"name", m.Name}} })},
		}, nil
	case *kombo.SyncFinishedEvent:
		d := e.Data
		return object{
			{"sync_id", d.SyncID},
			{"sync_state", d.SyncState},
			{"sync_started_at", timeText(d.SyncStartedAt)},
			{"sync_ended_at", timeText(d.SyncEndedAt)},
			{"sync_duration_seconds", d.SyncDurationSeconds},
			{"integration_id", d.IntegrationID},
			{"integration_tool", d.IntegrationTool},
			{"integration_category", d.IntegrationCategory},
			{"end_user", endUser(d.EndUser)},
			{"log_url", d.LogURL},
		}, nil
	case *kombo.AssessmentOrderReceivedEvent:
		return assessmentOrderData(e.Data), nil
	case *kombo.InlineAssessmentOrderReceivedEvent:
		return assessmentOrderData(e.Data), nil
	case *kombo.AIApplyApplicationStatusUpdatedEvent:
		d := e.Data
		return object{
			{"id", d.ID},
			{"job_posting_id", d.JobPostingID},
			{"status", d.Status},
			{"created_at", timeText(d.CreatedAt)},
			{"updated_at", timeText(d.UpdatedAt)},
		}, nil
	case *kombo.AIApplyJobPostingStatusUpdatedEvent:
		d := e.Data
		return object{
			{"id", d.ID},
			{"career_site", object{{"id", d.CareerSite.ID}, {"label", d.CareerSite.Label}}},
			{"url", d.URL},
			{"job_code", orNull(d.JobCode)},
			{"archived_at", timeOrNull(d.ArchivedAt)},
			{"archived_reason", orNull(d.ArchivedReason)},
			{"created_at", timeText(d.CreatedAt)},
			{"updated_at", timeText(d.UpdatedAt)},
			{"availability", d.Availability},
		}, nil
	case *kombo.UnknownEvent:
		// The test has chosen these bytes.
		return e.Data, nil
	}
	return embeddedEventData(event)
}

// embeddedEventData is for an event that a test has wrapped in a struct of its own.
func embeddedEventData(event kombo.Event) (any, error) {
	body, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("kombotest: %w", err)
	}
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, fmt.Errorf("kombotest: %w", err)
	}
	return envelope.Data, nil
}

func endUser(u kombo.EndUser) object {
	return object{
		{"organization_name", u.OrganizationName}, {"creator_email", orNull(u.CreatorEmail)}, {"origin_id", orNull(u.OriginID)},
	}
}

func stateChangedData(d kombo.IntegrationStateChangedData) object {
	data := object{
		{"integration_tool", d.IntegrationTool},
		{"integration_category", d.IntegrationCategory},
		{"integration_id", d.IntegrationID},
		{"end_user", endUser(d.EndUser)},
		{"qa_status", d.QAStatus},
	}
	if d.SetupStatus != "" { // older payloads don't have it
		data = append(data, member{"setup_status", d.SetupStatus})
	}
	return append(data, member{"state", d.State}, member{"updated_at", timeText(d.UpdatedAt)})
}

func issueData(d kombo.IssueStatusChangedData) object {
	var integration any
	if i := d.Integration; i != nil {
		integration = object{{"id", i.ID}, {"tool", i.Tool}, {"category", i.Category}, {"end_user", endUser(i.EndUser)}}
	}
	return object{
		{"change", d.Change},
		{"issue", object{
			{"id", d.Issue.ID},
			{"type", d.Issue.Type},
			{"title", d.Issue.Title},
			{"status", d.Issue.Status},
			{"markdown_message", d.Issue.MarkdownMessage},
			{"first_observed_at", timeText(d.Issue.FirstObservedAt)},
			{"resolved_at", timeOrNull(d.Issue.ResolvedAt)},
		}},
		{"integration", integration},
	}
}

func assessmentOrderData(d kombo.AssessmentOrderData) object {
	candidate, job := d.Candidate, d.Job
	return object{
		{"id", d.ID},
		{"integration_id", d.IntegrationID},
		{"package_id", d.PackageID},
		{"status", d.Status},
		{"candidate", object{
			{"remote_id", orNull(candidate.RemoteID)},
			{"email", candidate.Email},
			{"first_name", orNull(candidate.FirstName)},
			{"last_name", orNull(candidate.LastName)},
			{"phone", orNull(candidate.Phone)},
		}},
		{"application", object{{"remote_id", orNull(d.Application.RemoteID)}}},
		{"job", object{
			{"remote_id", orNull(job.RemoteID)},
			{"name", orNull(job.Name)},
			{"job_code", orNull(job.JobCode)},
			{"description", orNull(job.Description)},
			{"location", location(job.Location)},
			{"hiring_team", all(job.HiringTeam, func(u kombo.AssessmentHiringTeamUser) object {
				return object{
					{"first_name", orNull(u.FirstName)},
					{"last_name", orNull(u.LastName)},
					{"remote_id", orNull(u.RemoteID)},
					{"email", orNull(u.Email)},
					{"hiring_team_roles", all(u.HiringTeamRoles, func(r kombo.HiringTeamRole) kombo.HiringTeamRole { return r })},
				}
			})},
		}},
	}
}

// location leaves out the parts that the ATS does not have.
func location(l *kombo.AssessmentLocation) any {
	if l == nil {
		return nil
	}
	parts := object{}
	for _, part := range (object{
		{"street_1", l.Street1},
		{"street_2", l.Street2},
		{"city", l.City},
		{"state", l.State},
		{"zip_code", l.ZIPCode},
		{"country", l.Country},
		{"raw", l.Raw},
	}) {
		if part.value != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
