package kombo

import (
	"bytes"
	"encoding/json"
	"time"
)

// Category is a kind of HR system. Kombo may add others: unknown values are passed on unchanged.
type Category string

// The categories that Kombo documents.
const (
	CategoryHRIS       Category = "HRIS"
	CategoryATS        Category = "ATS"
	CategoryAssessment Category = "ASSESSMENT"
	CategoryLMS        Category = "LMS"
)

// Language is the language of a connection flow.
type Language string

// The languages that Kombo documents.
const (
	LanguageEN Language = "en"
	LanguageDE Language = "de"
	LanguageFR Language = "fr"
	LanguageIT Language = "it"
	LanguageES Language = "es"
)

// LinkType is how a link reaches the customer.
type LinkType string

// The types of link that Kombo documents.
const (
	// LinkTypeEmbedded is a link that opens in an iframe of the caller's product. It is valid for one
	// hour.
	LinkTypeEmbedded LinkType = "EMBEDDED"
	// LinkTypeMagicLink is a link that is sent to the customer by hand. It is valid for one year.
	LinkTypeMagicLink LinkType = "MAGIC_LINK"
)

// State is whether an integration works. Kombo calls it state in webhooks and status elsewhere.
type State string

// The states that Kombo documents.
const (
	// StateActive means that data is synced.
	StateActive State = "ACTIVE"
	// StateInvalid means that the credentials no longer work: the customer must reconnect, see
	// [IntegrationsService.Relink]. Kombo retries them for three days in a row, then pauses syncs.
	StateInvalid State = "INVALID"
	// StateInactive means that the integration was switched off: by hand, or by Kombo in a development
	// environment after two weeks without an API request.
	StateInactive State = "INACTIVE"
)

// SetupStatus is the progress of the setup of an integration, such as filtering and field mapping.
type SetupStatus string

// The setup statuses that Kombo documents.
const (
	// SetupStatusIncomplete means that setup steps remain; there is no data yet.
	SetupStatusIncomplete SetupStatus = "INCOMPLETE"
	// SetupStatusFinalSyncPending means that all steps are done and the first sync is not; it can take hours.
	SetupStatusFinalSyncPending SetupStatus = "FINAL_SYNC_PENDING"
	// SetupStatusCompleted means that the integration is ready to use.
	SetupStatusCompleted SetupStatus = "COMPLETED"
)

// QAStatus is the outcome of Kombo's own check of a new integration.
type QAStatus string

// The outcomes that Kombo documents.
const (
	QAStatusPending QAStatus = "PENDING"
	QAStatusFailed  QAStatus = "FAILED"
	QAStatusPassed  QAStatus = "PASSED"
)

// EndUser is the caller's customer, as named in [CreateLinkRequest].
type EndUser struct {
	OrganizationName string `json:"organization_name"`
	// CreatorEmail is "" if Kombo has none.
	CreatorEmail string `json:"creator_email"`
	// OriginID is the caller's own id of the customer, "" if the link was made without one.
	OriginID string `json:"origin_id"`
}

// MarshalJSON writes null for what Kombo does not have.
func (u EndUser) MarshalJSON() ([]byte, error) {
	type plain EndUser // without this method
	return marshalWithNulls(plain(u), "creator_email", "origin_id")
}

// Warning is a hint from Kombo to developers: log it.
type Warning struct {
	Message string `json:"message"`
}

// marshal is json.Marshal without escapes for HTML: the encoder that calls a MarshalJSON method adds them
// if it should.
func marshal(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return buffer.Bytes(), err
}

// marshalWithNulls encodes value, a struct, with null in place of "" for the members with these names, as Kombo
// does. No struct inside value may have a member of such a name that is "".
func marshalWithNulls(value any, names ...string) ([]byte, error) {
	document, err := marshal(value)
	for _, name := range names {
		// Quotes inside of strings are escaped, so this is a member.
		member := `"` + name + `":`
		document = bytes.Replace(document, []byte(member+`""`), []byte(member+"null"), 1)
	}
	return document, err
}

// required returns the first name in a list of names and values whose value is "", or "" if there is none.
func required(namesAndValues ...string) string {
	for ; len(namesAndValues) >= 2; namesAndValues = namesAndValues[2:] {
		if namesAndValues[1] == "" {
			return namesAndValues[0]
		}
	}
	return ""
}

// requiredTime returns name if the time is missing, or "".
func requiredTime(name string, value time.Time) string {
	if value.IsZero() {
		return name
	}
	return ""
}

// nullable returns nil for the zero value, and a pointer to any other.
func nullable[T comparable](value T) *T {
	var null T
	if value == null {
		return nil
	}
	return &value
}
