package kombo_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

func TestObserver(t *testing.T) {
	t.Parallel()
	slow := func(status int, body string) httpmock.Responder {
		return httpmock.NewStringResponder(status, body).HeaderSet(http.Header{"Concurrency-Remaining": {"29"}}).Delay(time.Second)
	}
	get := allCalls["GET /integrations/{integration_id}"]
	const getOp = "GET /integrations/{integration_id}"
	header := http.Header{"Concurrency-Remaining": {"29"}}
	good := fixture(t, "integration")
	tests := []struct {
		name   string
		answer httpmock.Responder
		call   func(context.Context, *kombo.Client) error
		want   kombo.CallInfo
	}{
		{"success", slow(200, good), get, kombo.CallInfo{Op: getOp, StatusCode: 200, Header: header, Attempts: 1, Duration: time.Second}},
		{"refused by the API", slow(404, notFoundAnswer), get, kombo.CallInfo{Op: getOp, StatusCode: 404, Header: header, Attempts: 1, Duration: time.Second}},
		{
			"warnings", slow(200, strings.Replace(good, "{", `{"warnings":[{"message":"one"},"two"],`, 1)), get,
			kombo.CallInfo{
				Op: getOp, StatusCode: 200, Header: header, Warnings: []kombo.Warning{{Message: "one"}, {Message: "two"}}, Attempts: 1, Duration: time.Second,
			},
		},
		{"answer that cannot be read", slow(200, "<html>"), get, kombo.CallInfo{Op: getOp, StatusCode: 200, Header: header, Attempts: 1, Duration: time.Second}},
		{
			"third attempt", slow(429, "").Then(slow(429, "")).Then(slow(200, good)), get,
			kombo.CallInfo{Op: getOp, StatusCode: 200, Header: header, Attempts: 3, Duration: 3 * time.Second},
		},
		{
			"network", httpmock.NewErrorResponder(errors.New("connection reset by peer")), get,
			kombo.CallInfo{Op: getOp, Attempts: 3},
		},
		{
			"path value", nil,
			func(ctx context.Context, c *kombo.Client) error { _, err := c.Integrations.Get(ctx, ""); return err },
			kombo.CallInfo{Op: getOp},
		},
		{
			"request", nil,
			func(ctx context.Context, c *kombo.Client) error {
				_, err := c.Integrations.SetupLink(ctx, testIntegrationID, kombo.SetupLinkRequest{})
				return err
			},
			kombo.CallInfo{Op: "POST /integrations/{integration_id}/setup-link"},
		},
		{
			"paging", nil,
			func(ctx context.Context, c *kombo.Client) error {
				_, err := c.Integrations.FieldsPage(ctx, testIntegrationID, kombo.ListOptions{PageSize: -1})
				return err
			},
			kombo.CallInfo{Op: "GET /integrations/{integration_id}/integration-fields"},
		},
		{
			"integration in the header", nil,
			func(ctx context.Context, c *kombo.Client) error {
				_, err := c.Integrations.Sync(ctx, "", "")
				return err
			},
			kombo.CallInfo{Op: "POST /force-sync"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mock := httpmock.NewMockTransport()
				if test.answer != nil {
					mock.RegisterNoResponder(test.answer)
				}
				var order []string
				var calls []kombo.CallInfo
				observe := func(name string) func(context.Context, kombo.CallInfo) {
					return func(_ context.Context, call kombo.CallInfo) {
						order = append(order, name)
						calls = append(calls, call)
					}
				}
				client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}),
					kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 3, BaseDelay: time.Nanosecond}),
					kombo.WithObserver(observe("client")), kombo.WithObserver(nil), kombo.WithObserver(observe("client, second")))
				ctx := kombo.ContextWithObserver(kombo.ContextWithObserver(kombo.ContextWithObserver(t.Context(), observe("outer")), nil), observe("inner"))
				test.want.Err = test.call(ctx, client)
				if diff := cmp.Diff([]string{"inner", "outer", "client", "client, second"}, order); diff != "" {
					t.Fatalf("observers (-want +got):\n%s", diff)
				}
				sameError := cmp.Comparer(func(a, b error) bool { return a == b }) //nolint:errorlint // the very same
				for i := range calls {
					calls[i].Duration = calls[i].Duration.Truncate(time.Millisecond)
				}
				if diff := cmp.Diff(slices.Repeat([]kombo.CallInfo{test.want}, 4), calls, sameError); diff != "" {
					t.Errorf("call (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The label of a metric must not hold ids, nor tokens.
func TestObserverGetsRoutesOnly(t *testing.T) {
	t.Parallel()
	for op, call := range allCalls {
		client, _ := mocked(t, "*", "", 404, notFoundAnswer)
		told := ""
		_ = call(kombo.ContextWithObserver(t.Context(), func(_ context.Context, c kombo.CallInfo) { told += c.Op }), client)
		if told != op || strings.Contains(told, "personio") {
			t.Errorf("told %q, want %q", told, op)
		}
	}
}

// A transport learns the route of each request that it sends, also of one that is sent again, and also if a transport
// around it derives a context.
func TestOperationFromContext(t *testing.T) {
	t.Parallel()
	for op, call := range allCalls {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			var routes []string
			inner := roundTripFunc(func(r *http.Request) (*http.Response, error) {
				routes = append(routes, kombo.OperationFromContext(r.Context()))
				return httpmock.NewStringResponse(429, ""), nil
			})
			outer := roundTripFunc(func(r *http.Request) (*http.Response, error) {
				ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), "key", "value"), time.Minute) //nolint:revive,staticcheck // any key
				defer cancel()
				return inner(r.Clone(ctx))
			})
			client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: outer}),
				kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 2, BaseDelay: time.Nanosecond}))
			_ = call(t.Context(), client)
			if diff := cmp.Diff([]string{op, op}, routes); diff != "" {
				t.Errorf("routes (-want +got):\n%s", diff)
			}
		})
	}
	if op := kombo.OperationFromContext(t.Context()); op != "" {
		t.Errorf("operation of another context = %q", op)
	}
}

// The context of the operation must not hide that the caller's one has ended, nor why.
func TestOperationContextEnds(t *testing.T) {
	t.Parallel()
	why := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		cancel(why)
		<-r.Context().Done()
		return nil, r.Context().Err()
	})}))
	_, err := client.CheckAPIKey(ctx)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("error = %v", err)
	}
}
