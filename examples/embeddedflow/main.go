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
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
	"github.com/kombo-go/kombo/internal/sandbox"
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
		sandboxAt = flags.String("sandbox", "127.0.0.1:8900", "address of the fake Kombo, which runs if KOMBO_API_KEY is not set")
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

	address := reachable(listener)
	product := "http://" + address.String()
	config := appConfig{
		store: connections, log: log, library: findLibrary(*libraryAt),
		hosts: []string{address.Addr().String(), strings.ToLower(public.Hostname())}, https: public.Scheme == "https",
	}
	closeKombo, err := connectKombo(ctx, &config, getenv, *sandboxAt, product)
	if err != nil {
		return err
	}
	defer closeKombo()
	app, err := newApp(config)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: app, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(app.endStreams)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(output, "The product   %s/\n", product)
	if config.sandboxURL != "" {
		fmt.Fprintf(output, "A fake Kombo  %s\n", config.sandboxURL)
	} else if *publicURL == "" {
		fmt.Fprintf(output, "Kombo must reach %s/webhooks/kombo. With a tunnel, set -url to its address.\n", product)
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// Requests in progress, above all webhooks, are completed.
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(deadline)
}

// reachable returns the address at which programs on this machine reach the listener.
func reachable(listener net.Listener) netip.AddrPort {
	address := netip.MustParseAddrPort(listener.Addr().String())
	if address.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port())
	}
	return address
}

// connectKombo creates the client and the verifier: for the real Kombo if there is an API key, else for a fake one.
func connectKombo(ctx context.Context, config *appConfig, getenv func(string) string, sandboxAt, product string) (closeKombo func(), err error) {
	if apiKey := getenv("KOMBO_API_KEY"); apiKey != "" {
		return func() {}, connectRealKombo(config, apiKey, getenv)
	}
	listener, err := usage.Listen(ctx, "sandbox", sandboxAt)
	if err != nil {
		return nil, fmt.Errorf("the fake Kombo: %w", err)
	}
	server, err := sandbox.Start(kombotest.Config{
		Listener: listener, WebhookURL: product + "/webhooks/kombo",
		Redelivery: kombotest.Redelivery{MaxAttempts: 6, BaseDelay: time.Second},
	})
	if err != nil {
		return nil, err
	}
	config.sandboxURL = strings.TrimSuffix(server.BaseURL(), "v1")
	config.frameSource = strings.TrimSuffix(server.BaseURL(), "/v1")
	config.client, err = server.Client()
	if err == nil {
		config.verifier, err = kombo.NewWebhookVerifier(server.WebhookSecret())
	}
	if err != nil {
		server.Close()
		return nil, err
	}
	return server.Close, nil
}

func connectRealKombo(config *appConfig, apiKey string, getenv func(string) string) (err error) {
	var options []kombo.Option
	if region := getenv("KOMBO_REGION"); region != "" {
		options = append(options, kombo.WithRegion(kombo.Region(strings.ToLower(region))))
	}
	config.frameSource = "https://connect.kombo.dev"
	if baseURL := getenv("KOMBO_BASE_URL"); baseURL != "" { // for example, of a sandbox in another process
		options = append(options, kombo.WithBaseURL(baseURL))
		config.frameSource = strings.TrimSuffix(baseURL, "/v1")
	}
	if config.client, err = kombo.NewClient(apiKey, options...); err != nil {
		return err
	}
	secrets := []string{getenv("KOMBO_WEBHOOK_SECRET")}
	if previous := getenv("KOMBO_WEBHOOK_SECRET_PREVIOUS"); previous != "" {
		secrets = append(secrets, previous)
	}
	config.verifier, err = kombo.NewWebhookVerifier(secrets...)
	return err
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
