package main

import (
	"context"
	"errors"
	"time"

	"github.com/kombo-go/kombo"
)

const (
	fullEvery = 7 * 24 * time.Hour // as Kombo advises: webhooks can get lost
	clockSkew = 5 * time.Minute    // by how much this clock may be ahead of Kombo's
)

// employee has the fields that this program reads.
type employee struct {
	ID              string     `json:"id"`
	WorkEmail       string     `json:"work_email"`
	RemoteDeletedAt *time.Time `json:"remote_deleted_at"`
}

// syncEmployees reads what has changed since the last read that was complete; every week, and at first, everything.
// Call it when data-changed names the model, and from time to time. Two calls for the same integration must not run
// at once.
func syncEmployees(ctx context.Context, client *kombo.Client, db *database, integrationID string, now time.Time) error {
	marks := db.marks(integrationID)
	began := now.Add(-clockSkew) // what changes during the read is read again next time, rather than lost
	request := kombo.ListRequest{
		Path: "/hris/employees", IntegrationID: integrationID, UpdatedAfter: marks.began, IncludeDeleted: true,
		ListOptions: kombo.ListOptions{PageSize: 250},
	}
	full := now.Sub(marks.full) >= fullEvery
	if full {
		request.UpdatedAfter, marks.full = time.Time{}, now
	}
	seen := map[string]bool{}
	for e, err := range kombo.List[employee](ctx, client, request) {
		switch {
		case errors.Is(err, kombo.ErrIntegrationNotReady):
			return nil // data-changed comes after the first sync
		case err != nil:
			return err // the marks stay, so the next call reads the same again
		case e.RemoteDeletedAt != nil:
			db.remove(integrationID, e.ID)
		default:
			db.put(integrationID, e)
			seen[e.ID] = true
		}
	}
	if full {
		db.keepOnly(integrationID, seen) // what Kombo has no more
	}
	marks.began = began
	db.setMarks(integrationID, marks) // after the last item, never before
	return nil
}
