package kombotest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

const createApplication = "POST /ats/jobs/{job_id}/applications"

func applyTo(job, integrationID string) kombo.Request {
	return kombo.Request{
		Method: http.MethodPost, Path: "/ats/jobs/{job_id}/applications", PathValues: []string{job}, IntegrationID: integrationID,
		Body: json.RawMessage(`{"candidate":{"first_name":"Ada"}}`),
	}
}

type created struct {
	ID string `json:"id"`
}

func TestAction(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{Limits: kombotest.Limits{Concurrency: 3}})
	id := srv.Connect(t, request).ID
	srv.HandleFunc(createApplication, func(r *http.Request) (*kombo.Response[any], error) {
		body, err := io.ReadAll(r.Body)
		r.Header.Del("X-Integration-Id") // the handler cannot change the recorded request
		return &kombo.Response[any]{
			Data:     map[string]any{"id": r.PathValue("job_id") + string(body), "n": json.RawMessage("1.50")},
			Warnings: []kombo.Warning{{Message: "no e-mail address"}}, Header: http.Header{"x-extra": {"1"}},
		}, err
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.BaseURL()+"/ats/jobs/a%2Fb/applications", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + srv.APIKey()}, "X-Integration-Id": {id}}
	status, header, response := exchange(t, r)
	want := `{"status":"success","data":{"id":"a/b{}","n":1.50},"warnings":[{"message":"no e-mail address"}]}`
	if status != 200 || response != want || header.Get("X-Extra") != "1" || concurrency(header) != "3/2" {
		t.Errorf("%d %s %v", status, response, header)
	}
	got, err := kombo.Call[created](t.Context(), client, applyTo("j1", id))
	if err != nil || got.Data.ID != `j1{"candidate":{"first_name":"Ada"}}` || len(got.Warnings) != 1 || got.Header.Get("Concurrency-Remaining") != "2" {
		t.Errorf("%+v, %v", got, err)
	}
	requests := srv.Requests()
	if r := requests[1]; r.Op != createApplication || r.Path != "/ats/jobs/j1/applications" || r.Header.Get("X-Integration-Id") != id ||
		string(r.Body) != `{"candidate":{"first_name":"Ada"}}` || r.StatusCode != 200 {
		t.Errorf("request = %+v", r)
	}
	// The newest function counts. Reads have no warnings and no concurrency limit.
	empty := func(*http.Request) (*kombo.Response[any], error) { return &kombo.Response[any]{}, nil }
	srv.HandleFunc(createApplication, empty)
	srv.HandleFunc("GET /hris/employees/form", empty)
	srv.HandleFunc("POST /ai-apply/apply", empty)
	for op, want := range map[string]string{
		createApplication:          `{"status":"success","data":{},"warnings":[]} 3/2`,
		"GET /hris/employees/form": `{"status":"success","data":{}} /`,
		"POST /ai-apply/apply":     `{"status":"success","data":{}} /`,
	} {
		method, path, _ := strings.Cut(op, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, srv.BaseURL()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+srv.APIKey())
		if !strings.Contains(path, "ai-apply") { // which needs no integration
			r.Header.Set("X-Integration-Id", id)
		}
		if _, header, response := exchange(t, r); response+" "+concurrency(header) != want {
			t.Errorf("%s: %s %s, want %s", op, response, concurrency(header), want)
		}
	}
}

