package kombotest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kombo-go/kombo"
)

// Redelivery configures the retries of a webhook that was not accepted: its response was not 2xx, or did not come
// within 10 seconds. The schedule of the real Kombo is not documented.
type Redelivery struct {
	// MaxAttempts is how often a webhook is attempted, including the first time; 0 means 3, and 1 means no
	// retries.
	MaxAttempts int
	// BaseDelay is the wait before the first retry, which doubles with each; 0 means 10 ms.
	BaseDelay time.Duration
	// MaxDelay is the longest wait; 0 means one minute.
	MaxDelay time.Duration
}

func (r Redelivery) attempts() int { return max(1, cmp.Or(r.MaxAttempts, 3)) }

// wait returns the wait after an attempt, of which the first is 1.
func (r Redelivery) wait(attempt int) time.Duration {
	wait, longest := cmp.Or(r.BaseDelay, 10*time.Millisecond), cmp.Or(r.MaxDelay, time.Minute)
	for range attempt - 1 {
		if wait >= longest/2 {
			return longest
		}
		wait *= 2
	}
	return min(wait, longest)
}

// Delivery is one attempt to deliver a webhook.
type Delivery struct {
	// Number counts the attempts of the server, from 1.
	Number int
	// Time is when the attempt began.
	Time      time.Time
	EventID   string
	EventType kombo.EventType
	// Attempt counts the attempts since the event happened, or since a method such as [Server.Redeliver] was called, from 1.
	Attempt int
	// URL is where the webhook was sent; "" means that there was no webhook URL.
	URL string
	// Body is what was sent (or would have been sent, if Lost), and Signature its header
	// X-Kombo-Signature.
	Body      []byte
	Signature string
	// Forged is true if the signature is wrong on purpose.
	Forged bool
	// Lost is true if a [WebhookFault] kept the webhook from being sent.
	Lost bool
	// StatusCode is that of the response, 0 if there was none.
	StatusCode int
	// Err is why there was no response.
	Err error
	// Duration is the time until the response.
	Duration time.Duration
}

// Accepted reports whether the status of the response was 2xx.
func (d Delivery) Accepted() bool { return d.StatusCode >= 200 && d.StatusCode <= 299 }

// clone returns a copy that shares no memory.
func (d Delivery) clone() Delivery {
	d.Body = bytes.Clone(d.Body)
	return d
}

// Deliveries returns the attempts to deliver webhooks, in the order in which they ended. After 10,000, the
// older half is discarded.
func (s *Server) Deliveries() (deliveries []Delivery) {
	s.withState(func(st *state) { deliveries = all(st.deliveries.entries, Delivery.clone) })
	return deliveries
}

// SetWebhookURL changes where webhooks are delivered: a service that needs a client before it
// starts has no address yet when the server is made.
func (s *Server) SetWebhookURL(webhookURL string) {
	s.set(func(st *state) { st.webhookURL = webhookURL })
}

// WebhookURL returns where webhooks are delivered, "" for nowhere.
func (s *Server) WebhookURL() (webhookURL string) {
	s.withState(func(st *state) { webhookURL = st.webhookURL })
	return webhookURL
}

// SetWebhookSecret changes the secret that signs subsequent webhooks, as when it is rotated in Kombo's dashboard. It panics if
// [kombo.NewWebhookVerifier] rejects the secret.
func (s *Server) SetWebhookSecret(secret string) {
	checkWebhookSecret(secret)
	s.set(func(st *state) { st.webhookSecret = secret })
}

// checkWebhookSecret panics if no service could verify what the secret signs.
func checkWebhookSecret(secret string) {
	if _, err := kombo.NewWebhookVerifier(secret); err != nil {
		panic(fmt.Sprintf("kombotest: the webhook secret: %v", err))
	}
}

// WebhookSecret returns the secret that signs the webhooks, for [kombo.NewWebhookVerifier].
func (s *Server) WebhookSecret() (secret string) {
	s.withState(func(st *state) { secret = st.webhookSecret })
	return secret
}

var (
	errNowhere = errors.New("kombotest: there is no webhook URL to deliver to; see Server.SetWebhookURL")
	errClosed  = errors.New("kombotest: the server is closed")
)

// Deliver sends one webhook, written and signed as Kombo does it (times in UTC, to the millisecond), and returns
// once it is accepted: a [Sample]; an event that a test has made, with an ID and a Type in its header, of any type
// (the data of a [kombo.UnknownEvent] is sent as it is, numbers and order included, but indented); or a received event
// (encoded anew, so without the fields that its struct lacks; [Server.Redeliver] sends the same bytes). It is retried according
// to [Redelivery]; the error is why the service did not accept it.
func (s *Server) Deliver(ctx context.Context, event kombo.Event) error {
	d, err := newDelivery(event)
	if err != nil {
		return err
	}
	if s.WebhookURL() == "" {
		return errNowhere
	}
	return s.enqueue(ctx, d, nil)
}

