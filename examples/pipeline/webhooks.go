package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivertype"

	"github.com/kombo-go/kombo"
)

// webhookArgs is a verified webhook. While its job exists, in any state, a second delivery of the event has no effect.
type webhookArgs struct {
	EventID   string          `json:"event_id" river:"unique"`
	Type      kombo.EventType `json:"type"`
	Body      []byte          `json:"body"` // the bytes as received
	Signature string          `json:"signature"`
}

func (webhookArgs) Kind() string { return "webhook" }

func (webhookArgs) InsertOpts() river.InsertOpts {
	states := append(rivertype.UniqueOptsByStateDefault(), rivertype.JobStateCancelled, rivertype.JobStateDiscarded)
	return river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: states}}
}

// receive verifies a webhook and inserts it as a job. The 204 follows the commit, because it makes Kombo forget the webhook.
func (p *pipeline) receive(w http.ResponseWriter, r *http.Request) {
	begin, args := time.Now(), webhookArgs{Signature: r.Header.Get(kombo.SignatureHeader)}
	status, err := func() (int, error) {
		var err error
		if args.Body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, kombo.MaxWebhookBody)); err != nil {
			return http.StatusRequestEntityTooLarge, err
		}
		if err := p.verifier.Verify(args.Body, args.Signature); err != nil {
			return http.StatusUnauthorized, err
		}
		var header struct {
			ID   string          `json:"id"`
			Type kombo.EventType `json:"type"`
		}
		if json.Unmarshal(args.Body, &header) != nil || header.ID == "" { // the worker will report what is wrong with it
			sum := sha256.Sum256(args.Body)
			header.ID = "sha256:" + hex.EncodeToString(sum[:])
		}
		args.EventID, args.Type = header.ID, header.Type
		if _, err := p.river.Insert(r.Context(), args, nil); err != nil {
			return http.StatusServiceUnavailable, err // Kombo delivers it again
		}
		return http.StatusNoContent, nil
	}()
	w.WriteHeader(status)
	p.observeDelivery(r.Context(), kombo.DeliveryInfo{EventType: args.Type, EventID: args.EventID, StatusCode: status, Duration: time.Since(begin), Err: err})
}

// handle is the worker for webhooks. The effects of the event and the completion of the job are one transaction.
func (p *pipeline) handle(ctx context.Context, job *river.Job[webhookArgs]) error {
	event, err := p.verifier.Parse(job.Args.Body, job.Args.Signature)
	if err != nil {
		return river.JobCancel(err) // another attempt would fail, too
	}
	return p.inTx(ctx, func(tx *sql.Tx) error {
		if err := p.handlers(tx).Handle(ctx, event); err != nil {
			return err
		}
		_, err := river.JobCompleteTx[*riverdatabasesql.Driver](ctx, tx, job)
		return err
	})
}

// handlers has the effect of each event on the tables. Webhooks arrive in any order, so time stamps decide.
func (p *pipeline) handlers(tx *sql.Tx) kombo.EventHandlers {
	return kombo.EventHandlers{
		IntegrationCreated: func(ctx context.Context, e *kombo.IntegrationCreatedEvent) error {
			return p.connected(ctx, tx, e.Data.ID, e.Data.Tool, e.Data.EndUser)
		},
		IntegrationStateChanged: func(ctx context.Context, e *kombo.IntegrationStateChangedEvent) error {
			if err := p.connected(ctx, tx, e.Data.IntegrationID, e.Data.IntegrationTool, e.Data.EndUser); err != nil {
				return err
			}
			return p.setState(ctx, tx, e.Data.IntegrationID, e.Data.State, e.Data.SetupStatus, e.Data.UpdatedAt)
		},
		IntegrationDeleted: func(ctx context.Context, e *kombo.IntegrationDeletedEvent) error {
			return p.deleted(ctx, tx, e.Data.ID, e.Data.DeletedAt)
		},
		DataChanged: func(ctx context.Context, e *kombo.DataChangedEvent) error {
			var changed []string
			for _, model := range e.Data.ChangedModels {
				changed = append(changed, model.Name)
			}
			return p.want(ctx, tx, e.Data.IntegrationID, changed)
		},
	}
}