// The client gets the error that an action returns.
func TestActionErrors(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, request).ID
	incomplete := srv.Connect(t, request).ID
	if err := srv.SetSetupStatus(t.Context(), incomplete, kombo.SetupStatusIncomplete); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		integration string
		data        any
		err         error
		status      int
		retryAfter  string
		want        string
	}{
		{id, nil, &kombo.Error{Code: kombo.CodeATSJobClosed, Message: "closed"}, 400, "", `{"code":"ATS.JOB_CLOSED","log_url":null,"message":"closed","title":null}`},
		{
			id, nil, fmt.Errorf("wrapped: %w", &kombo.Error{
				Code: "NEW.CODE", StatusCode: 418, Message: "m", Title: "t", LogURL: "https://app.kombo.dev/1", RetryAfter: 1500 * time.Millisecond,
			}), 418, "2",
			`{"code":"NEW.CODE","log_url":"https://app.kombo.dev/1","message":"m","title":"t"}`,
		},
		{id, nil, &kombo.Error{Code: kombo.CodeRemoteServiceUnavailable}, 503, "", `{"code":"REMOTE.SERVICE_UNAVAILABLE","log_url":null,"message":"","title":null}`},
		{id, nil, &kombo.Error{Code: kombo.CodeIntegrationAuthenticationInvalid, StatusCode: 200}, 400, "", `{"code":"INTEGRATION.AUTHENTICATION_INVALID","log_url":null,"message":"","title":null}`},
		{id, nil, errors.New("broken"), 500, "", `{"code":null,"log_url":null,"message":"broken","title":null}`},
		{id, func() {}, nil, 500, "", `{"code":null,"log_url":null,"message":"HandleFunc: the data: json: unsupported type: func()","title":null}`},
		{id, kombo.EndUser{}, nil, 500, "", `{"code":null,"log_url":null,"message":"HandleFunc: the data: kombo.EndUser is encoded by its own tags; write an object","title":null}`},
		{"", nil, nil, 400, "", `{"code":"PLATFORM.INPUT_INVALID","log_url":null,"message":"X-Integration-Id: the header is missing","title":null}`},
		{"personio:none", nil, nil, 404, "", `{"code":"PLATFORM.INTEGRATION_NOT_FOUND","log_url":null,"message":"There is no integration with this id in this environment.","title":null}`},
		{incomplete, nil, nil, 409, "", `{"code":"INTEGRATION.SETUP_INCOMPLETE","log_url":null,"message":"The setup of the integration is not complete.","title":null}`},
	} {
		ran := false
		srv.HandleFunc(createApplication, func(*http.Request) (*kombo.Response[any], error) {
			ran = true
			return &kombo.Response[any]{Data: test.data}, test.err
		})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.BaseURL()+"/ats/jobs/j1/applications", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+srv.APIKey())
		r.Header.Set("X-Integration-Id", test.integration)
		status, header, response := exchange(t, r)
		if want := `{"error":` + test.want + `,"status":"error"}`; status != test.status || response != want || header.Get("Retry-After") != test.retryAfter {
			t.Errorf("%d %s, Retry-After %q\nwant %d %s, %q", status, response, header.Get("Retry-After"), test.status, want, test.retryAfter)
		}
		if ran != (test.integration == id) {
			t.Errorf("%q: the function ran: %t", test.integration, ran)
		}
	}
	srv.HandleFunc(createApplication, func(*http.Request) (*kombo.Response[any], error) {
		return nil, &kombo.Error{Code: kombo.CodeIntegrationAuthenticationInvalid, StatusCode: http.StatusUnauthorized}
	})
	if _, err := kombo.Call[created](t.Context(), client, applyTo("j1", id)); !errors.Is(err, kombo.ErrReconnectRequired) {
		t.Errorf("error = %v, want ErrReconnectRequired", err)
	}
}

// Faults, the API key and limits apply as to every operation. If only the response is lost, the action was executed.
func TestActionFaults(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, request).ID
	var runs atomic.Int32
	srv.HandleFunc(createApplication, func(*http.Request) (*kombo.Response[any], error) {
		runs.Add(1)
		return &kombo.Response[any]{Data: created{"a1"}}, nil
	})
	for _, test := range []struct {
		fault          kombotest.Fault
		requests, runs int
		fails          bool
	}{
		{kombotest.Fault{Status: 503}, 1, 0, true},
		{kombotest.Fault{Code: kombo.CodeRateLimitExceeded}, 2, 1, false},
		{kombotest.Fault{Cut: true, Executed: true}, 1, 1, true},
		{kombotest.Fault{Code: kombo.CodeATSJobClosed, Executed: true}, 1, 1, true},
	} {
		before := len(srv.Requests())
		runs.Store(0)
		test.fault.Op = createApplication
		srv.InjectFault(test.fault)
		_, err := kombo.Call[created](t.Context(), client, applyTo("j1", id))
		if got := len(srv.Requests()) - before; got != test.requests || int(runs.Load()) != test.runs || (err != nil) != test.fails {
			t.Errorf("%+v: %d requests, %d runs, %v", test.fault, got, runs.Load(), err)
		}
	}
	if left := srv.Faults(); len(left) > 0 {
		t.Errorf("faults = %+v", left)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.BaseURL()+"/ats/jobs/j1/applications", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Integration-Id", id)
	runs.Store(0)
	if status, header, _ := exchange(t, r); status != 401 || concurrency(header) != "30/29" || runs.Load() != 0 {
		t.Errorf("without a key: %d %s, %d runs", status, concurrency(header), runs.Load())
	}
}

