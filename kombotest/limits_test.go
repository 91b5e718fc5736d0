package kombotest_test

import (
	"context"
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

// act sends an action for an integration.
func act(ctx context.Context, t *testing.T, srv *kombotest.Server, integrationID string) (status int, header http.Header, content string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.BaseURL()+"/passthrough/personio/api", strings.NewReader(`{"method":"GET","path":"/"}`))
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	r.Header.Set("Authorization", "Bearer "+srv.APIKey())
	r.Header.Set("X-Integration-Id", integrationID)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return 0, nil, ""
	}
	defer func() { _ = response.Body.Close() }()
	all, _ := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, string(all)
}

// concurrency returns the two headers.
func concurrency(header http.Header) string {
	return header.Get("Concurrency-Limit") + "/" + header.Get("Concurrency-Remaining")
}

// Only actions count, and all of their responses have the headers of the limit.
func TestConcurrencyLimit(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{Limits: kombotest.Limits{Concurrency: 2}})
	id := srv.Connect(t, request).ID
	if status, header, _ := act(t.Context(), t, srv, id); status != http.StatusOK || concurrency(header) != "2/1" {
		t.Errorf("%d %s, want 2/1", status, concurrency(header))
	}
	if status, header, _ := act(t.Context(), t, srv, "personio:unknown"); status != http.StatusNotFound || concurrency(header) != "2/1" {
		t.Errorf("unknown integration: %d %s, want 2/1", status, concurrency(header))
	}
	if status, header, _ := sendAs(t, srv, "wrong", "POST", "/passthrough/personio/api", ""); status != http.StatusUnauthorized || concurrency(header) != "2/1" {
		t.Errorf("wrong key: %d %s, want 2/1", status, concurrency(header))
	}
	srv.InjectFault(kombotest.Fault{Status: 503, Header: http.Header{"Concurrency-Limit": {"7"}}})
	if status, header, _ := act(t.Context(), t, srv, id); status != 503 || concurrency(header) != "7/1" {
		t.Errorf("fault: %d %s, want 7/1", status, concurrency(header))
	}
	for _, op := range kombotest.Operations() {
		method, path, _ := strings.Cut(op, " ")
		_, header, _ := send(t, srv, method, strings.ReplaceAll(path, "{integration_id}", "personio%3Aunknown"), "{}")
		if got, want := concurrency(header) != "/", strings.HasPrefix(path, "/passthrough"); got != want {
			t.Errorf("%s has the headers of concurrency: %t", op, got)
		}
	}

	// Two slow actions use up the limit.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	srv.InjectFault(kombotest.Fault{Op: "POST /passthrough/{tool}/{api}", Times: 2, Delay: time.Hour})
	var slow sync.WaitGroup
	for range 2 {
		slow.Go(func() { act(ctx, t, srv, id) })
	}
	for len(srv.Faults()) > 0 { // until both have arrived
		if t.Context().Err() != nil {
			t.FailNow()
		}
	}
	status, header, response := act(t.Context(), t, srv, id)
	if status != http.StatusTooManyRequests || concurrency(header) != "2/0" || !strings.Contains(response, `"PLATFORM.CONCURRENCY_LIMIT_EXCEEDED"`) {
		t.Errorf("response = %d %s %s", status, concurrency(header), response)
	}
	// Reads, other writes and other integrations are not limited.
	if _, err := client.Integrations.Get(t.Context(), id); err != nil {
		t.Errorf("Get = %v", err)
	}
	if _, err := client.Integrations.Relink(t.Context(), id, kombo.RelinkRequest{}); err != nil {
		t.Errorf("Relink = %v", err)
	}
	if status, header, response := act(t.Context(), t, srv, srv.Connect(t, request).ID); status != http.StatusOK || concurrency(header) != "2/1" {
		t.Errorf("response = %d %s %s", status, concurrency(header), response)
	}
	cancel()
	slow.Wait()
	// The SDK waits until there is room.
	if _, err := client.Integrations.Passthrough(t.Context(), id, "personio", "api", kombo.PassthroughRequest{Method: "GET", Path: "/"}); err != nil {
		t.Errorf("Passthrough = %v", err)
	}
}

// By default, the limit is Kombo's.
func TestDefaultConcurrencyLimit(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	if _, header, _ := act(t.Context(), t, srv, srv.Connect(t, request).ID); concurrency(header) != "30/29" || header.Get("Ratelimit-Limit") != "" {
		t.Errorf("header = %v", header)
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
		// The limits are the values of the three headers.
		Limits string
	}
	limits := func(header http.Header) string {
		var all []string
		for _, name := range []string{"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"} {
			all = append(all, strings.Join(header.Values(name), ","))
		}
		return strings.Join(all, "/")
	}
	ask := func() seen {
		status, header, _ := send(t, srv, "GET", "/check-api-key", "")
		return seen{status, header.Get("Retry-After"), limits(header)}
	}
	if _, header, _ := sendAs(t, srv, "wrong", "GET", "/check-api-key", ""); limits(header) != "2/2/10" {
		t.Errorf("limits of a response that does not count: %s", limits(header))
	}
	var got []seen
	for _, wait := range []time.Duration{0, time.Second, 500 * time.Millisecond, 8 * time.Second, 500 * time.Millisecond} {
		pass(wait)
		got = append(got, ask())
	}
	want := []seen{{200, "", "2/1/10"}, {200, "", "2/0/9"}, {429, "9", "2/0/9"}, {429, "1", "2/0/1"}, {200, "", "2/1/10"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("responses (-want +got):\n%s", diff)
	}
	// The response of a fault also has the headers of the limit, unless the fault sets them.
	for want, fault := range map[string]kombotest.Fault{
		"2/1/10": {Status: 503, Body: "<html>"}, "2/x/": {Status: 429, Header: http.Header{"ratelimit-remaining": {"x"}, "RATELIMIT-RESET": nil}},
	} {
		srv.InjectFault(fault)
		if got := ask(); got.Status != fault.Status || got.Limits != want {
			t.Errorf("a fault: %+v, want %s", got, want)
		}
	}
	srv.SetLimits(kombotest.Limits{})
	for range 5 {
		if got := ask(); got.Status != http.StatusOK || got.Limits != "//" {
			t.Errorf("without a limit: %+v", got)
		}
	}
}
