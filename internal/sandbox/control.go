package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// control mounts the control API.
func (s *sandbox) control(handle func(pattern string, handler http.Handler)) {
	handle("GET /_sandbox/state", responding(func(context.Context, *http.Request, nothing) (any, error) { return s.state(), nil }))
	handle("GET /_sandbox/links", responding(func(context.Context, *http.Request, nothing) (any, error) {
		return s.server.OpenLinks(), nil
	}))
	handle("GET /_sandbox/integrations", responding(func(context.Context, *http.Request, nothing) (any, error) {
		return s.server.Integrations(), nil
	}))
	handle("GET /_sandbox/requests", responding(func(context.Context, *http.Request, nothing) (any, error) {
		return describeAll(s.server.Requests(), describeRequest), nil
	}))
	handle("GET /_sandbox/deliveries", responding(func(context.Context, *http.Request, nothing) (any, error) {
		return describeAll(s.server.Deliveries(), describeDelivery), nil
	}))
	handle("GET /_sandbox/faults", responding(func(context.Context, *http.Request, nothing) (any, error) {
		return describeFaults(s.server.Faults()), nil
	}))

	handle("POST /_sandbox/links", responding(s.createLink))
	handle("POST /_sandbox/flows/complete", responding(s.completeFlow))
	handle("POST /_sandbox/flows/fail", responding(s.failFlow))
	handle("POST /_sandbox/integrations/{id}/state", responding(s.setState))
	handle("POST /_sandbox/integrations/{id}/relink", responding(s.relink))
	handle("POST /_sandbox/integrations/{id}/issue", responding(s.changeIssue))
	handle("GET /_sandbox/integrations/{id}/records", responding(s.listRecords))
	handle("POST /_sandbox/integrations/{id}/records", responding(s.putRecords))
	handle("DELETE /_sandbox/integrations/{id}/records", responding(func(_ context.Context, r *http.Request, _ nothing) (any, error) {
		query := r.URL.Query()
		return nothing{}, s.server.DeleteRecord(r.PathValue("id"), query.Get("path"), query.Get("record"))
	}))
	handle("POST /_sandbox/integrations/{id}/finish-sync", responding(func(ctx context.Context, r *http.Request, _ nothing) (any, error) {
		return nothing{}, s.server.FinishSync(ctx, r.PathValue("id"))
	}))
	handle("DELETE /_sandbox/integrations/{id}", responding(func(ctx context.Context, r *http.Request, _ nothing) (any, error) {
		return nothing{}, s.server.DeleteIntegration(ctx, r.PathValue("id"))
	}))
	handle("POST /_sandbox/events", responding(s.sendEvent))
	handle("POST /_sandbox/deliveries/{event_id}/repeat", responding(func(ctx context.Context, r *http.Request, _ nothing) (any, error) {
		eventID := r.PathValue("event_id")
		if !slices.ContainsFunc(s.server.Deliveries(), func(d kombotest.Delivery) bool { return d.EventID == eventID }) {
			return nil, fmt.Errorf("no event %q was sent", eventID)
		}
		return s.inPatience(ctx, func(ctx context.Context) error { return s.server.Redeliver(ctx, eventID) }), nil
	}))
	handle("POST /_sandbox/faults", responding(s.injectFault))
	handle("DELETE /_sandbox/faults", responding(func(context.Context, *http.Request, nothing) (any, error) {
		s.server.ClearFaults()
		return nothing{}, nil
	}))
	handle("POST /_sandbox/webhook-faults", responding(s.injectWebhookFault))
	handle("DELETE /_sandbox/webhook-faults", responding(func(context.Context, *http.Request, nothing) (any, error) {
		s.server.ClearWebhookFaults()
		return nothing{}, nil
	}))
	handle("PUT /_sandbox/limits", responding(func(_ context.Context, _ *http.Request, in limits) (any, error) {
		s.server.SetLimits(kombotest.Limits{Rate: in.Rate, Per: milliseconds(in.PerMS), Concurrency: in.Concurrency})
		return nothing{}, nil
	}))
	handle("PUT /_sandbox/webhooks", responding(s.setWebhookURL))
	handle("POST /_sandbox/webhooks/hold", responding(func(context.Context, *http.Request, nothing) (any, error) {
		s.server.HoldWebhooks()
		return nothing{}, nil
	}))
	handle("POST /_sandbox/webhooks/release", responding(func(ctx context.Context, _ *http.Request, in release) (any, error) {
		if !slices.Contains(orders, in.Order) {
			return nil, errors.New("order: not one of in_order, reversed, shuffled, at_once")
		}
		return s.inPatience(ctx, func(ctx context.Context) error { return s.server.ReleaseWebhooks(ctx, in.Order) }), nil
	}))
	handle("POST /_sandbox/wait", responding(func(ctx context.Context, _ *http.Request, _ nothing) (any, error) {
		return warned(errors.Join(s.server.Wait(ctx), s.waitForCalls(ctx))), nil
	}))
}

