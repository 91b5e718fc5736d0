package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/internal/postgres"
	"github.com/kombo-go/kombo/examples/internal/replicas"
	"github.com/kombo-go/kombo/kombotest"
)

// Measures how many webhooks are accepted by 64 senders, and how fast the jobs are done. For docs/pipeline.md:
//
//	go test -run '^$' -bench Load -benchtime 3000x ./examples/pipeline
func BenchmarkLoad(b *testing.B) {
	binary := filepath.Join(b.TempDir(), "pipeline")
	if output, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, output)
	}
	for _, number := range []int{1, 3} {
		b.Run(fmt.Sprintf("Postgres/replicas=%d", number), func(b *testing.B) {
			load(b, binary, "pgx", postgres.NewCluster(b).DSN, number)
		})
	}
	b.Run("SQLite/replicas=1", func(b *testing.B) {
		load(b, binary, "sqlite", filepath.Join(b.TempDir(), "load.db"), 1)
	})
}

func load(b *testing.B, binary, driver, dsn string, number int) {
	srv, _ := kombotest.Start(b, kombotest.Config{})
	all := make([]*replicas.Replica, number)
	for i := range all {
		all[i] = replicas.New(b, binary, srv, dsn)
		all[i].Start()
	}
	// One connection for each sender to each replica.
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	times := make([]time.Duration, b.N)
	next := make(chan int)
	var senders sync.WaitGroup
	b.ResetTimer()
	begin := time.Now()
	for range 64 {
		senders.Go(func() {
			for i := range next {
				body := fmt.Sprintf(`{"id":"event%d","type":"integration-created","data":{"id":"personio:%d","tool":"personio","category":"HRIS","end_user":{"organization_name":"Acme, Inc.","creator_email":null,"origin_id":"%d"}}}`, i, i%200, i%200)
				sent := time.Now()
				d := delivery{body, kombo.SignWebhook(srv.WebhookSecret(), []byte(body))}
				if status := d.send(b, client, all[i%number].URL()+"/webhooks/kombo"); status != http.StatusNoContent {
					b.Errorf("status %d", status)
				}
				times[i] = time.Since(sent)
			}
		})
	}
	for i := range b.N {
		next <- i
	}
	close(next)
	senders.Wait()
	accepted := time.Since(begin)
	db, err := sql.Open(driver, dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	await(b, 5*time.Minute, "all jobs are done", func() string {
		var done int
		err := db.QueryRowContext(b.Context(), `SELECT count(*) FROM river_job WHERE kind = 'webhook' AND state = 'completed'`).Scan(&done)
		if err != nil || done < b.N {
			return fmt.Sprintf("%d are done, %v", done, err)
		}
		return ""
	})
	b.StopTimer()
	slices.Sort(times)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.N)/accepted.Seconds(), "accepted/s")
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "done/s")
}