// connected stores an integration and requests its data. Also call it after the exchange of an activation token.
func (p *pipeline) connected(ctx context.Context, tx *sql.Tx, id, tool string, user kombo.EndUser) error {
	fresh, err := changed(tx.ExecContext(ctx, `INSERT INTO connections (integration_id, customer, email, tool) VALUES ($1, $2, $3, $4)
		ON CONFLICT (integration_id) DO UPDATE SET customer = excluded.customer, email = excluded.email, tool = excluded.tool
		WHERE connections.tool = ''`, id, user.OriginID, user.CreatorEmail, tool))
	if err != nil || !fresh {
		return err
	}
	return p.want(ctx, tx, id, allModels)
}

// setState stores a state unless a newer one is known. It requests a mail if the connection has become invalid, and data if
// it works.
func (p *pipeline) setState(ctx context.Context, tx *sql.Tx, id string, state kombo.State, setup kombo.SetupStatus, at time.Time) error {
	var before kombo.State
	err := tx.QueryRowContext(ctx, `UPDATE connections SET busy_job = busy_job WHERE integration_id = $1 RETURNING state`, id).Scan(&before) // locks the row
	if err != nil {
		return err
	}
	newer, err := changed(tx.ExecContext(ctx, `UPDATE connections SET state = $2, setup_status = CASE WHEN $3 = '' THEN setup_status ELSE $3 END, state_at = $4
		WHERE integration_id = $1 AND state_at < $4 AND deleted_at = 0`, id, string(state), string(setup), at.UnixMicro()))
	switch {
	case err != nil || !newer:
		return err
	case state != kombo.StateInvalid:
		return p.want(ctx, tx, id, allModels)
	case before != kombo.StateInvalid:
		_, err = p.river.InsertTx(ctx, tx, reconnectArgs{id}, once)
	}
	return err
}

// deleted deletes the data of an integration. The row stays for a while, so a late event does not revive it.
func (p *pipeline) deleted(ctx context.Context, tx *sql.Tx, id string, at time.Time) error {
	for _, statement := range []string{
		`INSERT INTO connections (integration_id, deleted_at) VALUES ($1, $2)
			ON CONFLICT (integration_id) DO UPDATE SET deleted_at = excluded.deleted_at WHERE connections.deleted_at = 0`,
		`DELETE FROM fetches WHERE integration_id = $1 AND CAST($2 AS BIGINT) > 0`,
		`DELETE FROM records WHERE integration_id = $1 AND CAST($2 AS BIGINT) > 0`,
	} {
		if _, err := tx.ExecContext(ctx, statement, id, at.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

// reconnectArgs asks the customer for new credentials.
type reconnectArgs struct {
	IntegrationID string `json:"integration_id"`
}

func (reconnectArgs) Kind() string { return "reconnect" }

// reconnect mails a link that an administrator can open without an account here. If the process is killed between the
// mail and the completion of the job, the customer gets two.
func (p *pipeline) reconnect(ctx context.Context, job *river.Job[reconnectArgs]) error {
	var email, tool string
	err := p.db.QueryRowContext(ctx, `SELECT email, tool FROM connections WHERE integration_id = $1 AND state = $2 AND deleted_at = 0 AND email <> ''`,
		job.Args.IntegrationID, string(kombo.StateInvalid)).Scan(&email, &tool)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // repaired since, or without an address
	} else if err != nil {
		return err
	}
	link, err := p.client.Integrations.Relink(ctx, job.Args.IntegrationID, kombo.RelinkRequest{LinkType: kombo.LinkTypeMagicLink})
	if err != nil {
		return p.outcome(ctx, job.JobRow, job.Args.IntegrationID, err)
	}
	return p.mail(ctx, email, "Please reconnect "+tool, "Enter new credentials here:\n"+link.URL)
}
