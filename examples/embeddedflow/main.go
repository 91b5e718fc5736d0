// Embeddedflow shows how a product lets its customers connect their HR systems: a settings page, the embedded flow,
// a webhook receiver, and a table of connections.
//
//	go run ./examples/embeddedflow
//
// It starts its own fake Kombo and runs until Ctrl-C. The table is stored in embeddedflow.db. If KOMBO_API_KEY and
// KOMBO_WEBHOOK_SECRET are set (and KOMBO_REGION, eu or us), it uses the real Kombo, whose webhooks must reach
// /webhooks/kombo.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/kombo-go/kombo/examples/embeddedflow/store"
	"github.com/kombo-go/kombo/examples/internal/demo"
	"github.com/kombo-go/kombo/internal/usage"
	"github.com/kombo-go/kombo/kombotest"
)

func main() {
	os.Exit(usage.Run("embeddedflow", os.Stderr, func(ctx context.Context) error {
		return run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	}))
}

func run(ctx context.Context, args []string, getenv func(string) string, output io.Writer) error {
	flags := flag.NewFlagSet("embeddedflow", flag.ContinueOnError)
	var (
		listen    = flags.String("listen", "127.0.0.1:8080", "address of the product")
		database  = flags.String("database", "embeddedflow.db", "SQLite file, or postgres://… address")
		sandboxAt = flags.String("sandbox", "127.0.0.1:8900", demo.SandboxFlag)
		libraryAt = flags.String("library", "", "file of @kombo-api/connect (default: a copy that npm has installed nearby, else the CDN)")
		publicURL = flags.String("url", "", "public URL of the product, such as https://app.example.com (default: loopback only)")
	)
	if err := usage.Parse(flags, "A product whose customers connect their HR tools with Kombo's embedded flow.", args, 0, output); err != nil {
		return err
	}
	public, err := url.Parse(*publicURL)
	if *publicURL != "" && (err != nil || public.Hostname() == "" || public.Scheme != "http" && public.Scheme != "https") {
		return fmt.Errorf("-url: %q is not of the form https://host", *publicURL)
	}
	if *libraryAt != "" {
		if _, err := os.Stat(*libraryAt); err != nil {
			return fmt.Errorf("-library: %w", err)
		}
	}
	listener, err := usage.Listen(ctx, "listen", *listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	log := slog.New(slog.NewTextHandler(output, nil))
	connections, err := store.Open(ctx, *database)
	if err != nil {
		return err
	}
	defer func() { _ = connections.Close() }()

	address := demo.Reachable(listener)
	root := "http://" + address.String()
	k, err := demo.ConnectKombo(ctx, getenv, *sandboxAt, root, kombotest.Config{Redelivery: kombotest.Redelivery{MaxAttempts: 6, BaseDelay: time.Second}})
	if err != nil {
		return err
	}
	defer k.Close()
	app, err := newApp(appConfig{
		Kombo: k, store: connections, log: log, library: findLibrary(*libraryAt),
		hosts: []string{address.Addr().String(), strings.ToLower(public.Hostname())}, https: public.Scheme == "https",
	})
	if err != nil {
		return err
	}
	where := ""
	if k.Dashboard != "" {
		where = "A fake Kombo  " + k.Dashboard + "\n"
	} else if *publicURL == "" {
		where = "Kombo must reach " + root + "/webhooks/kombo. With a tunnel, set -url to its address.\n"
	}
	fmt.Fprintf(output, "The product   %s/\n%s", root, where)
	return demo.Serve(ctx, listener, app, log, app.endStreams)
}

// findLibrary returns the file of Kombo's browser library, or "" if npm has not installed it.
func findLibrary(file string) string {
	if file != "" {
		return file
	}
	for _, folder := range []string{".", "examples/embeddedflow", "conformance/typescript"} {
		file := folder + "/node_modules/@kombo-api/connect/dist/index.js"
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}
