package kombo_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sdkcalls"
	"github.com/kombo-go/kombo/kombotest"
)

// allCalls has a valid call of every operation of the SDK. The key is the operation's name in [kombo.Error].
var allCalls = func() map[string]func(context.Context, *kombo.Client) error {
	all := sdkcalls.All()
	maps.Copy(all, genericCalls)
	return all
}()

// genericCalls are those of Call, ListPage and List, which are the same code for all other endpoints.
var genericCalls = map[string]func(context.Context, *kombo.Client) error{
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

// The table of calls and the fake know the operations that the SDK declares.
func TestAllCallsAreComplete(t *testing.T) {
	t.Parallel()
	declared := declaredOperations(t)
	if diff := cmp.Diff(declared, slices.Sorted(maps.Keys(sdkcalls.All()))); diff != "" {
		t.Errorf("operations (-of the SDK +of sdkcalls):\n%s", diff)
	}
	fake := kombotest.Operations()
	slices.Sort(fake)
	if diff := cmp.Diff(declared, fake); diff != "" {
		t.Errorf("operations (-of the SDK +of the fake):\n%s", diff)
	}
}

// declaredOperations returns the names of the operations in the SDK's source.
func declaredOperations(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`transport\.Operation\{Method: http\.Method(\w+), Path: "([^"]+)"`)
	var operations []string
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, found := range literal.FindAllStringSubmatch(readFile(t, name), -1) {
			operations = append(operations, strings.ToUpper(found[1])+" "+found[2])
		}
	}
	slices.Sort(operations)
	return operations
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
