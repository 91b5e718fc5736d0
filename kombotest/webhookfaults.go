package kombotest

import (
	"cmp"
	"errors"
	"time"

	"github.com/kombo-go/kombo"
)

// WebhookFault makes deliveries of webhooks fail.
type WebhookFault struct {
	// Type is that of the events; "" means every type.
	Type kombo.EventType
	// Times is how many events are affected; 0 means one, -1 all until [Server.ClearWebhookFaults].
	Times int
	// Copies is how often the webhook is delivered again after it was accepted.
	Copies int
	// Delay is how long the webhook is delayed. It is delivered in the background then, so that
	// later events can overtake it.
	Delay time.Duration
	// Lost prevents the delivery. [Server.Redeliver] can still deliver the webhook.
	Lost bool
	// Forged signs the webhook with another secret. It is an error if the webhook is accepted.
	Forged bool
}

// Validate returns an error if the fault contradicts itself or does nothing.
func (f WebhookFault) Validate() error {
	switch {
	case f.Times < -1:
		return errors.New("kombotest: WebhookFault.Times is less than -1")
	case f.Copies < 0:
		return errors.New("kombotest: WebhookFault.Copies is negative")
	case f.Delay < 0:
		return errors.New("kombotest: WebhookFault.Delay is negative")
	case f.Lost && (f.Copies > 0 || f.Delay > 0 || f.Forged):
		return errors.New("kombotest: WebhookFault.Lost leaves nothing for Copies, Delay or Forged")
	case f.Copies == 0 && f.Delay == 0 && !f.Lost && !f.Forged:
		return errors.New("kombotest: the WebhookFault does nothing; set Copies, Delay, Lost or Forged")
	}
	return nil
}

func (f *WebhookFault) times() *int { return &f.Times }

// InjectWebhookFault makes the webhooks of subsequent events fail, except those of [Server.Redeliver] and
// [Server.DeliverForged]. If several faults match an event, the oldest is used.
// It panics if [WebhookFault.Validate] returns an error.
func (s *Server) InjectWebhookFault(fault WebhookFault) {
	if err := fault.Validate(); err != nil {
		panic(err)
	}
	fault.Times = cmp.Or(fault.Times, 1)
	s.set(func(st *state) { st.webhookFaults = append(st.webhookFaults, &fault) })
}

// ClearWebhookFaults removes all faults of [Server.InjectWebhookFault].
func (s *Server) ClearWebhookFaults() { s.set(func(st *state) { st.webhookFaults = nil }) }

// WebhookFaults returns the faults that remain, with the remaining Times.
func (s *Server) WebhookFaults() (faults []WebhookFault) {
	s.withState(func(st *state) { faults = all(st.webhookFaults, func(f *WebhookFault) WebhookFault { return *f }) })
	return faults
}