type (
	nothing struct{}
	limits  struct {
		Rate        int   `json:"rate"`
		PerMS       int64 `json:"per_ms"`
		Concurrency int   `json:"concurrency"`
	}
	release struct {
		Order kombotest.Order `json:"order"`
	}
	warning struct {
		Warning string `json:"warning,omitempty"`
	}
	link struct {
		Link string `json:"link"`
	}
)

// responding decodes the body of a call, and writes the result of its endpoint, or its error.
func responding[In any](endpoint func(context.Context, *http.Request, In) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		result, err := any(nil), readInput(w, r, &in)
		if err == nil {
			result, err = endpoint(r.Context(), r, in)
		}
		status := http.StatusOK
		if err != nil {
			status, result = http.StatusBadRequest, map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(result)
	})
}

// readInput decodes a body. An empty one means an empty object. An unknown member is an error, because
// a script may have misspelled it.
func readInput(w http.ResponseWriter, r *http.Request, in any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	}
	// A form of another site could send other types.
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return errors.New("the Content-Type is not application/json")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(in); err != nil {
		return fmt.Errorf("the body cannot be decoded: %w", err)
	}
	if decoder.More() {
		return errors.New("the body has something after the JSON object")
	}
	return nil
}

// inPatience delivers a webhook, waits for it for some time, and returns why it is not accepted.
func (s *sandbox) inPatience(ctx context.Context, deliver func(context.Context) error) warning {
	// The delivery continues if the caller goes away, and waitForCalls waits for it.
	result := make(chan error, 1)
	s.mutex.Lock()
	late := &lateCall{ended: make(chan struct{})}
	s.late = append(s.late, late)
	s.mutex.Unlock()
	go func() {
		late.err = deliver(context.WithoutCancel(ctx))
		close(late.ended)
		result <- late.err
	}()
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case err := <-result:
		s.mutex.Lock()
		s.late = slices.DeleteFunc(s.late, func(l *lateCall) bool { return l == late })
		s.mutex.Unlock()
		return warned(err)
	case <-timer.C:
		return warning{"the webhook is not accepted yet; it is retried in the background"}
	}
}

// lateCall is a delivery that a call has begun, and may not have waited for.
type lateCall struct {
	ended chan struct{}
	err   error
}