// DeliverForged sends a webhook with a wrong signature, once, and fails unless the service rejects it with a status
// 4xx other than 404 and 405, which only show that there is no receiver.
func (s *Server) DeliverForged(ctx context.Context, event kombo.Event) error {
	d, err := newDelivery(event)
	if err != nil {
		return err
	}
	d.fault = WebhookFault{Forged: true}
	return s.deliver(ctx, d, nil)
}

// Redeliver sends a webhook of [Server.Deliveries] again, with the same id and the same bytes, even if it was lost.
func (s *Server) Redeliver(ctx context.Context, eventID string) error {
	if s.WebhookURL() == "" {
		return errNowhere
	}
	var again *delivery
	s.withState(func(st *state) {
		for _, d := range slices.Backward(st.deliveries.entries) {
			if d.EventID == eventID && !d.Forged {
				again = &delivery{id: d.EventID, eventType: d.EventType, body: d.Body}
				break
			}
		}
	})
	if again == nil {
		return fmt.Errorf("kombotest: no event %q was sent", eventID)
	}
	return s.deliver(ctx, again, nil)
}

// A webhook passes four stages: state.publish records that an event has happened; enqueue lets its delivery wait for its
// turn; deliver sends it, with its faults and retries; post is one HTTP request.

// delivery is the webhook of an event.
type delivery struct {
	id        string
	eventType kombo.EventType
	body      []byte
	fault     WebhookFault
}

func newDelivery(event kombo.Event) (*delivery, error) {
	body, err := eventBody(event)
	if err != nil {
		return nil, err
	}
	return &delivery{id: event.EventID(), eventType: event.EventType(), body: body}, nil
}

// enqueueAll enqueues the events that were published, and returns once they are delivered. With [Config.DeliverInBackground], or
// after a response (when responded is closed), they are delivered in the background instead, for [Server.Wait] to wait for.
func (s *Server) enqueueAll(ctx context.Context, responded <-chan struct{}, events []kombo.Event) error {
	errs := make([]error, len(events))
	for i, event := range events {
		d, err := newDelivery(event)
		switch {
		case err != nil:
			panic(err) // the server made the event
		case responded == nil && !s.config.DeliverInBackground:
			errs[i] = s.enqueue(ctx, d, nil)
		default:
			errs[i] = s.enqueueInBackground(d, responded)
		}
	}
	return errors.Join(errs...)
}

// enqueueInBackground waits until those before d have been attempted and responded, if not nil, is closed. Then it enqueues d.
func (s *Server) enqueueInBackground(d *delivery, responded <-chan struct{}) error {
	done := make(chan struct{})
	attempted := sync.OnceFunc(func() { close(done) })
	var before <-chan struct{}
	s.withState(func(st *state) { before, st.lastAttempted = st.lastAttempted, done })
	return s.inBackground(func() error {
		defer attempted()
		if responded != nil {
			<-responded
		}
		if before != nil {
			<-before
		}
		return s.enqueue(s.context, d, attempted)
	})
}

// inBackground runs deliver, for [Server.Wait] to wait for.
func (s *Server) inBackground(deliver func() error) (err error) {
	s.withState(func(st *state) {
		if st.closed {
			err = errClosed
			return
		}
		st.background++
		s.background.Go(func() {
			err := deliver()
			s.withState(func(st *state) {
				st.background--
				if err != nil {
					st.backgroundErrors = append(st.backgroundErrors, err)
				}
			})
		})
	})
	return err
}

// enqueue queues a delivery while webhooks are held back, or else delivers it. The faults are assigned here, in the order of the events. It calls
// attempted, if not nil, after the first attempt.
func (s *Server) enqueue(ctx context.Context, d *delivery, attempted func()) error {
	var closed, held bool
	s.withState(func(st *state) {
		if closed = st.closed; closed {
			return
		}
		d.fault, _ = take(&st.webhookFaults, func(f *WebhookFault) bool { return f.Type == "" || f.Type == d.eventType })
		if held = st.holding; held {
			st.held = append(st.held, d)
		}
	})
	switch {
	case closed:
		return errClosed
	case held:
		s.onChange()
		return nil
	}
	return s.deliver(ctx, d, attempted)
}

