package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// A script takes an integration through its life.
func TestLifeByScript(t *testing.T) {
	t.Parallel()
	app := newService(t, accept)
	srv := newSandbox(t, kombotest.Config{WebhookSecret: "test-secret"})
	ask(t, srv, "PUT", "/_sandbox/webhooks", `{"url":"`+app.URL+`"}`, "")

	link := ask(t, srv, "POST", "/_sandbox/links", linkBody, "link")
	ask(t, srv, "POST", "/_sandbox/flows/fail", `{"link":"`+link+`"}`, "")
	token := ask(t, srv, "POST", "/_sandbox/flows/complete", `{"link":"`+link+`","tool":"hibob"}`, "activation_token")
	client, err := srv.Client()
	if err != nil {
		t.Fatal(err)
	}
	integration, err := client.Connect.IntegrationByToken(t.Context(), token)
	if err != nil || integration.Tool != "hibob" || integration.EndUserOriginID != "42" {
		t.Fatalf("integration = %+v, %v", integration, err)
	}
	path := "/_sandbox/integrations/" + integration.ID
	ask(t, srv, "POST", path+"/state", `{"state":"INVALID","setup_status":"FINAL_SYNC_PENDING"}`, "")
	if got, _ := srv.Integration(integration.ID); got.State != kombo.StateInvalid || got.SetupStatus != kombo.SetupStatusFinalSyncPending {
		t.Errorf("integration = %+v", got)
	}
	relink := ask(t, srv, "POST", path+"/relink", `{"link_type":"MAGIC_LINK","scope_config_id":"scope2"}`, "link")
	if token := ask(t, srv, "POST", "/_sandbox/flows/complete", `{"link":"`+relink+`"}`, "activation_token"); token != "" {
		t.Errorf("a magic link returned the token %s", token)
	}
	if got, _ := srv.Integration(integration.ID); got.State != kombo.StateActive || got.ScopeConfigID != "scope2" {
		t.Errorf("integration = %+v", got)
	}
	if warning := ask(t, srv, "POST", "/_sandbox/wait", "", "warning"); warning != "" {
		t.Errorf("warning = %s", warning)
	}
	ask(t, srv, "DELETE", strings.ReplaceAll(path, ":", "%3A"), "", "")
	ask(t, srv, "POST", "/_sandbox/wait", "", "")

	var got []kombo.EventType
	for _, d := range srv.Deliveries() {
		if !d.Accepted() {
			t.Errorf("delivery = %+v", d)
		}
		got = append(got, d.EventType)
	}
	want := []kombo.EventType{
		kombo.EventConnectionFlowFailed, kombo.EventIntegrationCreated, kombo.EventIntegrationStateChanged,
		kombo.EventIntegrationStateChanged, kombo.EventIntegrationStateChanged, kombo.EventIntegrationDeleted,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("webhooks (-want +got):\n%s", diff)
	}
}

// Each event type has a sample that the SDK can parse, about an integration if the call names one.
func TestSampleEvents(t *testing.T) {
	t.Parallel()
	events := make(chan kombo.Event, 1)
	app := newService(t, func(e kombo.Event) error { events <- e; return nil })
	srv := newSandbox(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	integration := srv.Connect(t, kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "Other", IntegrationTool: "lucca"})
	<-events
	for _, eventType := range kombotest.EventTypes() {
		id := ask(t, srv, "POST", "/_sandbox/events", `{"type":"`+string(eventType)+`","integration_id":"`+integration.ID+`"}`, "event_id")
		event := <-events
		if _, unknown := event.(*kombo.UnknownEvent); unknown || event.EventID() != id || event.EventType() != eventType {
			t.Errorf("%s came as %T %s, want id %s", eventType, event, event.EventID(), id)
		}
		body := string(event.RawBody())
		about := strings.Contains(body, `"integration_id"`) || strings.HasPrefix(string(eventType), "integration-")
		if about && !strings.Contains(body, integration.ID) || strings.Contains(body, `"end_user"`) && !strings.Contains(body, "Other") {
			t.Errorf("%s is not about %s: %s", eventType, integration.ID, body)
		}
	}
	ask(t, srv, "POST", "/_sandbox/events", `{"type":"brand-new","id":"event1","data":{"n":1}}`, "")
	if e, ok := (<-events).(*kombo.UnknownEvent); !ok || e.ID != "event1" || strings.Join(strings.Fields(string(e.Data)), "") != `{"n":1}` {
		t.Errorf("event = %+v", e)
	}
}

