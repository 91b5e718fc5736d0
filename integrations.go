package kombo

import (
	"context"
	"errors"
	"net/http"

	"github.com/kombo-go/kombo/internal/transport"
)

// IntegrationsService manages the connections that customers have made. It is
// [Client.Integrations].
type IntegrationsService service

// RelinkRequest says how a customer reconnects. The zero value is fine.
type RelinkRequest struct {
	// Language is the language of the flow; "" means [LanguageEN].
	Language Language `json:"language,omitempty"`
	// ScopeConfigID names the scope config that the integration changes to once the customer has
	// finished the flow; until then syncs go on with the old one. "" changes nothing.
	ScopeConfigID string `json:"scope_config_id,omitempty"`
	// LinkType says how the link reaches the customer; "" means [LinkTypeEmbedded].
	LinkType LinkType `json:"link_type,omitempty"`
}

func (RelinkRequest) validate() string { return "" }

var relinkOperation = transport.Operation{
	Method: http.MethodPost, Path: "/integrations/{integration_id}/relink", Timeout: DefaultLinkTimeout,
}

// Relink makes a link with which a customer reconnects an integration, to enter new credentials
// when the old ones no longer work ([StateInvalid]) or to agree to another scope config. The link is
// valid for one hour unless its type says otherwise.
//
// It fails with [ErrIntegrationNotFound] where there is no such integration, and as every call does.
//
// Kombo's documentation: https://docs.kombo.dev/v1/post-integrations-integration-id-relink
func (s *IntegrationsService) Relink(ctx context.Context, integrationID string, request RelinkRequest) (*Link, error) {
	return call[Link](ctx, (*service)(s), relinkOperation, request, integrationID)
}

// emptyRequest is the body {}.
type emptyRequest struct{}

func (emptyRequest) validate() string { return "" }

var deleteIntegrationOperation = transport.Operation{
	Method: http.MethodDelete, Path: "/integrations/{integration_id}", Timeout: DefaultTimeout,
}

// Delete ends a connection. It cannot be undone. Whether a deletion by the API also sends the
// webhook [IntegrationDeletedEvent] is not documented: be ready for both.
//
// It fails with [ErrIntegrationNotFound] where there is no such integration, and as every call
// does. Where an attempt failed in a way that leaves open whether it had its effect, and the next
// one finds no integration, the deletion has succeeded and Delete returns nil.
//
// Kombo's documentation: https://docs.kombo.dev/v1/delete-integrations-integration-id
func (s *IntegrationsService) Delete(ctx context.Context, integrationID string) error {
	_, err := call[nothing](ctx, (*service)(s), deleteIntegrationOperation, emptyRequest{}, integrationID)
	if kerr, ok := errors.AsType[*Error](err); ok && kerr.unsure && errors.Is(kerr, ErrIntegrationNotFound) {
		return nil
	}
	return err
}