// deliver sends a delivery until it is accepted, and then its copies. It calls attempted, if not nil, after the first attempt.
func (s *Server) deliver(ctx context.Context, d *delivery, attempted func()) error {
	switch delay := d.fault.Delay; {
	case d.fault.Lost:
		s.recordDelivery(Delivery{
			Attempt: 1, Time: s.now(), URL: s.WebhookURL(), Signature: kombo.SignWebhook(s.WebhookSecret(), d.body), Lost: true,
		}, d)
		return nil
	case delay > 0:
		late := *d
		late.fault.Delay = 0
		return s.inBackground(func() error {
			if err := pause(s.context, delay); err != nil {
				return fmt.Errorf("kombotest: delivering %s: the server was closed", d.eventType)
			}
			return s.deliver(s.context, &late, nil)
		})
	}
	done, ok := s.begin()
	if !ok {
		return errClosed
	}
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.context, func() { cancel(errors.New("the server was closed")) })()
	for range 1 + d.fault.Copies {
		if err := s.postUntilAccepted(ctx, d, attempted); err != nil {
			return err
		}
	}
	return nil
}

// postUntilAccepted posts a delivery until it is accepted, or once if it is forged.
func (s *Server) postUntilAccepted(ctx context.Context, d *delivery, attempted func()) error {
	secret := s.WebhookSecret()
	if d.fault.Forged {
		secret = "not " + secret
	}
	signature := kombo.SignWebhook(secret, d.body)
	for attempt := 1; ; attempt++ {
		got := s.post(ctx, d, Delivery{Attempt: attempt, Signature: signature, Forged: d.fault.Forged})
		if attempted != nil {
			attempted()
		}
		switch {
		case got.Forged:
			return forgedError(got)
		case got.Accepted(), got.URL == "":
			return nil
		case attempt >= s.config.Redelivery.attempts(), ctx.Err() != nil, pause(ctx, s.config.Redelivery.wait(attempt)) != nil:
			return deliveryError(ctx, got)
		}
	}
}

// deliveryError returns the error of a delivery that was not accepted.
func deliveryError(ctx context.Context, d Delivery) error {
	switch {
	case d.Err != nil && ctx.Err() != nil:
		return fmt.Errorf("kombotest: delivering %s: %w", d.EventType, context.Cause(ctx))
	case d.Err != nil:
		return fmt.Errorf("kombotest: delivering %s: %w", d.EventType, d.Err)
	case d.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("kombotest: delivering %s: the receiver returned %s; does it verify with Config.WebhookSecret?", d.EventType, statusText(d))
	}
	return fmt.Errorf("kombotest: delivering %s: the receiver returned %s", d.EventType, statusText(d))
}

// forgedError returns nil if the receiver has rejected a forged webhook.
func forgedError(d Delivery) error {
	switch {
	case d.URL == "":
		return errNowhere
	case d.Err != nil:
		return fmt.Errorf("kombotest: delivering a forged %s: %w", d.EventType, d.Err)
	case d.Accepted():
		return fmt.Errorf("kombotest: the receiver accepted a forged %s: %d", d.EventType, d.StatusCode)
	case d.StatusCode < 400, d.StatusCode > 499, d.StatusCode == http.StatusNotFound, d.StatusCode == http.StatusMethodNotAllowed:
		return fmt.Errorf("kombotest: the receiver did not reject a forged %s, but returned %s", d.EventType, statusText(d))
	}
	return nil
}

func statusText(d Delivery) string {
	return fmt.Sprintf("%d %s", d.StatusCode, http.StatusText(d.StatusCode))
}

// post makes one HTTP request of a delivery, and records it as an attempt.
func (s *Server) post(ctx context.Context, d *delivery, attempt Delivery) Delivery {
	attempt.Time, attempt.URL = s.now(), s.WebhookURL()
	if attempt.URL == "" {
		return s.recordDelivery(attempt, d)
	}
	begun := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, attempt.URL, bytes.NewReader(d.body))
	if err == nil {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set(kombo.SignatureHeader, attempt.Signature)
		var response *http.Response
		if response, err = s.webhook.Do(request); err == nil {
			attempt.StatusCode = response.StatusCode
			_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
			_ = response.Body.Close()
		}
	}
	attempt.Err, attempt.Duration = err, time.Since(begun)
	return s.recordDelivery(attempt, d)
}

// recordDelivery records an attempt, and returns it.
func (s *Server) recordDelivery(attempt Delivery, d *delivery) Delivery {
	attempt.EventID, attempt.EventType, attempt.Body = d.id, d.eventType, d.body
	s.withState(func(st *state) {
		attempt.Number = st.deliveries.next()
		st.deliveries.add(attempt)
	})
	if s.config.OnDelivery != nil {
		s.config.OnDelivery(attempt.clone())
	}
	s.onChange()
	return attempt
}

// pause waits, unless the context ends before.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
