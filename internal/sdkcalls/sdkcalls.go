// Package sdkcalls has a valid call of every operation of the SDK that has a method. Tests loop over them.
package sdkcalls

import (
	"context"

	"github.com/kombo-go/kombo"
)

// Values of the calls. Activation is a token, which is a secret.
const (
	Activation    = "eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJ0ZXN0In0.c2lnbmF0dXJl"
	IntegrationID = "personio:Fx7TqWm3kPz9LdRvN2sYbH5c"
)

// Values are the IDs and the token in the paths and bodies of the calls, and the tool of the integration.
type Values struct{ Token, IntegrationID, Tool, FieldID, CustomFieldID string }

// All returns the calls by the name of the operation in [kombo.Error].
func All() map[string]func(context.Context, *kombo.Client) error {
	return With(Values{Token: Activation, IntegrationID: IntegrationID, Tool: "personio", FieldID: "f", CustomFieldID: "c"})
}

// With returns the calls that All returns, with other values.
func With(v Values) map[string]func(context.Context, *kombo.Client) error {
	return map[string]func(context.Context, *kombo.Client) error{
		"GET /check-api-key": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.CheckAPIKey(ctx)
			return err
		},
		"POST /connect/create-link": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Connect.CreateLink(ctx, kombo.CreateLinkRequest{
				EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "42",
			})
			return err
		},
		"GET /connect/integration-by-token/{token}": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Connect.IntegrationByToken(ctx, v.Token)
			return err
		},
		"POST /integrations/{integration_id}/relink": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.Relink(ctx, v.IntegrationID, kombo.RelinkRequest{})
			return err
		},
		"DELETE /integrations/{integration_id}": func(ctx context.Context, c *kombo.Client) error {
			return c.Integrations.Delete(ctx, v.IntegrationID)
		},
		"GET /integrations/{integration_id}": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.Get(ctx, v.IntegrationID)
			return err
		},
		"PUT /integrations/{integration_id}/enabled": func(ctx context.Context, c *kombo.Client) error {
			return c.Integrations.SetEnabled(ctx, v.IntegrationID, true)
		},
		"POST /integrations/{integration_id}/setup-link": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.SetupLink(ctx, v.IntegrationID, kombo.SetupLinkRequest{LinkType: kombo.LinkTypeEmbedded})
			return err
		},
		"GET /tools/{category}": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Connect.Tools(ctx, kombo.CategoryHRIS)
			return err
		},
		"GET /integrations/{integration_id}/integration-fields": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.FieldsPage(ctx, v.IntegrationID, kombo.ListOptions{})
			return err
		},
		"PATCH /integrations/{integration_id}/integration-fields/{integration_field_id}": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.SetFieldPassthrough(ctx, v.IntegrationID, v.FieldID, true)
			return err
		},
		"GET /integrations/{integration_id}/custom-fields": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.CustomFieldsPage(ctx, v.IntegrationID, kombo.ListOptions{})
			return err
		},
		"PUT /integrations/{integration_id}/custom-fields/{custom_field_id}": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.MapCustomField(ctx, v.IntegrationID, v.CustomFieldID, v.FieldID)
			return err
		},
		"POST /force-sync": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.Sync(ctx, v.IntegrationID, "")
			return err
		},
		"POST /passthrough/{tool}/{api}": func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.Passthrough(ctx, v.IntegrationID, v.Tool, "api", kombo.PassthroughRequest{Method: "GET", Path: "/"})
			return err
		},
	}
}