// waitForCalls waits for the deliveries that calls did not wait for, and returns their errors once.
func (s *sandbox) waitForCalls(ctx context.Context) error {
	s.mutex.Lock()
	late := s.late
	s.mutex.Unlock()
	var errs []error
	for _, call := range late {
		select {
		case <-call.ended:
			errs = append(errs, call.err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.late = slices.DeleteFunc(s.late, func(l *lateCall) bool { return slices.Contains(late, l) })
	return errors.Join(errs...)
}

// warned returns the error of a delivery as a warning: the call itself was executed.
func warned(err error) warning {
	if err == nil {
		return warning{}
	}
	return warning{err.Error()}
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func (s *sandbox) createLink(_ context.Context, _ *http.Request, in kombo.CreateLinkRequest) (any, error) {
	made, err := s.server.CreateLink(in)
	if err != nil {
		return nil, err
	}
	return link{made}, nil
}

type flowInput struct {
	Link       string `json:"link"`
	Tool       string `json:"tool"`
	LeaveSetup bool   `json:"leave_setup"`
}

func (s *sandbox) completeFlow(ctx context.Context, _ *http.Request, in flowInput) (any, error) {
	token, err := s.server.CompleteFlow(ctx, in.Link, kombotest.Completion{Tool: in.Tool, LeaveSetup: in.LeaveSetup})
	if err != nil {
		return nil, err
	}
	return map[string]string{"activation_token": token}, nil
}

func (s *sandbox) failFlow(ctx context.Context, _ *http.Request, in struct {
	Link string `json:"link"`
},
) (any, error) {
	return nothing{}, s.server.FailFlow(ctx, in.Link)
}

var (
	states        = []kombo.State{kombo.StateActive, kombo.StateInvalid, kombo.StateInactive}
	orders        = []kombotest.Order{kombotest.InOrder, kombotest.Reversed, kombotest.Shuffled, kombotest.AtOnce}
	setupStatuses = []kombo.SetupStatus{kombo.SetupStatusIncomplete, kombo.SetupStatusFinalSyncPending, kombo.SetupStatusCompleted}
)

type stateInput struct {
	State       kombo.State       `json:"state"`
	SetupStatus kombo.SetupStatus `json:"setup_status"`
}

func (s *sandbox) setState(ctx context.Context, r *http.Request, in stateInput) (any, error) {
	id := r.PathValue("id")
	switch {
	case in.State == "" && in.SetupStatus == "":
		return nil, errors.New("give a state, a setup_status, or both")
	case in.State != "" && !slices.Contains(states, in.State):
		return nil, fmt.Errorf("state: not one of %v", states)
	case in.SetupStatus != "" && !slices.Contains(setupStatuses, in.SetupStatus):
		return nil, fmt.Errorf("setup_status: not one of %v", setupStatuses)
	}
	if in.SetupStatus != "" {
		if err := s.server.SetSetupStatus(ctx, id, in.SetupStatus); err != nil {
			return nil, err
		}
	}
	if in.State != "" {
		if err := s.server.SetState(ctx, id, in.State); err != nil {
			return nil, err
		}
	}
	return nothing{}, nil
}

type relinkInput struct {
	LinkType      kombo.LinkType `json:"link_type"`
	Language      kombo.Language `json:"language"`
	ScopeConfigID string         `json:"scope_config_id"`
}

func (s *sandbox) relink(_ context.Context, r *http.Request, in relinkInput) (any, error) {
	made, err := s.server.Relink(r.PathValue("id"), kombo.RelinkRequest{
		LinkType: in.LinkType, Language: in.Language, ScopeConfigID: in.ScopeConfigID,
	})
	if err != nil {
		return nil, err
	}
	return link{made}, nil
}

type issueInput struct {
	Type   kombo.IssueType   `json:"type"`
	Change kombo.IssueChange `json:"change"`
}

// changeIssue raises or resolves an issue of an integration.
func (s *sandbox) changeIssue(ctx context.Context, r *http.Request, in issueInput) (any, error) {
	id := r.PathValue("id")
	issueType := cmp.Or(in.Type, kombo.IssueTypeAuthenticationFailed)
	switch cmp.Or(in.Change, kombo.IssueChangeRaised) {
	case kombo.IssueChangeRaised:
		return nothing{}, s.server.RaiseIssue(ctx, id, issueType)
	case kombo.IssueChangeResolved:
		return nothing{}, s.server.ResolveIssue(ctx, id, issueType)
	}
	return nil, fmt.Errorf("change: not %s or %s", kombo.IssueChangeRaised, kombo.IssueChangeResolved)
}

// recordList is a list of records of an integration, of which the first are shown. Each is a text, as the body of a delivery is: numbers
// stay as they are.
type recordList struct {
	Path    string   `json:"path"`
	Total   int      `json:"total"`
	Records []string `json:"records"`
}

// listRecords returns the lists of an integration that have records.
func (s *sandbox) listRecords(_ context.Context, r *http.Request, _ nothing) (any, error) {
	integration, err := s.integration(r)
	if err != nil {
		return nil, err
	}
	lists := []recordList{}
	for _, path := range kombotest.Lists() {
		records := s.server.Records(integration.ID, path)
		if len(records) > 0 && path != "/hris/teams" { // the old name of /hris/groups
			shown := describeAll(records[:min(len(records), newest)], func(record json.RawMessage) string { return string(record) })
			lists = append(lists, recordList{path, len(records), shown})
		}
	}
	return map[string]any{"lists": lists}, nil
}

type recordInput struct {
	Path   string          `json:"path"`
	Record json.RawMessage `json:"record"`
}

// putRecords puts a record, or the ready-made records of a list or of the category of the integration.
func (s *sandbox) putRecords(_ context.Context, r *http.Request, in recordInput) (any, error) {
	integration, err := s.integration(r)
	if err != nil {
		return nil, err
	}
	if in.Record != nil {
		return map[string]int{"records": 1}, s.server.PutRecord(integration.ID, in.Path, in.Record)
	}
	put := 0
	for _, path := range kombotest.Lists() {
		if path != in.Path && (in.Path != "" || !strings.HasPrefix(path, "/"+strings.ToLower(string(integration.Category))+"/")) {
			continue
		}
		for _, record := range kombotest.SampleRecords(integration.ID, path) {
			if err := s.server.PutRecord(integration.ID, path, record); err != nil {
				return nil, err
			}
			put++
		}
	}
	if put == 0 {
		return nil, errors.New("there are no ready-made records for this; give a path and a record")
	}
	return map[string]int{"records": put}, nil
}

// integration returns the integration of a call.
func (s *sandbox) integration(r *http.Request) (kombotest.Integration, error) {
	integration, ok := s.server.Integration(r.PathValue("id"))
	if !ok {
		return integration, fmt.Errorf("no integration %q", r.PathValue("id"))
	}
	return integration, nil
}

type eventInput struct {
	ID            string          `json:"id"`
	Type          kombo.EventType `json:"type"`
	IntegrationID string          `json:"integration_id"`
	Data          json.RawMessage `json:"data"`
	Forged        bool            `json:"forged"`
	Copies        int             `json:"copies"`
}

func (s *sandbox) sendEvent(ctx context.Context, _ *http.Request, in eventInput) (any, error) {
	if in.Type == "" {
		return nil, errors.New("type: required, such as data-changed")
	}
	if in.Copies < 0 || in.Copies > 100 {
		return nil, errors.New("copies: not between 0 and 100")
	}
	integration, ok := s.server.Integration(in.IntegrationID)
	if !ok && in.IntegrationID != "" {
		return nil, fmt.Errorf("no integration %q", in.IntegrationID)
	}
	if len(in.Data) == 0 {
		sample := kombotest.Sample(in.Type, integration)
		in.ID = cmp.Or(in.ID, sample.EventID())
		if err := json.Unmarshal(sample.RawBody(), &struct {
			Data *json.RawMessage `json:"data"`
		}{&in.Data}); err != nil {
			return nil, err
		}
	}
	if in.Data[0] != '{' {
		return nil, errors.New("data: not a JSON object")
	}
	in.ID = cmp.Or(in.ID, rand.Text()[:24])
	event := &kombo.UnknownEvent{EventHeader: kombo.EventHeader{ID: in.ID, Type: in.Type}, Data: in.Data}
	deliver := func(ctx context.Context) error { return s.server.Deliver(ctx, event) }
	if in.Forged {
		deliver = func(ctx context.Context) error { return s.server.DeliverForged(ctx, event) }
	}
	result := s.inPatience(ctx, func(ctx context.Context) error {
		var err error
		for range 1 + in.Copies {
			err = errors.Join(err, deliver(ctx))
		}
		return err
	})
	return struct {
		EventID string `json:"event_id"`
		warning
	}{in.ID, result}, nil
}

func (s *sandbox) injectFault(_ context.Context, _ *http.Request, in fault) (any, error) {
	injected := kombotest.Fault{
		Op: in.Op, Times: in.Times, Status: in.Status, Code: in.Code, Message: in.Message, Body: in.Body, Header: http.Header{},
		RetryAfter: time.Duration(in.RetryAfterSeconds * float64(time.Second)), Delay: milliseconds(in.DelayMS),
		Cut: in.Cut, Truncate: in.Truncate, Executed: in.Executed,
	}
	for name, value := range in.Header {
		injected.Header.Set(name, value)
	}
	if err := injected.Validate(); err != nil {
		return nil, err
	}
	s.server.InjectFault(injected)
	return nothing{}, nil
}

func (s *sandbox) injectWebhookFault(_ context.Context, _ *http.Request, in webhookFault) (any, error) {
	injected := kombotest.WebhookFault{
		Type: in.Type, Times: in.Times, Copies: in.Copies, Delay: milliseconds(in.DelayMS), Lost: in.Lost, Forged: in.Forged,
	}
	if err := injected.Validate(); err != nil {
		return nil, err
	}
	s.server.InjectWebhookFault(injected)
	return nothing{}, nil
}

func (s *sandbox) setWebhookURL(_ context.Context, _ *http.Request, in struct {
	URL string `json:"url"`
},
) (any, error) {
	if in.URL != "" {
		if err := CheckWebhookURL(in.URL); err != nil {
			return nil, err
		}
	}
	s.server.SetWebhookURL(in.URL)
	return nothing{}, nil
}

// CheckWebhookURL returns an error if webhooks cannot be delivered to an address.
func CheckWebhookURL(webhookURL string) error {
	parsed, err := url.Parse(webhookURL)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return fmt.Errorf("%q is not an http or https URL", webhookURL)
	}
	return nil
}
