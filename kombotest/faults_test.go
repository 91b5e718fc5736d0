package kombotest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// What a client of the SDK sees of each fault, and how often it asked.
func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		fault        kombotest.Fault
		wantErr      error // nil means that a repetition succeeds
		wantText     string
		wantRequests int
	}{
		{"a proxy's page, twice", kombotest.Fault{Times: 2, Status: 503, Body: "<html>down</html>"}, nil, "", 3},
		{"a proxy's page, for ever", kombotest.Fault{Times: -1, Status: 502, Body: "<html>down</html>"}, nil, "502", 4},
		{"an error code", kombotest.Fault{Code: kombo.CodeIPNotWhitelisted}, kombo.ErrIPNotAllowed, "403 PLATFORM.IP_NOT_WHITELISTED: This is a fault that a test asked for.", 1},
		{"an error code with status and message", kombotest.Fault{Status: 422, Code: kombo.CodeInputInvalid, Message: "No."}, kombo.ErrInvalidInput, "422 PLATFORM.INPUT_INVALID: No.", 1},
		{"a limit that says when", kombotest.Fault{Code: kombo.CodeRateLimitExceeded, RetryAfter: 90 * time.Second}, kombo.ErrRateLimited, "429", 1},
		{"a cut connection", kombotest.Fault{Times: 3, Cut: true}, nil, "", 4},
		{"a cut connection, for ever", kombotest.Fault{Times: -1, Cut: true}, kombo.ErrNetwork, "", 4},
		{"half an answer", kombotest.Fault{Truncate: true}, nil, "", 2},
		{"half of nothing", kombotest.Fault{Times: -1, Status: 500, Truncate: true}, nil, "", 4},
		{"an answer of another form", kombotest.Fault{Body: `{"fine":true}`}, kombo.ErrUnexpectedResponse, "", 1},
		{"another header", kombotest.Fault{Status: 302, Header: http.Header{"location": {"https://elsewhere.example/"}}}, kombo.ErrUnexpectedResponse, "302", 1},
		{"late", kombotest.Fault{Delay: time.Millisecond}, nil, "", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv, client := kombotest.Start(t, kombotest.Config{})
			test.fault.Op = "POST /connect/create-link"
			srv.InjectFault(test.fault)
			_, err := client.Connect.CreateLink(t.Context(), request)
			switch {
			case test.wantErr == nil && test.wantText == "" && test.fault.Times != -1:
				if err != nil {
					t.Errorf("err = %v", err)
				}
			case err == nil, test.wantErr != nil && !errors.Is(err, test.wantErr), !strings.Contains(err.Error(), test.wantText):
				t.Errorf("err = %v, want %v, %q", err, test.wantErr, test.wantText)
			}
			got := srv.Requests()
			if len(got) != test.wantRequests {
				t.Fatalf("%d requests, want %d", len(got), test.wantRequests)
			}
			if !got[0].Faulty || got[0].StatusCode != 0 == test.fault.Cut {
				t.Errorf("the first request is recorded as %+v", got[0])
			}
			if got := len(srv.Faults()) == 1; got != (test.fault.Times == -1) {
				t.Errorf("the fault is left: %t", got)
			}
			// Other operations are as they should be.
			if _, err := client.CheckAPIKey(t.Context()); err != nil {
				t.Error(err)
			}
			srv.ClearFaults()
			if _, err := client.Connect.CreateLink(t.Context(), request); err != nil {
				t.Errorf("after ClearFaults: %v", err)
			}
		})
	}
}

// A fault keeps a request from having an effect, unless it is the answer that gets lost.
func TestFaultsAndEffects(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		fault     kombotest.Fault
		wantLinks int
	}{
		{"refused", kombotest.Fault{Status: 500}, 0},
		{"cut", kombotest.Fault{Cut: true}, 0},
		{"done, and a wrong answer", kombotest.Fault{Status: 500, Executed: true}, 1},
		{"done, and no answer", kombotest.Fault{Cut: true, Executed: true}, 1},
		{"done, and half an answer", kombotest.Fault{Truncate: true}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv, _ := kombotest.Start(t, kombotest.Config{})
			client, err := srv.Client(kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
			if err != nil {
				t.Fatal(err)
			}
			srv.InjectFault(test.fault)
			if _, err := client.Connect.CreateLink(t.Context(), request); err == nil {
				t.Error("no error")
			}
			if got := len(srv.OpenLinks()); got != test.wantLinks {
				t.Errorf("%d links, want %d", got, test.wantLinks)
			}
		})
	}
}

