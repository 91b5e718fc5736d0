package main

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"github.com/kombo-go/kombo"
)

const (
	reconcileBatch = 100                 // integrations per run of the job
	tombstoneTime  = 90 * 24 * time.Hour // for which rows of deleted integrations stay
)

// reconcileArgs repairs what lost webhooks have left wrong, every hour.
type reconcileArgs struct{}

func (reconcileArgs) Kind() string { return "reconcile" }

// reconcile compares the connections that were checked longest ago with Kombo, in batches. Each check is stored, also one
// that failed, so the next run continues and one failing integration does not stop the others.
func (p *pipeline) reconcile(ctx context.Context, job *river.Job[reconcileArgs]) error {
	ids, err := p.ids(ctx, `SELECT integration_id FROM connections WHERE deleted_at = 0 AND checked_at < $1 ORDER BY checked_at LIMIT $2`,
		p.now().Add(-time.Hour).UnixMicro(), reconcileBatch)
	if err != nil {
		return err
	}
	for _, id := range ids {
		err := p.repair(ctx, id)
		if errors.Is(err, kombo.ErrRateLimited) || ctx.Err() != nil {
			return p.outcome(ctx, job.JobRow, id, err)
		} else if err == nil {
			continue
		}
		p.log.ErrorContext(ctx, "reconcile", "integration", id, "error", err)
		if _, err := p.db.ExecContext(ctx, `UPDATE connections SET checked_at = $2 WHERE integration_id = $1`, id, p.now().UnixMicro()); err != nil {
			return err
		}
	}
	if len(ids) == reconcileBatch {
		return river.JobSnooze(20 * time.Second)
	}
	return nil
}

// repair handles the events that would have reported the present state of an integration.
func (p *pipeline) repair(ctx context.Context, id string) error {
	at := p.now().Add(-clockSkew) // so a webhook that is on its way is newer
	integration, err := p.client.Integrations.Get(ctx, id)
	if err != nil && !errors.Is(err, kombo.ErrIntegrationNotFound) {
		return err
	}
	return p.inTx(ctx, func(tx *sql.Tx) error {
		if integration == nil {
			return p.handlers(tx).Handle(ctx, &kombo.IntegrationDeletedEvent{Data: kombo.IntegrationDeletedData{ID: id, DeletedAt: at}})
		}
		same, err := changed(tx.ExecContext(ctx, `UPDATE connections SET checked_at = $2 WHERE integration_id = $1 AND state = $3 AND setup_status = $4 AND tool <> ''`,
			id, p.now().UnixMicro(), string(integration.Status), string(integration.SetupStatus)))
		if err != nil || same {
			return err
		}
		err = p.handlers(tx).Handle(ctx, &kombo.IntegrationStateChangedEvent{Data: kombo.IntegrationStateChangedData{
			IntegrationID: id, IntegrationTool: integration.Tool.ID, EndUser: integration.EndUser,
			State: integration.Status, SetupStatus: integration.SetupStatus, UpdatedAt: at,
		}})
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE connections SET checked_at = $2 WHERE integration_id = $1`, id, p.now().UnixMicro())
		}
		return err
	})
}

// sweepArgs requests weekly fetches and prunes rows, every hour.
type sweepArgs struct{}

func (sweepArgs) Kind() string { return "sweep" }

// sweep requests the weekly fetches of everything for at most one in fifty integrations. So they spread over the week, even if all integrations
// were connected on one day.
func (p *pipeline) sweep(ctx context.Context, _ *river.Job[sweepArgs]) error {
	now := p.now()
	due, err := p.ids(ctx, `SELECT integration_id FROM fetches WHERE full_at < $1 AND swept_at < $2 GROUP BY integration_id ORDER BY min(full_at)
		LIMIT 1 + (SELECT count(*) FROM fetches) / 100`, now.Add(-week).UnixMicro(), now.Add(-week/7).UnixMicro())
	if err != nil {
		return err
	}
	for _, id := range due {
		err := p.inTx(ctx, func(tx *sql.Tx) error {
			if err := p.want(ctx, tx, id, allModels); err != nil {
				return err
			}
			// A fetch that fails all the time must not take the place of others.
			_, err := tx.ExecContext(ctx, `UPDATE fetches SET swept_at = $2 WHERE integration_id = $1`, id, now.UnixMicro())
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err = p.db.ExecContext(ctx, `DELETE FROM connections WHERE deleted_at > 0 AND deleted_at < $1`, now.Add(-tombstoneTime).UnixMicro())
	return err
}

// ids returns the column of a query.
func (p *pipeline) ids(ctx context.Context, query string, values ...any) (ids []string, err error) {
	rows, err := p.db.QueryContext(ctx, query, values...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
