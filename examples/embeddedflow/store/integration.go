package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"time"

	"github.com/kombo-go/kombo"
)

// integration is a row of the table. Its methods merge events into it. Each rule has the same result for any order and
// any number of duplicates: the latest time, the earliest time, the smallest text.
type integration struct {
	// id is the indexed integrationID; key identifies the row in pages.
	id, integrationID, key                  string
	customer, tool, createdBy, organization string
	// The category of a token exchange is a claim of its caller, and its setup status has no time. They are stored
	// separately, and shown until an event reports them. A claimed state is shown until the next event with a state.
	category, claimedCategory        string
	state, qaStatus, stateEvent      string
	claimedState                     string
	stateAt                          sql.NullInt64
	setupStatus, claimedSetupStatus  string
	setupEvent                       string
	setupAt                          sql.NullInt64
	connectedAt                      int64
	announcedAt, linkedAt, deletedAt sql.NullInt64
}

// describe merges the properties that never change.
func (i *integration) describe(tool string, category kombo.Category, user kombo.EndUser) {
	// The customer decides who sees the row, so the first known one stays.
	i.customer = cmp.Or(i.customer, indexed(user.OriginID))
	i.tool = either(i.tool, tool)
	i.category = either(i.category, string(category))
	i.createdBy = either(i.createdBy, user.CreatorEmail)
	i.organization = either(i.organization, user.OrganizationName)
}

// linked merges the result of a token exchange.
func (i *integration) linked(customerID string, category kombo.Category, told *kombo.ConnectedIntegration, now int64) error {
	if i.customer != "" && i.customer != indexed(customerID) {
		return ErrOtherCustomer
	}
	i.describe(told.Tool, "", kombo.EndUser{OriginID: customerID, CreatorEmail: told.EndUserEmail, OrganizationName: told.EndUserOrganizationName})
	i.claimedCategory = either(i.claimedCategory, string(category))
	// In alphabetical order, the most advanced status is first: COMPLETED, FINAL_SYNC_PENDING, INCOMPLETE.
	i.claimedSetupStatus = either(i.claimedSetupStatus, string(told.SetupStatus))
	if !i.linkedAt.Valid || now > i.linkedAt.Int64 {
		i.linkedAt = at(now)
	}
	return nil
}

// announced merges the arrival of integration-created. The event has no other time.
func (i *integration) announced(now int64) { i.announcedAt = earlier(i.announcedAt, now) }

// changed merges a state. The setup status has a separate time, because older events lack it.
func (i *integration) changed(event string, data kombo.IntegrationStateChangedData) {
	event = clean(event)
	updated := data.UpdatedAt.UnixMicro()
	if newer(i.stateAt, i.stateEvent, updated, event) {
		i.state, i.qaStatus = clean(string(data.State)), clean(string(data.QAStatus))
		i.stateAt, i.stateEvent, i.claimedState = at(updated), event, ""
	}
	if data.SetupStatus != "" && newer(i.setupAt, i.setupEvent, updated, event) {
		i.setupStatus = clean(string(data.SetupStatus))
		i.setupAt, i.setupEvent = at(updated), event
	}
}

// read merges the result of a Get that was called when the row was as before.
func (i *integration) read(before Connection, got *kombo.Integration) {
	i.describe(got.Tool.ID, got.Category, got.EndUser)
	i.claimedSetupStatus = either(i.claimedSetupStatus, string(got.SetupStatus))
	if before.ChangedAt.Equal(i.changedAt()) {
		i.claimedState = clean(string(got.Status))
	}
}

// deleted merges the deletion of the integration, which is final.
func (i *integration) deleted(deletedAt int64) { i.deletedAt = earlier(i.deletedAt, deletedAt) }

// shown returns the part of the row that customers see, without the fields that only order events.
func (i integration) shown() integration {
	i.stateEvent, i.setupEvent, i.setupAt = "", "", sql.NullInt64{}
	return i
}

func (i integration) changedAt() time.Time {
	if i.stateAt.Valid {
		return fromMicros(i.stateAt.Int64)
	}
	return fromMicros(i.connectedAt)
}

