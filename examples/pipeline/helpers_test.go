package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/internal/postgres"
	"github.com/kombo-go/kombo/kombotest"
)

// harness is a pipeline in this process, with a fake Kombo.
type harness struct {
	*testing.T
	*pipeline
	kombo *kombotest.Server
	stop  func() // also closes the database

	mutex sync.Mutex
	mails []string
	ahead time.Duration // of the pipeline's clock
}

// eachDatabase runs a test on SQLite and on Postgres.
func eachDatabase(t *testing.T, test func(t *testing.T, database string)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, filepath.Join(t.TempDir(), "test.db"))
	})
	t.Run("Postgres", func(t *testing.T) {
		t.Parallel()
		test(t, postgres.Schema(t))
	})
}

func start(t *testing.T, database string) *harness {
	t.Helper()
	h := &harness{T: t}
	h.kombo, _ = kombotest.Start(t, kombotest.Config{})
	h.pipeline = &pipeline{rescue: 10 * time.Minute, log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	h.now = func() time.Time {
		h.mutex.Lock()
		defer h.mutex.Unlock()
		return time.Now().Add(h.ahead)
	}
	h.mail = func(_ context.Context, to, subject, _ string) error {
		h.mutex.Lock()
		defer h.mutex.Unlock()
		h.mails = append(h.mails, to+": "+subject)
		return nil
	}
	var err error
	if h.Client, err = h.kombo.Client(kombo.WithObserver(h.observeCall)); err != nil {
		t.Fatal(err)
	}
	if h.Verifier, err = kombo.NewWebhookVerifier(h.kombo.WebhookSecret()); err != nil {
		t.Fatal(err)
	}
	stop, err := h.start(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	receiver := httptest.NewServer(http.HandlerFunc(h.receive))
	h.kombo.SetWebhookURL(receiver.URL)
	h.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := stop(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	t.Cleanup(func() {
		receiver.Close()
		h.stop()
	})
	// A test would not know which repairs and fetches are those of the reconcile job that River starts at once.
	h.await("the first reconcile job", func() string {
		if n := h.jobs("reconcile", "completed"); n != 1 {
			return fmt.Sprint(n)
		}
		return ""
	})
	return h
}

// connect connects a tool with two employees, and waits until they are stored.
func (h *harness) connect() (integrationID string) {
	h.Helper()
	id := h.kombo.Connect(h.T, kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "acme"}).ID
	for _, employee := range []string{"e1", "e2"} {
		h.put(id, employee, "first")
	}
	h.sync(id)
	h.await("the first fetch", func() string { return compare(h.Context(), h.db.Reader, h.kombo) })
	return id
}

func (h *harness) put(integrationID, id, name string) {
	h.Helper()
	if err := h.kombo.PutRecord(integrationID, "/hris/employees", map[string]string{"id": id, "first_name": name}); err != nil {
		h.Fatal(err)
	}
}

// sync delivers data-changed.
func (h *harness) sync(integrationID string) {
	h.Helper()
	if err := h.kombo.FinishSync(h.Context(), integrationID); err != nil {
		h.Fatal(err)
	}
}

// await polls until check returns "".
func (h *harness) await(what string, check func() string) {
	h.Helper()
	await(h.T, 20*time.Second, what, check)
}

func await(t testing.TB, limit time.Duration, what string, check func() string) {
	t.Helper()
	ticker, deadline := time.NewTicker(20*time.Millisecond), time.After(limit)
	defer ticker.Stop()
	for {
		difference := check()
		if difference == "" {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s: not within %v:\n%s", what, limit, difference)
		}
	}
}

// jobs returns the number of jobs of a kind and state.
func (h *harness) jobs(kind, state string) (n int) {
	h.Helper()
	if err := h.db.Reader.QueryRowContext(h.Context(), `SELECT count(*) FROM river_job WHERE kind = $1 AND state = $2`, kind, state).Scan(&n); err != nil {
		h.Fatal(err)
	}
	return n
}

// record has the fields of the fake's records that tests read.
type record struct {
	ID        string     `json:"id"`
	DeletedAt *time.Time `json:"remote_deleted_at"`
}

// compare compares the tables with the fake Kombo, and returns the difference.
func compare(ctx context.Context, db *sql.DB, srv *kombotest.Server) string {
	want, got := map[string]string{}, map[string]string{}
	for _, i := range srv.Integrations() {
		want[i.ID] = fmt.Sprint(i.EndUser.OriginID, " ", i.Tool, " ", i.State)
		for _, path := range paths {
			for _, data := range srv.Records(i.ID, path) {
				var r record
				if err := json.Unmarshal(data, &r); err != nil {
					return err.Error()
				}
				if r.DeletedAt == nil {
					want[i.ID+path+"/"+r.ID] = string(data)
				}
			}
		}
	}
	query := func(statement string, add func(scan func(...any) error) error) error {
		rows, err := db.QueryContext(ctx, statement)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := add(rows.Scan); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	err := query(`SELECT integration_id, customer, tool, state FROM connections WHERE deleted_at = 0`, func(scan func(...any) error) error {
		var id, customer, tool, state string
		err := scan(&id, &customer, &tool, &state)
		got[id] = customer + " " + tool + " " + state
		return err
	})
	if err == nil {
		err = query(`SELECT integration_id, model, id, data FROM records WHERE NOT deleted`, func(scan func(...any) error) error {
			var integrationID, model, id, data string
			err := scan(&integrationID, &model, &id, &data)
			got[integrationID+paths[model]+"/"+id] = data
			return err
		})
	}
	if err != nil {
		return err.Error()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Sprintf("%d rows, want %d (-want +got):\n%s", len(got), len(want), diff[:min(len(diff), 3000)])
	}
	return ""
}
