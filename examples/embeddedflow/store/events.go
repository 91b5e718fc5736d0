package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/internal/database"
)

// Apply stores the effect of an event and its ID in one transaction. If it returns nil, the webhook may be acknowledged.
// changed is false if the event was applied before, is older than the stored state, or is a duplicate with another ID. Of
// events that are not about connections only the ID is stored; changed is true the first time.
func (s *Store) Apply(ctx context.Context, event kombo.Event) (changed bool, err error) {
	if event == nil || event.EventID() == "" {
		return false, errors.New("store: the event has no ID")
	}
	now := s.now().UnixMicro()
	err = s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		changed, err = apply(ctx, tx, event, now)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("store: applying %s: %w", event.EventType(), err)
	}
	return changed, nil
}

func apply(ctx context.Context, tx *sql.Tx, event kombo.Event, now int64) (changed bool, err error) {
	// If two processes apply the same event at once, the second waits here until the first has committed.
	fresh, err := database.Changed(tx.ExecContext(ctx, `INSERT INTO events (id, type, received_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`,
		indexed(event.EventID()), clean(string(event.EventType())), now))
	if err != nil || !fresh {
		return false, err
	}
	switch event := event.(type) {
	case *kombo.IntegrationCreatedEvent:
		return update(ctx, tx, event.Data.ID, now, func(row *integration) error {
			row.describe(event.Data.Tool, event.Data.Category, event.Data.EndUser)
			row.announced(now)
			return nil
		})
	case *kombo.IntegrationStateChangedEvent:
		return update(ctx, tx, event.Data.IntegrationID, now, func(row *integration) error {
			row.describe(event.Data.IntegrationTool, event.Data.IntegrationCategory, event.Data.EndUser)
			row.changed(event.ID, event.Data)
			return nil
		})
	case *kombo.IntegrationDeletedEvent:
		return update(ctx, tx, event.Data.ID, now, func(row *integration) error {
			row.describe(event.Data.Tool, event.Data.Category, event.Data.EndUser)
			row.deleted(event.Data.DeletedAt.UnixMicro())
			return nil
		})
	case *kombo.ConnectionFlowFailedEvent:
		return flowFailed(ctx, tx, event, now)
	}
	return true, nil
}
