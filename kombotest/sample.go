package kombotest

import (
	"cmp"
	"crypto/rand"
	"fmt"
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
