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
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// newest is how many requests and deliveries the state tells.
const newest = 200

// control mounts the control API.
func (s *sandbox) control(handle func(pattern string, handler http.Handler)) {
	handle("GET /_sandbox/state", answering(func(context.Context, *http.Request, nothing) (any, error) { return s.state(), nil }))
	handle("GET /_sandbox/links", answering(func(context.Context, *http.Request, nothing) (any, error) {
		return s.server.OpenLinks(), nil
	}))
	handle("GET /_sandbox/integrations", answering(func(context.Context, *http.Request, nothing) (any, error) {
		return s.server.Integrations(), nil
	}))
	handle("GET /_sandbox/requests", answering(func(context.Context, *http.Request, nothing) (any, error) {
		return describeAll(s.server.Requests(), describeRequest), nil
	}))
	handle("GET /_sandbox/deliveries", answering(func(context.Context, *http.Request, nothing) (any, error) {
		return describeAll(s.server.Deliveries(), describeDelivery), nil
	}))
	handle("GET /_sandbox/faults", answering(func(context.Context, *http.Request, nothing) (any, error) {
		return describeFaults(s.server.Faults()), nil
	}))

	handle("POST /_sandbox/links", answering(s.createLink))
	handle("POST /_sandbox/flows/complete", answering(s.completeFlow))
	handle("POST /_sandbox/flows/fail", answering(s.failFlow))
	handle("POST /_sandbox/integrations/{id}/state", answering(s.setState))
	handle("POST /_sandbox/integrations/{id}/relink", answering(s.relink))
	handle("POST /_sandbox/integrations/{id}/issue", answering(s.changeIssue))
	handle("DELETE /_sandbox/integrations/{id}", answering(func(ctx context.Context, r *http.Request, _ nothing) (any, error) {
		return nothing{}, s.server.DeleteIntegration(ctx, r.PathValue("id"))
	}))
	handle("POST /_sandbox/events", answering(s.sendEvent))
	handle("POST /_sandbox/deliveries/{event_id}/repeat", answering(func(ctx context.Context, r *http.Request, _ nothing) (any, error) {
		eventID := r.PathValue("event_id")
		if !slices.ContainsFunc(s.server.Deliveries(), func(d kombotest.Delivery) bool { return d.EventID == eventID }) {
			return nil, fmt.Errorf("no event %q was sent", eventID)
		}
		return s.inPatience(ctx, func(ctx context.Context) error { return s.server.Redeliver(ctx, eventID) }), nil
	}))
	handle("POST /_sandbox/faults", answering(s.injectFault))
	handle("DELETE /_sandbox/faults", answering(func(context.Context, *http.Request, nothing) (any, error) {
		s.server.ClearFaults()
		return nothing{}, nil
	}))
	handle("POST /_sandbox/webhook-faults", answering(s.injectWebhookFault))
	handle("DELETE /_sandbox/webhook-faults", answering(func(context.Context, *http.Request, nothing) (any, error) {
		s.server.ClearWebhookFaults()
		return nothing{}, nil
	}))
	handle("PUT /_sandbox/limits", answering(func(_ context.Context, _ *http.Request, in limits) (any, error) {
		s.server.SetLimits(kombotest.Limits{Rate: in.Rate, Per: milliseconds(in.PerMS), Concurrency: in.Concurrency})
		return nothing{}, nil
	}))
	handle("PUT /_sandbox/webhooks", answering(s.setWebhookURL))
	handle("POST /_sandbox/webhooks/hold", answering(func(context.Context, *http.Request, nothing) (any, error) {
		s.server.HoldWebhooks()
		return nothing{}, nil
	}))
	handle("POST /_sandbox/webhooks/release", answering(func(ctx context.Context, _ *http.Request, in release) (any, error) {
		order := kombotest.Order(in.Order)
		if !slices.Contains([]kombotest.Order{kombotest.InOrder, kombotest.Reversed, kombotest.Shuffled, kombotest.AtOnce}, order) {
			return nil, errors.New("order: not one of in_order, reversed, shuffled, at_once")
		}
		return s.inPatience(ctx, func(ctx context.Context) error { return s.server.ReleaseWebhooks(ctx, order) }), nil
	}))
	handle("POST /_sandbox/wait", answering(func(ctx context.Context, _ *http.Request, _ nothing) (any, error) {
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
		Order string `json:"order"`
	}
	warning struct {
		Warning string `json:"warning,omitempty"`
	}
	link struct {
		Link string `json:"link"`
	}
)

// answering reads what a call wants, and writes what it gets.
func answering[In any](endpoint func(context.Context, *http.Request, In) (any, error)) http.Handler {
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

// readInput decodes a body, and takes none for an empty object. A member that nobody knows is an error: a
// script that misspells one should hear of it.
func readInput(w http.ResponseWriter, r *http.Request, in any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	}
	// Other types are those that a form of a foreign page could send.
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return errors.New("the Content-Type is not application/json")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(in); err != nil {
		return fmt.Errorf("the body is not what it should be: %w", err)
	}
	if decoder.More() {
		return errors.New("the body is not what it should be: there is something after the JSON object")
	}
	return nil
}

// inPatience waits for a webhook for some time, and tells why it is not accepted.
func (s *sandbox) inPatience(ctx context.Context, deliver func(context.Context) error) warning {
	// It goes on when the caller has gone, and is something to wait for.
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
		return warning{"the webhook is not accepted yet; it is repeated in the background"}
	}
}

// lateCall is what a call has begun, and whoever made it may not have waited for.
type lateCall struct {
	ended chan struct{}
	err   error
}

// waitForCalls waits for what calls have begun and not seen the end of, and returns its errors once.
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

// warned tells of a webhook that was not accepted: the call did what it was to do nevertheless.
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
	told := s.inPatience(ctx, func(ctx context.Context) error {
		var err error
		for range 1 + in.Copies {
			err = errors.Join(err, deliver(ctx))
		}
		return err
	})
	return struct {
		EventID string `json:"event_id"`
		warning
	}{in.ID, told}, nil
}

