package kombo

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/kombo-go/kombo/internal/transport"
)

// IntegrationsService manages the connections that customers have made. It is
// [Client.Integrations].
type IntegrationsService service

// RelinkRequest configures a link to reconnect. The zero value is fine.
type RelinkRequest struct {
	// Language is the language of the flow; "" means [LanguageEN].
	Language Language `json:"language,omitempty"`
	// ScopeConfigID names the scope config that the integration changes to once the customer has
	// finished the flow; until then syncs go on with the old one. "" changes nothing.
	ScopeConfigID string `json:"scope_config_id,omitempty"`
	// LinkType is how the link reaches the customer; "" means [LinkTypeEmbedded].
	LinkType LinkType `json:"link_type,omitempty"`
}

var relinkOperation = transport.Operation{Method: http.MethodPost, Path: "/integrations/{integration_id}/relink"}

// Relink makes a link with which a customer reconnects an integration, to enter new credentials
// when the old ones no longer work ([StateInvalid]) or to agree to another scope config. The link is
// valid for one hour. To send it by e-mail, ask for a [LinkTypeMagicLink], which is valid for a year.
//
// It fails with [ErrIntegrationNotFound] if there is no such integration.
//
// Kombo's documentation: https://docs.kombo.dev/v1/post-integrations-integration-id-relink
func (s *IntegrationsService) Relink(ctx context.Context, integrationID string, request RelinkRequest) (*Link, error) {
	return call[Link](ctx, (*service)(s), relinkOperation, request, integrationID)
}

// Integration is a customer's connection, with everything that a settings page shows of it.
type Integration struct {
	// ID is the integration's id. It is not for public display.
	ID       string          `json:"id"`
	Tool     IntegrationTool `json:"tool"`
	Category Category        `json:"category"`
	// Status is [StateInvalid] if the customer must reconnect. Webhooks call it state.
	Status      State       `json:"status"`
	SetupStatus SetupStatus `json:"setup_status"`
	EndUser     EndUser     `json:"end_user"`
	ScopeConfig ScopeConfig `json:"scope_config"`
	// DataExpiredAt is when a change of the configuration made the data invalid that was synced
	// before, until the next sync succeeds; nil if the data is valid.
	DataExpiredAt *time.Time `json:"data_expired_at"`
	CreatedAt     time.Time  `json:"created_at"`
	// Beta is true if Kombo calls the integration beta.
	Beta         bool          `json:"beta"`
	ReadModels   []ReadModel   `json:"read_models"`
	WriteActions []WriteAction `json:"write_actions"`
}

func (i *Integration) missing() string {
	return required("id", i.ID, "tool.id", i.Tool.ID, "status", string(i.Status), "setup_status", string(i.SetupStatus))
}

// IntegrationTool is the tool of an integration.
type IntegrationTool struct {
	// ID is the slug, such as "personio".
	ID string `json:"id"`
	// Label is the name for customers.
	Label string `json:"label"`
	// InternalLabel distinguishes variants of an integration; "" if there are none. It is not for
	// customers.
	InternalLabel string `json:"internal_label"`
	// LogoURL is an SVG that usually contains the name, IconURL a square one.
	LogoURL string `json:"logo_url"`
	IconURL string `json:"icon_url"`
}

// MarshalJSON writes null for what Kombo does not have.
func (t IntegrationTool) MarshalJSON() ([]byte, error) {
	type plain IntegrationTool // without this method
	return marshalWithNulls(plain(t), "internal_label")
}

// ScopeConfig is a set of permissions, configured in Kombo's dashboard.
type ScopeConfig struct {
	ID string `json:"id"`
	// Name is "" if it has none.
	Name string `json:"name"`
}

// MarshalJSON writes null for what Kombo does not have.
func (c ScopeConfig) MarshalJSON() ([]byte, error) {
	type plain ScopeConfig // without this method
	return marshalWithNulls(plain(c), "name")
}

// CoverageStatus is whether a tool has a model, action or field, and whether Kombo supports it.
type CoverageStatus string

