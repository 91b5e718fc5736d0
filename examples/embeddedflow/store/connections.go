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
	// Key names the connection where others can see it. It is random: the integration id is not for public
	// display.
	Key string
	// IntegrationID is for calls of the API only.
	IntegrationID string
	CustomerID    string
	// Tool is the slug of the connected tool.
	Tool     string
	Category kombo.Category
	// State is "" until an event has told it.
	State       kombo.State
	SetupStatus kombo.SetupStatus
	// CreatedBy is the e-mail address of the person who connected, "" where Kombo has none.
	CreatedBy    string
	Organization string
	// ConnectedAt is when the store first heard of the connection: Kombo does not tell when it was made.
	ConnectedAt time.Time
	// ChangedAt is when the state changed last, by Kombo's clock; ConnectedAt where that is not known.
	ChangedAt time.Time
}

// Connected notes the integration that a customer's token named. It may come before integration-created,
// after it or at the same time, and more than once. The category, which may be "", is what the customer
// was to connect; it counts until an event tells.
//
// After a reconnection it returns the connection as it was before, often [kombo.StateInvalid]: a token does not
// tell the state. An event will, and [Store.Read] takes it in at once.
//
// It fails with [ErrOtherCustomer], and changes nothing, where the integration or the token belongs to
// another customer.
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
	err = s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
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
		err = fmt.Errorf("store: noting a connection: %w", err)
	}
	return connection, err
}

// Read notes what [kombo.IntegrationsService.Get] returned for a connection that was read from the store before.
// It has no time: its state counts until the next event that reports one, and not if one has come meanwhile.
func (s *Store) Read(ctx context.Context, before Connection, got *kombo.Integration) error {
	now := s.now().UnixMicro()
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := update(ctx, tx, before.IntegrationID, now, func(row *integration) error {
			row.read(before, got)
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("store: noting what an integration is now: %w", err)
	}
	return nil
}

// Connections returns what the customer has connected, the oldest first.
func (s *Store) Connections(ctx context.Context, customerID string) ([]Connection, error) {
	connections, err := s.connections(ctx, customerID)
	if err != nil {
		return nil, fmt.Errorf("store: reading connections: %w", err)
	}
	return connections, nil
}

func (s *Store) connections(ctx context.Context, customerID string) (connections []Connection, err error) {
	if customerID == "" {
		return nil, nil // not the rows whose customer is not known
	}
	rows, err := s.reader.QueryContext(ctx, `SELECT `+columns+` FROM integrations WHERE customer_id = $1 AND deleted_at IS NULL`, indexed(customerID))
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
	// Sorted here, because databases do not agree on the order of texts.
	slices.SortFunc(connections, func(a, b Connection) int {
		return cmp.Or(a.ConnectedAt.Compare(b.ConnectedAt), cmp.Compare(a.IntegrationID, b.IntegrationID))
	})
	return connections, rows.Err()
}

// Connection returns one of the customer's connections. It fails with [ErrNotFound] where there is none
// with that key, where it is another customer's, and where it is deleted.
func (s *Store) Connection(ctx context.Context, customerID, key string) (Connection, error) {
	row, err := find(ctx, s.reader, customerID, key)
	switch {
	case err == nil && row.deletedAt.Valid, errors.Is(err, sql.ErrNoRows):
		return Connection{}, ErrNotFound
	case err != nil:
		return Connection{}, fmt.Errorf("store: reading a connection: %w", err)
	}
	return row.connection(customerID), nil
}

// find returns a row, deleted or not, of a customer, or [sql.ErrNoRows].
func find(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, customerID, key string,
) (integration, error) {
	if customerID == "" {
		return integration{}, sql.ErrNoRows // not the rows whose customer is not known
	}
	return scan(db.QueryRowContext(ctx, `SELECT `+columns+` FROM integrations WHERE key = $1 AND customer_id = $2`, clean(key), indexed(customerID)))
}

// Disconnected notes that the customer's connection was deleted by the API. The event
// integration-deleted may come before, after or never. It fails with [ErrNotFound] where the customer has
// never had such a connection; one that is deleted already is no error.
func (s *Store) Disconnected(ctx context.Context, customerID, key string, at time.Time) error {
	now := s.now().UnixMicro()
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		// A row keeps its customer and its key, so this needs no lock.
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
		return fmt.Errorf("store: noting a disconnection: %w", err)
	}
	return nil
}
