package kombotest

import (
	"cmp"
	"errors"
	"time"

	"github.com/kombo-go/kombo"
)

// WebhookFault says how webhooks go astray.
type WebhookFault struct {
	// Type is that of the events; "" means every type.
	Type kombo.EventType
	// Times is how many events it strikes; 0 means one, -1 all until [Server.ClearWebhookFaults].
	Times int
	// Copies is how often the webhook is delivered again after it was accepted.
	Copies int
	// Delay is how long the webhook is kept back. It comes in the background then, so that what
	// happens later can overtake it.
	Delay time.Duration
	// Lost keeps the webhook from being delivered at all. [Server.Redeliver] still can.
	Lost bool
	// Forged signs the webhook with another secret. It counts as an error when it is accepted.
	Forged bool
}

// Validate says what is wrong with a fault, if anything.
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

// InjectWebhookFault disturbs the webhooks of events that follow, but for [Server.Redeliver] and
// [Server.DeliverForged]. Of several faults for an event the oldest strikes.
// It panics where [WebhookFault.Validate] finds fault.
func (s *Server) InjectWebhookFault(fault WebhookFault) {
	if err := fault.Validate(); err != nil {
		panic(err)
	}
	fault.Times = cmp.Or(fault.Times, 1)
	s.mutex.Lock()
	s.webhookFaults = append(s.webhookFaults, &fault)
	s.mutex.Unlock()
	s.change()
}

// ClearWebhookFaults takes back all of [Server.InjectWebhookFault].
func (s *Server) ClearWebhookFaults() {
	s.mutex.Lock()
	s.webhookFaults = nil
	s.mutex.Unlock()
	s.change()
}

// WebhookFaults returns the faults that are yet to strike, with the Times that are left.
func (s *Server) WebhookFaults() []WebhookFault {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return remaining(s.webhookFaults)
}