// The context of an action ends when the client disconnects, when its time limit ends, and when the server is closed.
func TestActionThatIsSlow(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{Limits: kombotest.Limits{Concurrency: 1}}, kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	id, other := srv.Connect(t, request).ID, srv.Connect(t, request).ID
	began, ended := make(chan struct{}), make(chan error)
	srv.HandleFunc(createApplication, func(r *http.Request) (*kombo.Response[any], error) {
		if r.PathValue("job_id") == "fast" {
			return nil, nil // an empty response
		}
		began <- struct{}{}
		<-r.Context().Done()
		ended <- r.Context().Err()
		return nil, r.Context().Err()
	})
	call := func(ctx context.Context, job, id string, limit time.Duration) <-chan error {
		result := make(chan error, 1)
		request := applyTo(job, id)
		request.Timeout = limit
		go func() {
			_, err := kombo.Call[struct{}](ctx, client, request)
			result <- err
		}()
		return result
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := call(ctx, "slow", id, 0)
	<-began
	if err := <-call(t.Context(), "fast", id, 0); !errors.Is(err, kombo.ErrRateLimited) {
		t.Errorf("concurrent action = %v, want ErrRateLimited", err)
	}
	if err := <-call(t.Context(), "fast", other, 0); err != nil {
		t.Errorf("action of another integration = %v", err)
	}
	if _, err := kombo.ListPage[created](t.Context(), client, kombo.ListRequest{Path: "/ats/jobs", IntegrationID: id}); err != nil {
		t.Errorf("list = %v", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the context ended with %v", err)
	}
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}

	result = call(t.Context(), "slow", other, 50*time.Millisecond)
	<-began
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the context ended with %v", err)
	}
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error = %v, want os.ErrDeadlineExceeded", err)
	}

	result = call(t.Context(), "slow", srv.Connect(t, request).ID, 0)
	<-began
	closed := make(chan struct{})
	go func() {
		srv.Close()
		close(closed)
	}()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the context ended with %v", err)
	}
	<-closed
	if err := <-result; err == nil {
		t.Error("the action of a closed server succeeded")
	}
}

// A file in a body is read completely. Only its beginning is recorded.
func TestActionWithALargeBody(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	request := applyTo("j1", srv.Connect(t, request).ID)
	request.Body = map[string]string{"data": strings.Repeat("x", 5<<20)}
	srv.HandleFunc(createApplication, func(r *http.Request) (*kombo.Response[any], error) {
		body, err := io.ReadAll(r.Body)
		return &kombo.Response[any]{Data: len(body)}, err
	})
	got, err := kombo.Call[int](t.Context(), client, request)
	if err != nil || got.Data != 5<<20+len(`{"data":""}`) {
		t.Errorf("%+v, %v", got, err)
	}
	if recorded := len(srv.Requests()[0].Body); recorded != 64<<10 {
		t.Errorf("%d bytes are recorded", recorded)
	}
}

func TestActionThatCannotBe(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	handle := func(*http.Request) (*kombo.Response[any], error) { return nil, nil } // an empty response
	for op, want := range map[string]string{
		"":                             "is not an operation about data",
		"/ats/jobs":                    "is not an operation about data",
		"POST /v1/ats/candidates":      "is not an operation about data",
		"POST /connect/create-link":    "is not an operation about data",
		"post /ats/candidates":         "is not an operation about data",
		"POST  /ats/candidates":        "is not an operation about data",
		"POST /ats/candidates?x=1":     "is not an operation about data",
		"POST /ats/candidates/{id...}": "is not an operation about data",
		"POST /ats":                    "is not an operation about data",
		"GET /hris/employees":          "is a list of records; see Server.PutRecord",
		"POST /hris/employees":         "the function is nil",
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "kombotest: HandleFunc: ") || !strings.Contains(got, want) {
					t.Errorf("HandleFunc(%q) panics with %s, want %s", op, got, want)
				}
			}()
			if op == "POST /hris/employees" {
				srv.HandleFunc(op, nil)
			} else {
				srv.HandleFunc(op, handle)
			}
		}()
	}
}

