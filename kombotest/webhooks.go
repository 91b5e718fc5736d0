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

// Redelivery says how a webhook is repeated that was not accepted: by an answer other than 2xx, or no
// answer within 10 seconds. The real Kombo's schedule is not documented.
type Redelivery struct {
	// MaxAttempts is how often a webhook is tried, the first time included; 0 means 3, 1 never to
	// repeat.
	MaxAttempts int
	// BaseDelay is the wait before the first repetition, which doubles with each; 0 means 10 ms.
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
	// Attempt counts those of one sending of one event, from 1.
	Attempt int
	// URL is where the webhook went; "" means that there was no address to deliver to.
	URL string
	// Body is what was sent (or, where it was Lost, was to be), and Signature its header
	// X-Kombo-Signature.
	Body      []byte
	Signature string
	// Forged is true where the signature is wrong on purpose.
	Forged bool
	// Lost is true where a [WebhookFault] kept the webhook from being sent.
	Lost bool
	// StatusCode is the answer's, 0 where there was none.
	StatusCode int
	// Err is why there was no answer.
	Err error
	// Duration is how long the receiver took.
	Duration time.Duration
}

// Accepted reports whether the receiver answered 2xx.
func (d Delivery) Accepted() bool { return d.StatusCode >= 200 && d.StatusCode <= 299 }

// clone returns a copy that shares no memory.
func (d Delivery) clone() Delivery {
	d.Body = bytes.Clone(d.Body)
	return d
}

// SetWebhookURL changes where webhooks are delivered: a service that needs a client before it can
// start has no address yet when the server is made.
func (s *Server) SetWebhookURL(webhookURL string) {
	s.mutex.Lock()
	s.webhookURL = webhookURL
	s.mutex.Unlock()
	s.change()
}

// SetWebhookSecret changes what signs the webhooks that follow, as when it is rotated in Kombo's dashboard.
func (s *Server) SetWebhookSecret(secret string) {
	s.mutex.Lock()
	s.webhookSecret = secret
	s.mutex.Unlock()
	s.change()
}

// WebhookURL returns where webhooks are delivered, "" for nowhere.
func (s *Server) WebhookURL() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.webhookURL
}

// delivery is an event on its way.
type delivery struct {
	id        string
	eventType kombo.EventType
	body      []byte
	// fault is what is to happen to it.
	fault WebhookFault
}

func newDelivery(event kombo.Event) (*delivery, error) {
	body, err := eventBody(event)
	if err != nil {
		return nil, err
	}
	return &delivery{id: event.EventID(), eventType: event.EventType(), body: body}, nil
}

var (
	errNowhere = errors.New("kombotest: there is no webhook URL to deliver to; see Server.SetWebhookURL")
	errClosed  = errors.New("kombotest: the server is closed")
)

// Deliver sends one webhook, written and signed as Kombo does it (times in UTC, to the millisecond), and returns
// once it is accepted: a [Sample]; an event that a test has made, with an ID and a Type in its header, of any type
// (the data of a [kombo.UnknownEvent] is sent as it is, numbers and order included, but indented); or an event that came before
// (encoded anew, so without the fields that its struct lacks; [Server.Redeliver] sends the same bytes). It is retried as
// [Redelivery] says; the error says why the service did not accept it.
func (s *Server) Deliver(ctx context.Context, event kombo.Event) error {
	d, err := newDelivery(event)
	if err != nil {
		return err
	}
	if s.WebhookURL() == "" {
		return errNowhere
	}
	return s.send(ctx, d, nil)
}

// DeliverForged sends a webhook with a wrong signature, once, and fails unless the service refuses it: by a status
// 4xx, but for 404 and 405, which only tell that nobody has looked.
func (s *Server) DeliverForged(ctx context.Context, event kombo.Event) error {
	d, err := newDelivery(event)
	if err != nil {
		return err
	}
	d.fault = WebhookFault{Forged: true}
	return s.transmit(ctx, d, nil)
}

// Redeliver sends a webhook again, with the same id and the same bytes: one of those that
// [Server.Deliveries] tells, also one that was lost.
func (s *Server) Redeliver(ctx context.Context, eventID string) error {
	if s.WebhookURL() == "" {
		return errNowhere
	}
	s.mutex.Lock()
	var again *delivery
	for _, d := range slices.Backward(s.deliveries.entries) {
		if d.EventID == eventID && !d.Forged {
			again = &delivery{id: d.EventID, eventType: d.EventType, body: d.Body}
			break
		}
	}
	s.mutex.Unlock()
	if again == nil {
		return fmt.Errorf("kombotest: no event %q was sent", eventID)
	}
	return s.transmit(ctx, again, nil)
}

