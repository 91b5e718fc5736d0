package kombo

import (
	"cmp"
	"encoding/json"
	"time"
)

// EventType is the type of a webhook. Kombo adds types: unknown ones arrive as [*UnknownEvent].
type EventType string

// The event types that Kombo documents.
const (
	EventIntegrationCreated              EventType = "integration-created"
	EventIntegrationDeleted              EventType = "integration-deleted"
	EventIntegrationStateChanged         EventType = "integration-state-changed"
	EventConnectionFlowFailed            EventType = "connection-flow-failed"
	EventIssueStatusChanged              EventType = "issue-status-changed"
	EventDataChanged                     EventType = "data-changed"
	EventSyncFinished                    EventType = "sync-finished"
	EventAssessmentOrderReceived         EventType = "assessment:order-received"
	EventInlineAssessmentOrderReceived   EventType = "inline-assessment:order-received"
	EventAIApplyApplicationStatusUpdated EventType = "ai-apply-application-status-updated"
	EventAIApplyJobPostingStatusUpdated  EventType = "ai-apply-job-posting-status-updated"
)

// Event is the content of a webhook: a pointer to one of the event structs of this package. Use a type
// switch to get at it.
//
// Events may arrive more than once and in any order. Kombo does not document when it redelivers them,
// nor whether the id stays the same, and a signature contains no time, so an old webhook can be replayed.
// Handlers must be idempotent: record handled event ids, order events by UpdatedAt and DeletedAt, which
// are never zero, and remember deleted integrations, because integration-created has no timestamp and
// may arrive late.
//
// Events may also fail to arrive: Kombo says that webhooks can fail or get lost. Read from time to time
// what you keep from events, such as the status with [IntegrationsService.Get] (as old as the time before that
// call, if webhooks arrive meanwhile), and read all data anew once a week, as Kombo advises.
type Event interface {
	// EventID returns the id of the event.
	EventID() string
	// EventType returns the type of the event.
	EventType() EventType
	// RawBody returns the body from which the event was decoded, including members that this package
	// does not know. It is nil for an event that was not decoded. It is not a copy.
	RawBody() []byte

	header() *EventHeader
	// data returns a pointer to the event's data, which is a checker if it has required fields.
	data() any
}

// EventHeader is what all events have in common.
type EventHeader struct {
	// ID is the id of the event, not of the integration. Kombo does not document whether it stays the same
	// when the event is delivered again.
	ID   string    `json:"id"`
	Type EventType `json:"type"`

	raw []byte
}

// EventID returns the id of the event.
func (h *EventHeader) EventID() string { return h.ID }

// EventType returns the type of the event.
func (h *EventHeader) EventType() EventType { return h.Type }

// RawBody returns the body from which the event was decoded. It is not a copy.
func (h *EventHeader) RawBody() []byte { return h.raw }

// Equal reports whether two headers have the same id and type; it ignores the raw bodies. go-cmp uses it
// to compare events.
func (h EventHeader) Equal(other EventHeader) bool {
	return h.ID == other.ID && h.Type == other.Type
}

func (h *EventHeader) header() *EventHeader { return h }

// IntegrationCreatedEvent reports that a customer has finished the connection flow.
type IntegrationCreatedEvent struct {
	EventHeader
	Data IntegrationCreatedData `json:"data"`
}

func (e *IntegrationCreatedEvent) data() any { return &e.Data }

// IntegrationCreatedData describes a new integration and its end user.
type IntegrationCreatedData struct {
	// ID is the id of the integration.
	ID string `json:"id"`
	// Tool is the slug of the connected tool.
	Tool     string   `json:"tool"`
	Category Category `json:"category"`
	EndUser  EndUser  `json:"end_user"`
}

func (d *IntegrationCreatedData) missing() string {
	return required("id", d.ID)
}

// IntegrationDeletedEvent reports that an integration was deleted, which cannot be undone: stop using its
// id, and remember it, because other events of the integration may arrive later. Kombo does not document
// whether [IntegrationsService.Delete] also causes this event.
type IntegrationDeletedEvent struct {
	EventHeader
	Data IntegrationDeletedData `json:"data"`
}

