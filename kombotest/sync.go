package kombotest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kombo-go/kombo"
)

// queuedSync is a sync that was asked for and has not ended.
type queuedSync struct {
	id       string
	syncType kombo.SyncType
	at       time.Time
}

// named calls endpoint with the integration that the header names. The endpoint holds the mutex.
func (s *Server) named(c call, endpoint func(*integration) answer) answer {
	id := c.Header.Get("X-Integration-Id")
	if id == "" {
		return failed(kombo.CodeInputInvalid, "X-Integration-Id: the header is missing")
	}
	return s.locked(id, endpoint)
}

func (s *Server) forceSync(c call) answer {
	return s.named(c, func(i *integration) answer {
		in := readOptionalInput(c.body)
		syncType := kombo.SyncType(in.oneOf("type", optional, string(kombo.SyncFull), string(kombo.SyncFull), string(kombo.SyncDelta)))
		if in.problem != "" {
			return failed(kombo.CodeInputInvalid, in.problem)
		}
		at := slices.IndexFunc(i.syncs, func(q queuedSync) bool { return q.syncType == syncType })
		already := at >= 0
		if !already {
			at = len(i.syncs)
			i.syncs = append(i.syncs, queuedSync{id: s.newID(), syncType: syncType, at: s.now()})
		}
		return succeeded(object{{"sync_id", i.syncs[at].id}, {"already_queued", already}, {"type", syncType}})
	})
}

// FinishSync ends the oldest sync of an integration that was asked for and has not ended, or else one that Kombo began by
// itself, and returns once sync-finished is delivered. A sync of each type ([kombo.SyncFull], [kombo.SyncDelta]) can be queued. A setup that was waiting for it ([kombo.SetupStatusFinalSyncPending]) is completed
// then, which integration-state-changed tells.
func (s *Server) FinishSync(ctx context.Context, integrationID string) error {
	s.mutex.Lock()
	i, ok := s.integrations[integrationID]
	if !ok {
		s.mutex.Unlock()
		return noIntegration(integrationID)
	}
	if len(i.syncs) == 0 {
		i.syncs = []queuedSync{{id: s.newID(), at: s.now()}}
	}
	ended := i.syncs[0]
	i.syncs = i.syncs[1:]
	now := later(s.now(), ended.at)
	events := []kombo.Event{&kombo.SyncFinishedEvent{
		EventHeader: s.newHeader(kombo.EventSyncFinished),
		Data: kombo.SyncFinishedData{
			SyncID: ended.id, SyncState: kombo.SyncStateSucceeded, SyncStartedAt: ended.at, SyncEndedAt: now,
			SyncDurationSeconds: now.Sub(ended.at).Seconds(), IntegrationID: i.ID, IntegrationTool: i.Tool,
			IntegrationCategory: i.Category, EndUser: i.EndUser, LogURL: s.url + "/logs?syncId=" + ended.id,
		},
	}}
	if i.SetupStatus == kombo.SetupStatusFinalSyncPending {
		i.SetupStatus = kombo.SetupStatusCompleted
		events = append(events, s.stateChanged(i))
	}
	s.mutex.Unlock()
	s.change()
	var problems []error
	for _, event := range events {
		problems = append(problems, s.tell(ctx, event))
	}
	return errors.Join(problems...)
}
