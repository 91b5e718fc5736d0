package sandbox

import (
	"slices"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// newest is how many requests and deliveries are in the state, and how many records of a list are shown.
const newest = 200

// state returns what the dashboard shows.
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
		"operations":  append(kombotest.Operations(), describeAll(kombotest.Lists(), func(path string) string { return "GET " + path })...),
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

// describeAll returns a list that is never nil, which would be null in JSON.
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

// operationOf returns the operation of a request, or else its method and path.
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
