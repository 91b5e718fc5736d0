package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kombo-go/kombo/internal/sandbox"
	"github.com/kombo-go/kombo/internal/usage"
	"github.com/kombo-go/kombo/kombotest"
)

var sandboxCommand = command{
	name: "sandbox", summary: "run a fake Kombo with a dashboard",
	about: `Runs a fake Kombo next to a service in any language: the API, the customer's
pages, signed webhooks, a dashboard, and a control API for scripts. It accepts
KOMBO_API_KEY and signs with KOMBO_WEBHOOK_SECRET; those that are not set are
made up and printed. It prints a line for each request and each delivery, and
ends with Ctrl-C.

  kombo sandbox -webhook-url http://127.0.0.1:8080/webhooks/kombo`,
	setup: func(flags *flag.FlagSet) runner {
		var s sandboxRun
		flags.StringVar(&s.listen, "listen", "127.0.0.1:8900", "the `address` to listen on")
		flags.BoolVar(&s.allowRemote, "allow-remote", false, "let other machines in, who can then read the keys")
		flags.StringVar(&s.url, "url", "", "the `url` of the sandbox for others: http://kombo:8900")
		flags.StringVar(&s.state, "state", "", "the `file` that keeps the integrations across restarts")
		flags.StringVar(&s.webhookURL, "webhook-url", "", "the `url` that webhooks are delivered to")
		return s.run
	},
}

// sandboxRun is a sandbox command with its flags.
type sandboxRun struct {
	listen, url, webhookURL, state string
	allowRemote                    bool
}

func (s *sandboxRun) run(ctx context.Context, e *env, _ []string) error {
	apiKey, secret := e.getenv(varAPIKey), e.getenv(varWebhookSecret)
	if err := s.check(); err != nil {
		return &usageError{err}
	}
	if strings.HasPrefix(apiKey, "ks_") { // the dashboard shows the key
		return &usageError{errors.New(varAPIKey + " looks like a key of the real Kombo; unset it, and the sandbox makes one up")}
	}
	state := newStateFile(s.state)
	before, err := state.load()
	if err != nil {
		return &usageError{err}
	}
	listener, err := usage.Listen(ctx, "listen", s.listen)
	if err != nil {
		return err
	}
	log := &logger{env: e}
	// A service must not find that its integrations are gone.
	restored := make(chan struct{})
	server, err := sandbox.Start(kombotest.Config{
		Listener: &waitingListener{listener, restored}, URL: s.url, APIKey: apiKey, WebhookURL: s.webhookURL, WebhookSecret: secret,
		Redelivery: kombotest.Redelivery{MaxAttempts: 6, BaseDelay: time.Second},
		OnRequest:  log.request, OnDelivery: log.delivery, OnChange: state.notify,
	})
	if err != nil {
		return err
	}
	defer server.Close()
	for _, integration := range before.Integrations {
		if err = server.AddIntegration(integration); err != nil {
			break
		}
	}
	close(restored)
	if err != nil {
		return fmt.Errorf("-state %s: %w", s.state, err)
	}
	log.start(server)
	return state.keep(ctx, server)
}

// check returns an error if the flags make no sense.
func (s *sandboxRun) check() error {
	if s.webhookURL != "" {
		if err := sandbox.CheckWebhookURL(s.webhookURL); err != nil {
			return fmt.Errorf("-webhook-url: %w", err)
		}
	}
	if parsed, err := url.Parse(s.url); s.url != "" && (err != nil || parsed.Host == "" || strings.Trim(parsed.Path, "/") != "") {
		return fmt.Errorf("-url: %q is not of the form http://host:port", s.url)
	}
	if !s.allowRemote {
		if err := checkLoopback(s.listen); err != nil {
			return err
		}
	}
	if host, _, err := net.SplitHostPort(s.listen); err == nil && s.url == "" {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			return fmt.Errorf("-listen: links cannot point to %q; give the address for others with -url", s.listen)
		}
	}
	return nil
}