// HoldWebhooks keeps the webhooks of events that follow back until [Server.ReleaseWebhooks]; what causes them does
// not wait. [Server.Redeliver] and [Server.DeliverForged] are not held back, nor is what was under way before.
func (s *Server) HoldWebhooks() {
	s.mutex.Lock()
	s.holding = true
	s.mutex.Unlock()
	s.change()
}

// HeldWebhooks tells how many webhooks are held back, and whether those that follow will be.
func (s *Server) HeldWebhooks() (held int, holding bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.held), s.holding
}

// Order is that in which webhooks are released.
type Order string

// The orders.
const (
	// InOrder is the order in which the events came about.
	InOrder Order = "in_order"
	// Reversed is the opposite.
	Reversed Order = "reversed"
	// Shuffled is any order, the same in each run where [Config.Seed] is set.
	Shuffled Order = "shuffled"
	// AtOnce does not wait for one before it sends the next.
	AtOnce Order = "at_once"
)

// ReleaseWebhooks sends what [Server.HoldWebhooks] kept back, holds back no more, and returns once all
// is accepted. The error joins those of the webhooks that the service did not accept. Those that were not sent
// before ctx ended are held back again.
func (s *Server) ReleaseWebhooks(ctx context.Context, order Order) error {
	s.mutex.Lock()
	held := s.held
	switch order {
	case InOrder, AtOnce:
	case Reversed:
		slices.Reverse(held)
	case Shuffled:
		s.random.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
	default:
		s.mutex.Unlock()
		return fmt.Errorf("kombotest: the order %q is unknown", order)
	}
	s.held, s.holding = nil, false
	s.mutex.Unlock()
	s.change()
	errs := make([]error, len(held))
	var all sync.WaitGroup
	for i, d := range held {
		if ctx.Err() != nil {
			s.mutex.Lock()
			s.held, s.holding = append(slices.Clone(held[i:]), s.held...), true
			s.mutex.Unlock()
			s.change()
			errs[i] = fmt.Errorf("kombotest: releasing webhooks: %w", ctx.Err())
			break
		}
		if order != AtOnce {
			errs[i] = s.dispatch(ctx, d, nil)
			continue
		}
		all.Go(func() { errs[i] = s.dispatch(ctx, d, nil) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// send holds a delivery back, or sends it. Which fault strikes it is decided here, whenever it is sent. It calls
// tried when others need not wait for it any longer.
func (s *Server) send(ctx context.Context, d *delivery, tried func()) error {
	s.mutex.Lock()
	if s.closed {
		s.mutex.Unlock()
		return errClosed
	}
	d.fault, _ = take(&s.webhookFaults, func(f *WebhookFault) bool { return f.Type == "" || f.Type == d.eventType })
	if s.holding {
		s.held = append(s.held, d)
		s.mutex.Unlock()
		s.change()
		return nil
	}
	s.mutex.Unlock()
	return s.dispatch(ctx, d, tried)
}

func (s *Server) dispatch(ctx context.Context, d *delivery, tried func()) error {
	switch {
	case d.fault.Lost:
		s.recordDelivery(d, Delivery{
			Attempt: 1, Time: s.now(), URL: s.WebhookURL(), Signature: kombo.SignWebhook(s.WebhookSecret(), d.body), Lost: true,
		})
		return nil
	case d.fault.Delay > 0:
		return s.inBackground(func() error {
			if err := pause(s.context, d.fault.Delay); err != nil {
				return fmt.Errorf("kombotest: delivering %s: the server was closed", d.eventType)
			}
			return s.transmit(s.context, d, nil)
		})
	}
	return s.transmit(ctx, d, tried)
}

// transmit sends a delivery until it is accepted, and then its copies.
func (s *Server) transmit(ctx context.Context, d *delivery, tried func()) error {
	done, ok := s.begin()
	if !ok {
		return errClosed
	}
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.context, func() { cancel(errors.New("the server was closed")) })()
	for range 1 + d.fault.Copies {
		var err error
		if d.fault.Forged {
			err = s.forge(ctx, d)
		} else {
			err = s.repeat(ctx, d, tried)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) forge(ctx context.Context, d *delivery) error {
	signature := kombo.SignWebhook("not "+s.WebhookSecret(), d.body)
	got := s.attempt(ctx, d, Delivery{Attempt: 1, Forged: true, Signature: signature})
	switch {
	case got.URL == "":
		return errNowhere
	case got.Err != nil:
		return fmt.Errorf("kombotest: delivering a forged %s: %w", d.eventType, got.Err)
	case got.Accepted():
		return fmt.Errorf("kombotest: the receiver accepted a forged %s: %d", d.eventType, got.StatusCode)
	case got.StatusCode < 400 || got.StatusCode > 499 || got.StatusCode == http.StatusNotFound || got.StatusCode == http.StatusMethodNotAllowed:
		return fmt.Errorf("kombotest: the receiver did not refuse a forged %s, but answered %d %s", d.eventType, got.StatusCode, http.StatusText(got.StatusCode))
	}
	return nil
}

func (s *Server) repeat(ctx context.Context, d *delivery, tried func()) error {
	signature := kombo.SignWebhook(s.WebhookSecret(), d.body)
	for attempt := 1; ; attempt++ {
		got := s.attempt(ctx, d, Delivery{Attempt: attempt, Signature: signature})
		if tried != nil {
			tried()
		}
		if got.Accepted() || got.URL == "" {
			return nil
		}
		if attempt >= s.config.Redelivery.attempts() || ctx.Err() != nil || pause(ctx, s.config.Redelivery.wait(attempt)) != nil {
			return refusal(ctx, got)
		}
	}
}

// refusal is the error of a delivery that was not accepted.
func refusal(ctx context.Context, d Delivery) error {
	switch {
	case d.Err != nil && ctx.Err() != nil:
		return fmt.Errorf("kombotest: delivering %s: %w", d.EventType, context.Cause(ctx))
	case d.Err != nil:
		return fmt.Errorf("kombotest: delivering %s: %w", d.EventType, d.Err)
	}
	answered := fmt.Sprintf("%d %s", d.StatusCode, http.StatusText(d.StatusCode))
	if d.StatusCode == http.StatusUnauthorized {
		return fmt.Errorf("kombotest: delivering %s: the receiver answered %s; does it verify with Config.WebhookSecret?", d.EventType, answered)
	}
	return fmt.Errorf("kombotest: delivering %s: the receiver answered %s", d.EventType, answered)
}

// attempt posts a delivery once.
func (s *Server) attempt(ctx context.Context, d *delivery, attempt Delivery) Delivery {
	attempt.Time, attempt.URL = s.now(), s.WebhookURL()
	if attempt.URL != "" {
		begun := time.Now()
		attempt.StatusCode, attempt.Err = s.post(ctx, attempt.URL, d.body, attempt.Signature)
		attempt.Duration = time.Since(begun)
	}
	return s.recordDelivery(d, attempt)
}

func (s *Server) post(ctx context.Context, webhookURL string, body []byte, signature string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, webhookURL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(kombo.SignatureHeader, signature)
	response, err := s.webhook.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, nil
}

func (s *Server) recordDelivery(d *delivery, attempt Delivery) Delivery {
	attempt.EventID, attempt.EventType, attempt.Body = d.id, d.eventType, d.body
	s.mutex.Lock()
	attempt.Number = s.deliveries.next()
	s.deliveries.add(attempt)
	s.changed.Broadcast()
	s.mutex.Unlock()
	if s.config.OnDelivery != nil {
		s.config.OnDelivery(attempt.clone())
	}
	s.change()
	return attempt
}

// Deliveries returns the attempts to deliver webhooks, in the order in which they ended; after 10,000 it
// forgets the older half.
func (s *Server) Deliveries() []Delivery {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return all(s.deliveries.entries, Delivery.clone)
}

// tell delivers an event that the caller's doing has caused.
func (s *Server) tell(ctx context.Context, event kombo.Event) error {
	if !s.config.DeliverInBackground {
		d, err := newDelivery(event)
		if err != nil {
			return err
		}
		return s.send(ctx, d, nil)
	}
	done := make(chan struct{})
	close(done)
	return s.announce(event, done)
}

// announce delivers an event in the background, for Wait to wait for. It is tried for the first time
// after those that were announced before, and once the answer that it follows from is on its way.
func (s *Server) announce(event kombo.Event, answered <-chan struct{}) error {
	d, err := newDelivery(event)
	if err != nil {
		panic(err) // the server made it
	}
	tried := make(chan struct{})
	s.mutex.Lock()
	before := s.lastFirst
	s.lastFirst = tried
	s.mutex.Unlock()
	return s.inBackground(func() error {
		var once sync.Once
		over := func() { once.Do(func() { close(tried) }) }
		defer over()
		<-answered
		if before != nil {
			<-before
		}
		return s.send(s.context, d, over)
	})
}

// inBackground runs what delivers a webhook, for Wait to wait for.
func (s *Server) inBackground(deliver func() error) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		return errClosed
	}
	s.announcing++
	s.background.Go(func() {
		err := deliver()
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.announcing--
		if err != nil {
			s.failed = append(s.failed, err)
		}
		s.changed.Broadcast()
	})
	return nil
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
