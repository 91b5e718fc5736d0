package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivertype"

	"github.com/kombo-go/kombo"
)

const (
	clockSkew  = 5 * time.Minute // by which this clock may be ahead of Kombo's
	fetchPause = 3 * time.Second // from one fetch of a model to the next, so a burst of events makes two fetches
	week       = 7 * 24 * time.Hour
)

// allModels are the models that the product keeps, paths their lists. One order for all, so transactions do not deadlock.
var (
	allModels = []string{"hris_employees", "hris_teams"}
	paths     = map[string]string{"hris_employees": "/hris/employees", "hris_teams": "/hris/teams"}
)

// fetchArgs reads a model of an integration. All changes that are reported before it runs are one job.
type fetchArgs struct {
	IntegrationID string `json:"integration_id"`
	Model         string `json:"model"`
}

func (fetchArgs) Kind() string { return "fetch" }

// want requests fetches. It locks the row of a fetch before it inserts the job, so it waits for a fetch that is about to
// commit. Either that fetch sees the new number, or its job is complete and a new one is inserted.
func (p *pipeline) want(ctx context.Context, tx *sql.Tx, id string, models []string) error {
	for _, model := range allModels {
		if !slices.Contains(models, model) {
			continue
		}
		wanted, err := changed(tx.ExecContext(ctx, `INSERT INTO fetches (integration_id, model, wanted)
			SELECT $1, $2, 1 WHERE NOT EXISTS (SELECT 1 FROM connections WHERE integration_id = $1 AND deleted_at > 0)
			ON CONFLICT (integration_id, model) DO UPDATE SET wanted = fetches.wanted + 1`, id, model))
		if err != nil || !wanted {
			return err
		}
		inserted, err := p.river.InsertTx(ctx, tx, fetchArgs{id, model}, once)
		if err == nil && inserted.UniqueSkippedAsDuplicate && inserted.Job.State == rivertype.JobStateScheduled && time.Until(inserted.Job.ScheduledAt) > time.Minute {
			_, err = p.river.JobRetryTx(ctx, tx, inserted.Job.ID) // it sleeps because of ErrIntegrationNotReady, or a long limit: there is news
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// record is one record of any model.
type record struct {
	id      string
	deleted bool
	data    string
}

func (r *record) UnmarshalJSON(data []byte) error {
	var fields struct {
		ID              string     `json:"id"`
		RemoteDeletedAt *time.Time `json:"remote_deleted_at"`
	}
	err := json.Unmarshal(data, &fields)
	*r = record{fields.ID, fields.RemoteDeletedAt != nil, string(data)}
	return err
}

// fetch is the worker that reads what has changed since the last fetch began, and everything once a week. The records,
// the new checkpoint and the completion of the job are one transaction.
func (p *pipeline) fetch(ctx context.Context, job *river.Job[fetchArgs]) error {
	id, model, now := job.Args.IntegrationID, job.Args.Model, p.now()
	// One fetch of an integration at a time, in all replicas. The slot expires, because the process may be killed.
	free, err := changed(p.db.ExecContext(ctx, `INSERT INTO connections (integration_id, busy_until, busy_job) VALUES ($1, $2, $3)
		ON CONFLICT (integration_id) DO UPDATE SET busy_until = excluded.busy_until, busy_job = excluded.busy_job
		WHERE connections.busy_until <= $4 OR connections.busy_job = excluded.busy_job`, id, now.Add(p.rescue/2).UnixMicro(), job.ID, now.UnixMicro()))
	if err != nil {
		return err
	} else if !free {
		return river.JobSnooze(2 * time.Second)
	}
	defer func() {
		_, _ = p.db.ExecContext(context.WithoutCancel(ctx), `UPDATE connections SET busy_until = 0 WHERE integration_id = $1 AND busy_job = $2`, id, job.ID)
	}()
	var wanted, since, fullAt int64
	err = p.db.QueryRowContext(ctx, `SELECT wanted, since, full_at FROM fetches WHERE integration_id = $1 AND model = $2`, id, model).Scan(&wanted, &since, &fullAt)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // the integration is deleted
	} else if err != nil {
		return err
	}
	// A longer pause would only mean that the clock of another machine is ahead.
	if pause := time.UnixMicro(since).Add(clockSkew + fetchPause).Sub(now); 0 < pause && pause <= fetchPause {
		return river.JobSnooze(pause)
	}
	request := kombo.ListRequest{Path: paths[model], IntegrationID: id, IncludeDeleted: true, ListOptions: kombo.ListOptions{PageSize: 250}}
	full := now.Sub(time.UnixMicro(fullAt)) >= week
	if full {
		fullAt = now.UnixMicro()
	} else {
		request.UpdatedAfter = time.UnixMicro(since)
	}
	var records []record // read before the transaction, which must not wait for Kombo
	for r, err := range kombo.List[record](ctx, p.client, request) {
		if errors.Is(err, kombo.ErrReconnectRequired) { // the reconnection will request the data again
			return p.finish(ctx, job, wanted, func(tx *sql.Tx) error {
				return p.setState(ctx, tx, id, kombo.StateInvalid, "", now.Add(-clockSkew))
			})
		} else if err != nil {
			return p.outcome(ctx, job.JobRow, id, err)
		}
		records = append(records, r)
	}
	return p.finish(ctx, job, wanted, func(tx *sql.Tx) error {
		// What changes during the read is read again by the next fetch.
		found, err := changed(tx.ExecContext(ctx, `UPDATE fetches SET since = $3, full_at = $4 WHERE integration_id = $1 AND model = $2`,
			id, model, now.Add(-clockSkew).UnixMicro(), fullAt))
		if err != nil || !found { // the integration was deleted during the read
			return err
		}
		return storeRecords(ctx, tx, id, model, records, full)
	})
}

// finish completes a fetch with its effects. If more changes were reported since the fetch began, it runs again.
func (p *pipeline) finish(ctx context.Context, job *river.Job[fetchArgs], wanted int64, effects func(tx *sql.Tx) error) error {
	more := false
	err := p.inTx(ctx, func(tx *sql.Tx) error {
		if err := effects(tx); err != nil {
			return err
		}
		var err error // the statement locks the row
		more, err = changed(tx.ExecContext(ctx, `UPDATE fetches SET wanted = wanted WHERE integration_id = $1 AND model = $2 AND wanted <> $3`,
			job.Args.IntegrationID, job.Args.Model, wanted))
		if err != nil || more {
			return err
		}
		_, err = river.JobCompleteTx[*riverdatabasesql.Driver](ctx, tx, job)
		return err
	})
	if err == nil && more {
		return river.JobSnooze(fetchPause)
	}
	return err
}

// storeRecords stores a read. A full read replaces all records, because Kombo may have forgotten deletions.
func storeRecords(ctx context.Context, tx *sql.Tx, id, model string, records []record, full bool) error {
	if full {
		if _, err := tx.ExecContext(ctx, `DELETE FROM records WHERE integration_id = $1 AND model = $2`, id, model); err != nil {
			return err
		}
	}
	for _, r := range records {
		statement, values := `DELETE FROM records WHERE integration_id = $1 AND model = $2 AND id = $3`, []any{id, model, r.id}
		if !r.deleted {
			statement = `INSERT INTO records (integration_id, model, id, data) VALUES ($1, $2, $3, $4) ON CONFLICT (integration_id, model, id) DO UPDATE SET data = excluded.data`
			values = append(values, r.data)
		}
		if _, err := tx.ExecContext(ctx, statement, values...); err != nil {
			return err
		}
	}
	return nil
}

// outcome decides what a failed call means for the job.
func (p *pipeline) outcome(ctx context.Context, job *rivertype.JobRow, id string, err error) error {
	failure, _ := errors.AsType[*kombo.Error](err)
	switch {
	case errors.Is(err, kombo.ErrIntegrationNotReady): // the first sync takes minutes to days
		return river.JobSnooze(min(max(p.now().Sub(job.CreatedAt)/2, time.Minute), time.Hour))
	case errors.Is(err, kombo.ErrRateLimited):
		return river.JobSnooze(max(failure.RetryAfter, time.Second))
	case errors.Is(err, kombo.ErrIntegrationNotFound):
		return p.inTx(ctx, func(tx *sql.Tx) error { return p.deleted(ctx, tx, id, p.now()) })
	default:
		return err // River retries
	}
}