func (e *IntegrationDeletedEvent) data() any { return &e.Data }

// IntegrationDeletedData describes an integration that was deleted.
type IntegrationDeletedData struct {
	// ID is the id of the integration.
	ID string `json:"id"`
	// Tool is the slug of the tool that was connected.
	Tool      string    `json:"tool"`
	Category  Category  `json:"category"`
	EndUser   EndUser   `json:"end_user"`
	DeletedAt time.Time `json:"deleted_at"`
}

func (d *IntegrationDeletedData) missing() string {
	return cmp.Or(required("id", d.ID), requiredTime("deleted_at", d.DeletedAt))
}

// IntegrationStateChangedEvent reports that the state of an integration changed: the customer must
// reconnect or has reconnected, or the integration was switched off or on.
type IntegrationStateChangedEvent struct {
	EventHeader
	Data IntegrationStateChangedData `json:"data"`
}

func (e *IntegrationStateChangedEvent) data() any { return &e.Data }

// IntegrationStateChangedData describes the new state of an integration.
type IntegrationStateChangedData struct {
	IntegrationID string `json:"integration_id"`
	// IntegrationTool is the slug of the connected tool.
	IntegrationTool     string   `json:"integration_tool"`
	IntegrationCategory Category `json:"integration_category"`
	EndUser             EndUser  `json:"end_user"`
	// State is [StateInvalid] if the customer must reconnect.
	State    State    `json:"state"`
	QAStatus QAStatus `json:"qa_status"`
	// SetupStatus is "" in older payloads.
	SetupStatus SetupStatus `json:"setup_status,omitempty"`
	UpdatedAt   time.Time   `json:"updated_at"`
}

func (d *IntegrationStateChangedData) missing() string {
	return cmp.Or(required("integration_id", d.IntegrationID, "state", string(d.State)), requiredTime("updated_at", d.UpdatedAt))
}

// ConnectionFlowFailedEvent reports that a step of the connection flow failed. It names no integration.
// The customer may still finish the flow, and Kombo's guides contradict each other on whether to raise an
// alert: wait a while for an [IntegrationCreatedEvent] of the same customer before you do.
type ConnectionFlowFailedEvent struct {
	EventHeader
	Data ConnectionFlowFailedData `json:"data"`
}

func (e *ConnectionFlowFailedEvent) data() any { return &e.Data }

// ConnectionFlowFailedData describes the customer and the tool of a flow that failed.
type ConnectionFlowFailedData struct {
	// IntegrationTool is the slug of the tool that was to be connected.
	IntegrationTool     string   `json:"integration_tool"`
	IntegrationCategory Category `json:"integration_category"`
	EndUser             EndUser  `json:"end_user"`
	// LogURL is the address of the flow's log in Kombo's dashboard.
	LogURL string `json:"log_url"`
}

// IssueStatusChangedEvent reports that Kombo has found an issue, such as credentials that no longer
// work, or that an issue is resolved.
type IssueStatusChangedEvent struct {
	EventHeader
	Data IssueStatusChangedData `json:"data"`
}

func (e *IssueStatusChangedEvent) data() any { return &e.Data }

// IssueChange is what has happened to an issue.
type IssueChange string

// The changes that Kombo documents.
const (
	IssueChangeRaised   IssueChange = "raised"
	IssueChangeResolved IssueChange = "resolved"
)

// IssueStatusChangedData describes an issue and the integration that it affects.
type IssueStatusChangedData struct {
	Change IssueChange `json:"change"`
	Issue  Issue       `json:"issue"`
	// Integration is nil for an issue of the whole environment.
	Integration *IssueIntegration `json:"integration"`
}

func (d *IssueStatusChangedData) missing() string {
	// An integration without its ID must not pass for one, nor for the whole environment.
	if d.Integration != nil && d.Integration.ID == "" {
		return "integration.id"
	}
	return required("change", string(d.Change), "issue.id", d.Issue.ID)
}

// IssueType is the kind of an issue. Expect others than these.
type IssueType string

