package kombotest

import (
	"context"
	"slices"
	"time"

	"github.com/kombo-go/kombo"
)

// queuedSync is a sync that was triggered and has not ended.
type queuedSync struct {
	id       string
	syncType kombo.SyncType
	at       time.Time
}

func (st *state) forceSync(c *call, i *integration) (any, error) {
	in := readOptionalInput(c.body)
	syncType := kombo.SyncType(in.oneOf("type", optional, string(kombo.SyncFull), string(kombo.SyncFull), string(kombo.SyncDelta)))
	if in.err != nil {
		return nil, in.err
	}
	at := slices.IndexFunc(i.syncs, func(q queuedSync) bool { return q.syncType == syncType })
	already := at >= 0
	if !already {
		at = len(i.syncs)
		i.syncs = append(i.syncs, queuedSync{id: st.newID(), syncType: syncType, at: st.now()})
	}
	return object{{"sync_id", i.syncs[at].id}, {"already_queued", already}, {"type", syncType}}, nil
}

// FinishSync ends the oldest sync of an integration that is queued, or else one that Kombo began by
// itself, and returns once sync-finished is delivered. A sync of each type ([kombo.SyncFull], [kombo.SyncDelta]) can be queued.
// If the setup was waiting for the sync ([kombo.SetupStatusFinalSyncPending]), it is completed, and integration-state-changed is delivered too.
// If records have changed since the last data-changed, the next one is delivered, with their models, as soon as they can be read.
func (s *Server) FinishSync(ctx context.Context, integrationID string) error {
	return s.changeIntegration(ctx, integrationID, func(st *state, i *integration) {
		if len(i.syncs) == 0 {
			i.syncs = []queuedSync{{id: st.newID(), at: st.now()}}
		}
		ended := i.syncs[0]
		i.syncs = i.syncs[1:]
		now := later(st.now(), ended.at)
		st.publish(&kombo.SyncFinishedEvent{
			EventHeader: st.newHeader(kombo.EventSyncFinished),
			Data: kombo.SyncFinishedData{
				SyncID: ended.id, SyncState: kombo.SyncStateSucceeded, SyncStartedAt: ended.at, SyncEndedAt: now,
				SyncDurationSeconds: now.Sub(ended.at).Seconds(), IntegrationID: i.ID, IntegrationTool: i.Tool,
				IntegrationCategory: i.Category, EndUser: i.EndUser, LogURL: st.url + "/logs?syncId=" + ended.id,
			},
		})
		if i.SetupStatus == kombo.SetupStatusFinalSyncPending {
			i.SetupStatus = kombo.SetupStatusCompleted
			st.publishStateChanged(i)
		}
		st.publishDataChanged(i)
	})
}

// publishDataChanged publishes that records have changed, if they have and can be read.
func (st *state) publishDataChanged(i *integration) {
	if len(i.data.changed) == 0 || i.checkReady() != nil {
		return
	}
	models := all(i.data.changed, func(name string) kombo.ChangedModel { return kombo.ChangedModel{Name: name} })
	i.data.changed = nil
	st.publish(&kombo.DataChangedEvent{
		EventHeader: st.newHeader(kombo.EventDataChanged),
		Data: kombo.DataChangedData{
			IntegrationID: i.ID, IntegrationTool: i.Tool, IntegrationCategory: i.Category, ChangedModels: models,
		},
	})
}
