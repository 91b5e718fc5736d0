// Embeddedflow is a small product whose customers connect their HR systems through Kombo: a settings page,
// the embedded flow, a webhook receiver, and a table of what is connected.
//
//	go run ./examples/embeddedflow
//
// It brings its own fake Kombo. With KOMBO_API_KEY and KOMBO_WEBHOOK_SECRET set (and KOMBO_REGION, eu or us)
// it talks to the real one, whose webhooks have to reach /webhooks/kombo.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
	"github.com/kombo-go/kombo/internal/sandbox"
	"github.com/kombo-go/kombo/kombotest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "embeddedflow:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, output io.Writer) error {
	flags := flag.NewFlagSet("embeddedflow", flag.ContinueOnError)
	flags.SetOutput(output)
	var (
		listen     = flags.String("listen", "127.0.0.1:8080", "where the product listens")
		database   = flags.String("database", "embeddedflow.db", "a file for SQLite, or postgres://…")
		sandboxAt  = flags.String("sandbox", "127.0.0.1:8900", "where the fake Kombo listens, without KOMBO_API_KEY")
		libraryAt  = flags.String("library", "", "the file of @kombo-api/connect (default: one that npm has installed nearby, else the CDN)")
		sessionKey = flags.String("session-key", "", "signs the session cookies; replicas need the same one (default: made up)")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	if *sessionKey == "" {
		*sessionKey = rand.Text()
	}
	if *libraryAt != "" {
		if _, err := os.Stat(*libraryAt); err != nil {
			return fmt.Errorf("-library: %w", err)
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
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

	config := appConfig{
		store: connections, log: log, sessionKey: []byte(*sessionKey), library: findLibrary(*libraryAt),
	}
	closeKombo, err := connectKombo(ctx, &config, getenv, *sandboxAt, "http://"+listener.Addr().String())
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
	fmt.Fprintf(output, "The product   http://%s/\n", listener.Addr())
	if config.sandboxURL != "" {
		fmt.Fprintf(output, "A fake Kombo  %s\n", config.sandboxURL)
	} else {
		fmt.Fprintf(output, "Webhooks have to reach http://%s/webhooks/kombo, through a tunnel say.\n", listener.Addr())
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// What is under way, webhooks above all, comes to its end.
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(deadline)
}

// connectKombo makes the client and the verifier, of the real Kombo where there is a key, else of a fake one.
func connectKombo(ctx context.Context, config *appConfig, getenv func(string) string, sandboxAt, product string) (closeKombo func(), err error) {
	if apiKey := getenv("KOMBO_API_KEY"); apiKey != "" {
		return func() {}, connectRealKombo(config, apiKey, getenv)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", sandboxAt)
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
	if baseURL := getenv("KOMBO_BASE_URL"); baseURL != "" { // a sandbox that runs elsewhere
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

// findLibrary returns the file of Kombo's browser library, "" where npm has not installed it.
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