// The issue types that Kombo documents.
const (
	// IssueTypeAuthenticationFailed means that the customer must reconnect, see
	// [IntegrationsService.Relink].
	IssueTypeAuthenticationFailed   IssueType = "integration.authentication_failed"
	IssueTypeActionFailing          IssueType = "integration.action_failing"
	IssueTypeIncomingWebhookFailing IssueType = "integration.incoming_webhook_failing"
)

// IssueStatus is whether an issue is open: OPEN or RESOLVED.
type IssueStatus string

// The issue statuses that Kombo documents.
const (
	IssueStatusOpen     IssueStatus = "OPEN"
	IssueStatusResolved IssueStatus = "RESOLVED"
)

// Issue is a problem that Kombo has found.
type Issue struct {
	// ID is the id of the issue. The events that raise and resolve an issue have the same.
	ID     string      `json:"id"`
	Type   IssueType   `json:"type"`
	Title  string      `json:"title"`
	Status IssueStatus `json:"status"`
	// MarkdownMessage describes the issue in Markdown. It is Kombo's text: escape the HTML in it
	// before showing it in a browser.
	MarkdownMessage string    `json:"markdown_message"`
	FirstObservedAt time.Time `json:"first_observed_at"`
	// ResolvedAt is nil for an open issue.
	ResolvedAt *time.Time `json:"resolved_at"`
}

// IssueIntegration is the integration that an [Issue] affects.
type IssueIntegration struct {
	// ID is the id of the integration.
	ID string `json:"id"`
	// Tool is the slug of the connected tool.
	Tool     string   `json:"tool"`
	Category Category `json:"category"`
	EndUser  EndUser  `json:"end_user"`
}

// DataChangedEvent reports that a sync has changed records.
type DataChangedEvent struct {
	EventHeader
	Data DataChangedData `json:"data"`
}

func (e *DataChangedEvent) data() any { return &e.Data }

// DataChangedData describes which models of an integration have changed records.
type DataChangedData struct {
	IntegrationID string `json:"integration_id"`
	// IntegrationTool is the slug of the connected tool.
	IntegrationTool     string         `json:"integration_tool"`
	IntegrationCategory Category       `json:"integration_category"`
	ChangedModels       []ChangedModel `json:"changed_models"`
}

func (d *DataChangedData) missing() string {
	return required("integration_id", d.IntegrationID)
}

// ChangedModel is a model with changed records.
type ChangedModel struct {
	// Name is the model's name, such as "hris_employees".
	Name string `json:"name"`
}

// SyncFinishedEvent reports that a sync has ended. Kombo has deprecated it in favor of
// [DataChangedEvent].
type SyncFinishedEvent struct {
	EventHeader
	Data SyncFinishedData `json:"data"`
}

func (e *SyncFinishedEvent) data() any { return &e.Data }

// SyncState is the outcome of a sync. Expect others than these.
type SyncState string

// The outcomes that Kombo documents.
const (
	SyncStateSucceeded SyncState = "SUCCEEDED"
	// SyncStatePartiallyFailed means that some of the data is missing or out of date.
	SyncStatePartiallyFailed SyncState = "PARTIALLY_FAILED"
	SyncStateFailed          SyncState = "FAILED"
	// SyncStateAuthenticationFailed means that the tool rejected the credentials.
	SyncStateAuthenticationFailed SyncState = "AUTHENTICATION_FAILED"
	// SyncStateCancelled and SyncStateTimedOut are in older documentation only.
	SyncStateCancelled SyncState = "CANCELLED"
	SyncStateTimedOut  SyncState = "TIMED_OUT"
)

// SyncFinishedData describes a sync that has ended.
type SyncFinishedData struct {
	SyncID        string    `json:"sync_id"`
	SyncState     SyncState `json:"sync_state"`
	SyncStartedAt time.Time `json:"sync_started_at"`
	SyncEndedAt   time.Time `json:"sync_ended_at"`
	// SyncDurationSeconds may have a fraction.
	SyncDurationSeconds float64 `json:"sync_duration_seconds"`
	IntegrationID       string  `json:"integration_id"`
	// IntegrationTool is the slug of the connected tool.
	IntegrationTool     string   `json:"integration_tool"`
	IntegrationCategory Category `json:"integration_category"`
	EndUser             EndUser  `json:"end_user"`
	// LogURL is the address of the sync's log in Kombo's dashboard.
	LogURL string `json:"log_url"`
}

