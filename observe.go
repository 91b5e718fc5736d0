package kombo

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/kombo-go/kombo/internal/transport"
)

// CallInfo tells what happened to one call.
type CallInfo struct {
	// Op is the operation, such as "POST /integrations/{integration_id}/relink": never its values, so
	// that it can be the label of a metric.
	Op string
	// StatusCode is that of the last answer; 0 where there was none.
	StatusCode int
	// Header is that of the last answer, such as Concurrency-Remaining; nil where there was none. It is not a
	// copy, and as the server sent it: take out of it what you know, rather than log all of it.
	Header http.Header
	// Attempts is how often the request was sent; 0 where nothing was.
	Attempts int
	// Duration is that of the whole call, waits between attempts included.
	Duration time.Duration
	// Err is what the call returned.
	Err error
}

type observerKey struct{}

// WithObserver returns a context whose calls are told to observe when they end, whether well or not: for
// metrics and traces, or to see a header. An observer that ctx has already is told, too. It is called by the
// goroutine that makes the call, must not keep it waiting, and has to be safe for concurrent use where ctx is
// used so. It must not panic. Calls without an observer cost nothing for it.
func WithObserver(ctx context.Context, observe func(ctx context.Context, call CallInfo)) context.Context {
	if observe == nil {
		return ctx
	}
	if outer := observerOf(ctx); outer != nil {
		inner := observe
		observe = func(ctx context.Context, call CallInfo) {
			inner(ctx, call)
			outer(ctx, call)
		}
	}
	return context.WithValue(ctx, observerKey{}, observe)
}

func observerOf(ctx context.Context) func(context.Context, CallInfo) {
	if ctx == nil {
		return nil // the transport says what is wrong with it
	}
	observe, _ := ctx.Value(observerKey{}).(func(context.Context, CallInfo))
	return observe
}

func observed(operation transport.Operation, answer *transport.Answer, err error, duration time.Duration) CallInfo {
	info := CallInfo{Op: operation.String(), Duration: duration, Err: err}
	if answer != nil {
		info.StatusCode, info.Header, info.Attempts = answer.StatusCode, answer.Header, answer.Attempts
	} else if kerr, ok := errors.AsType[*Error](err); ok {
		info.Attempts = kerr.Attempts
	}
	return info
}