// A pending first sync: from the connection to the webhook that reports the data.
func TestFirstSync(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, client := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret", FirstSyncPending: true})
	connected := srv.Connect(t, request)
	id := connected.ID
	next[*kombo.IntegrationCreatedEvent](t, app)
	if connected.SetupStatus != kombo.SetupStatusFinalSyncPending {
		t.Errorf("setup status %s", connected.SetupStatus)
	}
	put(t, srv, id, "/hris/employees", `{"id":"1"}`, `{"id":"2"}`)
	put(t, srv, id, "/hris/teams", `{"id":"1"}`)
	put(t, srv, id, "/hris/skills", `{"id":"1"}`) // without a documented model
	request := kombo.ListRequest{Path: "/hris/employees", IntegrationID: id}
	_, err := kombo.ListPage[employee](t.Context(), client, request)
	if kerr, ok := errors.AsType[*kombo.Error](err); !ok || kerr.StatusCode != 409 || kerr.Code != kombo.CodeIntegrationSetupSyncPending || !errors.Is(err, kombo.ErrIntegrationNotReady) || kerr.Attempts != 1 {
		t.Errorf("error = %v", err)
	}
	if err := srv.FinishSync(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	next[*kombo.SyncFinishedEvent](t, app)
	if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("setup status %s", e.Data.SetupStatus)
	}
	want := kombo.DataChangedData{
		IntegrationID: id, IntegrationTool: "personio", IntegrationCategory: kombo.CategoryHRIS,
		ChangedModels: []kombo.ChangedModel{{Name: "hris_employees"}, {Name: "hris_teams"}},
	}
	if diff := cmp.Diff(want, next[*kombo.DataChangedEvent](t, app).Data); diff != "" {
		t.Errorf("data-changed (-want +got):\n%s", diff)
	}
	if got := list(t, client, request); len(got) != 2 {
		t.Errorf("records = %+v", got)
	}

	// Each change is reported once.
	finish := func() []kombo.ChangedModel {
		t.Helper()
		if err := srv.FinishSync(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		next[*kombo.SyncFinishedEvent](t, app)
		if len(app.events) == 0 {
			return nil
		}
		return next[*kombo.DataChangedEvent](t, app).Data.ChangedModels
	}
	if got := finish(); got != nil {
		t.Errorf("changed models = %+v, want none", got)
	}
	put(t, srv, id, "/hris/groups", `{"id":"1"}`) // unchanged
	if got := finish(); got != nil {
		t.Errorf("changed models = %+v, want none", got)
	}
	if err := srv.DeleteRecord(id, "/hris/groups", "1"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]kombo.ChangedModel{{Name: "hris_teams"}}, finish()); diff != "" {
		t.Errorf("changed models (-want +got):\n%s", diff)
	}

	// Changes during the setup are reported when the setup is complete.
	if err := srv.SetSetupStatus(t.Context(), id, kombo.SetupStatusIncomplete); err != nil {
		t.Fatal(err)
	}
	next[*kombo.IntegrationStateChangedEvent](t, app)
	put(t, srv, id, "/hris/employees", `{"id":"3"}`)
	if got := finish(); got != nil {
		t.Errorf("changed models = %+v, want none", got)
	}
	if err := srv.SetSetupStatus(t.Context(), id, kombo.SetupStatusCompleted); err != nil {
		t.Fatal(err)
	}
	next[*kombo.IntegrationStateChangedEvent](t, app)
	if diff := cmp.Diff([]kombo.ChangedModel{{Name: "hris_employees"}}, finish()); diff != "" {
		t.Errorf("changed models (-want +got):\n%s", diff)
	}
}

// A setup with several steps also ends with the first sync. A setup link does not restart a completed setup.
func TestFirstSyncAfterSetup(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{FirstSyncPending: true})
	request := request
	request.EnableFiltering = true
	id := srv.Connect(t, request).ID
	for _, want := range []kombo.SetupStatus{kombo.SetupStatusFinalSyncPending, kombo.SetupStatusCompleted, kombo.SetupStatusCompleted} {
		if got, _ := srv.Integration(id); got.SetupStatus != want {
			t.Errorf("setup status %s, want %s", got.SetupStatus, want)
		}
		if err := srv.FinishSync(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		link, err := client.Integrations.SetupLink(t.Context(), id, kombo.SetupLinkRequest{LinkType: kombo.LinkTypeEmbedded})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err != nil {
			t.Fatal(err)
		}
	}
}
