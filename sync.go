package kombo

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/kombo-go/kombo/internal/transport"
)

// SyncType says how much a sync reads.
type SyncType string

// The sync types that Kombo documents.
const (
	SyncFull SyncType = "FULL"
	// SyncDelta reads what has changed. Some integrations do not support it.
	SyncDelta SyncType = "DELTA"
)

// SyncRun is a sync that is queued or running.
type SyncRun struct {
	// ID is the id of the sync, also in the webhook [SyncFinishedEvent].
	ID string `json:"sync_id"`
	// AlreadyQueued is true if there was already a sync of this type, which ID names: one runs at a time.
	AlreadyQueued bool `json:"already_queued"`
	// Type may differ from the requested type, because some integrations do not support delta syncs.
	Type SyncType `json:"type"`
}

func (s *SyncRun) missing() string { return required("sync_id", s.ID) }

type syncRequest struct {
	Type SyncType `json:"type,omitempty"`
}

func (syncRequest) validate() string { return "" }

var syncOperation = transport.Operation{Method: http.MethodPost, Path: "/force-sync", Timeout: DefaultTimeout, NonIdempotent: true}

// Sync starts a sync of an integration; "" means [SyncFull]. Kombo syncs on its own schedule and advises against
// triggering syncs periodically; use this for exceptions such as a "sync now" button.
//
// It is retried only if the request was not executed (429 or no connection), never after a 5xx. It fails with
// [ErrIntegrationNotFound] if there is no such integration.
//
// Kombo's documentation: https://docs.kombo.dev/v1/post-force-sync
func (s *IntegrationsService) Sync(ctx context.Context, integrationID string, syncType SyncType) (*SyncRun, error) {
	return callWith[SyncRun](ctx, (*service)(s), syncOperation, input{
		body: syncRequest{syncType}, integrationID: integrationID, problem: headerProblem(integrationID),
	})
}

// headerProblem rejects an empty id for calls that have the id only in a header, which would be left out.
func headerProblem(integrationID string) string {
	if integrationID == "" {
		return "integration_id is empty"
	}
	return ""
}

// How long WaitUntilReady waits between two looks: longer each time, and never in step with others.
const (
	firstLookAgain = 2 * time.Second
	lastLookAgain  = 30 * time.Second
)

// WaitUntilReady waits until the setup of an integration is completed ([SetupStatusCompleted]), and returns the
// integration then. Look at its Status: a customer may have to reconnect meanwhile. It asks Kombo at once,
// again after about 2 seconds, and then less and less often, up to every 30 seconds; progress, unless nil, is
// told of each answer, the last included.
//
// It ends with ctx, whose deadline is the only limit, and with the first call that fails as
// [IntegrationsService.Get] does. Where webhooks arrive there is no need for it: [IntegrationStateChangedEvent]
// tells the setup status.
func (s *IntegrationsService) WaitUntilReady(ctx context.Context, integrationID string, progress func(*Integration)) (*Integration, error) {
	for wait := firstLookAgain; ; wait = min(2*wait, lastLookAgain) {
		integration, err := s.Get(ctx, integrationID)
		if err != nil {
			return nil, err
		}
		if progress != nil {
			progress(integration)
		}
		if integration.SetupStatus == SetupStatusCompleted {
			return integration, nil
		}
		timer := time.NewTimer(wait/2 + rand.N(wait/2)) //nolint:gosec // it is no secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, &Error{
				Op: getIntegrationOperation.String(), Message: "the setup is " + string(integration.SetupStatus) + " still",
				Attempts: 1, err: ctx.Err(),
			}
		}
	}
}
