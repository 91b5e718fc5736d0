package kombo_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// allCalls has a valid call of every operation of the SDK. The key is the operation's name in [kombo.Error].
var allCalls = map[string]func(context.Context, *kombo.Client) error{
	"GET /check-api-key": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.CheckAPIKey(ctx)
		return err
	},
	"POST /connect/create-link": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Connect.CreateLink(ctx, linkRequest)
		return err
	},
	"GET /connect/integration-by-token/{token}": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Connect.IntegrationByToken(ctx, testToken)
		return err
	},
	"POST /integrations/{integration_id}/relink": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Integrations.Relink(ctx, testIntegrationID, kombo.RelinkRequest{})
		return err
	},
	"DELETE /integrations/{integration_id}": func(ctx context.Context, c *kombo.Client) error {
		return c.Integrations.Delete(ctx, testIntegrationID)
	},
	"GET /integrations/{integration_id}": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Integrations.Get(ctx, testIntegrationID)
		return err
	},
	"PUT /integrations/{integration_id}/enabled": func(ctx context.Context, c *kombo.Client) error {
		return c.Integrations.SetEnabled(ctx, testIntegrationID, true)
	},
	"POST /integrations/{integration_id}/setup-link": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Integrations.SetupLink(ctx, testIntegrationID, kombo.SetupLinkRequest{LinkType: kombo.LinkTypeEmbedded})
		return err
	},
	"GET /tools/{category}": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Connect.Tools(ctx, kombo.CategoryHRIS)
		return err
	},
	"GET /integrations/{integration_id}/integration-fields": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Integrations.FieldsPage(ctx, testIntegrationID, kombo.ListOptions{})
		return err
	},
	"PATCH /integrations/{integration_id}/integration-fields/{integration_field_id}": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Integrations.SetFieldPassthrough(ctx, testIntegrationID, "f", true)
		return err
	},
	"GET /integrations/{integration_id}/custom-fields": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Integrations.CustomFieldsPage(ctx, testIntegrationID, kombo.ListOptions{})
		return err
	},
	"PUT /integrations/{integration_id}/custom-fields/{custom_field_id}": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Integrations.MapCustomField(ctx, testIntegrationID, "c", "f")
		return err
	},
	"POST /force-sync": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Integrations.Sync(ctx, testIntegrationID, "")
		return err
	},
	"POST /passthrough/{tool}/{api}": func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Integrations.Passthrough(ctx, testIntegrationID, "personio", "api", kombo.PassthroughRequest{Method: "GET", Path: "/"})
		return err
	},

	// Call, ListPage and List are the same code for all other endpoints.
	"POST /ats/jobs/{job_id}/applications": func(ctx context.Context, c *kombo.Client) error {
		_, err := kombo.Call[employee](ctx, c, kombo.Request{
			Method: http.MethodPost, Path: "/ats/jobs/{job_id}/applications", PathValues: []string{"personio-job"},
			IntegrationID: testIntegrationID, Body: map[string]any{"candidate": map[string]string{"first_name": "Ada"}},
		})
		return err
	},
	"PUT /ats/applications/{application_id}/stage": func(ctx context.Context, c *kombo.Client) error {
		_, err := kombo.Call[struct{}](ctx, c, kombo.Request{
			Method: http.MethodPut, Path: "/ats/applications/{application_id}/stage", PathValues: []string{"personio-application"},
			IntegrationID: testIntegrationID, Body: map[string]string{"stage_id": "s"},
		})
		return err
	},
	"GET /hris/employees": func(ctx context.Context, c *kombo.Client) error {
		_, err := kombo.ListPage[employee](ctx, c, kombo.ListRequest{Path: "/hris/employees", IntegrationID: testIntegrationID})
		return err
	},
	"GET /x/{x_id}/items": func(ctx context.Context, c *kombo.Client) error {
		for _, err := range kombo.List[employee](ctx, c, kombo.ListRequest{
			Path: "/x/{x_id}/items", PathValues: []string{"personio-x"}, IntegrationID: testIntegrationID,
		}) {
			if err != nil {
				return err
			}
		}
		return nil
	},
}

// The fake knows every operation too.
func TestAllCallsAreComplete(t *testing.T) {
	t.Parallel()
	want := append(kombotest.Operations(), genericCalls...)
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(allCalls))); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

func TestFailuresOfEachOperation(t *testing.T) {
	t.Parallel()
	for op, call := range allCalls {
		for _, failure := range []struct {
			status   int
			body     string
			wantKind string
		}{
			{404, notFoundResponse, "ErrIntegrationNotFound"},
			{400, envelope(`"PLATFORM.INPUT_INVALID"`, "null", `"m"`, "null"), "ErrInvalidInput"},
			{401, envelope(`"PLATFORM.AUTHENTICATION_INVALID"`, "null", `"m"`, "null"), "ErrAuthentication"},
			{429, envelope(`"PLATFORM.RATE_LIMIT_EXCEEDED"`, "null", `"m"`, "null"), "ErrRateLimited"},
			{429, envelope(`"REMOTE.RATE_LIMIT_EXCEEDED"`, "null", `"m"`, "null"), "ErrRateLimited"},
			{503, envelope(`"INTEGRATION.SETUP_SYNC_PENDING"`, "null", `"m"`, "null"), "ErrIntegrationNotReady"},
			{409, envelope(`"INTEGRATION.SETUP_INCOMPLETE"`, "null", `"m"`, "null"), "ErrIntegrationNotReady"},
			{401, envelope(`"INTEGRATION.AUTHENTICATION_INVALID"`, "null", `"m"`, "null"), "ErrReconnectRequired"},
			{502, "<html>down</html>", "ErrUnexpectedResponse"},
			{200, "<html>Please log in</html>", "ErrUnexpectedResponse"},
			{200, `{"status":"pending","data":{}}`, "ErrUnexpectedResponse"},
		} {
			client, _ := mocked(t, "*", "", failure.status, failure.body)
			err := call(t.Context(), client)
			if got := kindsOf(err); got != failure.wantKind || !strings.HasPrefix(err.Error(), "kombo: "+op+": ") {
				t.Errorf("%s, %d %s: %q: %v", op, failure.status, failure.body, got, err)
			}
		}
	}
}

// A call that is not idempotent is retried only if it was not executed.
func TestRetriesOfEachOperation(t *testing.T) {
	t.Parallel()
	once := map[string]bool{"POST /force-sync": true, "POST /passthrough/{tool}/{api}": true, "POST /ats/jobs/{job_id}/applications": true}
	for op, call := range allCalls {
		for name, failure := range map[string]httpmock.Responder{
			"503": httpmock.NewStringResponder(503, ""),
			"cut": httpmock.NewErrorResponder(errors.New("connection reset by peer")),
			"429": httpmock.NewStringResponder(429, ""),
		} {
			requests := 0
			mock := httpmock.NewMockTransport()
			mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
				requests++
				return failure(r)
			})
			client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}),
				kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 3, BaseDelay: time.Microsecond}))
			want := 3
			if once[op] && name != "429" {
				want = 1
			}
			var kerr *kombo.Error
			if err := call(t.Context(), client); !errors.As(err, &kerr) || kerr.Attempts != want || requests != want {
				t.Errorf("%s, %s: %d requests, want %d: %v", op, name, requests, want, err)
			}
		}
	}
}
