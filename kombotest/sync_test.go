package kombotest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestForceSync(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, client := kombotest.Start(t, kombotest.Config{
		WebhookURL: app.URL, WebhookSecret: "test-secret", Now: at("2026-05-04T03:02:01Z"),
	})
	id := srv.Connect(t, request).ID
	next[*kombo.IntegrationCreatedEvent](t, app)
	first, err := client.Integrations.Sync(t.Context(), id, kombo.SyncDelta)
	if err != nil || first.AlreadyQueued || first.Type != kombo.SyncDelta || first.ID == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := client.Integrations.Sync(t.Context(), id, kombo.SyncDelta)
	if want := (&kombo.SyncRun{ID: first.ID, AlreadyQueued: true, Type: kombo.SyncDelta}); err != nil || *again != *want {
		t.Fatalf("%+v, %v, want %+v", again, err, want)
	}
	// A sync of the other type runs at the same time.
	other, err := client.Integrations.Sync(t.Context(), id, "")
	if err != nil || other.AlreadyQueued || other.Type != kombo.SyncFull || other.ID == first.ID {
		t.Fatalf("%+v, %v", other, err)
	}
	if err := srv.SetSetupStatus(t.Context(), id, kombo.SetupStatusFinalSyncPending); err != nil {
		t.Fatal(err)
	}
	next[*kombo.IntegrationStateChangedEvent](t, app)
	if err := srv.FinishSync(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	when := at("2026-05-04T03:02:01Z")()
	got := next[*kombo.SyncFinishedEvent](t, app).Data
	if !strings.Contains(got.LogURL, first.ID) {
		t.Errorf("log URL %s", got.LogURL)
	}
	got.LogURL = ""
	want := kombo.SyncFinishedData{
		SyncID: first.ID, SyncState: kombo.SyncStateSucceeded, SyncStartedAt: when, SyncEndedAt: when,
		IntegrationID: id, IntegrationTool: "personio", IntegrationCategory: kombo.CategoryHRIS,
		EndUser: kombo.EndUser{OrganizationName: "Müller & Söhne <HR>", CreatorEmail: "ada@acme.example", OriginID: "42"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sync-finished (-want +got):\n%s", diff)
	}
	if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("setup status %s, want COMPLETED", e.Data.SetupStatus)
	}
	// The oldest sync has ended. The other one is still queued.
	if got, err := client.Integrations.Sync(t.Context(), id, kombo.SyncFull); err != nil || !got.AlreadyQueued || got.ID != other.ID {
		t.Errorf("%+v, %v, want %s again", got, err, other.ID)
	}
	if err := srv.FinishSync(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if ended := next[*kombo.SyncFinishedEvent](t, app); ended.Data.SyncID != other.ID {
		t.Errorf("sync %s ended, want %s", ended.Data.SyncID, other.ID)
	}
	// The next sync is new. FinishSync also ends a sync that was not triggered, which completes nothing.
	second, err := client.Integrations.Sync(t.Context(), id, "")
	if err != nil || second.AlreadyQueued || second.Type != kombo.SyncFull || second.ID == first.ID {
		t.Errorf("%+v, %v", second, err)
	}
	for range 2 {
		if err := srv.FinishSync(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		next[*kombo.SyncFinishedEvent](t, app)
	}
	if len(app.events) != 0 {
		t.Errorf("%d events more", len(app.events))
	}
	if err := srv.FinishSync(t.Context(), "unknown"); err == nil {
		t.Error("the sync of an unknown integration ended")
	}
}

func TestIntegrationInTheHeader(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	for path, body := range map[string]string{"/force-sync": `{}`, "/passthrough/personio/api": `{"method":"GET","path":"/"}`} {
		status, _, response := send(t, srv, "POST", path, body)
		if status != http.StatusBadRequest || !strings.Contains(response, "X-Integration-Id: the header is missing") {
			t.Errorf("%s: %d %s", path, status, response)
		}
	}
	if _, err := client.Integrations.Sync(t.Context(), "personio:unknown", ""); !errors.Is(err, kombo.ErrIntegrationNotFound) {
		t.Errorf("error = %v, want ErrIntegrationNotFound", err)
	}
	id := srv.Connect(t, request).ID
	if _, err := client.Integrations.Sync(t.Context(), id, "PARTIAL"); !errors.Is(err, kombo.ErrInvalidInput) {
		t.Errorf("error = %v, want ErrInvalidInput", err)
	}
}