// fault is a [kombotest.Fault] in JSON.
type fault struct {
	Op                string            `json:"op"`
	Times             int               `json:"times"`
	Status            int               `json:"status"`
	Code              kombo.ErrorCode   `json:"code"`
	Message           string            `json:"message,omitempty"`
	Body              string            `json:"body"`
	Header            map[string]string `json:"header,omitempty"`
	RetryAfterSeconds float64           `json:"retry_after_seconds"`
	DelayMS           int64             `json:"delay_ms"`
	Cut               bool              `json:"cut"`
	Truncate          bool              `json:"truncate"`
	Executed          bool              `json:"executed"`
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

func describeFaults(faults []kombotest.Fault) []fault {
	return describeAll(faults, func(f kombotest.Fault) fault {
		described := fault{
			Op: f.Op, Times: f.Times, Status: f.Status, Code: f.Code, Message: f.Message, Body: f.Body,
			RetryAfterSeconds: f.RetryAfter.Seconds(), DelayMS: f.Delay.Milliseconds(), Cut: f.Cut, Truncate: f.Truncate,
			Executed: f.Executed, Header: map[string]string{},
		}
		for name := range f.Header {
			described.Header[name] = f.Header.Get(name)
		}
		return described
	})
}

// webhookFault is a [kombotest.WebhookFault] in JSON.
type webhookFault struct {
	Type    kombo.EventType `json:"type"`
	Times   int             `json:"times"`
	Copies  int             `json:"copies"`
	DelayMS int64           `json:"delay_ms"`
	Lost    bool            `json:"lost"`
	Forged  bool            `json:"forged"`
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

// CheckWebhookURL tells whether webhooks can be delivered to an address.
func CheckWebhookURL(webhookURL string) error {
	parsed, err := url.Parse(webhookURL)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return fmt.Errorf("%q is no http or https URL", webhookURL)
	}
	return nil
}

// state is all that the dashboard shows.
func (s *sandbox) state() any {
	held, holding := s.server.HeldWebhooks()
	return map[string]any{
		"api": map[string]string{
			"base_url": s.server.BaseURL(), "api_key": s.server.APIKey(), "webhook_secret": s.server.WebhookSecret(),
		},
		"webhooks":     map[string]any{"url": s.server.WebhookURL(), "holding": holding, "held": held},
		"links":        s.server.OpenLinks(),
		"integrations": s.server.Integrations(),
		"requests":     describeAll(newestFirst(s.server.Requests()), describeRequest),
		"deliveries":   describeAll(newestFirst(s.server.Deliveries()), describeDelivery),
		"faults":       describeFaults(s.server.Faults()),
		"webhook_faults": describeAll(s.server.WebhookFaults(), func(f kombotest.WebhookFault) webhookFault {
			return webhookFault{f.Type, f.Times, f.Copies, f.Delay.Milliseconds(), f.Lost, f.Forged}
		}),
		"operations":  kombotest.Operations(),
		"event_types": kombotest.EventTypes(),
		"tools": describeAll(s.server.Tools(), func(t kombotest.Tool) any {
			return map[string]any{"id": t.ID, "label": t.Label, "categories": t.Categories}
		}),
	}
}

func newestFirst[T any](entries []T) []T {
	entries = entries[max(0, len(entries)-newest):]
	slices.Reverse(entries)
	return entries
}

// describeAll never returns nil, which would be null in JSON.
func describeAll[From, To any](entries []From, describe func(From) To) []To {
	described := make([]To, len(entries))
	for i, entry := range entries {
		described[i] = describe(entry)
	}
	return described
}

func describeRequest(r kombotest.Request) any {
	return map[string]any{
		"number": r.Number, "time": r.Time, "op": operationOf(r), "status": r.StatusCode,
		"duration_ms": inMilliseconds(r.Duration), "fault": r.Faulty, "error_code": r.ErrorCode, "body": string(r.Body),
	}
}

// operationOf names what is no operation by its method and path.
func operationOf(r kombotest.Request) string {
	if r.Op == "" {
		return r.Method + " " + r.Path
	}
	return r.Op
}

func describeDelivery(d kombotest.Delivery) any {
	failure := ""
	switch {
	case d.Err != nil:
		failure = d.Err.Error()
	case d.Lost:
		failure = "lost on purpose"
	}
	return map[string]any{
		"number": d.Number, "time": d.Time, "event_id": d.EventID, "type": d.EventType, "attempt": d.Attempt, "url": d.URL,
		"status": d.StatusCode, "error": failure, "duration_ms": inMilliseconds(d.Duration),
		"accepted": d.Accepted(), "forged": d.Forged, "lost": d.Lost, "body": string(d.Body), "signature": d.Signature,
	}
}

func inMilliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
