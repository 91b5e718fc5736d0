package kombo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/kombo-go/kombo/internal/transport"
)

// ConnectService makes connection links and exchanges activation tokens. It is [Client.Connect].
type ConnectService service

// CreateLinkRequest describes whom a connection link is for and what it connects. The end user fields
// are labels: Kombo returns them in responses and webhooks, and later links do not change them in an
// existing integration.
type CreateLinkRequest struct {
	// EndUserEmail is the e-mail address of the person who will connect. Required.
	EndUserEmail string `json:"end_user_email"`
	// EndUserOrganizationName is the name of that person's organization. Required.
	EndUserOrganizationName string `json:"end_user_organization_name"`
	// EndUserOriginID is the caller's own id of the customer. Set it: a back end needs it to check that
	// an integration belongs to the customer who is signed in.
	EndUserOriginID string `json:"end_user_origin_id,omitempty"`
	// IntegrationCategory is the kind of system; "" means [CategoryHRIS].
	IntegrationCategory Category `json:"integration_category,omitempty"`
	// IntegrationTool is the slug of the one tool to connect, such as "personio"; ""
	// means that the customer chooses.
	IntegrationTool string `json:"integration_tool,omitempty"`
	// RemoteEnvironment is the environment of the tool, for tools that have several; "" means
	// production. It needs an IntegrationTool.
	RemoteEnvironment string `json:"remote_environment,omitempty"`
	// Language is the language of the flow; "" means [LanguageEN].
	Language Language `json:"language,omitempty"`
	// ScopeConfigID names the scope config of the integration; "" leaves the choice to Kombo.
	ScopeConfigID string `json:"scope_config_id,omitempty"`
	// EnableFiltering allows the customer to choose which records are synced. HRIS only.
	EnableFiltering bool `json:"enable_filtering,omitempty"`
	// EnableFieldMapping allows the customer to map fields.
	EnableFieldMapping bool `json:"enable_field_mapping,omitempty"`
	// EnableStaticIPs makes Kombo call the tool from fixed addresses, see [Link.StaticIPs].
	EnableStaticIPs bool `json:"enable_static_ips,omitempty"`
	// LinkType is how the link reaches the customer; "" means [LinkTypeEmbedded].
	LinkType LinkType `json:"link_type,omitempty"`
}

func (r CreateLinkRequest) validate() error {
	switch {
	case r.EndUserEmail == "":
		return inputError("EndUserEmail is required")
	case !looksLikeEmail(r.EndUserEmail):
		return inputError("EndUserEmail is not an e-mail address")
	case r.EndUserOrganizationName == "":
		return inputError("EndUserOrganizationName is required")
	case r.RemoteEnvironment != "" && r.IntegrationTool == "":
		return inputError("RemoteEnvironment needs an IntegrationTool")
	}
	return nil
}

// looksLikeEmail rejects obvious mistakes only; Kombo validates the rest.
func looksLikeEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at < len(s)-1 && !strings.ContainsAny(s, " \t\r\n<>")
}

var createLinkOperation = transport.Operation{Method: http.MethodPost, Path: "/connect/create-link"}

// CreateLink makes a link that leads a customer into the connection flow. No integration exists until the
// customer has finished the flow, and an abandoned flow leaves nothing behind. Each finished flow makes a
// new integration, even of a tool that is already connected: use [IntegrationsService.Relink] to update
// credentials.
//
// It fails with [ErrInvalidInput] if the request breaks a rule.
//
// Kombo's documentation: https://docs.kombo.dev/v1/post-connect-create-link
func (s *ConnectService) CreateLink(ctx context.Context, request CreateLinkRequest) (*Link, error) {
	return call[Link](ctx, (*service)(s), createLinkOperation, request)
}

// ConnectedIntegration is the integration of an activation token, after a first connection or a
// reconnection. Store the ID, Tool and SetupStatus with the customer. After a reconnection the ID is the
// one that is stored already. The state is not part of it: if you store the state, leave it as it is. The new
// one arrives as an [IntegrationStateChangedEvent], and [IntegrationsService.Get] returns it at once.
type ConnectedIntegration struct {
	// ID is the integration's id, such as "personio:CBNMt7dSNCzBdnRTx87dev4E". Store it; it is not
	// for public display.
	ID string `json:"id"`
	// Tool is the slug of the connected tool.
	Tool string `json:"tool"`
	// EndUserOriginID is the caller's own id of the customer, "" if the link was made without one.
	// Compare it with the customer who is signed in before storing ID: the token may belong to another
	// customer.
	EndUserOriginID string `json:"end_user_origin_id"`
	// EndUserOrganizationName is the name of the customer's organization.
	EndUserOrganizationName string `json:"end_user_organization_name"`
	// EndUserEmail is the e-mail address of the person who connected, "" if Kombo has none.
	EndUserEmail string `json:"end_user_email"`
	// SetupStatus is [SetupStatusCompleted] if data is available.
	SetupStatus SetupStatus `json:"setup_status"`
}

func (i *ConnectedIntegration) missing() string {
	return required("id", i.ID, "tool", i.Tool,
		"end_user_organization_name", i.EndUserOrganizationName, "setup_status", string(i.SetupStatus))
}

var integrationByTokenOperation = transport.Operation{Method: http.MethodGet, Path: "/connect/integration-by-token/{token}", Secret: true}

// IntegrationByToken exchanges the activation token that the browser gets at the end of the connection
// flow for the integration of that flow. The token is a short-lived credential: it appears in no error and
// no log record. Kombo does not document the error for an expired or unknown token: [EmbeddedFlow], and the fake of
// kombotest, take [ErrInvalidInput] for it, and any other error for a failure.
//
// Kombo's documentation: https://docs.kombo.dev/v1/get-connect-integration-by-token-token
func (s *ConnectService) IntegrationByToken(ctx context.Context, token string) (*ConnectedIntegration, error) {
	return call[ConnectedIntegration](ctx, (*service)(s), integrationByTokenOperation, nil, token)
}

// Link is a link into a flow of Kombo Connect. Anyone who has its URL can enter the flow, so printing a Link
// with fmt, or logging it with slog as an attribute of its own, hides the URL. Encoding it as JSON shows it,
// because browsers get it so. fmt cannot hide it for the verbs %w and %p (go vet reports them), nor in an
// unexported struct field of type Link.
type Link struct {
	// URL is the link itself. Give it only to the customer.
	URL string `json:"link"`
	// StaticIPs are the addresses from which Kombo will call the customer's tool, if
	// [CreateLinkRequest.EnableStaticIPs] was set.
	StaticIPs []string `json:"static_ips,omitempty"`
}

func (l *Link) missing() string { return required("link", l.URL) }

// String returns a text that hides the URL.
func (l Link) String() string {
	if l.URL == "" {
		return "kombo.Link(empty)"
	}
	return "kombo.Link([redacted])"
}

// Format hides the URL from the verbs of [fmt], apart from %w and %p.
func (l Link) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, l.String()) }

// LogValue hides the URL from [log/slog].
func (l Link) LogValue() slog.Value { return slog.StringValue(l.String()) }
