package kombo_test

import (
	"context"
	"fmt"
	"log"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// What a settings page shows of the issues that Kombo finds.
func ExampleEventHandlers_issues() {
	handlers := kombo.EventHandlers{
		IssueStatusChanged: func(_ context.Context, e *kombo.IssueStatusChangedEvent) error {
			affected := "all integrations"
			if integration := e.Data.Integration; integration != nil {
				affected = integration.Tool
			}
			switch e.Data.Issue.Status {
			case kombo.IssueStatusResolved:
				if e.Data.Change == kombo.IssueChangeResolved { // once, even if Kombo adds other changes
					fmt.Println(affected, "is fine again")
				}
				return nil
			case kombo.IssueStatusOpen:
			}
			switch e.Data.Issue.Type {
			case kombo.IssueTypeAuthenticationFailed:
				fmt.Println(affected, "must be reconnected")
			case kombo.IssueTypeActionFailing:
				fmt.Println(affected, "cannot write:", e.Data.Issue.Title)
			case kombo.IssueTypeIncomingWebhookFailing:
				fmt.Println(affected, "is late:", e.Data.Issue.Title)
			default: // Kombo may add types
				fmt.Println(affected, "has a problem:", e.Data.Issue.Title)
			}
			return nil
		},
	}
	handleSample(handlers, kombo.EventIssueStatusChanged)
	// Output: personio must be reconnected
}

// A connection changes: Kombo's own check of a new one, and the customer's credentials.
func ExampleEventHandlers_states() {
	handlers := kombo.EventHandlers{
		IntegrationStateChanged: func(_ context.Context, e *kombo.IntegrationStateChangedEvent) error {
			switch e.Data.State {
			case kombo.StateInvalid:
				fmt.Println("ask the customer to reconnect", e.Data.IntegrationTool)
			case kombo.StateInactive:
				fmt.Println(e.Data.IntegrationTool, "is switched off")
			case kombo.StateActive:
				switch e.Data.QAStatus {
				case kombo.QAStatusPending:
					fmt.Println("Kombo is still checking", e.Data.IntegrationTool)
				case kombo.QAStatusFailed:
					fmt.Println("Kombo has found a problem of", e.Data.IntegrationTool)
				case kombo.QAStatusPassed:
					fmt.Println(e.Data.IntegrationTool, "works")
				}
			}
			return nil
		},
	}
	handleSample(handlers, kombo.EventIntegrationStateChanged)
	// Output: personio works
}

// A customer gives up. Kombo's log says what the customer saw.
func ExampleEventHandlers_failedFlows() {
	handlers := kombo.EventHandlers{
		ConnectionFlowFailed: func(_ context.Context, e *kombo.ConnectionFlowFailedEvent) error {
			if e.Data.IntegrationCategory == kombo.CategoryAssessment {
				return nil // of another team
			}
			fmt.Println("call customer", e.Data.EndUser.OriginID, "about", e.Data.IntegrationTool)
			return nil
		},
	}
	handleSample(handlers, kombo.EventConnectionFlowFailed)
	// Output: call customer 42 about personio
}

// New code uses data-changed. A dashboard may also show how syncs end.
func ExampleEventHandlers_syncs() {
	handlers := kombo.EventHandlers{
		DataChanged: func(_ context.Context, e *kombo.DataChangedEvent) error {
			for _, model := range e.Data.ChangedModels {
				fmt.Println("read", model.Name)
			}
			return nil
		},
		SyncFinished: func(_ context.Context, e *kombo.SyncFinishedEvent) error {
			switch e.Data.SyncState {
			case kombo.SyncStateSucceeded:
				fmt.Println("up to date at", e.Data.SyncEndedAt.Location())
			case kombo.SyncStatePartiallyFailed:
				fmt.Println("some data is missing:", e.Data.LogURL)
			case kombo.SyncStateAuthenticationFailed:
				fmt.Println("integration-state-changed follows, if the credentials stay invalid")
			case kombo.SyncStateFailed, kombo.SyncStateCancelled, kombo.SyncStateTimedOut:
				fmt.Println("not up to date:", e.Data.LogURL)
			default: // Kombo may add states
				fmt.Println(e.Data.SyncState, e.Data.LogURL)
			}
			return nil
		},
	}
	handleSample(handlers, kombo.EventSyncFinished)
	handleSample(handlers, kombo.EventDataChanged)
	// Output:
	// up to date at UTC
	// read hris_employees
}

// A provider of assessments gets orders from its customers' ATS. Both kinds of event have the same data.
func ExampleEventHandlers_assessments() {
	invite := func(order kombo.AssessmentOrderData) error {
		switch order.Status {
		case kombo.AssessmentOrderStatusCancelled, kombo.AssessmentOrderStatusRejected, kombo.AssessmentOrderStatusCompleted:
			return nil // nothing to do
		case kombo.AssessmentOrderStatusOpen:
		}
		fmt.Printf("invite %s for %s\n", order.Candidate.Email, order.Job.Name)
		for _, user := range order.Job.HiringTeam {
			for _, role := range user.HiringTeamRoles {
				if role == kombo.HiringTeamRoleRecruiter || role == kombo.HiringTeamRoleHiringManager {
					fmt.Println("send the result to", user.Email)
				}
			}
		}
		return nil
	}
	handlers := kombo.EventHandlers{
		AssessmentOrderReceived: func(_ context.Context, e *kombo.AssessmentOrderReceivedEvent) error {
			return invite(e.Data)
		},
		InlineAssessmentOrderReceived: func(_ context.Context, e *kombo.InlineAssessmentOrderReceivedEvent) error {
			return invite(e.Data) // while the candidate waits
		},
	}
	handleSample(handlers, kombo.EventAssessmentOrderReceived)
	handleSample(handlers, kombo.EventInlineAssessmentOrderReceived)
	// Output:
	// invite grace@candidate.example for Engineer
	// send the result to ada@acme.example
	// invite grace@candidate.example for Engineer
	// send the result to ada@acme.example
}

// A job board that uses AI Apply follows its job postings and applications.
func ExampleEventHandlers_aiApply() {
	handlers := kombo.EventHandlers{
		AIApplyJobPostingStatusUpdated: func(_ context.Context, e *kombo.AIApplyJobPostingStatusUpdatedEvent) error {
			switch e.Data.Availability {
			case kombo.AIApplyAvailabilityApplyable:
				fmt.Println("show the button at", e.Data.URL)
			case kombo.AIApplyAvailabilityPending, kombo.AIApplyAvailabilityUnavailable:
				fmt.Println("hide the button at", e.Data.URL)
			case kombo.AIApplyAvailabilityArchived:
				switch e.Data.ArchivedReason {
				case kombo.AIApplyArchivedReasonJobPostingTakenOffline, kombo.AIApplyArchivedReasonRemovedFromJobFeed:
					fmt.Println("the job is no longer open")
				case kombo.AIApplyArchivedReasonManualArchive:
					fmt.Println("archived by hand")
				}
			}
			return nil
		},
		AIApplyApplicationStatusUpdated: func(_ context.Context, e *kombo.AIApplyApplicationStatusUpdatedEvent) error {
			switch e.Data.Status {
			case kombo.AIApplyApplicationStatusPending:
				fmt.Println("the application is under way")
			case kombo.AIApplyApplicationStatusSubmitted:
				fmt.Println("the application has arrived")
			case kombo.AIApplyApplicationStatusDuplicate:
				fmt.Println("the candidate has applied before")
			case kombo.AIApplyApplicationStatusFailed:
				fmt.Println("ask the candidate to apply on the career site")
			}
			return nil
		},
	}
	handleSample(handlers, kombo.EventAIApplyJobPostingStatusUpdated)
	handleSample(handlers, kombo.EventAIApplyApplicationStatusUpdated)
	// Output:
	// show the button at https://careers.acme.example/1
	// the application is under way
}

// handleSample handles a sample of an event. In production, events come from a WebhookVerifier.
func handleSample(handlers kombo.EventHandlers, eventType kombo.EventType) {
	if err := handlers.Handle(context.Background(), kombotest.Sample(eventType, kombotest.Integration{})); err != nil {
		log.Fatal(err)
	}
}
