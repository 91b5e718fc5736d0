package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/kombo-go/kombo"
)

// Apply writes the effect of an event and its id in one transaction: when it returns nil, Kombo may be told
// that the event is safe. changed is false for an event that was applied before, and for one that tells
// nothing that is not known: it is older, or comes again under another id. Events about other things than
// connections have no effect but their id; they are changed the first time.
func (s *Store) Apply(ctx context.Context, event kombo.Event) (changed bool, err error) {
	if event == nil || event.EventID() == "" {
		return false, errors.New("store: an event needs an id")
	}
	now := s.now().UnixMicro()
	err = s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		changed, err = apply(ctx, tx, event, now)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("store: applying %s: %w", event.EventType(), err)
	}
	return changed, nil
}

func apply(ctx context.Context, tx *sql.Tx, event kombo.Event, now int64) (changed bool, err error) {
	// Of two that apply the same event at once, the second waits here until the first is done.
	fresh, err := affected(tx.ExecContext(ctx, `INSERT INTO events (id, type, received_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`,
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
