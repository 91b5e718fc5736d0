// Incrementalsync teaches how to keep a copy of the data of a connected tool: read everything once, then what has
// changed. [syncEmployees] is the whole of it; the rest is a small database and a fake Kombo.
//
//	go run ./examples/incrementalsync
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/usage"
	"github.com/kombo-go/kombo/kombotest"
)

// database stands for yours. What it has of an integration is one transaction's worth: the marks are as durable as
// the employees.
type database struct {
	mutex     sync.Mutex
	employees map[string]map[string]employee // by integration and ID
	times     map[string]marks
}

// marks are when the last complete read began, and when the last one of everything did.
type marks struct{ began, full time.Time }

func newDatabase() *database {
	return &database{employees: map[string]map[string]employee{}, times: map[string]marks{}}
}

func (db *database) marks(integrationID string) marks {
	db.mutex.Lock()
	defer db.mutex.Unlock()
	return db.times[integrationID]
}

func (db *database) setMarks(integrationID string, m marks) {
	db.mutex.Lock()
	defer db.mutex.Unlock()
	db.times[integrationID] = m
}

// put adds an employee, or replaces the one with the same ID: an employee may be read again unchanged.
func (db *database) put(integrationID string, e employee) {
	db.mutex.Lock()
	defer db.mutex.Unlock()
	if db.employees[integrationID] == nil {
		db.employees[integrationID] = map[string]employee{}
	}
	db.employees[integrationID][e.ID] = e
}

func (db *database) remove(integrationID, id string) {
	db.mutex.Lock()
	defer db.mutex.Unlock()
	delete(db.employees[integrationID], id)
}

func (db *database) keepOnly(integrationID string, ids map[string]bool) {
	db.mutex.Lock()
	defer db.mutex.Unlock()
	maps.DeleteFunc(db.employees[integrationID], func(id string, _ employee) bool { return !ids[id] })
}

// emails returns what the database has, in order.
func (db *database) emails(integrationID string) []string {
	db.mutex.Lock()
	defer db.mutex.Unlock()
	var emails []string
	for _, e := range db.employees[integrationID] {
		emails = append(emails, e.WorkEmail)
	}
	slices.Sort(emails)
	return emails
}

// webhooks syncs when Kombo reports that employees have changed.
func webhooks(client *kombo.Client, db *database, now func() time.Time) kombo.EventHandlers {
	var one sync.Mutex // a lock for each integration would do
	return kombo.EventHandlers{
		DataChanged: func(ctx context.Context, e *kombo.DataChangedEvent) error {
			if !slices.Contains(e.Data.ChangedModels, kombo.ChangedModel{Name: "hris_employees"}) {
				return nil
			}
			one.Lock()
			defer one.Unlock()
			return syncEmployees(ctx, client, db, e.Data.IntegrationID, now())
		},
	}
}

func main() {
	usage.Main("incrementalsync", "Keeps a copy of the data of a tool: reads everything once, then what has changed. It uses a fake Kombo.", run)
}

func run(ctx context.Context, output io.Writer) error {
	srv := kombotest.NewServer(kombotest.Config{WebhookSecret: "webhook-secret"})
	defer srv.Close()
	client, err := srv.Client()
	if err != nil {
		return err
	}
	verifier, err := kombo.NewWebhookVerifier("webhook-secret")
	if err != nil {
		return err
	}
	db := newDatabase()
	receiver := httptest.NewServer(verifier.Handler(webhooks(client, db, time.Now)))
	defer receiver.Close()
	srv.SetWebhookURL(receiver.URL)

	link, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc."})
	if err != nil {
		return err
	}
	if _, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{Tool: "personio"}); err != nil {
		return err
	}
	id := srv.Integrations()[0].ID
	fmt.Fprintln(output, "in the tool             in the database")
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"Ada is added", func() error { return put(srv, id, "e1", "ada@acme.example") }},
		{"Grace is added", func() error { return put(srv, id, "e2", "grace@acme.example") }},
		{"(Kombo syncs)", func() error { return srv.FinishSync(ctx, id) }}, // delivers data-changed
		{"Ada is deleted", func() error { return srv.DeleteRecord(id, "/hris/employees", "e1") }},
		{"Grace has a new address", func() error { return put(srv, id, "e2", "hopper@acme.example") }},
		{"(Kombo syncs)", func() error { return srv.FinishSync(ctx, id) }},
	} {
		if err := step.do(); err != nil {
			return err
		}
		fmt.Fprintf(output, "%-23s %v\n", step.name, db.emails(id))
	}
	return nil
}

func put(srv *kombotest.Server, integrationID, id, email string) error {
	return srv.PutRecord(integrationID, "/hris/employees", map[string]string{"id": id, "work_email": email})
}
