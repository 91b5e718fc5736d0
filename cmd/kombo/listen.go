package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sandbox"
	"github.com/kombo-go/kombo/internal/usage"
)

var listenCommand = command{
	name: "listen", summary: "receive, store and forward webhooks",
	about: `Receives webhooks, for example behind a tunnel, verifies them with
KOMBO_WEBHOOK_SECRET, stores them, forwards the raw bytes, and responds with the
status of the receiver (204 without -forward). It prints a line for each one,
and ends with Ctrl-C. "kombo replay" sends the stored ones again. The file
contains personal data: do not commit it. "-store=" stores nothing.

  kombo listen -forward http://127.0.0.1:8080/webhooks/kombo`,
	setup: func(flags *flag.FlagSet) runner {
		address := flags.String("listen", "127.0.0.1:8081", "the `address` to listen on")
		forward := flags.String("forward", "", "the `url` to forward to (default none)")
		file := flags.String("store", "kombo-webhooks.jsonl", "the `file` to append to")
		return func(ctx context.Context, e *env, _ []string) error {
			verifier, err := e.verifier()
			if err != nil {
				return err
			}
			if *forward != "" {
				if err := sandbox.CheckWebhookURL(*forward); err != nil {
					return &usageError{fmt.Errorf("-forward: %w", err)}
				}
			}
			l := &listener{env: e, verifier: verifier, forward: *forward, poster: newPoster()}
			return l.run(ctx, *address, *file)
		}
	},
}

// listener receives webhooks.
type listener struct {
	env      *env
	verifier *kombo.WebhookVerifier
	store    *store
	forward  string // "" means nowhere
	poster   *poster

	mutex sync.Mutex // for the lines
}

func (l *listener) run(ctx context.Context, address, file string) (err error) {
	listening, err := usage.Listen(ctx, "listen", address)
	if err != nil {
		return err
	}
	defer func() { _ = listening.Close() }()
	storing := "stores nothing"
	if file != "" {
		if l.store, err = openStore(file); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.store.close()) }()
		storing = "stores them in " + file
	}
	forwarding := "forwards nothing"
	if parsed, err := url.Parse(l.forward); err == nil && l.forward != "" {
		forwarding = "forwards them to " + parsed.Scheme + "://" + parsed.Host + parsed.EscapedPath()
	}
	fmt.Fprintf(l.env.stderr, "Receives webhooks at http://%s/, %s, and %s. Stop it with Ctrl-C.\n", listening.Addr(), storing, forwarding)
	server := &http.Server{
		Handler: l, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listening) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// What is under way may end; a receiver that hangs is not waited for.
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if server.Shutdown(patience) != nil {
		_ = server.Close()
	}
	if l.store != nil {
		fmt.Fprintf(l.env.stderr, "Stored %d webhooks in %s.\n", l.store.count, file)
	}
	return nil
}

// ServeHTTP receives a webhook.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "webhooks are posted", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, kombo.MaxWebhookBody))
	if err != nil {
		status := http.StatusBadRequest
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			status, err = http.StatusRequestEntityTooLarge, kombo.ErrPayloadTooLarge
		}
		l.refuse(w, storedDelivery{}, status, err)
		return
	}
	signature := r.Header.Get(kombo.SignatureHeader)
	d := newStoredDelivery(time.Now(), r.Header.Get("Content-Type"), signature, body)
	if err := l.verifier.Verify(body, signature); err != nil {
		l.refuse(w, d, http.StatusUnauthorized, err)
		return
	}
	if err := l.store.add(d); err != nil {
		l.refuse(w, d, http.StatusInternalServerError, err)
		return
	}
	if l.forward == "" {
		w.WriteHeader(http.StatusNoContent)
		l.print(d, http.StatusNoContent, "accepted")
		return
	}
	// It is forwarded even if the sender goes away: it is stored.
	result, err := l.poster.post(context.WithoutCancel(r.Context()), l.forward, d.ContentType, signature, body)
	if err != nil {
		l.refuse(w, d, http.StatusBadGateway, fmt.Errorf("not forwarded: %w", err))
		return
	}
	w.WriteHeader(result.status)
	l.print(d, result.status, result.String())
}

func (l *listener) refuse(w http.ResponseWriter, d storedDelivery, status int, err error) {
	http.Error(w, http.StatusText(status), status)
	l.print(d, status, fmt.Sprintf("%d: %s", status, strings.TrimPrefix(err.Error(), "kombo: ")))
}

// print prints what became of a delivery.
func (l *listener) print(d storedDelivery, status int, result string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	now := time.Now()
	if l.env.json {
		_ = l.env.printJSON(map[string]any{
			"time": now, "type": d.Type, "event_id": d.EventID, "integration_id": d.IntegrationID, "status": status, "result": result,
		})
		return
	}
	color := red
	if status <= 299 {
		color = green
	}
	fmt.Fprintf(l.env.stdout, "%s  %s\n", now.Format(time.TimeOnly), d.line(l.env.colored(color, printable(result))))
}

// line describes what became of a delivery in a line.
func (d storedDelivery) line(result string) string {
	var parts []string
	for _, part := range []string{d.Type, d.EventID, d.IntegrationID} {
		if part != "" {
			parts = append(parts, printable(part))
		}
	}
	return strings.Join(append(parts, result), "  ")
}
