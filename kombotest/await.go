package kombotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// awaitLimit is how long AwaitDelivery waits where the test's own end is not sooner.
const awaitLimit = 10 * time.Second

// AwaitDelivery waits until the service has accepted a webhook of a type, about one of the integrations where
// some are named, and returns the newest: also one that it accepted before the call. It ends the test where none
// is accepted within 10 seconds. That the service verifies what it accepts shows [Server.DeliverForged].
func (s *Server) AwaitDelivery(tb testing.TB, eventType kombo.EventType, integrationIDs ...string) Delivery {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), awaitLimit)
	defer cancel()
	var found Delivery
	err := s.await(ctx, func() bool {
		for _, d := range slices.Backward(s.deliveries.entries) {
			if d.EventType == eventType && d.Accepted() && !d.Forged && d.isAbout(integrationIDs) {
				found = d.clone()
				return true
			}
		}
		return false
	})
	if err != nil {
		tb.Fatalf("kombotest: no %s was accepted%s", eventType, s.lastRefusal(eventType))
	}
	return found
}

// isAbout reports whether a webhook names one of the integrations, or there are none.
func (d Delivery) isAbout(integrationIDs []string) bool {
	return len(integrationIDs) == 0 || slices.ContainsFunc(integrationIDs, func(id string) bool {
		return bytes.Contains(d.Body, []byte(`"`+id+`"`))
	})
}

// lastRefusal tells what became of the last webhook of a type, for an error.
func (s *Server) lastRefusal(eventType kombo.EventType) string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, d := range slices.Backward(s.deliveries.entries) {
		switch {
		case d.EventType != eventType || d.Forged:
		case d.URL == "" && !d.Lost:
			return "; there is no webhook URL to deliver it to"
		case d.Err != nil:
			return fmt.Sprintf("; the last attempt failed: %v", d.Err)
		case d.StatusCode != 0:
			return fmt.Sprintf("; the last one was answered %d", d.StatusCode)
		}
	}
	return ""
}

// await waits until a condition holds, which is asked with the mutex held.
func (s *Server) await(ctx context.Context, condition func() bool) error {
	defer context.AfterFunc(ctx, func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.changed.Broadcast()
	})()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for !condition() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.changed.Wait()
	}
	return nil
}

// Wait returns once all webhooks that are delivered in the background have been accepted, or were
// repeated for the last time. The error tells which of them the service did not accept since the last
// call. Those that are held back are not waited for.
func (s *Server) Wait(ctx context.Context) error {
	if err := s.await(ctx, func() bool { return s.announcing == 0 }); err != nil {
		return fmt.Errorf("kombotest: waiting for webhooks: %w", err)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	err := errors.Join(s.failed...)
	s.failed = nil
	return err
}
