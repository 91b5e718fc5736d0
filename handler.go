package kombo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"time"
)

// EventHandlers has a function for each event type. Events without a function of their own go to Fallback;
// those without either are accepted and dropped.
//
// A function returns nil once the event is safely handled or stored. Its context is that of the request and
// ends when Kombo closes the connection. Kombo does not document how long it waits, so leave long work to a
// queue.
type EventHandlers struct {
	IntegrationCreated              func(context.Context, *IntegrationCreatedEvent) error
	IntegrationDeleted              func(context.Context, *IntegrationDeletedEvent) error
	IntegrationStateChanged         func(context.Context, *IntegrationStateChangedEvent) error
	ConnectionFlowFailed            func(context.Context, *ConnectionFlowFailedEvent) error
	IssueStatusChanged              func(context.Context, *IssueStatusChangedEvent) error
	DataChanged                     func(context.Context, *DataChangedEvent) error
	SyncFinished                    func(context.Context, *SyncFinishedEvent) error
	AssessmentOrderReceived         func(context.Context, *AssessmentOrderReceivedEvent) error
	InlineAssessmentOrderReceived   func(context.Context, *InlineAssessmentOrderReceivedEvent) error
	AIApplyApplicationStatusUpdated func(context.Context, *AIApplyApplicationStatusUpdatedEvent) error
	AIApplyJobPostingStatusUpdated  func(context.Context, *AIApplyJobPostingStatusUpdatedEvent) error

	// Fallback gets every other event, those of unknown types included.
	Fallback func(context.Context, Event) error

	// OnError is called for every POST that fails: with an error of [WebhookVerifier.ParseRequest] if the
	// webhook is refused, or with that of the function, and the stack if it panicked. If OnError is nil,
	// errors and panics of functions are logged to [slog.Default], and refused webhooks are not logged. It
	// must not panic.
	OnError func(context.Context, error)

	// OnDelivery, unless nil, is called once at the end of every POST, for metrics and traces. The response
	// may not reach Kombo before it returns. It must be safe for concurrent use, and must not panic.
	OnDelivery func(context.Context, DeliveryInfo)
}

// DeliveryInfo describes one delivery of a webhook.
type DeliveryInfo struct {
	// EventType is the type of the event; "" if the webhook was refused. It can be the label of a metric.
	EventType EventType
	// EventID is the id of the event; "" if the webhook was refused.
	EventID string
	// Event is the event itself; nil if the webhook was refused.
	Event Event
	// StatusCode is the HTTP status of the response; 0 if a function panicked with [http.ErrAbortHandler].
	StatusCode int
	// Duration is the time until the event was handled, including reading the request.
	Duration time.Duration
	// Err is why the webhook was refused or not handled, as for OnError; nil after a success.
	Err error
}

// Handle calls the function for the event's type. Unlike the handler of [WebhookVerifier.Handler] it does
// not recover panics or call OnError and OnDelivery. It returns the error of the function; nil if there is
// no function; and an error for a nil event or nil pointer, which no function gets.
func (h EventHandlers) Handle(ctx context.Context, event Event) error {
	if v := reflect.ValueOf(event); event == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("kombo: EventHandlers.Handle: the event is nil")
	}
	switch e := event.(type) {
	case *IntegrationCreatedEvent:
		return handle(ctx, h.IntegrationCreated, h.Fallback, e)
	case *IntegrationDeletedEvent:
		return handle(ctx, h.IntegrationDeleted, h.Fallback, e)
	case *IntegrationStateChangedEvent:
		return handle(ctx, h.IntegrationStateChanged, h.Fallback, e)
	case *ConnectionFlowFailedEvent:
		return handle(ctx, h.ConnectionFlowFailed, h.Fallback, e)
	case *IssueStatusChangedEvent:
		return handle(ctx, h.IssueStatusChanged, h.Fallback, e)
	case *DataChangedEvent:
		return handle(ctx, h.DataChanged, h.Fallback, e)
	case *SyncFinishedEvent:
		return handle(ctx, h.SyncFinished, h.Fallback, e)
	case *AssessmentOrderReceivedEvent:
		return handle(ctx, h.AssessmentOrderReceived, h.Fallback, e)
	case *InlineAssessmentOrderReceivedEvent:
		return handle(ctx, h.InlineAssessmentOrderReceived, h.Fallback, e)
	case *AIApplyApplicationStatusUpdatedEvent:
		return handle(ctx, h.AIApplyApplicationStatusUpdated, h.Fallback, e)
	case *AIApplyJobPostingStatusUpdatedEvent:
		return handle(ctx, h.AIApplyJobPostingStatusUpdated, h.Fallback, e)
	}
	return handle(ctx, h.Fallback, nil, event)
}