// A deletion whose answer is lost has succeeded, as the SDK's repetition finds.
func TestLostAnswerOfADeletion(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, request).ID
	srv.InjectFault(kombotest.Fault{Op: "DELETE /integrations/{integration_id}", Cut: true, Executed: true})
	if err := client.Integrations.Delete(t.Context(), id); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if _, ok := srv.Integration(id); ok {
		t.Error("the integration is still there")
	}
}

func TestFaultThatMakesNoSense(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault kombotest.Fault
		want  string
	}{
		{kombotest.Fault{}, "kombotest: the Fault does nothing"},
		{kombotest.Fault{Times: 3, Executed: true}, "kombotest: the Fault does nothing"},
		{kombotest.Fault{Op: "POST /v1/connect/create-link", Status: 500}, `kombotest: Fault.Op: there is no operation "POST /v1/connect/create-link"; it is one of GET /check-api-key, POST /connect/create-link, `},
		{kombotest.Fault{Status: 42}, "kombotest: Fault.Status: 42 is no status of an answer"},
		{kombotest.Fault{Status: 500, Times: -2}, "kombotest: Fault.Times is less than -1"},
		{kombotest.Fault{Delay: -1}, "kombotest: Fault.Delay or Fault.RetryAfter is negative"},
		{kombotest.Fault{Status: 429, RetryAfter: -1}, "kombotest: Fault.Delay or Fault.RetryAfter is negative"},
		{kombotest.Fault{Code: kombo.CodeUnknownError, Body: "x"}, "kombotest: Fault.Code makes the body: leave Fault.Body out, or put the code into it"},
		{kombotest.Fault{Status: 500, Message: "x"}, "kombotest: Fault.Message needs a Fault.Code"},
		{kombotest.Fault{Header: http.Header{"Content-Length": {"5"}}}, "kombotest: Fault.Header must not hold Content-Length or Transfer-Encoding"},
		{kombotest.Fault{Cut: true, Truncate: true}, "kombotest: Fault.Cut leaves nothing for Fault.Truncate"},
	}
	srv, _ := kombotest.Start(t, kombotest.Config{})
	for _, test := range tests {
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || !strings.HasPrefix(err.Error(), test.want) {
					t.Errorf("InjectFault(%+v) panics with %v, want %s", test.fault, err, test.want)
				}
			}()
			srv.InjectFault(test.fault)
		}()
	}
	if got := srv.Faults(); len(got) != 0 {
		t.Errorf("faults = %+v", got)
	}
}

// A connection that is cut is seen as such, also where it was used before: net/http would repeat a GET that got no
// byte of an answer.
func TestCutOfAConnectionInUse(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{}, kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	if _, err := client.CheckAPIKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.InjectFault(kombotest.Fault{Cut: true})
	if _, err := client.CheckAPIKey(t.Context()); !errors.Is(err, kombo.ErrNetwork) || len(srv.Requests()) != 2 {
		t.Errorf("CheckAPIKey = %v after %d requests", err, len(srv.Requests()))
	}
}

// What is asked for and returned is the caller's own.
func TestCopies(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	srv.InjectFault(kombotest.Fault{Header: http.Header{"A": {"1"}}})
	srv.Faults()[0].Header.Set("A", "2")
	srv.Tools()[0].Categories[0] = "BROKEN"
	srv.Connect(t, request)
	srv.Deliveries()[0].Body[0] = 'X'
	if srv.Faults()[0].Header.Get("A") != "1" || srv.Tools()[0].Categories[0] != kombo.CategoryHRIS || srv.Deliveries()[0].Body[0] != '{' {
		t.Error("the server's own was changed")
	}
}

// An integration that is made for a test does not use up its faults and limits.
func TestConnectMakesNoRequest(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{Limits: kombotest.Limits{Rate: 1, Per: time.Hour}})
	srv.InjectFault(kombotest.Fault{Status: 503})
	srv.Connect(t, request)
	srv.Connect(t, request)
	if len(srv.Faults()) != 1 || len(srv.Requests()) != 0 {
		t.Errorf("%d faults are left, %d requests were made", len(srv.Faults()), len(srv.Requests()))
	}
}

// The customer who does not care takes a tool of the category.
func TestFirstToolOfTheCategory(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	for category, want := range map[kombo.Category]string{
		kombo.CategoryHRIS: "personio", kombo.CategoryATS: "personio", kombo.CategoryAssessment: "workday", kombo.CategoryLMS: "360learning",
	} {
		inCategory := request
		inCategory.IntegrationCategory = category
		if got := srv.Connect(t, inCategory).Tool; got != want {
			t.Errorf("%s: %s, want %s", category, got, want)
		}
	}
}

