package kombotest

import (
	"context"
	"errors"
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
		already := i.sync != nil
		if !already {
			i.sync = &queuedSync{id: s.newID(), syncType: syncType, at: s.now()}
		}
		return succeeded(map[string]any{"sync_id": i.sync.id, "already_queued": already, "type": i.sync.syncType})
	})
}

// FinishSync ends the sync of an integration that was asked for, or else one that Kombo began by itself, and returns
// once sync-finished is delivered. A setup that was waiting for it ([kombo.SetupStatusFinalSyncPending]) is completed
// then, which integration-state-changed tells.
func (s *Server) FinishSync(ctx context.Context, integrationID string) error {
	s.mutex.Lock()
	i, ok := s.integrations[integrationID]
	if !ok {
		s.mutex.Unlock()
		return noIntegration(integrationID)
	}
	ended := i.sync
	if ended == nil {
		ended = &queuedSync{id: s.newID(), at: s.now()}
	}
	i.sync = nil
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