func handle[E Event](ctx context.Context, own func(context.Context, E) error, fallback func(context.Context, Event) error, event E) error {
	switch {
	case own != nil:
		return own(ctx, event)
	case fallback != nil:
		return fallback(ctx, event)
	}
	return nil
}

// Handler returns an [http.Handler] that verifies and decodes the webhooks posted to it and calls the
// function for each event. It responds with 204 if the function returns nil or there is none; 405 to a
// method other than POST; 401 to a missing or wrong signature; 413 to a body over [MaxWebhookBody]; 400 to a
// body that is not an event or ends early; and 500 if the function fails or panics. A panic with
// [http.ErrAbortHandler] closes the connection without a response, as in net/http. The texts of the
// responses are fixed.
//
// Set ReadTimeout on the [http.Server]: the handler waits for the body as long as the server allows.
func (v *WebhookVerifier) Handler(handlers EventHandlers) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "use POST", http.StatusMethodNotAllowed)
			return
		}
		delivery := DeliveryInfo{Err: http.ErrAbortHandler} // until there is a response
		if handlers.OnDelivery != nil {
			start := time.Now()
			defer func() {
				delivery.Duration = time.Since(start)
				handlers.OnDelivery(r.Context(), delivery)
			}()
		}
		event, err := v.ParseRequest(r)
		if err != nil {
			if handlers.OnError != nil {
				handlers.OnError(r.Context(), err)
			}
			status, text := refusal(err)
			http.Error(w, text, status)
			delivery.StatusCode, delivery.Err = status, err
			return
		}
		delivery.Event, delivery.EventType, delivery.EventID = event, event.EventType(), event.EventID()
		if err := safely(func() error { return handlers.Handle(r.Context(), event) }); err != nil {
			err = fmt.Errorf("kombo: handling %s %s: %w", singleLine(string(event.EventType())), singleLine(event.EventID()), err)
			if handlers.OnError != nil {
				handlers.OnError(r.Context(), err)
			} else {
				slog.Default().ErrorContext(r.Context(), "kombo: webhook not handled", "error", err)
			}
			http.Error(w, "the webhook could not be handled", http.StatusInternalServerError)
			delivery.StatusCode, delivery.Err = http.StatusInternalServerError, err
			return
		}
		w.WriteHeader(http.StatusNoContent)
		delivery.StatusCode, delivery.Err = http.StatusNoContent, nil
	})
}

// safely calls a function of the caller and returns its panic as an error. http.ErrAbortHandler is for
// net/http, which closes the connection and logs nothing.
func safely(function func() error) (err error) {
	defer func() {
		switch value := recover().(type) {
		case nil:
		case error:
			if value == http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
				panic(value)
			}
			err = fmt.Errorf("panic: %w\n%s", value, debug.Stack())
		default:
			err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
		}
	}()
	return function()
}

// refusal returns the response to a webhook that is refused.
func refusal(err error) (status int, text string) {
	switch {
	case errors.Is(err, ErrMissingSignature), errors.Is(err, ErrInvalidSignature):
		return http.StatusUnauthorized, "the signature is missing or wrong"
	case errors.Is(err, ErrPayloadTooLarge):
		return http.StatusRequestEntityTooLarge, "the body is too large"
	}
	return http.StatusBadRequest, "the body is not a webhook"
}
