// Pipeline shows how a product receives webhooks on a durable queue and keeps a copy of its customers' data.
//
//	go run ./examples/pipeline
//
// It starts a fake Kombo and stores everything in pipeline.db. With KOMBO_API_KEY and KOMBO_WEBHOOK_SECRET set, it uses the
// real Kombo, whose webhooks must reach /webhooks/kombo. With -database postgres://… run as many replicas as you like.
package main

import (
	"cmp"
	"context"
	_ "embed" // page.html
	"errors"
	"expvar"
	"flag"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	"riverqueue.com/riverui"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/internal/demo"
	"github.com/kombo-go/kombo/internal/usage"
	"github.com/kombo-go/kombo/kombotest"
)

func main() {
	os.Exit(usage.Run("pipeline", os.Stderr, func(ctx context.Context) error { return run(ctx, os.Args[1:], os.Stdout) }))
}

func run(ctx context.Context, args []string, output io.Writer) error {
	flags := flag.NewFlagSet("pipeline", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8081", "address of the product")
	database := flags.String("database", "pipeline.db", "SQLite file, or postgres://… address")
	sandboxAt := flags.String("sandbox", "127.0.0.1:8900", demo.SandboxFlag)
	rescue := flags.Duration("rescue", 10*time.Minute, "after which another replica takes over the jobs of one that was killed; a job may take half of it")
	if err := usage.Parse(flags, "A durable queue for webhooks, and a copy of the customers' data.", args, 0, output); err != nil {
		return err
	}
	listener, err := usage.Listen(ctx, "listen", *listen)
	if err != nil {
		return err
	}
	p := &pipeline{log: slog.New(slog.NewTextHandler(output, nil)), now: time.Now, rescue: *rescue}
	p.mail = func(_ context.Context, to, subject, _ string) error {
		_, err := fmt.Fprintf(output, "Mail to %s: %s\n", to, subject)
		return err
	}
	product, fake := "http://"+demo.Reachable(listener).String(), kombotest.Config{Redelivery: kombotest.Redelivery{MaxAttempts: 10}, DeliverInBackground: true}
	if p.Kombo, err = demo.ConnectKombo(ctx, os.Getenv, *sandboxAt, product, fake, kombo.WithObserver(p.observeCall)); err != nil {
		return err
	}
	defer p.Close()
	stop, err := p.start(ctx, *database)
	if err != nil {
		return err
	}
	handler, err := p.routes(ctx)
	if err == nil {
		fmt.Fprintf(output, "The product   %s/\nIts jobs      %s/river/\nThe fake      %s\n", product, product, cmp.Or(p.Dashboard, "none: this is the real Kombo"))
		err = demo.Serve(ctx, listener, handler, p.log, nil)
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, stop(deadline)) // the jobs in progress are completed after the requests
}

// routes mounts the receiver, the page, River's UI and the metrics. In production, protect all but the receiver.
func (p *pipeline) routes(ctx context.Context) (http.Handler, error) {
	ui, err := riverui.NewHandler(&riverui.HandlerOpts{Endpoints: riverui.NewEndpoints(p.river, nil), Logger: slog.New(slog.DiscardHandler), Prefix: "/river"})
	if err != nil {
		return nil, err
	}
	mux, root := http.NewServeMux(), http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.page)
	mux.Handle("/river/", ui)
	mux.Handle("GET /debug/vars", expvar.Handler())
	root.HandleFunc("POST /webhooks/kombo", p.receive)
	root.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	root.Handle("/", http.NewCrossOriginProtection().Handler(mux))
	return root, ui.Start(ctx)
}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page shows the connections with the number of records of each.
func (p *pipeline) page(w http.ResponseWriter, r *http.Request) {
	rows, err := p.db.Strings(r.Context(), `SELECT customer, tool, state, setup_status, coalesce(model, ''),
		(SELECT count(*) FROM records r WHERE r.integration_id = c.integration_id AND r.model = f.model AND NOT deleted), coalesce(wanted, 0)
		FROM connections c LEFT JOIN fetches f ON f.integration_id = c.integration_id WHERE deleted_at = 0 ORDER BY customer, tool, model LIMIT 200`)
	if err != nil {
		p.log.ErrorContext(r.Context(), "page", "error", err)
		http.Error(w, "something went wrong", http.StatusInternalServerError)
		return
	}
	_ = pageTemplate.Execute(w, map[string]any{"Rows": rows, "Dashboard": p.Dashboard})
}

// The metrics are at /debug/vars. For Prometheus or OpenTelemetry there is the module otelkombo.
var deliveries, calls = expvar.NewMap("deliveries"), expvar.NewMap("calls")

func (p *pipeline) observeDelivery(ctx context.Context, d kombo.DeliveryInfo) {
	deliveries.Add(strconv.Itoa(d.StatusCode), 1)
	if d.Err != nil {
		p.log.WarnContext(ctx, "a webhook was not accepted", "status", d.StatusCode, "error", d.Err)
	}
}

func (p *pipeline) observeCall(ctx context.Context, c kombo.CallInfo) {
	calls.Add(c.Op+" "+strconv.Itoa(c.StatusCode), 1)
	if c.Err != nil {
		p.log.InfoContext(ctx, "a call failed", "op", c.Op, "attempts", c.Attempts, "error", c.Err)
	}
}