func (d *SyncFinishedData) missing() string {
	return required("integration_id", d.IntegrationID, "sync_id", d.SyncID)
}

// AssessmentOrderReceivedEvent reports that an assessment or background check was ordered for a
// candidate in a customer's ATS.
type AssessmentOrderReceivedEvent struct {
	EventHeader
	Data AssessmentOrderData `json:"data"`
}

func (e *AssessmentOrderReceivedEvent) data() any { return &e.Data }

// InlineAssessmentOrderReceivedEvent reports that a candidate has reached the assessment step of an
// application.
type InlineAssessmentOrderReceivedEvent struct {
	EventHeader
	Data AssessmentOrderData `json:"data"`
}

func (e *InlineAssessmentOrderReceivedEvent) data() any { return &e.Data }

// AssessmentOrderStatus is the status of an order: OPEN, COMPLETED, CANCELLED or REJECTED.
type AssessmentOrderStatus string

// The statuses of an order that Kombo documents.
const (
	AssessmentOrderStatusOpen      AssessmentOrderStatus = "OPEN"
	AssessmentOrderStatusCompleted AssessmentOrderStatus = "COMPLETED"
	AssessmentOrderStatusCancelled AssessmentOrderStatus = "CANCELLED"
	AssessmentOrderStatusRejected  AssessmentOrderStatus = "REJECTED"
)

// AssessmentOrderData is an order for an assessment. A string that is null in the payload is "".
type AssessmentOrderData struct {
	// ID is the id of the order.
	ID            string                `json:"id"`
	IntegrationID string                `json:"integration_id"`
	PackageID     string                `json:"package_id"`
	Status        AssessmentOrderStatus `json:"status"`
	Candidate     AssessmentCandidate   `json:"candidate"`
	Application   AssessmentApplication `json:"application"`
	Job           AssessmentJob         `json:"job"`
}

func (d *AssessmentOrderData) missing() string {
	return required("id", d.ID, "integration_id", d.IntegrationID)
}