// The control API puts, changes, deletes and reports records.
func TestRecordsByScript(t *testing.T) {
	t.Parallel()
	events := make(chan kombo.Event, 10)
	app := newService(t, func(e kombo.Event) error { events <- e; return nil })
	srv := newSandbox(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	id := srv.Connect(t, kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "A", IntegrationCategory: kombo.CategoryATS}).ID
	<-events
	path := "/_sandbox/integrations/" + id
	lists := func() map[string][]string {
		t.Helper()
		status, response := do(t, srv, "GET", path+"/records", "")
		var got struct {
			Lists []struct {
				Path    string
				Total   int
				Records []string
			}
		}
		if err := json.Unmarshal([]byte(response), &got); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s", status, response)
		}
		records := map[string][]string{}
		for _, l := range got.Lists {
			if records[l.Path] = l.Records; l.Total != len(l.Records) {
				t.Errorf("%s: %d records of %d", l.Path, len(l.Records), l.Total)
			}
		}
		return records
	}
	if got := lists(); len(got) != 0 {
		t.Errorf("lists = %v", got)
	}
	if status, response := do(t, srv, "POST", path+"/records", ""); status != http.StatusOK || response != `{"records":6}` {
		t.Errorf("%d %s", status, response)
	}
	if got := lists(); len(got) != 3 || len(got["/ats/jobs"]) != 2 || !strings.Contains(got["/ats/jobs"][0], `"name":"Backend Engineer"`) {
		t.Errorf("lists = %v", got)
	}
	ask(t, srv, "POST", path+"/records", `{"path":"/hris/employees","record":{"id":"e1","weekly_hours":38.50}}`, "")
	ask(t, srv, "POST", path+"/records", `{"path":"/hris/groups"}`, "")
	if got := lists(); len(got) != 5 || !strings.HasPrefix(got["/hris/employees"][0], `{"id":"e1","weekly_hours":38.50,"changed_at":"`) {
		t.Errorf("lists = %v", got)
	}
	ask(t, srv, "DELETE", path+"/records?path=/hris/employees&record=e1", "", "")
	if got := lists()["/hris/employees"][0]; strings.Contains(got, `"remote_deleted_at":null`) {
		t.Errorf("record = %s", got)
	}
	ask(t, srv, "POST", path+"/finish-sync", "", "")
	if e, ok := (<-events).(*kombo.SyncFinishedEvent); !ok {
		t.Errorf("event = %T", e)
	}
	if e, ok := (<-events).(*kombo.DataChangedEvent); !ok || len(e.Data.ChangedModels) != 5 {
		t.Errorf("event = %+v", e)
	}
	for n := range 201 {
		ask(t, srv, "POST", path+"/records", fmt.Sprintf(`{"path":"/ats/tags","record":{"id":"t%d"}}`, n), "")
	}
	if status, response := do(t, srv, "GET", path+"/records", ""); status != http.StatusOK || !strings.Contains(response, `"total":201`) || strings.Contains(response, "t200") {
		t.Errorf("%d %s", status, response)
	}
	if !strings.Contains(ask(t, srv, "POST", "/_sandbox/faults", `{"op":"GET /ats/jobs","status":503}`, "")+fmt.Sprint(srv.Faults()), "GET /ats/jobs") {
		t.Errorf("faults = %+v", srv.Faults())
	}
	for _, wrong := range []struct{ method, path, body, want string }{
		{"GET", "/_sandbox/integrations/x/records", "", `no integration "x"`},
		{"POST", "/_sandbox/integrations/x/records", "", `no integration "x"`},
		{"POST", path + "/records", `{"path":"/ats/offers"}`, "there are no ready-made records for this; give a path and a record"},
		{"POST", path + "/records", `{"record":{"id":"1"}}`, `kombotest: there is no list ""`},
		{"POST", path + "/records", `{"path":"/ats/jobs","record":[]}`, "kombotest: the record is not a JSON object"},
		{"DELETE", path + "/records?path=/ats/jobs&record=x", "", `kombotest: the integration has no record "x" in /ats/jobs`},
		{"POST", "/_sandbox/integrations/x/finish-sync", "", `kombotest: no integration "x"`},
	} {
		status, response := do(t, srv, wrong.method, wrong.path, wrong.body)
		var got struct{ Error string }
		if err := json.Unmarshal([]byte(response), &got); err != nil || status != http.StatusBadRequest || !strings.HasPrefix(got.Error, wrong.want) {
			t.Errorf("%s %s: %d %s, want %s", wrong.method, wrong.path, status, response, wrong.want)
		}
	}
}

