// Sandbox runs a fake Kombo next to a service in any language: the API, the customer's pages, signed webhooks, a
// dashboard, and a control API for scripts.
//
//	go run ./examples/sandbox -webhook-url http://127.0.0.1:8080/webhooks/kombo
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"github.com/kombo-go/kombo/internal/sandbox"
	"github.com/kombo-go/kombo/kombotest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, output io.Writer) error {
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(output)
	var (
		listen        = flags.String("listen", "127.0.0.1:8900", "where to listen; other than loopback addresses need -allow-remote")
		allowRemote   = flags.Bool("allow-remote", false, "let other machines in; they can read the keys and drive the sandbox")
		address       = flags.String("url", "", "what others call the sandbox, such as http://kombo:8900 between containers; links begin with it")
		apiKey        = flags.String("api-key", "", "the key that the API accepts (default: made up)")
		webhookURL    = flags.String("webhook-url", "", "where webhooks are delivered (default: nowhere, until it is set in the dashboard)")
		webhookSecret = flags.String("webhook-secret", "", "signs the webhooks (default: made up)")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	if *webhookURL != "" {
		if err := sandbox.CheckWebhookURL(*webhookURL); err != nil {
			return fmt.Errorf("-webhook-url: %w", err)
		}
	}
	if parsed, err := url.Parse(*address); *address != "" && (err != nil || parsed.Host == "" || strings.Trim(parsed.Path, "/") != "") {
		return fmt.Errorf("-url: %q is not of the form http://host:port", *address)
	}
	if !*allowRemote {
		if err := checkLoopback(*listen); err != nil {
			return err
		}
	}
	if host, _, err := net.SplitHostPort(*listen); err == nil && *address == "" {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			return fmt.Errorf("-listen: nobody can open links to %q; say with -url what others call the sandbox", *listen)
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	log := &logger{output: output}
	server, err := sandbox.Start(kombotest.Config{
		Listener: listener, URL: *address, APIKey: *apiKey, WebhookURL: *webhookURL, WebhookSecret: *webhookSecret,
		Redelivery: kombotest.Redelivery{MaxAttempts: 6, BaseDelay: time.Second},
		OnRequest:  log.request, OnDelivery: log.delivery,
	})
	if err != nil {
		return err
	}
	defer server.Close()
	log.start(server)
	<-ctx.Done()
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

// logger writes a line for each request and delivery. None holds a key, a token or a link.
type logger struct {
	mutex  sync.Mutex
	output io.Writer
}

func (l *logger) start(server *kombotest.Server) {
	webhookURL := server.WebhookURL()
	if parsed, err := url.Parse(webhookURL); err == nil {
		webhookURL = parsed.Redacted()
	}
	if webhookURL == "" {
		webhookURL = "nowhere yet; set it in the dashboard, or with -webhook-url"
	}
	dashboard := strings.TrimSuffix(server.BaseURL(), "v1")
	l.print("Kombo sandbox: a fake Kombo for local work. Stop it with Ctrl-C.\n\n"+
		"  dashboard       %s\n  control API     %s_sandbox/\n  API base URL    %s\n  API key         %s\n"+
		"  webhook secret  %s\n  webhooks go to  %s\n\n",
		dashboard, dashboard, server.BaseURL(), server.APIKey(), server.WebhookSecret(), webhookURL)
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
	l.print("%s  delivery  %s %s: %s\n", d.Time.Local().Format(time.TimeOnly), printable(string(d.EventType)), printable(d.EventID), result)
}

// reason leaves out the address of a failed request, which may hold a password.
func reason(err error) string {
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		err = urlErr.Err
	}
	return err.Error()
}

// printable quotes what would not stay in its line: types and ids can be a script's own.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

func rounded(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func (l *logger) print(format string, args ...any) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	fmt.Fprintf(l.output, format, args...)
}
