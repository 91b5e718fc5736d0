package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// StartSession signs a customer in until the lifetime ends or [Store.EndSession] is called. It returns the session ID,
// which is a secret: the database has only its hash.
func (s *Store) StartSession(ctx context.Context, customerID string, lifetime time.Duration) (id string, err error) {
	id = rand.Text()
	err = s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now := s.now()
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at <= $1`, now.UnixMicro()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO sessions (id, customer_id, expires_at) VALUES ($1, $2, $3)`,
			hashed(id), clean(customerID), now.Add(lifetime).UnixMicro())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("store: starting a session: %w", err)
	}
	return id, nil
}

// Session returns the signed-in customer. It fails with [ErrNotFound] if the session is unknown, expired or ended.
func (s *Store) Session(ctx context.Context, id string) (customerID string, err error) {
	err = s.db.Reader.QueryRowContext(ctx, `SELECT customer_id FROM sessions WHERE id = $1 AND expires_at > $2`,
		hashed(id), s.now().UnixMicro()).Scan(&customerID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", ErrNotFound
	case err != nil:
		return "", fmt.Errorf("store: reading a session: %w", err)
	}
	return customerID, nil
}

// EndSession ends a session at once, for all replicas. An unknown session is not an error.
func (s *Store) EndSession(ctx context.Context, id string) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE id = $1`, hashed(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("store: ending a session: %w", err)
	}
	return nil
}

func hashed(s string) string {
	hash := sha256.Sum256([]byte(s))
	return hex.EncodeToString(hash[:])
}
