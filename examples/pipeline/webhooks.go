package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivertype"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/internal/database"
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
	return river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: rivertype.JobStates()}}
}

// receive verifies a webhook and inserts it as a job. The 204 follows the commit, because it makes Kombo forget the webhook.
func (p *pipeline) receive(w http.ResponseWriter, r *http.Request) {
	begin, delivery, signature := time.Now(), kombo.DeliveryInfo{StatusCode: http.StatusNoContent}, r.Header.Get(kombo.SignatureHeader)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, kombo.MaxWebhookBody))
	if err != nil {
		delivery.StatusCode = http.StatusRequestEntityTooLarge
	} else if err = p.Verifier.Verify(body, signature); err != nil {
		delivery.StatusCode = http.StatusUnauthorized
	} else {
		var header kombo.EventHeader
		_ = json.Unmarshal(body, &header) // the worker reports what is wrong with it
		delivery.EventID, delivery.EventType = cmp.Or(header.ID, fmt.Sprintf("sha256:%x", sha256.Sum256(body))), header.Type
		if _, err = p.river.Insert(r.Context(), webhookArgs{delivery.EventID, header.Type, body, signature}, nil); err != nil {
			delivery.StatusCode = http.StatusServiceUnavailable // Kombo delivers it again
		}
	}
	w.WriteHeader(delivery.StatusCode)
	delivery.Duration, delivery.Err = time.Since(begin), err
	p.observeDelivery(r.Context(), delivery)
}

// handle is the worker for webhooks. The effects of the event and the completion of the job are one transaction.
func (p *pipeline) handle(ctx context.Context, job *river.Job[webhookArgs]) error {
	event, err := p.Verifier.Parse(job.Args.Body, job.Args.Signature)
	if err != nil {
		return river.JobCancel(err) // another attempt would fail, too
	}
	return p.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
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
			return deleted(ctx, tx, e.Data.ID, e.Data.DeletedAt)
		},
		DataChanged: func(ctx context.Context, e *kombo.DataChangedEvent) error {
			return p.want(ctx, tx, e.Data.IntegrationID, e.Data.ChangedModels)
		},
	}
}

// connected stores an integration and requests its data. Also call it after the exchange of an activation token.
func (p *pipeline) connected(ctx context.Context, tx *sql.Tx, id, tool string, user kombo.EndUser) error {
	fresh, err := database.Changed(tx.ExecContext(ctx, `INSERT INTO connections (integration_id, customer, email, tool) VALUES ($1, $2, $3, $4)
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
	if err := tx.QueryRowContext(ctx, `UPDATE connections SET state = state WHERE integration_id = $1 RETURNING state`, id).Scan(&before); err != nil { // locks the row
		return err
	}
	newer, err := database.Changed(tx.ExecContext(ctx, `UPDATE connections SET state = $2, state_at = $4, setup_status = CASE WHEN $3 = '' THEN setup_status ELSE $3 END
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

// deleted deletes the data of an integration. The connection stays for a while, so a late event does not revive it.
func deleted(ctx context.Context, tx *sql.Tx, id string, at time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO connections (integration_id, deleted_at) VALUES ($1, $2)
		ON CONFLICT (integration_id) DO UPDATE SET deleted_at = excluded.deleted_at WHERE connections.deleted_at = 0`, id, at.UnixMicro())
	if err == nil {
		_, err = tx.ExecContext(ctx, `DELETE FROM fetches WHERE integration_id = $1`, id) // and with them the records
	}
	return err
}

// reconnectArgs asks the customer for new credentials.
type reconnectArgs struct{ IntegrationID string }

func (reconnectArgs) Kind() string { return "reconnect" }

// reconnect mails a link that an administrator can open without an account here. If the process is killed between the
// mail and the completion of the job, the customer gets two.
func (p *pipeline) reconnect(ctx context.Context, job *river.Job[reconnectArgs]) error {
	to, err := p.db.Strings(ctx, `SELECT email, tool FROM connections WHERE integration_id = $1 AND state = $2 AND deleted_at = 0 AND email <> ''`,
		job.Args.IntegrationID, string(kombo.StateInvalid))
	if err != nil || len(to) == 0 { // repaired since, or without an address
		return err
	}
	link, err := p.Client.Integrations.Relink(ctx, job.Args.IntegrationID, kombo.RelinkRequest{LinkType: kombo.LinkTypeMagicLink})
	if err != nil {
		return p.outcome(ctx, job.JobRow, job.Args.IntegrationID, err)
	}
	return p.mail(ctx, to[0][0], "Please reconnect "+to[0][1], "Enter new credentials here:\n"+link.URL)
}