// An error code in a body of one's own is recorded as one, and JSON is sent as such.
func TestFaultBody(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	srv.InjectFault(kombotest.Fault{Status: 400, Body: `{"status":"error","error":{"code":"NEW.CODE"}}`})
	_, header, _ := send(t, srv, "GET", "/check-api-key", "")
	if got := srv.Requests()[0]; got.ErrorCode != "NEW.CODE" || header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%+v, %v", got, header)
	}
}

// A header of a fault takes the place of the answer's.
func TestFaultHeader(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	srv.InjectFault(kombotest.Fault{Header: http.Header{"content-type": {"text/plain"}, "retry-after": {"soon"}}})
	_, header, _ := send(t, srv, "GET", "/check-api-key", "")
	if diff := cmp.Diff([]string{"text/plain"}, header.Values("Content-Type")); diff != "" || header.Get("Retry-After") != "soon" {
		t.Errorf("header = %v", header)
	}
}

// A slow answer does not outlive its caller, nor the server.
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	client, err := srv.Client(kombo.WithTimeout(20*time.Millisecond), kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	if err != nil {
		t.Fatal(err)
	}
	srv.InjectFault(kombotest.Fault{Times: -1, Delay: time.Hour})
	if _, err := client.CheckAPIKey(t.Context()); !errors.Is(err, kombo.ErrNetwork) {
		t.Errorf("CheckAPIKey = %v", err)
	}
	patient, err := srv.Client(kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error)
	go func() {
		_, err := patient.CheckAPIKey(context.Background())
		result <- err
	}()
	srv.Close()
	if err := <-result; !errors.Is(err, kombo.ErrNetwork) {
		t.Errorf("CheckAPIKey while Close = %v", err)
	}
}

func TestConcurrencyLimit(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{Limits: kombotest.Limits{Concurrency: 2}})
	id := srv.Connect(t, request).ID
	path := "/integrations/" + escaped(id)
	if _, header, _ := send(t, srv, "GET", path, ""); header.Get("Concurrency-Remaining") != "1" {
		t.Errorf("Concurrency-Remaining = %q, want 1", header.Get("Concurrency-Remaining"))
	}
	if _, header, _ := send(t, srv, "GET", "/check-api-key", ""); header.Values("Concurrency-Remaining") != nil {
		t.Errorf("Concurrency-Remaining in an answer about no integration: %q", header.Values("Concurrency-Remaining"))
	}

	// Two slow requests take all there is.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	srv.InjectFault(kombotest.Fault{Op: "GET /integrations/{integration_id}", Times: 2, Delay: time.Hour})
	var slow sync.WaitGroup
	for range 2 {
		slow.Go(func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.BaseURL()+path, http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+srv.APIKey())
			if response, err := http.DefaultClient.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		})
	}
	for len(srv.Faults()) > 0 { // until both have come
		if t.Context().Err() != nil {
			t.FailNow()
		}
	}
	status, header, answer := send(t, srv, "GET", path, "")
	if status != http.StatusTooManyRequests || header.Get("Concurrency-Remaining") != "0" || !strings.Contains(answer, `"PLATFORM.CONCURRENCY_LIMIT_EXCEEDED"`) {
		t.Errorf("answer = %d %q %s", status, header.Get("Concurrency-Remaining"), answer)
	}
	// Another integration is not concerned.
	if status, _, answer := send(t, srv, "GET", "/integrations/"+escaped(srv.Connect(t, request).ID), ""); status != http.StatusOK {
		t.Errorf("answer = %d %s", status, answer)
	}
	cancel()
	slow.Wait()
	// The SDK waits until there is room.
	if _, err := client.Integrations.Relink(t.Context(), id, kombo.RelinkRequest{}); err != nil {
		t.Errorf("Relink = %v", err)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	var mutex sync.Mutex
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pass := func(d time.Duration) {
		mutex.Lock()
		defer mutex.Unlock()
		now = now.Add(d)
	}
	srv, _ := kombotest.Start(t, kombotest.Config{
		Now: func() time.Time {
			mutex.Lock()
			defer mutex.Unlock()
			return now
		},
		Limits: kombotest.Limits{Rate: 2, Per: 10 * time.Second},
	})
	type seen struct {
		Status     int
		RetryAfter string
	}
	ask := func() seen {
		status, header, _ := send(t, srv, "GET", "/check-api-key", "")
		return seen{status, header.Get("Retry-After")}
	}
	var got []seen
	for _, wait := range []time.Duration{0, time.Second, 500 * time.Millisecond, 8 * time.Second, 500 * time.Millisecond} {
		pass(wait)
		got = append(got, ask())
	}
	want := []seen{{200, ""}, {200, ""}, {429, "9"}, {429, "1"}, {200, ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	srv.SetLimits(kombotest.Limits{})
	for range 5 {
		if got := ask(); got.Status != http.StatusOK {
			t.Errorf("without a limit: %+v", got)
		}
	}
}