// AssessmentCandidate is the person to assess. A string that is null in the payload is "".
type AssessmentCandidate struct {
	RemoteID  string `json:"remote_id"`
	Email     string `json:"email"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Phone     string `json:"phone"`
}

// MarshalJSON writes null for what the ATS does not have.
func (c AssessmentCandidate) MarshalJSON() ([]byte, error) {
	type plain AssessmentCandidate // without this method
	return marshalWithNulls(plain(c), "remote_id", "first_name", "last_name", "phone")
}

// AssessmentApplication is the application that the order is part of.
type AssessmentApplication struct {
	// RemoteID is the id in the ATS, "" if it has none.
	RemoteID string `json:"remote_id"`
}

// MarshalJSON writes null for what the ATS does not have.
func (a AssessmentApplication) MarshalJSON() ([]byte, error) {
	type plain AssessmentApplication // without this method
	return marshalWithNulls(plain(a), "remote_id")
}

// AssessmentJob is the job that the candidate applies for. A string that is null in the payload is
// "".
type AssessmentJob struct {
	RemoteID string `json:"remote_id"`
	Name     string `json:"name"`
	JobCode  string `json:"job_code"`
	// Description is HTML, as a rule.
	Description string `json:"description"`
	// Location is nil if the ATS does not have it.
	Location   *AssessmentLocation        `json:"location"`
	HiringTeam []AssessmentHiringTeamUser `json:"hiring_team"`
}

// MarshalJSON writes null for what the ATS does not have.
func (j AssessmentJob) MarshalJSON() ([]byte, error) {
	type plain AssessmentJob // without this method
	return marshalWithNulls(plain(j), "remote_id", "name", "job_code", "description")
}

// AssessmentLocation is the location of a job. Each part is "" if the ATS does not have it, and is then
// left out when the location is encoded.
type AssessmentLocation struct {
	Street1 string `json:"street_1,omitempty"`
	Street2 string `json:"street_2,omitempty"`
	City    string `json:"city,omitempty"`
	State   string `json:"state,omitempty"`
	ZIPCode string `json:"zip_code,omitempty"`
	// Country is an ISO 3166-1 alpha-2 code, such as "DE", if Kombo finds one, else the text of the ATS.
	Country string `json:"country,omitempty"`
	// Raw is the location as the ATS writes it.
	Raw string `json:"raw,omitempty"`
}

// HiringTeamRole is a role in a hiring team: RECRUITER or HIRING_MANAGER.
type HiringTeamRole string

// The roles that Kombo documents.
const (
	HiringTeamRoleRecruiter     HiringTeamRole = "RECRUITER"
	HiringTeamRoleHiringManager HiringTeamRole = "HIRING_MANAGER"
)

// AssessmentHiringTeamUser is a member of the hiring team of a job. A string that is null in the payload is
// "".
type AssessmentHiringTeamUser struct {
	RemoteID        string           `json:"remote_id"`
	Email           string           `json:"email"`
	FirstName       string           `json:"first_name"`
	LastName        string           `json:"last_name"`
	HiringTeamRoles []HiringTeamRole `json:"hiring_team_roles"`
}

// MarshalJSON writes null for what the ATS does not have.
func (u AssessmentHiringTeamUser) MarshalJSON() ([]byte, error) {
	type plain AssessmentHiringTeamUser // without this method
	return marshalWithNulls(plain(u), "remote_id", "email", "first_name", "last_name")
}

// AIApplyApplicationStatusUpdatedEvent reports the status of an application that was sent with AI Apply.
type AIApplyApplicationStatusUpdatedEvent struct {
	EventHeader
	Data AIApplyApplicationData `json:"data"`
}

func (e *AIApplyApplicationStatusUpdatedEvent) data() any { return &e.Data }

// AIApplyApplicationStatus is the status of an application.
type AIApplyApplicationStatus string

// The statuses of an application that Kombo documents.
const (
	AIApplyApplicationStatusSubmitted AIApplyApplicationStatus = "SUBMITTED"
	AIApplyApplicationStatusDuplicate AIApplyApplicationStatus = "DUPLICATE"
	AIApplyApplicationStatusPending   AIApplyApplicationStatus = "PENDING"
	AIApplyApplicationStatusFailed    AIApplyApplicationStatus = "FAILED"
)

// AIApplyApplicationData is an application that was sent with AI Apply.
type AIApplyApplicationData struct {
	// ID is the id of the application.
	ID           string                   `json:"id"`
	JobPostingID string                   `json:"job_posting_id"`
	Status       AIApplyApplicationStatus `json:"status"`
	CreatedAt    time.Time                `json:"created_at"`
	UpdatedAt    time.Time                `json:"updated_at"`
}

func (d *AIApplyApplicationData) missing() string {
	return cmp.Or(required("id", d.ID), requiredTime("updated_at", d.UpdatedAt))
}

// AIApplyJobPostingStatusUpdatedEvent reports whether a job posting can be applied to with AI Apply.
type AIApplyJobPostingStatusUpdatedEvent struct {
	EventHeader
	Data AIApplyJobPostingData `json:"data"`
}

func (e *AIApplyJobPostingStatusUpdatedEvent) data() any { return &e.Data }

// AIApplyAvailability is whether a job posting can be applied to.
type AIApplyAvailability string

// The availabilities that Kombo documents.
const (
	AIApplyAvailabilityApplyable   AIApplyAvailability = "APPLYABLE"
	AIApplyAvailabilityPending     AIApplyAvailability = "PENDING"
	AIApplyAvailabilityArchived    AIApplyAvailability = "ARCHIVED"
	AIApplyAvailabilityUnavailable AIApplyAvailability = "UNAVAILABLE"
)

// AIApplyArchivedReason is why a job posting was archived.
type AIApplyArchivedReason string

// The reasons that Kombo documents.
const (
	AIApplyArchivedReasonJobPostingTakenOffline AIApplyArchivedReason = "JOB_POSTING_TAKEN_OFFLINE"
	AIApplyArchivedReasonManualArchive          AIApplyArchivedReason = "MANUAL_ARCHIVE"
	AIApplyArchivedReasonRemovedFromJobFeed     AIApplyArchivedReason = "REMOVED_FROM_JOB_FEED"
)

// AIApplyJobPostingData is a job posting known to AI Apply.
type AIApplyJobPostingData struct {
	// ID is the id of the job posting.
	ID         string            `json:"id"`
	CareerSite AIApplyCareerSite `json:"career_site"`
	URL        string            `json:"url"`
	// JobCode is "" if the posting has none.
	JobCode      string              `json:"job_code"`
	Availability AIApplyAvailability `json:"availability"`
	CreatedAt    time.Time           `json:"created_at"`
	UpdatedAt    time.Time           `json:"updated_at"`
	// ArchivedAt is nil, and ArchivedReason "", unless the posting is archived.
	ArchivedAt     *time.Time            `json:"archived_at"`
	ArchivedReason AIApplyArchivedReason `json:"archived_reason"`
}

func (d *AIApplyJobPostingData) missing() string {
	return cmp.Or(required("id", d.ID), requiredTime("updated_at", d.UpdatedAt))
}

// MarshalJSON writes null for what the posting does not have.
func (d AIApplyJobPostingData) MarshalJSON() ([]byte, error) {
	type plain AIApplyJobPostingData // without this method
	return marshalWithNulls(plain(d), "job_code", "archived_reason")
}

// AIApplyCareerSite is the site on which a job posting is published.
type AIApplyCareerSite struct {
	ID    string `json:"id"`
	Label string `json:"label"`
}

// UnknownEvent is an event of a type that this package does not know. Treat it as handled: Kombo adds
// types without notice.
type UnknownEvent struct {
	EventHeader
	// Data is the event's data as received.
	Data json.RawMessage `json:"data"`
}

func (e *UnknownEvent) data() any { return &e.Data }

// newEvent returns an empty event of a type. The type is a []byte because a switch on it, unlike a map
// lookup by string, allocates nothing.
func newEvent(eventType []byte) Event {
	switch string(eventType) {
	case string(EventIntegrationCreated):
		return &IntegrationCreatedEvent{EventHeader: EventHeader{Type: EventIntegrationCreated}}
	case string(EventIntegrationDeleted):
		return &IntegrationDeletedEvent{EventHeader: EventHeader{Type: EventIntegrationDeleted}}
	case string(EventIntegrationStateChanged):
		return &IntegrationStateChangedEvent{EventHeader: EventHeader{Type: EventIntegrationStateChanged}}
	case string(EventConnectionFlowFailed):
		return &ConnectionFlowFailedEvent{EventHeader: EventHeader{Type: EventConnectionFlowFailed}}
	case string(EventIssueStatusChanged):
		return &IssueStatusChangedEvent{EventHeader: EventHeader{Type: EventIssueStatusChanged}}
	case string(EventDataChanged):
		return &DataChangedEvent{EventHeader: EventHeader{Type: EventDataChanged}}
	case string(EventSyncFinished):
		return &SyncFinishedEvent{EventHeader: EventHeader{Type: EventSyncFinished}}
	case string(EventAssessmentOrderReceived):
		return &AssessmentOrderReceivedEvent{EventHeader: EventHeader{Type: EventAssessmentOrderReceived}}
	case string(EventInlineAssessmentOrderReceived):
		return &InlineAssessmentOrderReceivedEvent{EventHeader: EventHeader{Type: EventInlineAssessmentOrderReceived}}
	case string(EventAIApplyApplicationStatusUpdated):
		return &AIApplyApplicationStatusUpdatedEvent{EventHeader: EventHeader{Type: EventAIApplyApplicationStatusUpdated}}
	case string(EventAIApplyJobPostingStatusUpdated):
		return &AIApplyJobPostingStatusUpdatedEvent{EventHeader: EventHeader{Type: EventAIApplyJobPostingStatusUpdated}}
	}
	return &UnknownEvent{EventHeader: EventHeader{Type: EventType(eventType)}}
}