// The control API raises and resolves issues.
func TestIssuesByScript(t *testing.T) {
	t.Parallel()
	events := make(chan kombo.Event, 1)
	app := newService(t, func(e kombo.Event) error { events <- e; return nil })
	srv := newSandbox(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	id := srv.Connect(t, kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "A"}).ID
	<-events
	for _, test := range []struct {
		body       string
		wantChange kombo.IssueChange
		wantType   kombo.IssueType
	}{
		{`{}`, kombo.IssueChangeRaised, kombo.IssueTypeAuthenticationFailed},
		{`{"type":"integration.action_failing","change":"raised"}`, kombo.IssueChangeRaised, kombo.IssueTypeActionFailing},
		{`{"change":"resolved"}`, kombo.IssueChangeResolved, kombo.IssueTypeAuthenticationFailed},
	} {
		ask(t, srv, "POST", "/_sandbox/integrations/"+id+"/issue", test.body, "")
		event, ok := (<-events).(*kombo.IssueStatusChangedEvent)
		if !ok || event.Data.Change != test.wantChange || event.Data.Issue.Type != test.wantType || event.Data.Integration.ID != id {
			t.Errorf("%s: %+v", test.body, event)
		}
	}
}

// Calls of the control API and the customer's pages do not use up faults and limits, and are not listed among the
// service's requests.
func TestOwnCallsAreNotRequests(t *testing.T) {
	t.Parallel()
	srv := newSandbox(t, kombotest.Config{Limits: kombotest.Limits{Rate: 1, Per: time.Hour, Concurrency: 1}})
	client, err := srv.Client(kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CheckAPIKey(t.Context()); err != nil { // which uses up the limit
		t.Fatal(err)
	}
	ask(t, srv, "POST", "/_sandbox/faults", `{"times":-1,"status":503,"delay_ms":3600000}`, "")
	link := ask(t, srv, "POST", "/_sandbox/links", linkBody, "link")
	base := strings.TrimSuffix(srv.BaseURL(), "/v1")
	do(t, srv, "GET", strings.TrimPrefix(link, base), "")
	ask(t, srv, "POST", "/connect/v1/connect", `{"token":"`+link[strings.LastIndex(link, "=")+1:]+`","tool":"hibob"}`, "activation_token")
	path := "/_sandbox/integrations/" + srv.Integrations()[0].ID
	ask(t, srv, "POST", path+"/relink", `{}`, "link")
	ask(t, srv, "POST", path+"/state", `{"state":"INVALID"}`, "")
	ask(t, srv, "POST", path+"/issue", `{}`, "")
	ask(t, srv, "POST", "/_sandbox/flows/fail", `{"link":"`+ask(t, srv, "POST", "/_sandbox/links", linkBody, "link")+`"}`, "")
	ask(t, srv, "POST", "/_sandbox/events", `{"type":"data-changed"}`, "")
	ask(t, srv, "DELETE", path, "", "")
	do(t, srv, "GET", "/", "")
	for _, list := range []string{"state", "links", "integrations", "requests", "deliveries", "faults"} {
		if status, response := do(t, srv, "GET", "/_sandbox/"+list, ""); status != http.StatusOK {
			t.Errorf("%s: %d %s", list, status, response)
		}
	}
	if faults := srv.Faults(); len(faults) != 1 || len(srv.Requests()) != 1 {
		t.Errorf("%d faults are left, and %d requests are recorded, want the test's own", len(faults), len(srv.Requests()))
	}
}

func TestEventsOnDemand(t *testing.T) {
	t.Parallel()
	app := newService(t, accept)
	srv := newSandbox(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	id := ask(t, srv, "POST", "/_sandbox/events", `{"type":"data-changed","copies":2}`, "event_id")
	ask(t, srv, "POST", "/_sandbox/events", `{"type":"data-changed","id":"forged1","forged":true}`, "")
	ask(t, srv, "POST", "/_sandbox/deliveries/"+id+"/repeat", "", "")
	var got []string
	for _, d := range srv.Deliveries() {
		got = append(got, strings.Replace(d.EventID, id, "id", 1)+" "+http.StatusText(d.StatusCode))
	}
	want := []string{"id No Content", "id No Content", "id No Content", "forged1 Unauthorized", "id No Content"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}

	ask(t, srv, "POST", "/_sandbox/webhooks/hold", "", "")
	ask(t, srv, "POST", "/_sandbox/events", `{"type":"data-changed","id":"held1"}`, "")
	ask(t, srv, "POST", "/_sandbox/events", `{"type":"data-changed","id":"held2"}`, "")
	ask(t, srv, "POST", "/_sandbox/webhooks/release", `{"order":"reversed"}`, "")
	deliveries := srv.Deliveries()
	if last := deliveries[len(deliveries)-2:]; last[0].EventID != "held2" || last[1].EventID != "held1" {
		t.Errorf("released %s, %s", last[0].EventID, last[1].EventID)
	}

	ask(t, srv, "POST", "/_sandbox/webhook-faults", `{"type":"data-changed","lost":true}`, "")
	ask(t, srv, "POST", "/_sandbox/events", `{"type":"data-changed"}`, "")
	if deliveries := srv.Deliveries(); !deliveries[len(deliveries)-1].Lost {
		t.Errorf("the last is %+v", deliveries[len(deliveries)-1])
	}
	ask(t, srv, "POST", "/_sandbox/webhook-faults", `{"times":-1,"delay_ms":60000}`, "")
	ask(t, srv, "DELETE", "/_sandbox/webhook-faults", "", "")
	if left := srv.WebhookFaults(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

// A call does not wait for a service that does not respond.
func TestPatience(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	app := newService(t, func(kombo.Event) error { <-hang; return nil })
	defer close(hang)
	srv, err := start(kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	if got := ask(t, srv, "POST", "/_sandbox/events", `{"type":"data-changed"}`, "warning"); got != "the webhook is not accepted yet; it is retried in the background" {
		t.Errorf("warning = %q", got)
	}
}

// wait waits for webhooks that an earlier call did not wait for.
func TestWaitForCalls(t *testing.T) {
	t.Parallel()
	app := newService(t, func(kombo.Event) error { return errors.New("no") })
	srv, err := start(kombotest.Config{
		WebhookURL: app.URL, WebhookSecret: "test-secret", Redelivery: kombotest.Redelivery{MaxAttempts: 3, BaseDelay: 50 * time.Millisecond},
	}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	if got := ask(t, srv, "POST", "/_sandbox/events", `{"type":"data-changed"}`, "warning"); got == "" {
		t.Error("no warning")
	}
	const want = "kombotest: delivering data-changed: the receiver returned 500 Internal Server Error"
	if got := ask(t, srv, "POST", "/_sandbox/wait", "", "warning"); got != want || len(srv.Deliveries()) != 3 {
		t.Errorf("warning = %q after %d attempts, want %q", got, len(srv.Deliveries()), want)
	}
	if got := ask(t, srv, "POST", "/_sandbox/wait", "", "warning"); got != "" {
		t.Errorf("the warning comes again: %s", got)
	}
}

// If a script disconnects, its webhook is still retried.
func TestScriptGoesAway(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 10)
	app := newService(t, func(kombo.Event) error {
		arrived <- struct{}{}
		if len(arrived) > 1 {
			return nil
		}
		return errors.New("not now")
	})
	srv := newSandbox(t, kombotest.Config{
		WebhookURL: app.URL, WebhookSecret: "test-secret", Redelivery: kombotest.Redelivery{BaseDelay: 200 * time.Millisecond},
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for len(arrived) == 0 && ctx.Err() == nil {
			runtime.Gosched()
		}
		cancel()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(srv.BaseURL(), "/v1")+"/_sandbox/events", strings.NewReader(`{"type":"data-changed"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if response, err := http.DefaultClient.Do(r); err == nil {
		_ = response.Body.Close()
		t.Error("the call did not end with its context")
	}
	if d := srv.AwaitDelivery(t, kombo.EventDataChanged); d.Attempt != 2 {
		t.Errorf("delivery = %+v", d)
	}
}

func TestRefusedWebhooksAreWarnings(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.NotFoundHandler())
	defer app.Close()
	srv := newSandbox(t, kombotest.Config{WebhookURL: app.URL})
	const want = "kombotest: delivering data-changed: the receiver returned 404 Not Found"
	if got := ask(t, srv, "POST", "/_sandbox/events", `{"type":"data-changed"}`, "warning"); got != want {
		t.Errorf("warning = %q, want %q", got, want)
	}
	link := ask(t, srv, "POST", "/_sandbox/links", linkBody, "link")
	ask(t, srv, "POST", "/_sandbox/flows/complete", `{"link":"`+link+`"}`, "activation_token")
	if got := ask(t, srv, "POST", "/_sandbox/wait", "", "warning"); !strings.Contains(got, "integration-created") {
		t.Errorf("warning = %q", got)
	}
}

func TestFaultsByScript(t *testing.T) {
	t.Parallel()
	srv := newSandbox(t, kombotest.Config{})
	ask(t, srv, "POST", "/_sandbox/faults", `{"op":"GET /check-api-key","times":3,"status":503,"body":"<html>","header":{"x-proxy":"p"},"retry_after_seconds":2,"delay_ms":1,"executed":true}`, "")
	want := []kombotest.Fault{{
		Op: "GET /check-api-key", Times: 3, Status: 503, Body: "<html>", Header: http.Header{"X-Proxy": {"p"}},
		RetryAfter: 2 * time.Second, Delay: time.Millisecond, Executed: true,
	}}
	if diff := cmp.Diff(want, srv.Faults()); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	_, response := do(t, srv, "GET", "/_sandbox/faults", "")
	if want := `[{"op":"GET /check-api-key","times":3,"status":503,"code":"","body":"<html>","header":{"X-Proxy":"p"},"retry_after_seconds":2,"delay_ms":1,"cut":false,"truncate":false,"executed":true}]`; response != want {
		t.Errorf("faults = %s\nwant %s", response, want)
	}
	ask(t, srv, "DELETE", "/_sandbox/faults", "", "")
	if left := srv.Faults(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	ask(t, srv, "PUT", "/_sandbox/limits", `{"rate":1,"per_ms":60000,"concurrency":5}`, "")
	client, err := srv.Client(kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = client.CheckAPIKey(t.Context())
	if _, err := client.CheckAPIKey(t.Context()); err == nil {
		t.Error("there is no limit")
	}
}

// A wrong call gets an error that says what is wrong.
func TestMistakes(t *testing.T) {
	t.Parallel()
	srv := newSandbox(t, kombotest.Config{})
	tests := []struct{ method, path, body, want string }{
		{"POST", "/_sandbox/links", `{"end_user_emial":"a@b.example"}`, `the body cannot be decoded: json: unknown field "end_user_emial"`},
		{"POST", "/_sandbox/links", `{}`, "kombotest: the request is not valid: end_user_email: not an e-mail address"},
		{"POST", "/_sandbox/flows/complete", `{"link":""}`, "kombotest: the link is empty, or no URL"},
		{"POST", "/_sandbox/flows/fail", `{"link":"https://elsewhere.example/"}`, "kombotest: the link is not one of this server"},
		{"POST", "/_sandbox/integrations/x/state", `{}`, "give a state, a setup_status, or both"},
		{"POST", "/_sandbox/integrations/x/state", `{"state":"constructor"}`, "state: not one of [ACTIVE INVALID INACTIVE]"},
		{"POST", "/_sandbox/integrations/x/state", `{"setup_status":"DONE"}`, "setup_status: not one of [INCOMPLETE FINAL_SYNC_PENDING COMPLETED]"},
		{"POST", "/_sandbox/events", `{"type":"data-changed","data":"text"}`, "data: not a JSON object"},
		{"POST", "/_sandbox/events", `{"type":"data-changed"} {}`, "the body has something after the JSON object"},
		{"POST", "/_sandbox/integrations/x/state", `{"state":"INVALID"}`, `kombotest: no integration "x"`},
		{"POST", "/_sandbox/integrations/x/state", `{"setup_status":"COMPLETED"}`, `kombotest: no integration "x"`},
		{"POST", "/_sandbox/integrations/x/relink", `{}`, `kombotest: no integration "x"`},
		{"POST", "/_sandbox/integrations/x/relink", `{"language":7}`, "the body cannot be decoded: json: cannot unmarshal number"},
		{"POST", "/_sandbox/integrations/x/issue", `{}`, `kombotest: no integration "x"`},
		{"POST", "/_sandbox/integrations/x/issue", `{"change":"closed"}`, "change: not raised or resolved"},
		{"POST", "/_sandbox/faults", `{"status":503,"header":{"transfer-encoding":"x"}}`, "kombotest: Fault.Header must not contain Transfer-Encoding"},
		{"DELETE", "/_sandbox/integrations/x", "", `kombotest: no integration "x"`},
		{"POST", "/_sandbox/events", `{}`, "type: required, such as data-changed"},
		{"POST", "/_sandbox/events", `{"type":"data-changed","copies":101}`, "copies: not between 0 and 100"},
		{"POST", "/_sandbox/events", `{"type":"data-changed","integration_id":"x"}`, `no integration "x"`},
		{"POST", "/_sandbox/deliveries/x/repeat", ``, `no event "x" was sent`},
		{"POST", "/_sandbox/faults", `{}`, "kombotest: the Fault does nothing"},
		{"POST", "/_sandbox/webhook-faults", `{}`, "kombotest: the WebhookFault does nothing; set Copies, Delay, Lost or Forged"},
		{"POST", "/_sandbox/webhooks/release", `{"order":"up"}`, "order: not one of in_order, reversed, shuffled, at_once"},
		{"PUT", "/_sandbox/webhooks", `{"url":"localhost:80"}`, `"localhost:80" is not an http or https URL`},
		{"POST", "/_sandbox/wait", strings.Repeat(" ", 1<<20+1), "http: request body too large"},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			status, response := do(t, srv, test.method, test.path, test.body)
			var got struct{ Error string }
			if err := json.Unmarshal([]byte(response), &got); err != nil {
				t.Fatalf("%d %s", status, response)
			}
			if status != http.StatusBadRequest || !strings.HasPrefix(got.Error, test.want) {
				t.Errorf("%d %s, want 400 %s", status, got.Error, test.want)
			}
		})
	}
}