// The coverage statuses that Kombo documents.
const (
	CoverageStatusSupported CoverageStatus = "SUPPORTED"
	// CoverageStatusUnsupported means that the tool does not have it.
	CoverageStatusUnsupported CoverageStatus = "UNSUPPORTED"
	// CoverageStatusNotImplemented means that the tool has it, and Kombo does not support it.
	CoverageStatusNotImplemented CoverageStatus = "NOT_IMPLEMENTED"
	// CoverageStatusUnknown means that Kombo does not know whether the tool has it.
	CoverageStatusUnknown CoverageStatus = "UNKNOWN"
)

// ScopeConfigSetting is the setting of a model, action or field in a scope config.
type ScopeConfigSetting string

// The settings that Kombo documents.
const (
	ScopeConfigSettingEnabled  ScopeConfigSetting = "ENABLED"
	ScopeConfigSettingDisabled ScopeConfigSetting = "DISABLED"
	// ScopeConfigSettingOptional means that the customer decides in the connection flow.
	ScopeConfigSettingOptional ScopeConfigSetting = "OPTIONAL"
)

// ReadModel is a kind of data that an integration can read.
type ReadModel struct {
	// ID is the name of the model, such as "hris_employees".
	ID    string `json:"id"`
	Label string `json:"label"`
	// IsAvailable is true if it is supported, enabled, and not opted out of.
	IsAvailable        bool               `json:"is_available"`
	CoverageStatus     CoverageStatus     `json:"coverage_status"`
	ScopeConfigSetting ScopeConfigSetting `json:"scope_config_setting"`
	// OptedOutByCustomer is true if the customer has switched it off in the connection flow.
	OptedOutByCustomer bool             `json:"opted_out_by_customer"`
	Fields             []ReadModelField `json:"fields"`
}

// ReadModelField is a field of a [ReadModel].
type ReadModelField struct {
	// ID is the key of the field, such as "first_name".
	ID                 string             `json:"id"`
	IsAvailable        bool               `json:"is_available"`
	CoverageStatus     CoverageStatus     `json:"coverage_status"`
	ScopeConfigSetting ScopeConfigSetting `json:"scope_config_setting"`
	OptedOutByCustomer bool               `json:"opted_out_by_customer"`
}

// WriteAction is something that an integration can do in the connected tool.
type WriteAction struct {
	// ID is the name of the action, such as "ats_create_candidate".
	ID                 string             `json:"id"`
	Label              string             `json:"label"`
	IsAvailable        bool               `json:"is_available"`
	CoverageStatus     CoverageStatus     `json:"coverage_status"`
	ScopeConfigSetting ScopeConfigSetting `json:"scope_config_setting"`
	OptedOutByCustomer bool               `json:"opted_out_by_customer"`
	Fields             []WriteActionField `json:"fields"`
}

// WriteActionField is a field of a [WriteAction].
type WriteActionField struct {
	// ID is the key of the field, such as "candidate.first_name".
	ID             string         `json:"id"`
	IsAvailable    bool           `json:"is_available"`
	CoverageStatus CoverageStatus `json:"coverage_status"`
}

var getIntegrationOperation = transport.Operation{Method: http.MethodGet, Path: "/integrations/{integration_id}"}

// Get returns an integration with everything that a settings page shows of it.
//
// It fails with [ErrIntegrationNotFound] if there is no such integration.
//
// Kombo's documentation: https://docs.kombo.dev/v1/get-integrations-integration-id
func (s *IntegrationsService) Get(ctx context.Context, integrationID string) (*Integration, error) {
	return call[Integration](ctx, (*service)(s), getIntegrationOperation, nil, integrationID)
}

// Poll intervals of WaitUntilReady: doubling, with jitter.
const (
	firstPoll   = 2 * time.Second
	longestPoll = 30 * time.Second
)

