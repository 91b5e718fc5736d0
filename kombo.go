// Package kombo is a client for [Kombo], through which the customers of a Go service connect their HR systems
// (HRIS, ATS, assessment and LMS tools) to it. It has a method for each operation of Kombo Connect, verifies
// and parses webhooks, and calls all other endpoints with [Call] and [List] and the caller's own structs.
//
// # A connection, from link to deletion
//
// [ConnectService.CreateLink] makes a link into the connection flow. When the customer has finished
// the flow, the browser has an activation token, which [ConnectService.IntegrationByToken] exchanges for
// the integration: store its id with the customer. When credentials stop working,
// [IntegrationsService.Relink] makes a link to enter new ones, and [IntegrationsService.Delete] ends the
// connection.
//
//	client, err := kombo.NewClient(apiKey)
//	link, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{
//		EndUserEmail:            "ada@acme.example",
//		EndUserOrganizationName: "Acme, Inc.",
//		EndUserOriginID:         "42", // your own id of the customer
//	})
//	integration, err := client.Connect.IntegrationByToken(ctx, token)
//
// # Data
//
// [List] iterates over the employees, jobs or other data of an integration, and its documentation shows how to
// read only what has changed. [Call] is for everything else, such as creating an application.
//
//	type Employee struct { // only the fields that you read
//		ID        string `json:"id"`
//		WorkEmail string `json:"work_email"`
//	}
//	for employee, err := range kombo.List[Employee](ctx, client, kombo.ListRequest{
//		Path: "/hris/employees", IntegrationID: integration.ID,
//	}) {
//		…
//	}
//
// # Webhooks
//
// A [WebhookVerifier] checks the signature of a delivery and decodes it into a typed event.
// [WebhookVerifier.Handler] returns a [net/http.Handler] that is ready to mount;
// [WebhookVerifier.Parse] is for every other framework.
//
// # Errors
//
// Every failed call returns an [*Error], which names the operation and the number of attempts. Use
// [errors.Is] with [ErrIntegrationNotFound] or another error variable of this package to distinguish kinds,
// and [errors.As] for the details. Errors, log records and printed clients never contain the API key, a
// webhook secret, an activation token or a link.
//
// # Retries
//
// Failed attempts are retried with exponential backoff if that is safe; see [RetryPolicy].
//
// This package is not affiliated with Kombo.
//
// [Kombo]: https://docs.kombo.dev
package kombo

import (
	"context"
	"fmt"
	"net/http"

	"github.com/kombo-go/kombo/internal/transport"
)

// Version is the version of this package, sent in the User-Agent header.
const Version = "0.1.0"

// Region is where Kombo stores an environment's data. Use the region that issued the API key. Kombo does
// not document how the other region rejects it.
type Region string

// The regions that Kombo runs.
const (
	RegionEU Region = "eu" // https://api.kombo.dev, the default
	RegionUS Region = "us" // https://api.us.kombo.dev
)

// baseURL returns "" for an unknown region.
func (r Region) baseURL() string {
	switch r {
	case RegionEU:
		return "https://api.kombo.dev/v1"
	case RegionUS:
		return "https://api.us.kombo.dev/v1"
	}
	return ""
}

// Client calls the API of Kombo with one API key. Make one with [NewClient] and keep it: it is
// immutable, safe for concurrent use, and reuses its connections.
type Client struct {
	// Connect makes connection links and exchanges activation tokens.
	Connect *ConnectService
	// Integrations manages the connections that customers have made.
	Integrations *IntegrationsService

	service *service
}

// NewClient returns a client that authenticates with apiKey, from the secrets page of Kombo's dashboard.
// It sends no request (see [Client.CheckAPIKey]) and reads no environment variable. Requests honor
// HTTP_PROXY, HTTPS_PROXY and NO_PROXY unless [WithHTTPClient] sets a Transport. The error names the
// argument that cannot be used, without quoting it.
func NewClient(apiKey string, options ...Option) (*Client, error) {
	client, err := newClient(apiKey, options)
	if err != nil {
		return nil, fmt.Errorf("kombo: NewClient: %w", err)
	}
	return client, nil
}

func newClient(apiKey string, options []Option) (*Client, error) {
	if err := checkAPIKey(apiKey); err != nil {
		return nil, err
	}
	var c config
	for i, option := range options {
		if option == nil {
			return nil, fmt.Errorf("option %d is nil", i+1)
		}
		if err := option(&c); err != nil {
			return nil, err
		}
	}
	settings, err := c.transport(apiKey)
	if err != nil {
		return nil, err
	}
	s := &service{transport: transport.New(settings), observe: c.observe, callContexts: c.callContexts, usualKey: usualKey(apiKey)}
	return &Client{
		Connect:      (*ConnectService)(s),
		Integrations: (*IntegrationsService)(s),
		service:      s,
	}, nil
}

// String describes the client without its API key.
func (c *Client) String() string {
	if c == nil || c.service == nil {
		return "kombo.Client(not made by NewClient)"
	}
	return "kombo.Client(" + c.service.transport.BaseURL() + ")"
}

// GoString describes the client without its API key.
func (c *Client) GoString() string { return c.String() }

// APIKeyInfo describes the environment that an API key belongs to.
type APIKeyInfo struct {
	// EnvironmentID is the id of the environment.
	EnvironmentID string `json:"environment_id"`
	// CustomerID is the former name of EnvironmentID.
	//
	// Deprecated: use EnvironmentID.
	CustomerID string `json:"customer_id,omitempty"`
}

func (i *APIKeyInfo) missing() string { return required("environment_id", i.EnvironmentID) }

var checkAPIKeyOperation = transport.Operation{Method: http.MethodGet, Path: "/check-api-key"}

// CheckAPIKey returns the environment that the API key belongs to. It is the quickest way to check key
// and region: a wrong key fails with [ErrAuthentication].
//
// Kombo's documentation: https://docs.kombo.dev/v1/get-check-api-key
func (c *Client) CheckAPIKey(ctx context.Context) (*APIKeyInfo, error) {
	return call[APIKeyInfo](ctx, c.service, checkAPIKeyOperation, nil)
}
