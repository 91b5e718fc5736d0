package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestRun(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	const want = `in the tool             in the database
Ada is added            []
Grace is added          []
(Kombo syncs)           [ada@acme.example grace@acme.example]
Ada is deleted          [ada@acme.example grace@acme.example]
Grace has a new address [ada@acme.example grace@acme.example]
(Kombo syncs)           [hopper@acme.example]
`
	if err := run(t.Context(), &output); err != nil || output.String() != want {
		t.Errorf("%v, %s", err, &output)
	}
}

// world is a fake Kombo with one integration, a database, and one clock for both.
type world struct {
	*testing.T
	srv    *kombotest.Server
	client *kombo.Client
	db     *database
	clock  atomic.Pointer[time.Time]
	id     string
}

func newWorld(t *testing.T, setup kombo.SetupStatus) *world {
	t.Helper()
	w := &world{T: t, db: newDatabase()}
	begin := time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC)
	w.clock.Store(&begin)
	w.srv, w.client = kombotest.Start(t, kombotest.Config{WebhookSecret: "secret", Now: w.now},
		kombo.WithRetry(kombo.RetryPolicy{BaseDelay: time.Millisecond}))
	verifier, err := kombo.NewWebhookVerifier("secret")
	if err != nil {
		t.Fatal(err)
	}
	receiver := httptest.NewServer(verifier.Handler(webhooks(w.client, w.db, w.now)))
	t.Cleanup(receiver.Close)
	w.srv.SetWebhookURL(receiver.URL)
	w.id = w.srv.Connect(t, kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc."}).ID
	if err := w.srv.SetSetupStatus(t.Context(), w.id, setup); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) now() time.Time { return *w.clock.Load() }

// after lets time pass.
func (w *world) after(d time.Duration) {
	later := w.now().Add(d)
	w.clock.Store(&later)
}

func (w *world) put(id, email string) {
	w.Helper()
	if err := put(w.srv, w.id, id, email); err != nil {
		w.Fatal(err)
	}
}

func (w *world) remove(id string) {
	w.Helper()
	if err := w.srv.DeleteRecord(w.id, "/hris/employees", id); err != nil {
		w.Fatal(err)
	}
}

// finishSync is when Kombo has read the tool: it delivers data-changed, and waits for the response.
func (w *world) finishSync() {
	w.Helper()
	if err := w.srv.FinishSync(w.Context(), w.id); err != nil {
		w.Fatal(err)
	}
}

func (w *world) sync() error {
	return syncEmployees(w.Context(), w.client, w.db, w.id, w.now())
}

// has checks what the database has.
func (w *world) has(emails ...string) {
	w.Helper()
	if diff := cmp.Diff(emails, w.db.emails(w.id)); diff != "" {
		w.Errorf("the database (-want +got):\n%s", diff)
	}
}

func TestSync(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kombo.SetupStatusFinalSyncPending)

	// The first sync of the integration is pending, which is no error.
	w.put("e1", "ada@x.example")
	w.put("e2", "grace@x.example")
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	w.has()

	w.after(time.Hour)
	w.finishSync() // the first data-changed
	w.has("ada@x.example", "grace@x.example")

	w.after(time.Hour)
	w.put("e2", "hopper@x.example")
	w.put("e3", "edsger@x.example")
	w.remove("e1")
	w.finishSync()
	w.has("edsger@x.example", "hopper@x.example")

	// The webhook is lost: what runs from time to time finds the changes.
	w.after(time.Hour)
	w.srv.SetWebhookURL("")
	w.put("e1", "ada-again@x.example")
	w.remove("e3")
	w.finishSync()
	w.has("edsger@x.example", "hopper@x.example")
	w.after(time.Hour)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	w.has("ada-again@x.example", "hopper@x.example")

	// A change that this program did not read, for whatever reason, is found by the read of everything.
	w.db.put(w.id, employee{ID: "e9", WorkEmail: "gone@x.example"})
	w.db.remove(w.id, "e2")
	w.after(fullEvery)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	w.has("ada-again@x.example", "hopper@x.example")
}

// A page that fails is fetched again; if that does not help, the next call reads all of it again.
func TestSyncWithPagesThatFail(t *testing.T) {
	t.Parallel()
	for _, failures := range []int{2, -1} {
		t.Run(fmt.Sprint(failures), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kombo.SetupStatusCompleted)
			w.srv.SetWebhookURL("")
			var want []string
			for i := range 600 { // three pages
				email := fmt.Sprintf("%03d@x.example", i)
				w.put(fmt.Sprint(i), email)
				want = append(want, email)
			}
			pages := 0
			client, err := w.srv.Client(kombo.WithRetry(kombo.RetryPolicy{BaseDelay: time.Millisecond}), kombo.WithHTTPClient(&http.Client{
				Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
					if pages++; pages == 2 {
						w.srv.InjectFault(kombotest.Fault{Op: "GET /hris/employees", Status: http.StatusBadGateway, Times: failures})
					}
					return http.DefaultTransport.RoundTrip(r)
				}),
			}))
			if err != nil {
				t.Fatal(err)
			}
			w.client = client
			err = w.sync()
			if (err != nil) != (failures < 0) {
				t.Fatalf("error = %v", err)
			}
			if err != nil {
				if got := w.db.marks(w.id); got != (marks{}) {
					t.Errorf("marks = %v, although the read is not complete", got)
				}
				// Meanwhile one of the first page has changed, and one is deleted.
				w.srv.ClearFaults()
				w.after(time.Minute)
				w.put("0", "000-new@x.example")
				w.remove("1")
				want = append([]string{"000-new@x.example"}, want[2:]...)
				if err := w.sync(); err != nil {
					t.Fatal(err)
				}
			}
			w.has(want...)
		})
	}
}

// What changes while it is read is not lost: it is read again.
func TestSyncWhileDataChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kombo.SetupStatusCompleted)
	w.srv.SetWebhookURL("")
	for i := range 300 {
		w.put(fmt.Sprint(i), "old@x.example")
	}
	w.after(time.Hour)
	pages := 0
	client, err := w.srv.Client(kombo.WithHTTPClient(&http.Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if pages++; pages == 2 { // the first page has been read
			w.after(time.Second)
			w.put("0", "new@x.example")
			w.after(10 * time.Minute) // a long read
		}
		return http.DefaultTransport.RoundTrip(r)
	})}))
	if err != nil {
		t.Fatal(err)
	}
	w.client = client
	for range 2 {
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		w.after(time.Hour)
	}
	// Two pages, and then one with what has changed.
	if got := w.db.employees[w.id]["0"].WorkEmail; got != "new@x.example" || len(w.db.employees[w.id]) != 300 || pages != 3 {
		t.Errorf("%q, %d employees, %d pages", got, len(w.db.employees[w.id]), pages)
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
