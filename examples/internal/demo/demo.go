// Package demo has what the example products do alike: they find Kombo, and serve until they are interrupted.
package demo

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sandbox"
	"github.com/kombo-go/kombo/internal/usage"
	"github.com/kombo-go/kombo/kombotest"
)

// SandboxFlag is the help of the flag with the address of the fake Kombo.
const SandboxFlag = "address of the fake Kombo, which runs if KOMBO_API_KEY is not set"

// Kombo is what a product uses to talk with Kombo.
type Kombo struct {
	Client   *kombo.Client
	Verifier *kombo.WebhookVerifier
	// Pages is the origin of Kombo's pages.
	Pages string
	// Dashboard is the URL of the fake Kombo's dashboard, or "" for the real Kombo.
	Dashboard string
	// Close stops the fake Kombo.
	Close func()
}

// ConnectKombo creates a client and a verifier. With KOMBO_API_KEY, they are for the real Kombo; see also KOMBO_REGION (eu or
// us), KOMBO_BASE_URL, KOMBO_WEBHOOK_SECRET and KOMBO_WEBHOOK_SECRET_PREVIOUS. Without, a fake one starts at the address
// and delivers its webhooks to the product. The rest of its config is the caller's.
func ConnectKombo(ctx context.Context, getenv func(string) string, sandboxAt, product string, config kombotest.Config, options ...kombo.Option) (k Kombo, err error) {
	if apiKey := getenv("KOMBO_API_KEY"); apiKey != "" {
		return connectRealKombo(apiKey, getenv, options)
	}
	listener, err := usage.Listen(ctx, "sandbox", sandboxAt)
	if err != nil {
		return k, fmt.Errorf("the fake Kombo: %w", err)
	}
	config.Listener, config.WebhookURL = listener, product+"/webhooks/kombo"
	fake, err := sandbox.Start(config)
	if err != nil {
		return k, err
	}
	k = Kombo{Pages: strings.TrimSuffix(fake.BaseURL(), "/v1"), Dashboard: strings.TrimSuffix(fake.BaseURL(), "v1"), Close: fake.Close}
	k.Client, err = fake.Client(options...)
	if err == nil {
		k.Verifier, err = kombo.NewWebhookVerifier(fake.WebhookSecret())
	}
	if err != nil {
		fake.Close()
	}
	return k, err
}

func connectRealKombo(apiKey string, getenv func(string) string, options []kombo.Option) (k Kombo, err error) {
	if region := getenv("KOMBO_REGION"); region != "" {
		options = append(options, kombo.WithRegion(kombo.Region(strings.ToLower(region))))
	}
	k = Kombo{Pages: "https://connect.kombo.dev", Close: func() {}}
	if baseURL := getenv("KOMBO_BASE_URL"); baseURL != "" { // for example, of a sandbox in another process
		options = append(options, kombo.WithBaseURL(baseURL))
		k.Pages = strings.TrimSuffix(baseURL, "/v1")
	}
	if k.Client, err = kombo.NewClient(apiKey, options...); err != nil {
		return k, err
	}
	secrets := []string{getenv("KOMBO_WEBHOOK_SECRET")}
	if previous := getenv("KOMBO_WEBHOOK_SECRET_PREVIOUS"); previous != "" {
		secrets = append(secrets, previous)
	}
	k.Verifier, err = kombo.NewWebhookVerifier(secrets...)
	return k, err
}

// Reachable returns the address at which programs on this machine reach the listener.
func Reachable(listener net.Listener) netip.AddrPort {
	address := netip.MustParseAddrPort(listener.Addr().String())
	if address.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port())
	}
	return address
}

// Serve serves until ctx ends. Then it completes the requests in progress, above all webhooks. onShutdown, which may be
// nil, ends those that would not end by themselves.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger, onShutdown func()) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	if onShutdown != nil {
		server.RegisterOnShutdown(onShutdown)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(deadline)
}
