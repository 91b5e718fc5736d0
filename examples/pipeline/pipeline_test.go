package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// The tables follow the tool: new, changed and deleted records, a broken and repaired connection, and its deletion.
func TestPipeline(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, database string) {
		h := start(t, database)
		same := func() string { return compare(t.Context(), h.db.Reader, h.kombo) }
		id := h.connect()

		h.put(id, "e2", "second")
		h.put(id, "e3", "new")
		if err := h.kombo.DeleteRecord(id, "/hris/employees", "e1"); err != nil {
			t.Fatal(err)
		}
		h.sync(id)
		h.await("a change", same)

		if err := h.kombo.SetState(t.Context(), id, kombo.StateInvalid); err != nil {
			t.Fatal(err)
		}
		h.await("the mail", func() string {
			h.mutex.Lock()
			defer h.mutex.Unlock()
			if len(h.mails) != 1 || h.mails[0] != "ada@acme.example: Please reconnect personio" {
				return fmt.Sprint(h.mails)
			}
			return ""
		})
		h.await("the state", same)
		if err := h.kombo.SetState(t.Context(), id, kombo.StateActive); err != nil {
			t.Fatal(err)
		}
		h.await("the repair", same)

		if err := h.kombo.DeleteIntegration(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		h.await("the deletion", same)
		// A late event does not revive it.
		if err := h.kombo.Deliver(t.Context(), &kombo.DataChangedEvent{
			EventHeader: kombo.EventHeader{ID: "late", Type: kombo.EventDataChanged},
			Data: kombo.DataChangedData{
				IntegrationID: id, IntegrationTool: "personio", IntegrationCategory: kombo.CategoryHRIS, ChangedModels: []kombo.ChangedModel{{Name: "hris_employees"}},
			},
		}); err != nil {
			t.Fatal(err)
		}
		h.await("the late event", func() string {
			if n := h.jobs("webhook", "available") + h.jobs("webhook", "running"); n > 0 {
				return fmt.Sprint(n)
			}
			return same()
		})
		if n := h.jobs("webhook", "discarded") + h.jobs("webhook", "retryable") + h.jobs("fetch", "discarded"); n > 0 {
			t.Errorf("%d jobs failed", n)
		}
	})
}

// A burst of 100 events makes one fetch or two, of which the last reads the last change.
func TestBurst(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, database string) {
		h := start(t, database)
		id := h.connect()
		h.await("no fetch", func() string { return strings.Repeat("x", h.jobs("fetch", "running")+h.jobs("fetch", "available")) })
		before := lists(h.kombo)
		h.kombo.HoldWebhooks()
		for i := range 100 {
			h.put(id, "e1", fmt.Sprint(i))
			h.sync(id)
		}
		if err := h.kombo.ReleaseWebhooks(t.Context(), kombotest.AtOnce); err != nil {
			t.Fatal(err)
		}
		h.await("the last change", func() string { return compare(t.Context(), h.db.Reader, h.kombo) })
		if got := lists(h.kombo) - before; got > 2 {
			t.Errorf("%d fetches, want 1 or 2", got)
		}
	})
}

func lists(srv *kombotest.Server) (n int) {
	for _, r := range srv.Requests() {
		if r.Op == "GET /hris/employees" {
			n++
		}
	}
	return n
}

// A webhook is refused, or it is a job, whatever its content is.
func TestReceive(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, database string) {
		h := start(t, database)
		post := func(body, secret string) int {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.kombo.WebhookURL(), strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set(kombo.SignatureHeader, kombo.SignWebhook(secret, []byte(body)))
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			return response.StatusCode
		}
		secret := h.kombo.WebhookSecret()
		deleted := `{"id":"1","type":"integration-deleted","data":{"id":"personio:1","tool":"personio","deleted_at":"2026-01-01T00:00:00.000Z"}}`
		for _, test := range []struct {
			name, body, secret string
			want               int
		}{
			{"valid", deleted, secret, 204},
			{"again", deleted, secret, 204},
			{"forged", deleted, "other", 401},
			{"no JSON", "\x00\xff", secret, 204},
			{"without its data", `{"id":"2","type":"integration-deleted"}`, secret, 204},
			{"too large", strings.Repeat("x", kombo.MaxWebhookBody+1), secret, 413},
		} {
			if got := post(test.body, test.secret); got != test.want {
				t.Errorf("%s: %d, want %d", test.name, got, test.want)
			}
		}
		h.await("the jobs", func() string {
			if done, cancelled := h.jobs("webhook", "completed"), h.jobs("webhook", "cancelled"); done != 1 || cancelled != 2 {
				return fmt.Sprintf("%d completed, %d cancelled", done, cancelled)
			}
			return ""
		})
		var reason string
		if err := h.db.Reader.QueryRowContext(t.Context(), `SELECT CAST(errors AS TEXT) FROM river_job WHERE state = 'cancelled' ORDER BY id DESC LIMIT 1`).Scan(&reason); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(reason, "integration-deleted: data is missing") {
			t.Errorf("the reason is %s", reason)
		}
		h.stop()
		if got := post(strings.Replace(deleted, `"1"`, `"3"`, 1), secret); got != 503 {
			t.Errorf("without a database: %d, want 503", got)
		}
	})
}

