package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"hash/crc32"
	"slices"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivertype"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/internal/database"
)

const clockSkew = 5 * time.Minute // by which this clock may be ahead of Kombo's

const fetchPause = 3 * time.Second // from one fetch of a model to the next, so a burst of events makes two fetches

const week = 7 * 24 * time.Hour

// allModels are the models that the product keeps, in the order in which all transactions lock their rows.
var allModels = []kombo.ChangedModel{{Name: "hris_employees"}, {Name: "hris_teams"}}

var paths = map[string]string{"hris_employees": "/hris/employees", "hris_teams": "/hris/teams"}

// fetchArgs reads a model of an integration. All changes that are reported before it runs are one job. There is one such job
// at a time, so no more requests than models run at once for an integration, in all replicas.
type fetchArgs struct{ IntegrationID, Model string }

func (fetchArgs) Kind() string { return "fetch" }

// want requests fetches. It locks the row of a fetch before it inserts the job, so it waits for a fetch that is about to
// commit. Either that fetch sees the new number, or its job is complete and a new one is inserted.
func (p *pipeline) want(ctx context.Context, tx *sql.Tx, id string, models []kombo.ChangedModel) error {
	// An integration whose integration-created is late or lost gets a row, so reconcile completes it.
	exists, err := database.Changed(tx.ExecContext(ctx, `INSERT INTO connections (integration_id) VALUES ($1)
		ON CONFLICT (integration_id) DO UPDATE SET deleted_at = 0 WHERE connections.deleted_at = 0`, id))
	if err != nil || !exists {
		return err
	}
	for _, model := range allModels {
		if !slices.Contains(models, model) {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO fetches (integration_id, model, wanted) VALUES ($1, $2, 1)
			ON CONFLICT (integration_id, model) DO UPDATE SET wanted = fetches.wanted + 1`, id, model.Name); err != nil {
			return err
		}
		inserted, err := p.river.InsertTx(ctx, tx, fetchArgs{id, model.Name}, once)
		if err == nil && inserted.UniqueSkippedAsDuplicate && inserted.Job.State == rivertype.JobStateScheduled && time.Until(inserted.Job.ScheduledAt) > time.Minute {
			_, err = p.river.JobRetryTx(ctx, tx, inserted.Job.ID) // it sleeps, see outcome, and there is news
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fetch is the worker that reads what has changed since the last fetch began, and everything once a week. The records,
// the new checkpoint and the completion of the job are one transaction.
func (p *pipeline) fetch(ctx context.Context, job *river.Job[fetchArgs]) error {
	id, model, now := job.Args.IntegrationID, job.Args.Model, p.now()
	var wanted, since, fullAfter int64
	err := p.db.Reader.QueryRowContext(ctx, `SELECT wanted, since, full_after FROM fetches WHERE integration_id = $1 AND model = $2`, id, model).Scan(&wanted, &since, &fullAfter)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // the integration is deleted
	} else if err != nil {
		return err
	}
	// A longer pause would only mean that the clock of another machine is ahead.
	if pause := time.UnixMicro(since).Add(clockSkew + fetchPause).Sub(now); 0 < pause && pause <= fetchPause {
		return river.JobSnooze(pause)
	}
	full := now.UnixMicro() >= fullAfter
	request := kombo.ListRequest{Path: paths[model], IntegrationID: id, UpdatedAfter: time.UnixMicro(since), IncludeDeleted: true, ListOptions: kombo.ListOptions{PageSize: 250}}
	if full {
		request.UpdatedAfter, request.IncludeDeleted, fullAfter = time.Time{}, false, nextFull(id, now).UnixMicro()
	}
	var records []json.RawMessage // read before the transaction, which must not wait for Kombo
	for record, err := range kombo.List[json.RawMessage](ctx, p.Client, request) {
		if err != nil {
			return p.outcome(ctx, job.JobRow, id, err)
		}
		records = append(records, record)
	}
	latest := wanted
	err = p.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		// What changes during the read is read again by the next fetch. The statement locks the row.
		err := tx.QueryRowContext(ctx, `UPDATE fetches SET since = $3, full_after = $4 WHERE integration_id = $1 AND model = $2 RETURNING wanted`,
			id, model, now.Add(-clockSkew).UnixMicro(), fullAfter).Scan(&latest)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // the integration was deleted during the read
		} else if err != nil {
			return err
		}
		if err := storeRecords(ctx, tx, id, model, records, full); err != nil || latest != wanted {
			return err
		}
		_, err = river.JobCompleteTx[*riverdatabasesql.Driver](ctx, tx, job)
		return err
	})
	if err == nil && latest != wanted {
		return river.JobSnooze(fetchPause) // more changes were reported since the fetch began
	}
	return err
}

// nextFull returns the time of the next read of everything. The times of the integrations spread over the week, even if all were
// connected on one day.
func nextFull(id string, now time.Time) time.Time {
	second := (now.Unix() + int64(crc32.ChecksumIEEE([]byte(id)))) % int64(week/time.Second)
	return now.Add(week - time.Duration(second)*time.Second)
}

// storeRecords stores a read. A full one replaces all records, because Kombo may have forgotten deletions.
func storeRecords(ctx context.Context, tx *sql.Tx, id, model string, records []json.RawMessage, full bool) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM records WHERE integration_id = $1 AND model = $2 AND $3`, id, model, full); err != nil {
		return err
	}
	for _, data := range records {
		var fields struct {
			ID        string     `json:"id"`
			DeletedAt *time.Time `json:"remote_deleted_at"`
		}
		if err := json.Unmarshal(data, &fields); err != nil {
			return err
		}
		// The tombstone of a deleted record stays, without data, until the next full read.
		if _, err := tx.ExecContext(ctx, `INSERT INTO records (integration_id, model, id, data, deleted) VALUES ($1, $2, $3, CASE WHEN $5 THEN '' ELSE $4 END, $5)
			ON CONFLICT (integration_id, model, id) DO UPDATE SET data = excluded.data, deleted = excluded.deleted`,
			id, model, fields.ID, string(data), fields.DeletedAt != nil); err != nil {
			return err
		}
	}
	return nil
}

// outcome decides what a failed call means for the job. The next event about its integration wakes a fetch that sleeps, except one
// that arrives just before it falls asleep: so it sleeps for an hour at most.
func (p *pipeline) outcome(ctx context.Context, job *rivertype.JobRow, id string, err error) error {
	failure, _ := errors.AsType[*kombo.Error](err)
	switch {
	case errors.Is(err, kombo.ErrIntegrationNotReady): // the first sync takes minutes to days
		return river.JobSnooze(min(max(p.now().Sub(job.CreatedAt)/2, time.Minute), time.Hour))
	case errors.Is(err, kombo.ErrRateLimited):
		return river.JobSnooze(max(failure.RetryAfter, time.Second))
	case errors.Is(err, kombo.ErrReconnectRequired):
		at := p.now().Add(-clockSkew)
		err = p.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
			return p.setState(ctx, tx, id, kombo.StateInvalid, "", at)
		})
		return cmp.Or(err, river.JobSnooze(time.Hour))
	case errors.Is(err, kombo.ErrIntegrationNotFound):
		return p.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error { return deleted(ctx, tx, id, p.now()) })
	default:
		return err // River retries
	}
}
