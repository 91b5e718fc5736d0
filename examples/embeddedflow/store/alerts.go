package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/internal/database"
)

// The kinds of an [Alert].
const (
	// KindFlowFailed is an attempt to connect that failed. The customer may still finish the flow: the alert
	// stays until it is dismissed or the customer connects something of the same category.
	KindFlowFailed = "flow-failed"
	// KindInvalid is a connection that the customer must reconnect. The alert stays until that is done.
	KindInvalid = "invalid"
)

// Alert is a problem that needs the customer's attention.
type Alert struct {
	// Key identifies the alert for [Store.Dismiss]. It is random. For [KindInvalid] it is the key of the connection.
	Key string
	// Kind is [KindFlowFailed] or [KindInvalid].
	Kind string
	// Tool is the slug of the tool.
	Tool     string
	Category kombo.Category
	// LogURL is the log of a failed flow in Kombo's dashboard. Only the vendor can open it, so do not show it to
	// customers.
	LogURL string
	// At is the time at which the failed flow was reported, or the state of the connection changed.
	At time.Time
	// ConnectionKey is the key of the connection that is invalid.
	ConnectionKey string
}

// flowFailed adds an alert. The URL of the log identifies the flow, so a second event about it adds no second alert.
func flowFailed(ctx context.Context, tx *sql.Tx, event *kombo.ConnectionFlowFailedEvent, now int64) (changed bool, err error) {
	data, customerID := event.Data, indexed(event.Data.EndUser.OriginID)
	changed, err = database.Changed(tx.ExecContext(ctx, `INSERT INTO alerts (customer_id, tool, category, flow, log_url, key, received_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (customer_id, tool, category, flow) DO UPDATE SET received_at = excluded.received_at
		WHERE excluded.received_at < alerts.received_at`,
		customerID, indexed(data.IntegrationTool), indexed(string(data.IntegrationCategory)), indexed(cmp.Or(data.LogURL, event.ID)),
		clean(data.LogURL), rand.Text(), now))
	if err != nil || !changed {
		return false, err
	}
	return true, grow(ctx, tx, customerID)
}

// Attention returns the alerts of a customer: first the invalid connections, then the failed flows that are neither
// dismissed nor followed by a successful flow for the same category. Within each kind, the newest is first. The time of
// a failed flow is its arrival.
func (s *Store) Attention(ctx context.Context, customerID string) ([]Alert, error) {
	alerts, err := s.failedFlows(ctx, customerID)
	if err != nil {
		return nil, fmt.Errorf("store: reading alerts: %w", err)
	}
	connections, err := s.connections(ctx, customerID)
	if err != nil {
		return nil, fmt.Errorf("store: reading alerts: %w", err)
	}
	for _, c := range connections {
		if c.State == kombo.StateInvalid {
			alerts = append(alerts, Alert{Key: c.Key, Kind: KindInvalid, Tool: c.Tool, Category: c.Category, At: c.ChangedAt, ConnectionKey: c.Key})
		}
	}
	slices.SortFunc(alerts, func(a, b Alert) int {
		return cmp.Or(severity(b)-severity(a), b.At.Compare(a.At), cmp.Compare(a.Tool, b.Tool), cmp.Compare(a.LogURL, b.LogURL), cmp.Compare(a.Key, b.Key))
	})
	return alerts, nil
}

func severity(a Alert) int {
	if a.Kind == KindInvalid {
		return 1
	}
	return 0
}

func (s *Store) failedFlows(ctx context.Context, customerID string) (alerts []Alert, err error) {
	if customerID == "" {
		return nil, nil // and not the rows without a customer
	}
	// A flow has succeeded if a token was exchanged for its integration, or if integration-created has arrived. That
	// event may be late, after other events. An integration that only other events mention may be older than this store.
	// Deleted integrations count, because their flows succeeded, too.
	rows, err := s.db.Reader.QueryContext(ctx, `SELECT key, tool, category, log_url, received_at FROM alerts a
		WHERE customer_id = $1 AND dismissed_at IS NULL AND NOT EXISTS (
			SELECT 1 FROM integrations i
			WHERE i.customer_id = a.customer_id
			AND CASE WHEN i.category <> '' THEN i.category ELSE i.claimed_category END = a.category
			AND (i.linked_at > a.received_at OR (i.announced_at IS NOT NULL AND i.connected_at > a.received_at)))`, indexed(customerID))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		alert := Alert{Kind: KindFlowFailed}
		var received int64
		if err := rows.Scan(&alert.Key, &alert.Tool, &alert.Category, &alert.LogURL, &received); err != nil {
			return nil, err
		}
		alert.At = fromMicros(received)
		alerts = append(alerts, alert)
	}
	return alerts, rows.Err()
}

// Dismiss removes a failed flow from the list. To dismiss it twice is not an error. It fails with [ErrNotFound] if the
// customer has no such alert. An invalid connection cannot be dismissed, only reconnected or deleted.
func (s *Store) Dismiss(ctx context.Context, customerID, alertKey string) error {
	if customerID == "" {
		return ErrNotFound
	}
	now, customerID, alertKey := s.now().UnixMicro(), indexed(customerID), clean(alertKey)
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		dismissed, err := database.Changed(tx.ExecContext(ctx, `UPDATE alerts SET dismissed_at = $1
			WHERE key = $2 AND customer_id = $3 AND dismissed_at IS NULL`, now, alertKey, customerID))
		if err != nil {
			return err
		}
		if dismissed {
			return grow(ctx, tx, customerID)
		}
		var there int
		return tx.QueryRowContext(ctx, `SELECT 1 FROM alerts WHERE key = $1 AND customer_id = $2`, alertKey, customerID).Scan(&there)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case err != nil:
		return fmt.Errorf("store: dismissing an alert: %w", err)
	}
	return nil
}
