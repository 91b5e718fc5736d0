package kombo

import (
	"context"
	"net/http"

	"github.com/kombo-go/kombo/internal/transport"
)

// SyncType is how much a sync reads.
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

var syncOperation = transport.Operation{Method: http.MethodPost, Path: "/force-sync", NonIdempotent: true}

// Sync starts a sync of an integration; "" means [SyncFull]. Kombo syncs on its own schedule and advises against
// triggering syncs periodically; use this for exceptions such as a "sync now" button.
//
// It is retried only if the request was not executed (a limit, 429, or no connection), or after
// [CodeRemoteServiceUnavailable], and after no other 5xx; see [RetryPolicy]. It fails with
// [ErrIntegrationNotFound] if there is no such integration.
//
// Kombo's documentation: https://docs.kombo.dev/v1/post-force-sync
func (s *IntegrationsService) Sync(ctx context.Context, integrationID string, syncType SyncType) (*SyncRun, error) {
	return callWith[SyncRun](ctx, (*service)(s), syncOperation, input{
		body: syncRequest{syncType}, integrationID: integrationID, err: checkHeaderID(integrationID),
	})
}

// checkHeaderID rejects an empty id for calls that have the id only in a header, which would be left out.
func checkHeaderID(integrationID string) error {
	if integrationID == "" {
		return inputError("integration_id is empty")
	}
	return nil
}
