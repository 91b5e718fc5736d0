package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/kombo-go/kombo/internal/sandbox"
)

var replayCommand = command{
	name: "replay", arguments: "FILE URL", summary: "send stored webhooks again",
	about: `Sends the webhooks that "kombo listen" has stored again: the same bytes and the
same signature, in the same order, each once. It prints those that are not
accepted, and exits with 1 if there are any; -failed stores them for later.

  kombo replay kombo-webhooks.jsonl http://127.0.0.1:8080/webhooks/kombo`,
	setup: func(flags *flag.FlagSet) runner {
		var r replay
		flags.Func("type", "only these `types`, separated by commas", setList(&r.types))
		flags.Func("event", "only the events with these `ids`, separated by commas", setList(&r.events))
		flags.Func("integration", "only those about these `ids`, separated by commas", setList(&r.integrations))
		flags.Func("after", "received since a `time`: RFC 3339, a date, or 24h", setTime(&r.after, time.Now()))
		flags.Func("before", "received before a `time`", setTime(&r.before, time.Now()))
		failed := flags.String("failed", "", "the `file` to append those to that are not accepted")
		return func(ctx context.Context, e *env, args []string) error {
			r.env, r.poster, r.receiver = e, newPoster(), args[1]
			if err := sandbox.CheckWebhookURL(r.receiver); err != nil {
				return &usageError{err}
			}
			return r.run(ctx, args[0], *failed)
		}
	},
}

// replay sends stored webhooks again.
type replay struct {
	env      *env
	poster   *poster
	receiver string

	types, events, integrations []string
	after, before               time.Time

	sent, accepted, unreadable int
	failed                     *store
}

func (r *replay) run(ctx context.Context, file, failedFile string) (err error) {
	var input io.Reader
	if file == "-" {
		input = r.env.input(ctx)
	} else {
		opened, err := os.Open(file)
		if err != nil {
			return &usageError{err}
		}
		defer func() { _ = opened.Close() }()
		input = opened
	}
	if failedFile != "" {
		if r.failed, err = openStore(failedFile); err != nil {
			return &usageError{err}
		}
		defer func() { err = errors.Join(err, r.failed.close()) }()
		if opened, ok := input.(*os.File); ok && sameFile(opened, r.failed.file) {
			return &usageError{errors.New("-failed is the file that is replayed")}
		}
	}
	begin, line := time.Now(), r.env.progress()
	err = r.sendAll(ctx, input, func() {
		line.show(func() string {
			return fmt.Sprintf("%d sent, %d accepted in %s", r.sent, r.accepted, time.Since(begin).Round(time.Second))
		})
	})
	line.end()
	if r.env.json {
		err = errors.Join(err, r.env.printJSON(map[string]int{"sent": r.sent, "accepted": r.accepted, "unreadable": r.unreadable}))
	} else {
		fmt.Fprintf(r.env.stdout, "%d sent, %d accepted\n", r.sent, r.accepted)
	}
	switch {
	case err != nil:
		return err
	case r.sent != r.accepted:
		return fmt.Errorf("the receiver did not accept %d of %d webhooks", r.sent-r.accepted, r.sent)
	case r.unreadable > 0:
		return fmt.Errorf("%d lines could not be read", r.unreadable)
	}
	return nil
}

func sameFile(a, b *os.File) bool {
	infoA, errA := a.Stat()
	infoB, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

func (r *replay) sendAll(ctx context.Context, input io.Reader, progress func()) error {
	for line, err := range storedLines(input) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			r.unreadable++
			fmt.Fprintf(r.env.stderr, "kombo: %s\n", err)
			continue
		case !r.selects(line.storedDelivery):
			continue
		}
		result, err := r.poster.post(ctx, r.receiver, line.ContentType, line.Signature, line.raw())
		if ctx.Err() != nil { // whether it was received is unknown
			return ctx.Err()
		}
		r.sent++
		if err == nil && result.accepted() {
			r.accepted++
		} else if r.failed != nil {
			if err := r.failed.addLine(line.text); err != nil {
				return err
			}
		}
		if err := r.print(line, result, err); err != nil {
			return err
		}
		progress()
	}
	return nil
}

func (r *replay) selects(d storedDelivery) bool {
	matches := func(values []string, value string) bool { return values == nil || slices.Contains(values, value) }
	return matches(r.types, d.Type) && matches(r.events, d.EventID) && matches(r.integrations, d.IntegrationID) &&
		(r.after.IsZero() || !d.Time.Before(r.after)) && (r.before.IsZero() || d.Time.Before(r.before))
}

// print prints a delivery that was not accepted, and with -json each one.
func (r *replay) print(line storedLine, result response, err error) error {
	text := result.String()
	if err != nil {
		text = err.Error()
	}
	switch {
	case r.env.json:
		return r.env.printJSON(map[string]any{
			"line": line.number, "type": line.Type, "event_id": line.EventID, "integration_id": line.IntegrationID,
			"status": result.status, "accepted": err == nil && result.accepted(), "result": text,
		})
	case err != nil || !result.accepted():
		fmt.Fprintf(r.env.stdout, "line %d  %s\n", line.number, line.line(r.env.colored(red, printable(text))))
	}
	return nil
}
