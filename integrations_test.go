package kombo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

const integrationURL = "https://api.kombo.dev/v1/integrations/personio%3AFx7TqWm3kPz9LdRvN2sYbH5c"

func TestRelink(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		request  kombo.RelinkRequest
		wantBody string
	}{
		{"nothing set", kombo.RelinkRequest{}, `{}`},
		{
			"every field",
			kombo.RelinkRequest{Language: kombo.LanguageFR, ScopeConfigID: "scope1", LinkType: kombo.LinkTypeMagicLink},
			`{"language":"fr","scope_config_id":"scope1","link_type":"MAGIC_LINK"}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "POST", integrationURL+"/relink", 200, `{"status":"success","data":{"link":"`+testLink+`"}}`)
			link, err := client.Integrations.Relink(t.Context(), testIntegrationID, test.request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&kombo.Link{URL: testLink}, link); diff != "" {
				t.Errorf("link (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantBody, got.Body); diff != "" {
				t.Errorf("body on the wire (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)
	expired := time.Date(2026, 4, 5, 6, 7, 8, 9_000_000, time.UTC)
	tests := []struct {
		name string
		want *kombo.Integration
	}{
		{"integration", &kombo.Integration{
			ID: testIntegrationID,
			Tool: kombo.IntegrationTool{
				ID: "personio", Label: "Personio",
				LogoURL: "https://assets.example/personio/logo.svg", IconURL: "https://assets.example/personio/icon.svg",
			},
			Category: kombo.CategoryHRIS, Status: kombo.StateActive, SetupStatus: kombo.SetupStatusCompleted,
			EndUser:     kombo.EndUser{OrganizationName: "Müller & Söhne <HR>", CreatorEmail: "ada@acme.example", OriginID: "42"},
			ScopeConfig: kombo.ScopeConfig{ID: "9Pv6aCFwNDEzPNmwjSsY9SQx", Name: "Employees only"},
			CreatedAt:   created,
			ReadModels: []kombo.ReadModel{
				{
					ID: "hris_employees", Label: "Employees", IsAvailable: true,
					CoverageStatus: kombo.CoverageStatusSupported, ScopeConfigSetting: kombo.ScopeConfigSettingEnabled,
					Fields: []kombo.ReadModelField{
						{
							ID: "date_of_birth", CoverageStatus: kombo.CoverageStatusSupported,
							ScopeConfigSetting: kombo.ScopeConfigSettingOptional, OptedOutByCustomer: true,
						},
						{
							ID: "ssn", CoverageStatus: kombo.CoverageStatusNotImplemented,
							ScopeConfigSetting: kombo.ScopeConfigSettingDisabled,
						},
					},
				},
				{
					ID: "hris_teams", Label: "Groups", CoverageStatus: kombo.CoverageStatusUnsupported,
					ScopeConfigSetting: kombo.ScopeConfigSettingDisabled, Fields: []kombo.ReadModelField{},
				},
			},
			WriteActions: []kombo.WriteAction{{
				ID: "hris_create_employee", Label: "Create employee", IsAvailable: true,
				CoverageStatus: kombo.CoverageStatusSupported, ScopeConfigSetting: kombo.ScopeConfigSettingEnabled,
				Fields: []kombo.WriteActionField{{ID: "first_name", IsAvailable: true, CoverageStatus: kombo.CoverageStatusUnknown}},
			}},
		}},
		{"integration-nulls", &kombo.Integration{
			ID: "newtool:Fx7TqWm3kPz9LdRvN2sYbH5c",
			Tool: kombo.IntegrationTool{
				ID: "newtool", Label: "New Tool", InternalLabel: "New Tool (v2)",
				LogoURL: "https://assets.example/newtool/logo.svg", IconURL: "https://assets.example/newtool/icon.svg",
			},
			Category: "PAYROLL", Status: "PAUSED", SetupStatus: "WAITING",
			EndUser:       kombo.EndUser{OrganizationName: "Acme, Inc."},
			ScopeConfig:   kombo.ScopeConfig{ID: "9Pv6aCFwNDEzPNmwjSsY9SQx"},
			DataExpiredAt: &expired, CreatedAt: created, Beta: true,
			ReadModels: []kombo.ReadModel{{
				ID: "payroll_runs", Label: "Runs", IsAvailable: true, CoverageStatus: "PARTIAL", ScopeConfigSetting: "INHERITED",
				Fields: []kombo.ReadModelField{},
			}},
			WriteActions: []kombo.WriteAction{},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			response := fixture(t, test.name)
			// Unknown members and values do no harm.
			client, got := mocked(t, "*", "", 200, strings.Replace(response, `"data": {`, `"data": {"new_field": [1],`, 1))
			integration, err := client.Integrations.Get(t.Context(), testIntegrationID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, integration); diff != "" {
				t.Errorf("integration (-want +got):\n%s", diff)
			}
			checkSent(t, got, "GET", integrationURL, "", "")
			checkRoundTrip(t, response, integration)
		})
	}
}

func TestGetIncomplete(t *testing.T) {
	t.Parallel()
	const full = `{"status":"success","data":{"id":"x:1","tool":{"id":"x"},"status":"ACTIVE","setup_status":"COMPLETED"}}`
	for old, want := range map[string]string{
		`"id":"x:1"`: "data.id is missing", `{"id":"x"}`: "data.tool.id is missing", `"status":"ACTIVE"`: "data.status is missing",
		`"setup_status":"COMPLETED"`: "data.setup_status is missing", full[27 : len(full)-1]: "it has no data",
	} {
		name, _, _ := strings.Cut(old, ":")
		replacement := name + ":null"
		if old[0] == '{' {
			replacement = "null"
		}
		client, _ := mocked(t, "*", "", 200, strings.Replace(full, old, replacement, 1))
		_, err := client.Integrations.Get(t.Context(), testIntegrationID)
		if !errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %s", old, err, want)
		}
	}
}

func TestSetEnabled(t *testing.T) {
	t.Parallel()
	for enabled, wantBody := range map[bool]string{true: `{"value":true}`, false: `{"value":false}`} {
		client, got := mocked(t, "*", "", 200, `{"status":"success","data":{}}`)
		if err := client.Integrations.SetEnabled(t.Context(), testIntegrationID, enabled); err != nil {
			t.Error(err)
		}
		checkSent(t, got, "PUT", integrationURL+"/enabled", wantBody, "")
	}
}

func TestSetupLink(t *testing.T) {
	t.Parallel()
	for wantBody, request := range map[string]kombo.SetupLinkRequest{
		`{"link_type":"MAGIC_LINK"}`:               {LinkType: kombo.LinkTypeMagicLink},
		`{"link_type":"EMBEDDED","language":"it"}`: {LinkType: kombo.LinkTypeEmbedded, Language: kombo.LanguageIT},
	} {
		client, got := mocked(t, "*", "", 200, `{"status":"success","data":{"link":"`+testLink+`"}}`)
		link, err := client.Integrations.SetupLink(t.Context(), testIntegrationID, request)
		if err != nil || link.URL != testLink {
			t.Errorf("%v, %v", link, err)
		}
		checkSent(t, got, "POST", integrationURL+"/setup-link", wantBody, "")
	}
}

func TestNewOperationsCheckTheirInput(t *testing.T) {
	t.Parallel()
	client, got := mocked(t, "*", "", 200, "{}")
	service, ctx := client.Integrations, t.Context()
	check := func(err error, want string) {
		t.Helper()
		checkRefused(t, err, got, "kombo: "+want+" (nothing was sent)")
	}
	_, err := service.Get(ctx, "")
	check(err, "GET /integrations/{integration_id}: integration_id is empty")
	check(service.SetEnabled(ctx, "", true), "PUT /integrations/{integration_id}/enabled: integration_id is empty")
	_, err = service.SetupLink(ctx, "", kombo.SetupLinkRequest{LinkType: kombo.LinkTypeEmbedded})
	check(err, "POST /integrations/{integration_id}/setup-link: integration_id is empty")
	_, err = service.SetupLink(ctx, testIntegrationID, kombo.SetupLinkRequest{})
	check(err, "POST /integrations/{integration_id}/setup-link: LinkType is required")
	_, err = service.SetFieldPassthrough(ctx, testIntegrationID, "", true)
	check(err, "PATCH /integrations/{integration_id}/integration-fields/{integration_field_id}: integration_field_id is empty")
	_, err = service.MapCustomField(ctx, testIntegrationID, "..", "f")
	check(err, "PUT /integrations/{integration_id}/custom-fields/{custom_field_id}: custom_field_id must not contain the path step ..")
	_, err = service.FieldsPage(ctx, "", kombo.ListOptions{})
	check(err, "GET /integrations/{integration_id}/integration-fields: integration_id is empty")
	_, err = service.CustomFieldsPage(ctx, "", kombo.ListOptions{})
	check(err, "GET /integrations/{integration_id}/custom-fields: integration_id is empty")
}

func TestDelete(t *testing.T) {
	t.Parallel()
	for _, response := range []string{
		`{"status":"success","data":{}}`, `{"status":"success","data":null}`, `{"status":"success"}`,
	} {
		client, got := mocked(t, "DELETE", integrationURL, 200, response)
		if err := client.Integrations.Delete(t.Context(), testIntegrationID); err != nil {
			t.Errorf("%s: %v", response, err)
		}
		if got.Body != "{}" || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("body on the wire = %q", got.Body)
		}
	}
}

// If the response of a deletion is lost, the retry finds nothing to delete. That is a success.
func TestDeleteWhoseResponseWasLost(t *testing.T) {
	t.Parallel()
	notFound := httpmock.NewStringResponder(404, notFoundResponse)
	tests := []struct {
		name  string
		first httpmock.Responder
		want  error
	}{
		{"connection cut", httpmock.NewErrorResponder(errors.New("connection reset by peer")), nil},
		{"bad gateway", httpmock.NewStringResponder(502, "<html>"), nil},
		{"rate limited", httpmock.NewStringResponder(429, ""), kombo.ErrIntegrationNotFound},
		{"cut, then rate limited", httpmock.NewErrorResponder(errors.New("connection reset by peer")).
			Then(httpmock.NewStringResponder(429, "")), nil},
		{"proxy refused the connection", httpmock.NewErrorResponder(&net.OpError{
			Op: "proxyconnect", Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")},
		}), kombo.ErrIntegrationNotFound},
		{"dialing took too long", httpmock.NewErrorResponder(&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}), kombo.ErrIntegrationNotFound},
		{"not found at once", notFound, kombo.ErrIntegrationNotFound},
		{"404 that Kombo did not write", httpmock.NewErrorResponder(errors.New("connection reset by peer")).
			Then(httpmock.NewStringResponder(404, "<html>no route</html>")), kombo.ErrUnexpectedResponse},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mock := httpmock.NewMockTransport()
				mock.RegisterNoResponder(httpmock.NewNotFoundResponder(t.Fatal))
				mock.RegisterResponder("DELETE", integrationURL, test.first.Then(notFound))
				client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}))
				if err := client.Integrations.Delete(t.Context(), testIntegrationID); !errors.Is(err, test.want) {
					t.Errorf("error = %v, want %v", err, test.want)
				}
			})
		})
	}
}

func TestWaitUntilReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		response := strings.Replace(fixture(t, "integration"), `"ACTIVE"`, `"INVALID"`, 1)
		statuses := []kombo.SetupStatus{"INCOMPLETE", "INCOMPLETE", "WAITING", "INCOMPLETE", "FINAL_SYNC_PENDING", "FINAL_SYNC_PENDING", "COMPLETED"}
		var waits []time.Duration
		last, n := time.Now(), 0
		mock := httpmock.NewMockTransport()
		mock.RegisterResponder("GET", integrationURL, func(*http.Request) (*http.Response, error) {
			waits = append(waits, time.Since(last))
			last = time.Now()
			n++
			return httpmock.NewStringResponse(200, strings.Replace(response, `"COMPLETED"`, `"`+string(statuses[n-1])+`"`, 1)), nil
		})
		client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}))
		var reported []kombo.SetupStatus
		integration, err := client.Integrations.WaitUntilReady(t.Context(), testIntegrationID, func(i *kombo.Integration) {
			reported = append(reported, i.SetupStatus)
		})
		if err != nil || integration.SetupStatus != kombo.SetupStatusCompleted || integration.Status != kombo.StateInvalid {
			t.Fatalf("%+v, %v", integration, err)
		}
		if diff := cmp.Diff(statuses, reported); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
		for i, longest := range []time.Duration{0, 2, 4, 8, 16, 30, 30} {
			longest *= time.Second
			if waits[i] < longest/2 || waits[i] > longest {
				t.Errorf("wait %d is %v, want %v to %v", i, waits[i], longest/2, longest)
			}
		}
	})
}

// However the context ends between two polls, errors.Is reports why, and the error quotes nothing that the
// server sent.
func TestWaitUntilReadyEndsWithTheContext(t *testing.T) {
	t.Parallel()
	cause := errors.New("shutting down")
	leak := &url.Error{Op: "Get", URL: testLink, Err: fmt.Errorf("key %s: %w", testAPIKey, cause)}
	cancelled := func(cause error) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(10*time.Minute, func() { cancel(cause) })
			return ctx, func() { cancel(nil) }
		}
	}
	late := func(cause error) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, 10*time.Minute, cause)
		}
	}
	for _, end := range []struct {
		name      string
		end       func(context.Context) (context.Context, context.CancelFunc)
		is        []error
		wantError string
	}{
		{"cancelled", cancelled(nil), []error{context.Canceled}, "context canceled"},
		{"cancelled with a cause", cancelled(cause), []error{context.Canceled, cause}, "context canceled: shutting down"},
		{"deadline", late(nil), []error{context.DeadlineExceeded}, "context deadline exceeded"},
		{"deadline with a cause", late(cause), []error{context.DeadlineExceeded, cause}, "context deadline exceeded: shutting down"},
		{"cancelled with a cause that has secrets", cancelled(leak), []error{context.Canceled, cause}, ""},
	} {
		for name, status := range map[string]string{
			"usual": "INCOMPLETE", "with the key": testAPIKey, "with a token": testToken, "in lines": `one\ntwo\u2028three`, "large": strings.Repeat("é", 1<<15),
		} {
			t.Run(end.name+", status "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					response := strings.Replace(fixture(t, "integration"), "COMPLETED", status, 1)
					unavailable := httpmock.NewStringResponder(503, "")
					mock := httpmock.NewMockTransport()
					mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
						if mock.GetTotalCallCount()%3 != 0 {
							return unavailable(r)
						}
						return httpmock.NewStringResponse(200, response), nil
					})
					client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}),
						kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 3, BaseDelay: time.Nanosecond}))
					ctx, cancel := end.end(t.Context())
					defer cancel()
					start, looks := time.Now(), 0
					integration, err := client.Integrations.WaitUntilReady(ctx, testIntegrationID, func(*kombo.Integration) { looks++ })
					var kerr *kombo.Error
					if integration != nil || !errors.As(err, &kerr) || time.Since(start).Round(time.Second) != 10*time.Minute {
						t.Fatalf("%+v, %v after %v", integration, err, time.Since(start))
					}
					if kerr.Attempts != 3 || mock.GetTotalCallCount() != 3*looks || looks < 10 {
						t.Errorf("attempts = %d; %d looks, %d requests; every look needs 3", kerr.Attempts, looks, mock.GetTotalCallCount())
					}
					for _, target := range end.is {
						if !errors.Is(err, target) {
							t.Errorf("errors.Is(%v, %v) = false", err, target)
						}
					}
					if errors.Is(err, kombo.ErrNetwork) {
						t.Errorf("%v is ErrNetwork", err)
					}
					want := "kombo: GET /integrations/{integration_id}: the setup is not complete: " + end.wantError + " (attempts: 3)"
					if end.wantError != "" && err.Error() != want {
						t.Errorf("error:\n got %.2000s\nwant %s", err, want)
					}
					said := fmt.Sprintf("%v %+v %#v %+v %v", err, err, err, *kerr, errors.Unwrap(err))
					for _, secret := range []string{testAPIKey, "eyJ", "é", "three"} {
						if strings.Contains(said, secret) || len(said) > 4000 {
							t.Fatalf("%q is in the error, or it is too long: %.2000s", secret, said)
						}
					}
				})
			})
		}
	}
}

// The same over a real connection, and if the context ends during a request.
func TestWaitUntilReadyEndsOnARealConnection(t *testing.T) {
	t.Parallel()
	cause := errors.New("shutting down")
	for name, duringRequest := range map[string]bool{"between requests": false, "during a request": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if duringRequest {
					cancel(cause)
					waitForHangUp(w, r)
					return
				}
				_, _ = io.WriteString(w, strings.Replace(fixture(t, "integration"), "COMPLETED", "INCOMPLETE", 1))
			})
			integration, err := client.Integrations.WaitUntilReady(ctx, testIntegrationID, func(*kombo.Integration) { cancel(cause) })
			var kerr *kombo.Error
			if integration != nil || !errors.As(err, &kerr) || kerr.Attempts != 1 || !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
				t.Errorf("%+v, %v", integration, err)
			}
			if got := err.Error(); strings.Count(got, "shutting down") != 1 {
				t.Errorf("the error repeats itself: %s", got)
			}
		})
	}
}

func TestWaitUntilReadyFails(t *testing.T) {
	t.Parallel()
	client, _ := mocked(t, "*", "", 404, notFoundResponse)
	reported := 0
	_, err := client.Integrations.WaitUntilReady(t.Context(), testIntegrationID, func(*kombo.Integration) { reported++ })
	if !errors.Is(err, kombo.ErrIntegrationNotFound) || reported != 0 {
		t.Errorf("error = %v, reported %d statuses", err, reported)
	}
	client, got := mocked(t, "*", "", 200, "{}")
	_, err = client.Integrations.WaitUntilReady(t.Context(), "", nil)
	checkRefused(t, err, got, "kombo: GET /integrations/{integration_id}: integration_id is empty (nothing was sent)")
	var none context.Context
	_, err = client.Integrations.WaitUntilReady(none, testIntegrationID, nil)
	checkRefused(t, err, got, "kombo: GET /integrations/{integration_id}: the context is nil (nothing was sent)")
}