// checkLoopback refuses addresses that other machines can reach.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("-listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("-listen: other machines can reach %q; use a loopback address, or add -allow-remote", address)
}

// logger writes a line for each request and delivery. None contains a key, a token or a link.
type logger struct {
	env   *env
	mutex sync.Mutex
}

// start prints the addresses of the sandbox, and the secrets that it has made up, which are of no use elsewhere.
func (l *logger) start(server *kombotest.Server) {
	webhookURL := server.WebhookURL()
	if parsed, err := url.Parse(webhookURL); err == nil {
		webhookURL = parsed.Redacted()
	}
	dashboard := strings.TrimSuffix(server.BaseURL(), "v1")
	settings := map[string]string{varBaseURL: server.BaseURL()}
	for name, value := range map[string]string{varAPIKey: server.APIKey(), varWebhookSecret: server.WebhookSecret()} {
		if settings[name] = value; l.env.getenv(name) != "" {
			settings[name] = "(the one of the environment)"
		}
	}
	if l.env.json {
		l.printJSON(map[string]any{
			"kind": "start", "dashboard": dashboard, "control_api": dashboard + "_sandbox/", "webhook_url": webhookURL, "environment": settings,
		})
		return
	}
	if webhookURL == "" {
		webhookURL = "nowhere yet; set it in the dashboard, or with -webhook-url"
	}
	l.print("Kombo sandbox: a fake Kombo for local work. Stop it with Ctrl-C.\n\n"+
		"  dashboard       %s\n  control API     %s_sandbox/\n  webhooks go to  %s\n\nFor your service:\n\n"+
		"  KOMBO_BASE_URL=%s\n  KOMBO_API_KEY=%s\n  KOMBO_WEBHOOK_SECRET=%s\n\n",
		dashboard, dashboard, webhookURL, settings[varBaseURL], settings[varAPIKey], settings[varWebhookSecret])
}

func (l *logger) request(r kombotest.Request) {
	operation := r.Op
	if operation == "" {
		operation = r.Method + " (no such endpoint)"
	}
	result := strconv.Itoa(r.StatusCode)
	if r.StatusCode == 0 {
		result = "connection cut"
	}
	if r.ErrorCode != "" {
		result += " " + printable(string(r.ErrorCode))
	}
	if r.Faulty {
		result += " (fault)"
	}
	if l.env.json {
		l.printJSON(map[string]any{
			"kind": "request", "time": r.Time, "op": operation, "status": r.StatusCode, "error_code": r.ErrorCode, "fault": r.Faulty,
			"duration_ms": float64(r.Duration.Microseconds()) / 1000,
		})
		return
	}
	l.print("%s  request   %s: %s in %s\n", r.Time.Local().Format(time.TimeOnly), operation, result, rounded(r.Duration))
}

func (l *logger) delivery(d kombotest.Delivery) {
	var result string
	switch {
	case d.Lost:
		result = "lost on purpose"
	case d.URL == "":
		result = "nowhere to deliver to"
	case d.Err != nil:
		result = "failed: " + reason(d.Err)
	default:
		result = fmt.Sprintf("%d in %s", d.StatusCode, rounded(d.Duration))
	}
	if d.Forged {
		result += " (forged)"
	}
	if d.Attempt > 1 {
		result += fmt.Sprintf(" (attempt %d)", d.Attempt)
	}
	if l.env.json {
		l.printJSON(map[string]any{
			"kind": "delivery", "time": d.Time, "type": d.EventType, "event_id": d.EventID, "attempt": d.Attempt, "status": d.StatusCode,
			"accepted": d.Accepted(), "result": result,
		})
		return
	}
	l.print("%s  delivery  %s %s: %s\n", d.Time.Local().Format(time.TimeOnly), printable(string(d.EventType)), printable(d.EventID), result)
}

func rounded(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func (l *logger) print(format string, args ...any) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	fmt.Fprintf(l.env.stdout, format, args...)
}

func (l *logger) printJSON(value any) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	_ = l.env.printJSON(value)
}
