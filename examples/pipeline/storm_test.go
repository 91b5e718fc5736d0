package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/internal/postgres"
	"github.com/kombo-go/kombo/examples/internal/replicas"
	"github.com/kombo-go/kombo/kombotest"
)

// The product as deployed: replicas are killed, the database crashes, and Kombo fails. Nothing is lost and nothing has an effect
// twice. PIPELINE_STORMS=5 runs five times in full size.
func TestStorm(t *testing.T) {
	t.Parallel()
	if testing.Short() || runtime.GOOS == "windows" {
		t.Skip("starts and kills processes")
	}
	binary := filepath.Join(t.TempDir(), "pipeline")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	times, webhooks := 1, 300
	if n, err := strconv.Atoi(os.Getenv("PIPELINE_STORMS")); err == nil {
		times, webhooks = n, 1000
	}
	for i := range times { // one storm at a time
		t.Run(fmt.Sprintf("three on Postgres %d", i), func(t *testing.T) {
			cluster := postgres.NewCluster(t)
			storm{binary, "pgx", cluster.DSN, 3, webhooks, 6, func() { cluster.Crash(); cluster.Start() }}.run(t)
		})
		t.Run(fmt.Sprintf("one on SQLite %d", i), func(t *testing.T) {
			storm{binary, "sqlite", filepath.Join(t.TempDir(), "storm.db"), 1, webhooks / 5, 2, func() {}}.run(t)
		})
	}
}

// storm delivers webhooks one to four times, in random order, while replicas are killed and the database crashes twice.
type storm struct {
	binary, driver, dsn       string
	replicas, webhooks, kills int
	crash                     func()
}

