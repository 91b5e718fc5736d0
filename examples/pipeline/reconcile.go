package main

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"github.com/kombo-go/kombo"
)

const reconcileBatch = 100 // integrations per run of the job

const tombstoneTime = 90 * 24 * time.Hour // for which rows of deleted integrations stay

// reconcileArgs repairs what lost webhooks have left wrong, requests the weekly fetches, and prunes rows, every hour.
type reconcileArgs struct{}

func (reconcileArgs) Kind() string { return "reconcile" }

// reconcile compares the connections that were checked longest ago with Kombo, in batches. A check is stored before it
// begins, so the next run continues, and an integration whose check fails waits an hour and does not stop the others.
func (p *pipeline) reconcile(ctx context.Context, job *river.Job[reconcileArgs]) error {
	due, err := p.db.Strings(ctx, `SELECT integration_id, tool, state, setup_status,
		(SELECT count(*) FROM fetches f WHERE f.integration_id = c.integration_id AND full_after <= $1)
		FROM connections c WHERE deleted_at = 0 AND checked_at < $2 ORDER BY checked_at LIMIT $3`,
		p.now().UnixMicro(), p.now().Add(-time.Hour).UnixMicro(), reconcileBatch)
	if err != nil {
		return err
	}
	for _, row := range due {
		id, tool, state, setup, full, now := row[0], row[1], row[2], row[3], row[4], p.now()
		if _, err := p.db.Writer.ExecContext(ctx, `UPDATE connections SET checked_at = $2 WHERE integration_id = $1`, id, now.UnixMicro()); err != nil {
			return err
		}
		integration, err := p.Client.Integrations.Get(ctx, id)
		if err != nil {
			err = p.outcome(ctx, job.JobRow, id, err)
		} else if tool == "" || state != string(integration.Status) || setup != string(integration.SetupStatus) {
			err = p.repair(ctx, integration, now.Add(-clockSkew)) // so a webhook that is on its way is newer
		}
		if err == nil && full != "0" {
			err = p.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error { return p.want(ctx, tx, id, allModels) })
		}
		if _, limited := errors.AsType[*river.JobSnoozeError](err); limited || ctx.Err() != nil {
			return err
		} else if err != nil {
			p.log.ErrorContext(ctx, "reconcile", "integration", id, "error", err)
		}
	}
	if len(due) == reconcileBatch {
		return river.JobSnooze(20 * time.Second)
	}
	_, err = p.db.Writer.ExecContext(ctx, `DELETE FROM connections WHERE deleted_at > 0 AND deleted_at < $1`, p.now().Add(-tombstoneTime).UnixMicro())
	return err
}

// repair handles the event that would have reported the present state of an integration.
func (p *pipeline) repair(ctx context.Context, i *kombo.Integration, at time.Time) error {
	return p.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return p.handlers(tx).Handle(ctx, &kombo.IntegrationStateChangedEvent{Data: kombo.IntegrationStateChangedData{
			IntegrationID: i.ID, IntegrationTool: i.Tool.ID, EndUser: i.EndUser, State: i.Status, SetupStatus: i.SetupStatus, UpdatedAt: at,
		}})
	})
}
