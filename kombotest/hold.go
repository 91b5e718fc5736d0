package kombotest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// HoldWebhooks queues the webhooks of subsequent events until [Server.ReleaseWebhooks]. The calls that cause them do
// not block. Webhooks of [Server.Redeliver] and [Server.DeliverForged], and those under way, are not queued.
func (s *Server) HoldWebhooks() { s.set(func(st *state) { st.holding = true }) }

// HeldWebhooks returns how many webhooks are queued, and whether subsequent ones will be.
func (s *Server) HeldWebhooks() (held int, holding bool) {
	s.withState(func(st *state) { held, holding = len(st.held), st.holding })
	return held, holding
}

// Order is the order in which [Server.ReleaseWebhooks] sends webhooks.
type Order string

// The orders.
const (
	// InOrder is the order of the events.
	InOrder Order = "in_order"
	// Reversed is the opposite.
	Reversed Order = "reversed"
	// Shuffled is a random order, the same in each run if [Config.Seed] is set.
	Shuffled Order = "shuffled"
	// AtOnce sends all webhooks concurrently.
	AtOnce Order = "at_once"
)

// ReleaseWebhooks sends the webhooks that [Server.HoldWebhooks] has queued, stops queuing, and returns once all
// are accepted. The error joins those of the webhooks that the service did not accept. If ctx ends, the webhooks that were
// not sent are queued again.
func (s *Server) ReleaseWebhooks(ctx context.Context, order Order) error {
	if !slices.Contains([]Order{InOrder, Reversed, Shuffled, AtOnce}, order) {
		return fmt.Errorf("kombotest: the order %q is unknown", order)
	}
	var held []*delivery
	s.set(func(st *state) {
		held, st.held, st.holding = st.held, nil, false
		switch order {
		case InOrder, AtOnce:
		case Reversed:
			slices.Reverse(held)
		case Shuffled:
			st.random.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
		}
	})
	errs := make([]error, len(held))
	var all sync.WaitGroup
	for i, d := range held {
		if ctx.Err() != nil {
			s.set(func(st *state) { st.held, st.holding = append(held[i:], st.held...), true })
			errs[i] = fmt.Errorf("kombotest: releasing webhooks: %w", ctx.Err())
			break
		}
		if order == AtOnce {
			all.Go(func() { errs[i] = s.deliver(ctx, d, nil) })
		} else {
			errs[i] = s.deliver(ctx, d, nil)
		}
	}
	all.Wait()
	return errors.Join(errs...)
}
