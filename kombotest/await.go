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

// awaitLimit is how long AwaitDelivery waits, unless the test's own context ends sooner.
const awaitLimit = 10 * time.Second

// AwaitDelivery waits until the service has accepted a webhook of a type, about one of the integrations if
// there are any, and returns the newest, which may have been accepted before the call: for the second of a type, use
// [Server.Wait]. It ends the test if none is accepted within 10 seconds. Use [Server.DeliverForged] to check that the
// service verifies signatures.
func (s *Server) AwaitDelivery(tb testing.TB, eventType kombo.EventType, integrationIDs ...string) Delivery {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), awaitLimit)
	defer cancel()
	var found Delivery
	err := s.gate.wait(ctx, func(st *state) bool {
		for _, d := range slices.Backward(st.deliveries.entries) {
			if d.EventType == eventType && d.Accepted() && !d.Forged && d.isAbout(integrationIDs) {
				found = d.clone()
				return true
			}
		}
		return false
	})
	if err != nil {
		tb.Fatalf("kombotest: no %s was accepted%s", eventType, s.lastError(eventType))
	}
	return found
}

// isAbout reports whether a webhook contains the id of one of the integrations, or there are none.
func (d Delivery) isAbout(integrationIDs []string) bool {
	return len(integrationIDs) == 0 || slices.ContainsFunc(integrationIDs, func(id string) bool {
		return bytes.Contains(d.Body, []byte(`"`+id+`"`))
	})
}

// lastError returns why the last webhook of a type was not accepted, as the end of an error.
func (s *Server) lastError(eventType kombo.EventType) string {
	for _, d := range slices.Backward(s.Deliveries()) {
		switch {
		case d.EventType != eventType || d.Forged:
		case d.URL == "" && !d.Lost:
			return "; there is no webhook URL to deliver it to"
		case d.Err != nil:
			return fmt.Sprintf("; the last attempt failed: %v", d.Err)
		case d.StatusCode != 0:
			return fmt.Sprintf("; the last response was %d", d.StatusCode)
		}
	}
	return ""
}

// Wait returns once all deliveries in the background have ended: accepted, or retried for the
// last time. The error joins those of the webhooks that the service did not accept since the last
// call. Wait does not wait for webhooks of [Server.HoldWebhooks].
func (s *Server) Wait(ctx context.Context) error {
	var errs []error
	err := s.gate.wait(ctx, func(st *state) bool {
		if st.background > 0 {
			return false
		}
		errs, st.backgroundErrors = st.backgroundErrors, nil
		return true
	})
	if err != nil {
		return fmt.Errorf("kombotest: waiting for webhooks: %w", err)
	}
	return errors.Join(errs...)
}