// Webhooks of each kind are lost. Reconcile repairs the connections, and the weekly fetch the records.
func TestLostWebhooks(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, database string) {
		h := start(t, database)
		gone, broken, silent := h.connect(), h.connect(), h.connect()
		h.kombo.SetWebhookURL("")
		for _, err := range []error{
			h.kombo.DeleteIntegration(t.Context(), gone), h.kombo.SetState(t.Context(), broken, kombo.StateInvalid),
			h.kombo.DeleteRecord(silent, "/hris/employees", "e1"),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		h.put(silent, "e3", "new")
		h.weekLater()
	})
}

// Every tenth webhook of each type is lost, the first one included. The product knows the integrations, because it
// exchanged their tokens.
func TestEveryTenthWebhookIsLost(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, database string) {
		h := start(t, database)
		all, events := 0, map[string]int{}
		lossy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			var header struct{ Type string }
			if err != nil || json.Unmarshal(body, &header) != nil {
				t.Errorf("%s: %v", body, err)
			}
			all++
			if events[header.Type]++; events[header.Type]%10 == 1 {
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			h.receive(w, r)
		}))
		t.Cleanup(lossy.Close)
		h.kombo.SetWebhookURL(lossy.URL)
		seed := rand.Uint64()
		customers := tools{T: t, srv: h.kombo, random: rand.New(rand.NewPCG(seed, 0)), connected: func(i *kombo.ConnectedIntegration) {
			err := h.db.Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				return h.connected(ctx, tx, i.ID, i.Tool, kombo.EndUser{OriginID: i.EndUserOriginID, CreatorEmail: i.EndUserEmail})
			})
			if err != nil {
				t.Fatal(err)
			}
		}}
		for all < 200 {
			customers.act()
		}
		h.await("all jobs are done", func() string {
			if n := h.jobs("webhook", "available") + h.jobs("webhook", "running") + h.jobs("fetch", "available") + h.jobs("fetch", "running"); n > 0 {
				return fmt.Sprint(n)
			}
			return ""
		})
		// Later events and fetches have repaired a part of what was lost, and now and then all of it.
		h.kombo.SetWebhookURL("")
		for compare(t.Context(), h.db.Reader, h.kombo) == "" {
			customers.act()
		}
		t.Logf("seed %d: %v", seed, events)
		h.weekLater()
	})
}

// weekLater runs the periodic jobs a week later, and waits until the tables are right.
func (h *harness) weekLater() {
	h.Helper()
	h.mutex.Lock()
	h.ahead += week + 2*time.Hour
	h.mutex.Unlock()
	if err := h.reconcile(h.Context(), &river.Job[reconcileArgs]{JobRow: &rivertype.JobRow{}}); err != nil {
		h.Fatal(err)
	}
	h.await("the repair", func() string { return compare(h.Context(), h.db.Reader, h.kombo) })
}

// The webhooks of a new integration are lost. The next one about it makes it known, and reconcile completes it.
func TestUnknownIntegration(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, database string) {
		h := start(t, database)
		url := h.kombo.WebhookURL()
		h.kombo.SetWebhookURL("")
		id := h.kombo.Connect(t, kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "acme"}).ID
		h.kombo.SetWebhookURL(url)
		h.put(id, "e1", "first")
		h.sync(id)
		h.await("it is known", func() string {
			rows, err := h.db.Strings(t.Context(), `SELECT integration_id FROM connections`)
			if err != nil || len(rows) != 1 {
				return fmt.Sprint(rows, err)
			}
			return ""
		})
		h.weekLater()
	})
}

// An integration whose check always fails does not stop the others.
func TestReconcileGoesOn(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, database string) {
		h := start(t, database)
		ids := []string{h.connect(), h.connect(), h.connect()}
		h.kombo.SetWebhookURL("")
		for _, id := range ids {
			if err := h.kombo.SetState(t.Context(), id, kombo.StateInvalid); err != nil {
				t.Fatal(err)
			}
		}
		h.kombo.InjectFault(kombotest.Fault{Op: "GET /integrations/{integration_id}", Times: 1, Status: http.StatusForbidden})
		h.mutex.Lock()
		h.ahead = 2 * time.Hour
		h.mutex.Unlock()
		if err := h.reconcile(t.Context(), &river.Job[reconcileArgs]{JobRow: &rivertype.JobRow{}}); err != nil {
			t.Fatal(err)
		}
		var repaired, checked int
		if err := h.db.Reader.QueryRowContext(t.Context(), `SELECT count(CASE WHEN state = 'INVALID' THEN 1 END), count(CASE WHEN checked_at > $1 THEN 1 END) FROM connections`,
			time.Now().Add(time.Hour).UnixMicro()).Scan(&repaired, &checked); err != nil {
			t.Fatal(err)
		}
		if repaired != 2 || checked != 3 {
			t.Errorf("%d are repaired and %d checked, want 2 and 3", repaired, checked)
		}
	})
}