// WaitUntilReady waits until the setup of an integration is complete ([SetupStatusCompleted]) and returns the
// integration. Check its Status: the customer may have to reconnect by then. WaitUntilReady calls
// [IntegrationsService.Get] at once, after about 2 seconds, and then less and less often, up to every 30
// seconds. It calls progress, unless nil, with each result, the last included.
//
// Only ctx limits the time. WaitUntilReady fails with the first error of Get, and if ctx ends between two calls
// of Get; [Error.Attempts] is the number of requests of the last one. If you receive webhooks, you do not need
// it: [IntegrationStateChangedEvent] has the setup status.
func (s *IntegrationsService) WaitUntilReady(ctx context.Context, integrationID string, progress func(*Integration)) (*Integration, error) {
	attempts := 0
	if ctx != nil { // Get reports that it is nil
		ctx = ContextWithObserver(ctx, func(_ context.Context, call CallInfo) { attempts = call.Attempts })
	}
	for poll := firstPoll; ; poll = min(2*poll, longestPoll) {
		integration, err := s.Get(ctx, integrationID)
		if err != nil {
			return nil, err
		}
		if progress != nil {
			progress(integration)
		}
		if integration.SetupStatus == SetupStatusCompleted {
			return integration, nil
		}
		timer := time.NewTimer(poll/2 + rand.N(poll/2)) //nolint:gosec // jitter is not a secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			// The status is the server's text, so the error does not quote it.
			return nil, &Error{
				Op: getIntegrationOperation.String(), Message: "the setup is not complete",
				Attempts: attempts, err: &endedError{s.transport.ContextError(ctx)},
			}
		}
	}
}

type setEnabledRequest struct {
	Value bool `json:"value"`
}

var setEnabledOperation = transport.Operation{Method: http.MethodPut, Path: "/integrations/{integration_id}/enabled"}

// SetEnabled switches an integration off ([StateInactive]), which cancels syncs that are running, or on
// again. Credentials and configuration are kept.
//
// It fails with [ErrIntegrationNotFound] if there is no such integration.
//
// Kombo's documentation: https://docs.kombo.dev/v1/put-integrations-integration-id-enabled
func (s *IntegrationsService) SetEnabled(ctx context.Context, integrationID string, enabled bool) error {
	_, err := call[noData](ctx, (*service)(s), setEnabledOperation, setEnabledRequest{enabled}, integrationID)
	return err
}

// SetupLinkRequest configures a link to the setup steps.
type SetupLinkRequest struct {
	// LinkType is how the link reaches the customer. Required.
	LinkType LinkType `json:"link_type"`
	// Language is the language of the flow; "" means [LanguageEN].
	Language Language `json:"language,omitempty"`
}

func (r SetupLinkRequest) validate() error {
	if r.LinkType == "" {
		return inputError("LinkType is required")
	}
	return nil
}

var setupLinkOperation = transport.Operation{Method: http.MethodPost, Path: "/integrations/{integration_id}/setup-link"}

// SetupLink makes a link with which a customer gets back to the setup steps of an integration, such as
// filtering and field mapping, without going through the whole connection flow.
//
// It fails with [ErrIntegrationNotFound] if there is no such integration, and with [ErrInvalidInput] if none of its
// setup steps is enabled.
//
// Kombo's documentation: https://docs.kombo.dev/v1/post-integrations-integration-id-setup-link
func (s *IntegrationsService) SetupLink(ctx context.Context, integrationID string, request SetupLinkRequest) (*Link, error) {
	return call[Link](ctx, (*service)(s), setupLinkOperation, request, integrationID)
}

// emptyRequest is the body {}.
type emptyRequest struct{}

var deleteIntegrationOperation = transport.Operation{Method: http.MethodDelete, Path: "/integrations/{integration_id}"}

// Delete ends a connection. It cannot be undone. Kombo does not document
// whether a deletion by the API also sends the webhook [IntegrationDeletedEvent]: be ready for both.
//
// It fails with [ErrIntegrationNotFound] if there is no such integration. If an attempt may have been executed
// although it failed, and the next one finds no integration, the deletion has succeeded and Delete returns nil.
//
// Kombo's documentation: https://docs.kombo.dev/v1/delete-integrations-integration-id
func (s *IntegrationsService) Delete(ctx context.Context, integrationID string) error {
	_, err := call[noData](ctx, (*service)(s), deleteIntegrationOperation, emptyRequest{}, integrationID)
	if kerr, ok := errors.AsType[*Error](err); ok && kerr.mayHaveExecuted && errors.Is(kerr, ErrIntegrationNotFound) {
		return nil
	}
	return err
}
