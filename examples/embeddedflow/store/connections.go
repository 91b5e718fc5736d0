package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kombo-go/kombo"
)

// Connection is an integration that a customer has connected and that is not deleted.
type Connection struct {
	// Key identifies the connection in pages. It is random, because the integration ID is not for public display.
	Key string
	// IntegrationID is for calls of the API only.
	IntegrationID string
	CustomerID    string
	// Tool is the slug of the connected tool.
	Tool     string
	Category kombo.Category
	// State is "" until an event has reported it.
	State       kombo.State
	SetupStatus kombo.SetupStatus
	// CreatedBy is the e-mail address of the person who connected, or "" if Kombo has none.
	CreatedBy    string
	Organization string
	// ConnectedAt is when the store first received the connection. Kombo does not report when it was created.
	ConnectedAt time.Time
	// ChangedAt is the last change of the state by Kombo's clock, or ConnectedAt if that is unknown.
	ChangedAt time.Time
}

// Connected stores the integration of a token exchange. It may be called before, after or during
// integration-created, and more than once. The category is the one that the flow asked for, or "". It counts until an
// event reports the category.
//
// After a reconnection it returns the connection with its old state, often [kombo.StateInvalid], because a token exchange
// does not return the state. An event will report it, and [Store.Read] stores it at once.
//
// It fails with [ErrOtherCustomer] and changes nothing if the integration or the token belongs to another customer.
func (s *Store) Connected(ctx context.Context, customerID string, category kombo.Category, i *kombo.ConnectedIntegration) (connection Connection, err error) {
	switch {
	case customerID == "":
		return connection, errors.New("store: a connection needs a customer")
	case i == nil || i.ID == "":
		return connection, errors.New("store: a connection needs an integration")
	case i.EndUserOriginID != "" && i.EndUserOriginID != customerID:
		return connection, ErrOtherCustomer
	}
	now := s.now().UnixMicro()
	err = s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := update(ctx, tx, i.ID, now, func(row *integration) error {
			if err := row.linked(customerID, category, i, now); err != nil {
				return err
			}
			connection = row.connection(customerID)
			return nil
		})
		return err
	})
	if err != nil && !errors.Is(err, ErrOtherCustomer) {
		err = fmt.Errorf("store: storing a connection: %w", err)
	}
	return connection, err
}

// Read stores the result of [kombo.IntegrationsService.Get] for a connection that was read from the store before the call.
// The result has no time, so its state counts until the next event with a state, and not if such an event has arrived
// since.
func (s *Store) Read(ctx context.Context, before Connection, got *kombo.Integration) error {
	now := s.now().UnixMicro()
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := update(ctx, tx, before.IntegrationID, now, func(row *integration) error {
			row.read(before, got)
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("store: storing the state of an integration: %w", err)
	}
	return nil
}

// Connections returns the customer's connections, the oldest first.
func (s *Store) Connections(ctx context.Context, customerID string) ([]Connection, error) {
	connections, err := s.connections(ctx, customerID)
	if err != nil {
		return nil, fmt.Errorf("store: reading connections: %w", err)
	}
	return connections, nil
}

func (s *Store) connections(ctx context.Context, customerID string) (connections []Connection, err error) {
	if customerID == "" {
		return nil, nil // and not the rows without a customer
	}
	rows, err := s.db.Reader.QueryContext(ctx, `SELECT `+columns+` FROM integrations WHERE customer_id = $1 AND deleted_at IS NULL`, indexed(customerID))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		connections = append(connections, row.connection(customerID))
	}
	// Sorted here, because databases differ in the order of text.
	slices.SortFunc(connections, func(a, b Connection) int {
		return cmp.Or(a.ConnectedAt.Compare(b.ConnectedAt), cmp.Compare(a.IntegrationID, b.IntegrationID))
	})
	return connections, rows.Err()
}

// Connection returns one of the customer's connections. It fails with [ErrNotFound] if none has the key, if it belongs
// to another customer, or if it is deleted.
func (s *Store) Connection(ctx context.Context, customerID, key string) (Connection, error) {
	row, err := find(ctx, s.db.Reader, customerID, key)
	switch {
	case err == nil && row.deletedAt.Valid, errors.Is(err, sql.ErrNoRows):
		return Connection{}, ErrNotFound
	case err != nil:
		return Connection{}, fmt.Errorf("store: reading a connection: %w", err)
	}
	return row.connection(customerID), nil
}

// find returns a row of a customer, deleted or not, or [sql.ErrNoRows].
func find(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, customerID, key string,
) (integration, error) {
	if customerID == "" {
		return integration{}, sql.ErrNoRows // and not the rows without a customer
	}
	return scan(db.QueryRowContext(ctx, `SELECT `+columns+` FROM integrations WHERE key = $1 AND customer_id = $2`, clean(key), indexed(customerID)))
}

// Disconnected marks a connection as deleted by the API. The event integration-deleted may arrive before, after or never.
// It fails with [ErrNotFound] if the customer never had the connection. If it is already deleted, that is not an error.
func (s *Store) Disconnected(ctx context.Context, customerID, key string, at time.Time) error {
	now := s.now().UnixMicro()
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		// The customer and the key of a row never change, so this needs no lock.
		row, err := find(ctx, tx, customerID, key)
		if err != nil {
			return err
		}
		_, err = update(ctx, tx, row.integrationID, now, func(row *integration) error {
			row.deleted(at.UnixMicro())
			return nil
		})
		return err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case err != nil:
		return fmt.Errorf("store: storing a disconnection: %w", err)
	}
	return nil
}