// connection returns the row as the customer sees it.
func (i integration) connection(customerID string) Connection {
	return Connection{
		Key: i.key, IntegrationID: i.integrationID, CustomerID: customerID, Tool: i.tool,
		Category:    kombo.Category(cmp.Or(i.category, i.claimedCategory)),
		State:       kombo.State(cmp.Or(i.claimedState, i.state)),
		SetupStatus: kombo.SetupStatus(cmp.Or(i.setupStatus, i.claimedSetupStatus)),
		CreatedBy:   i.createdBy, Organization: i.organization,
		ConnectedAt: fromMicros(i.connectedAt),
		ChangedAt:   i.changedAt(),
	}
}

// either returns the known value. If both are known, which Kombo does not send, it returns the smaller one.
func either(known, told string) string {
	told = clean(told)
	if known == "" || (told != "" && told < known) {
		return told
	}
	return known
}

func at(t int64) sql.NullInt64 { return sql.NullInt64{Int64: t, Valid: true} }

func earlier(known sql.NullInt64, told int64) sql.NullInt64 {
	if known.Valid && known.Int64 <= told {
		return known
	}
	return at(told)
}

// newer reports whether an event is newer than the known one. If the times are equal, the ID decides.
func newer(knownAt sql.NullInt64, knownEvent string, toldAt int64, toldEvent string) bool {
	return !knownAt.Valid || cmp.Or(cmp.Compare(toldAt, knownAt.Int64), cmp.Compare(toldEvent, knownEvent)) > 0
}

const columns = `id, integration_id, key, customer_id, tool, category, claimed_category, created_by, organization,
	state, claimed_state, qa_status, state_at, state_event, setup_status, setup_at, setup_event, claimed_setup_status,
	connected_at, announced_at, linked_at, deleted_at`

func scan(row interface{ Scan(...any) error }) (i integration, err error) {
	err = row.Scan(&i.id, &i.integrationID, &i.key, &i.customer, &i.tool, &i.category, &i.claimedCategory, &i.createdBy, &i.organization,
		&i.state, &i.claimedState, &i.qaStatus, &i.stateAt, &i.stateEvent, &i.setupStatus, &i.setupAt, &i.setupEvent, &i.claimedSetupStatus,
		&i.connectedAt, &i.announcedAt, &i.linkedAt, &i.deletedAt)
	return i, err
}

// update calls learn to merge something into the row of an integration, which it creates if there is none. It reports
// whether the customer sees a change.
func update(ctx context.Context, tx *sql.Tx, integrationID string, now int64, learn func(*integration) error) (changed bool, err error) {
	// Setting the ID to its own value locks the row and returns it, in both databases.
	before, err := scan(tx.QueryRowContext(ctx, `INSERT INTO integrations (id, integration_id, key, connected_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET id = excluded.id
		RETURNING `+columns, indexed(integrationID), clean(integrationID), rand.Text(), now))
	if err != nil {
		return false, err
	}
	after := before
	if err := learn(&after); err != nil {
		return false, err
	}
	if after == before {
		return false, nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE integrations SET customer_id = $2, tool = $3, category = $4, claimed_category = $5,
		created_by = $6, organization = $7, state = $8, qa_status = $9, state_at = $10, state_event = $11,
		setup_status = $12, setup_at = $13, setup_event = $14, claimed_setup_status = $15,
		connected_at = $16, announced_at = $17, linked_at = $18, deleted_at = $19, claimed_state = $20
		WHERE id = $1`,
		after.id, after.customer, after.tool, after.category, after.claimedCategory,
		after.createdBy, after.organization, after.state, after.qaStatus, after.stateAt, after.stateEvent,
		after.setupStatus, after.setupAt, after.setupEvent, after.claimedSetupStatus,
		after.connectedAt, after.announcedAt, after.linkedAt, after.deletedAt, after.claimedState); err != nil {
		return false, err
	}
	if after.shown() == before.shown() {
		return false, nil
	}
	return true, grow(ctx, tx, after.customer)
}
