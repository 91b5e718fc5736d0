package main

import (
	"context"
	"database/sql"
	_ "embed" // schema.sql
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/kombo-go/kombo/examples/internal/database"
	"github.com/kombo-go/kombo/examples/internal/demo"
)

//go:embed schema.sql
var schema string

const migrationLock = 7563041 // lets one replica migrate at a time

// pipeline has what the receiver and the workers share.
type pipeline struct {
	demo.Kombo

	db     *database.DB
	river  *river.Client[*sql.Tx]
	log    *slog.Logger
	now    func() time.Time
	rescue time.Duration // after which another replica takes over the jobs of one that was killed
	// mail sends a message to a customer. Its body contains a secret link, so it must not be logged.
	mail func(ctx context.Context, to, subject, body string) error
}

// start migrates the database and starts the workers. Call stop at the end.
func (p *pipeline) start(ctx context.Context, dsn string) (stop func(context.Context) error, err error) {
	if p.db, err = database.Open(dsn); err != nil {
		return nil, err
	}
	var driver riverdriver.Driver[*sql.Tx] = riversqlite.New(p.db.Writer)
	if p.db.Pool != nil {
		driver = riverdatabasesql.NewWithPgxListener(p.db.Writer, p.db.Pool)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(p.handle))
	river.AddWorker(workers, river.WorkFunc(p.fetch))
	river.AddWorker(workers, river.WorkFunc(p.reconnect))
	river.AddWorker(workers, river.WorkFunc(p.reconcile))
	const day = 24 * time.Hour
	p.river, err = river.NewClient(driver, &river.Config{
		Workers: workers, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 20}},
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(time.Hour),
			func() (river.JobArgs, *river.InsertOpts) { return reconcileArgs{}, once }, &river.PeriodicJobOpts{RunOnStart: true})},
		MaxAttempts: 12, JobTimeout: p.rescue / 2, RescueStuckJobsAfter: p.rescue, ErrorHandler: p, Logger: p.log,
		// A webhook job is the memory of its event ID, so it stays longer than Kombo delivers again.
		CompletedJobRetentionPeriod: 7 * day, CancelledJobRetentionPeriod: 30 * day, DiscardedJobRetentionPeriod: 30 * day,
	})
	if err == nil {
		err = p.db.Alone(ctx, migrationLock, func(ctx context.Context) error { return p.migrate(ctx, driver) })
	}
	if err == nil {
		err = p.river.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.db.Close())
	}
	return func(ctx context.Context) error { return errors.Join(p.river.Stop(ctx), p.db.Close()) }, nil
}

func (p *pipeline) migrate(ctx context.Context, driver riverdriver.Driver[*sql.Tx]) error {
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	if err == nil {
		_, err = p.db.Writer.ExecContext(ctx, schema)
	}
	return err
}

// once inserts a job unless the same one waits or runs.
var once = &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}}}

// HandleError reports a job that River gives up. It stays in the UI for 30 days.
func (p *pipeline) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	if job.Attempt >= job.MaxAttempts {
		p.log.ErrorContext(ctx, "ALERT: a job is discarded", "job", job.ID, "kind", job.Kind, "error", err)
	}
	return nil
}

// HandlePanic reports each panic of a job.
func (p *pipeline) HandlePanic(ctx context.Context, job *rivertype.JobRow, value any, _ string) *river.ErrorHandlerResult {
	p.log.ErrorContext(ctx, "ALERT: a job panicked", "job", job.ID, "kind", job.Kind, "panic", value)
	return nil
}