func (s storm) run(t *testing.T) {
	seed, begin := rand.Uint64(), time.Now()
	random := rand.New(rand.NewPCG(seed, 0))
	srv, _ := kombotest.Start(t, kombotest.Config{})
	all := make([]*replicas.Replica, s.replicas)
	var starting sync.WaitGroup
	for i := range all {
		all[i] = replicas.New(t, s.binary, srv, s.dsn, "-rescue", "8s")
		starting.Go(all[i].Start)
	}
	if starting.Wait(); t.Failed() {
		return
	}

	// The webhooks of the fake are caught here, and delivered below.
	var pool []delivery
	events := 0
	catcher := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		events++
		for range 1 + random.IntN(4) {
			pool = append(pool, delivery{string(body), r.Header.Get(kombo.SignatureHeader)})
		}
	}))
	t.Cleanup(catcher.Close)
	srv.SetWebhookURL(catcher.URL)

	var senders, killer sync.WaitGroup
	var refused atomic.Int64
	next, strikes := make(chan delivery), make(chan func())
	address := replicas.Balance(t, all) + "/webhooks/kombo"
	for range 16 {
		senders.Go(func() {
			for d := range next {
				for d.send(t, http.DefaultClient, address) != http.StatusNoContent && !t.Failed() {
					refused.Add(1)
				}
			}
		})
	}
	killer.Go(func() {
		for strike := range strikes {
			strike()
		}
	})
	deliver := func(down int) {
		for len(pool) > down && !t.Failed() {
			i := random.IntN(len(pool))
			next <- pool[i]
			pool[i], pool = pool[len(pool)-1], pool[:len(pool)-1]
		}
	}
	customers, killed, crashed := tools{T: t, srv: srv, random: random}, 0, 0
	for events < s.webhooks && !t.Failed() {
		customers.act()
		if random.IntN(10) == 0 {
			srv.InjectFault(failures[random.IntN(len(failures))])
		}
		if killed < s.kills && events >= (killed+1)*s.webhooks/(s.kills+1) {
			killed++
			victim, crashes := all[random.IntN(len(all))], killed%3 == 2
			strikes <- func() {
				victim.Kill()
				if crashes {
					s.crash()
					crashed++
				}
				victim.Start()
			}
		}
		deliver(60)
	}
	deliver(0)
	close(next)
	close(strikes)
	senders.Wait()
	killer.Wait()
	delivered := time.Since(begin)

	db, err := sql.Open(s.driver, s.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	t.Cleanup(func() {
		if t.Failed() {
			logJobs(t, db)
		}
	})
	await(t, 2*time.Minute, "the tables equal the tools", func() string { return compare(t.Context(), db, srv) })
	var jobs, failed int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*), count(CASE WHEN state IN ('cancelled', 'discarded') THEN 1 END)
		FROM river_job WHERE kind = 'webhook'`).Scan(&jobs, &failed); err != nil {
		t.Fatal(err)
	}
	if jobs != events || failed > 0 {
		t.Errorf("%d jobs for %d events, %d failed", jobs, events, failed)
	}
	if refused.Load() == 0 {
		t.Error("no delivery failed: the test proves nothing")
	}
	t.Logf("seed %d: %d events, %d deliveries failed, %d kills, %d crashes of the database; %.1f s, and %.1f s more until the tables were right",
		seed, events, refused.Load(), killed, crashed, delivered.Seconds(), time.Since(begin).Seconds()-delivered.Seconds())
}

// failures are those of Kombo.
var failures = []kombotest.Fault{
	{Op: "GET /hris/employees", Times: 1, Status: http.StatusServiceUnavailable},
	{Op: "GET /hris/employees", Times: 1, Code: kombo.CodeRateLimitExceeded, RetryAfter: time.Second},
	{Op: "GET /hris/teams", Times: 1, Truncate: true},
	{Op: "GET /hris/employees", Times: 1, Truncate: true},
	{Op: "GET /integrations/{integration_id}", Times: 1, Status: http.StatusServiceUnavailable},
	{Op: "GET /integrations/{integration_id}", Times: 1, Code: kombo.CodeRateLimitExceeded, RetryAfter: time.Second},
	{Op: "POST /integrations/{integration_id}/relink", Times: 1, Truncate: true},
}

type delivery struct{ body, signature string }

// send returns the status of the response, or 0.
func (d delivery) send(t testing.TB, client *http.Client, address string) int {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(d.body))
	if err != nil {
		t.Error(err)
		return 0
	}
	r.Header.Set(kombo.SignatureHeader, d.signature)
	response, err := client.Do(r)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// tools are the HR systems of the customers.
type tools struct {
	*testing.T
	srv    *kombotest.Server
	random *rand.Rand
	live   []string
	// connected is called after the exchange of the token, if it is not nil.
	connected func(*kombo.ConnectedIntegration)
}

// act changes something. The fake sends one webhook about it, or none.
func (s *tools) act() {
	s.Helper()
	n := s.random.IntN(20)
	if len(s.live) < 5 || n == 0 {
		integration := s.srv.Connect(s.T, kombo.CreateLinkRequest{
			EndUserEmail: "a@b.example", EndUserOrganizationName: "Acme", EndUserOriginID: fmt.Sprint(s.random.IntN(1000)),
		})
		s.live = append(s.live, integration.ID)
		if s.connected != nil {
			s.connected(integration)
		}
		return
	}
	k := s.random.IntN(len(s.live))
	id := s.live[k]
	integration, _ := s.srv.Integration(id)
	broken := integration.State == kombo.StateInvalid
	var err error
	switch {
	case n == 1:
		err = s.srv.DeleteIntegration(s.Context(), id)
		s.live = append(s.live[:k], s.live[k+1:]...)
	case broken:
		err = s.srv.SetState(s.Context(), id, kombo.StateActive)
	case n < 4:
		err = s.srv.SetState(s.Context(), id, kombo.StateInvalid)
	case n < 7 && len(s.srv.Records(id, "/hris/employees")) > 0:
		var r record
		if err := json.Unmarshal(s.srv.Records(id, "/hris/employees")[0], &r); err == nil && r.DeletedAt == nil {
			_ = s.srv.DeleteRecord(id, "/hris/employees", r.ID)
		}
		err = s.srv.FinishSync(s.Context(), id)
	default:
		err = s.srv.PutRecord(id, "/hris/employees", map[string]string{"id": fmt.Sprint("e", s.random.IntN(20)), "first_name": fmt.Sprint(s.random.Uint32())})
		if err == nil {
			err = s.srv.FinishSync(s.Context(), id)
		}
	}
	if err != nil {
		s.Fatal(err)
	}
}

// logJobs logs the jobs that are not completed.
func logJobs(t *testing.T, db *sql.DB) {
	rows, err := db.Query(`SELECT kind, state, attempt, CAST(scheduled_at AS TEXT), CAST(attempted_at AS TEXT), CAST(errors AS TEXT) FROM river_job WHERE state <> 'completed' LIMIT 20`)
	if err != nil {
		t.Log(err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var kind, state, scheduled string
		var attempted, failures sql.NullString
		var attempt int
		if err := rows.Scan(&kind, &state, &attempt, &scheduled, &attempted, &failures); err != nil {
			t.Log(err)
		}
		t.Logf("%s %s, attempt %d at %s, scheduled at %s: %.600s", kind, state, attempt, attempted.String, scheduled, failures.String)
	}
}
