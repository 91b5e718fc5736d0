package main

import (
	"context"
	"database/sql"
	_ "embed" // schema.sql
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/kombo-go/kombo"
)

//go:embed schema.sql
var schema string

// pipeline has what the receiver and the workers share.
type pipeline struct {
	client   *kombo.Client
	verifier *kombo.WebhookVerifier
	db       *sql.DB
	river    *river.Client[*sql.Tx]
	log      *slog.Logger
	now      func() time.Time
	rescue   time.Duration // after which another replica takes over the jobs of one that was killed
	// mail sends a message to a customer. Its body contains a secret link, so it must not be logged.
	mail func(ctx context.Context, to, subject, body string) error
}

// start migrates the database and starts the workers. Call stop at the end.
func (p *pipeline) start(ctx context.Context, database string) (stop func(context.Context) error, err error) {
	driver, closeDB, err := p.open(ctx, database)
	if err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(p.handle))
	river.AddWorker(workers, river.WorkFunc(p.fetch))
	river.AddWorker(workers, river.WorkFunc(p.reconnect))
	river.AddWorker(workers, river.WorkFunc(p.reconcile))
	river.AddWorker(workers, river.WorkFunc(p.sweep))
	const day = 24 * time.Hour
	p.river, err = river.NewClient(driver, &river.Config{
		Workers: workers, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 20}}, PeriodicJobs: []*river.PeriodicJob{
			river.NewPeriodicJob(river.PeriodicInterval(time.Hour), func() (river.JobArgs, *river.InsertOpts) { return reconcileArgs{}, once }, &river.PeriodicJobOpts{RunOnStart: true}),
			river.NewPeriodicJob(river.PeriodicInterval(time.Hour), func() (river.JobArgs, *river.InsertOpts) { return sweepArgs{}, once }, &river.PeriodicJobOpts{RunOnStart: true}),
		},
		MaxAttempts: 12, JobTimeout: p.rescue / 2, RescueStuckJobsAfter: p.rescue, ErrorHandler: alerts{p}, Logger: p.log,
		// A webhook job is the memory of its event ID, so it stays longer than Kombo delivers again.
		CompletedJobRetentionPeriod: 7 * day, CancelledJobRetentionPeriod: 30 * day, DiscardedJobRetentionPeriod: 30 * day,
	})
	if err == nil {
		err = p.river.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, closeDB())
	}
	return func(ctx context.Context) error { return errors.Join(p.river.Stop(ctx), closeDB()) }, nil
}

// once inserts a job unless the same one waits or runs.
var once = &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}}}

// open opens and migrates a Postgres database, postgres://…, or else a SQLite file.
func (p *pipeline) open(ctx context.Context, database string) (driver riverdriver.Driver[*sql.Tx], closeDB func() error, err error) {
	if strings.HasPrefix(database, "postgres") {
		pool, err := pgxpool.New(ctx, database)
		if err != nil {
			return nil, nil, err
		}
		p.db = stdlib.OpenDBFromPool(pool)
		driver, closeDB = riverdatabasesql.NewWithPgxListener(p.db, pool), func() error {
			defer pool.Close()
			return p.db.Close()
		}
	} else {
		p.db, err = sql.Open("sqlite", "file:"+database+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
		if err != nil {
			return nil, nil, err
		}
		p.db.SetMaxOpenConns(1) // SQLite has one writer
		driver, closeDB = riversqlite.New(p.db), p.db.Close
	}
	if err := p.migrate(ctx, driver); err != nil {
		return nil, nil, errors.Join(err, closeDB())
	}
	return driver, closeDB, nil
}

func (p *pipeline) migrate(ctx context.Context, driver riverdriver.Driver[*sql.Tx]) error {
	if driver.DatabaseName() == riverdriver.DatabaseNamePostgres { // one replica migrates at a time
		lock, err := p.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = lock.Rollback() }()
		if _, err := lock.ExecContext(ctx, `SELECT pg_advisory_xact_lock(7563041)`); err != nil {
			return err
		}
	}
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	if err == nil {
		_, err = p.db.ExecContext(ctx, schema)
	}
	return err
}

// inTx runs do in a transaction.
func (p *pipeline) inTx(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// changed reports whether a statement has changed a row.
func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	return rows > 0, err
}

// alerts reports jobs that River gives up. They stay in its UI for 30 days.
type alerts struct{ *pipeline }

func (a alerts) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	if job.Attempt >= job.MaxAttempts {
		a.log.ErrorContext(ctx, "ALERT: a job is discarded", "job", job.ID, "kind", job.Kind, "error", err)
	}
	return nil
}

func (a alerts) HandlePanic(ctx context.Context, job *rivertype.JobRow, value any, _ string) *river.ErrorHandlerResult {
	a.log.ErrorContext(ctx, "ALERT: a job panicked", "job", job.ID, "kind", job.Kind, "panic", value)
	return nil
}
