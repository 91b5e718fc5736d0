package kombo

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/kombo-go/kombo/internal/transport"
)

// CallInfo describes a call that has ended.
type CallInfo struct {
	// Op is the route of the operation, such as "POST /integrations/{integration_id}/relink". It contains
	// no values, so it can be the label of a metric.
	Op string
	// StatusCode is the HTTP status of the last response; 0 if there was none.
	StatusCode int
	// Header is the header of the last response, with Concurrency-Remaining for example; nil if there was
	// none. It is not a copy. Log only the fields that you know: a server can send anything.
	Header http.Header
	// Warnings are hints from Kombo to developers. At most 100 are kept.
	Warnings []Warning
	// Attempts is the number of requests sent; 0 if the call failed before the first.
	Attempts int
	// Duration is the time of the whole call, waits between attempts included.
	Duration time.Duration
	// Err is the error that the call returned.
	Err error
}

// observer is called at the end of a call; nil means that there is none.
type observer func(context.Context, CallInfo)

// then returns an observer that calls o, then next.
func (o observer) then(next observer) observer {
	switch {
	case o == nil:
		return next
	case next == nil:
		return o
	}
	return func(ctx context.Context, call CallInfo) {
		o(ctx, call)
		next(ctx, call)
	}
}

type observerKey struct{}

// ContextWithObserver returns a context in which observe is called at the end of every call, failed or
// not, before the observers of [WithObserver]. Observers nest: the innermost is called first. The
// same rules apply as for [WithObserver]. If observe is nil, ctx is returned.
func ContextWithObserver(ctx context.Context, observe func(ctx context.Context, call CallInfo)) context.Context {
	if observe == nil {
		return ctx
	}
	return context.WithValue(ctx, observerKey{}, observer(observe).then(observerOf(ctx)))
}

func observerOf(ctx context.Context) observer {
	if ctx == nil {
		return nil // the transport reports it
	}
	observe, _ := ctx.Value(observerKey{}).(observer)
	return observe
}

// Instrumentation attaches a package for traces and metrics to a client, see [WithInstrumentation]. Its
// functions must be safe for concurrent use and must not panic.
type Instrumentation struct {
	// CallContext, unless nil, is called at the start of each call with the route of its operation. It returns
	// the context of the call, which requests, logs and observers get, and must derive it from ctx. To learn
	// how the call ends, it returns one of [ContextWithObserver].
	CallContext func(ctx context.Context, op string) context.Context
	// Transport, unless nil, is called once, by [NewClient], and returns a Transport that sends its requests
	// with base: that of [WithHTTPClient], or the connection pool of this package. It sends each attempt of a
	// call; [OperationFromContext] returns the route. See [WithHTTPClient] for what a Transport must do.
	Transport func(base http.RoundTripper) http.RoundTripper
}

// callContext returns the context of a call.
func (s *service) callContext(ctx context.Context, operation transport.Operation) context.Context {
	if s == nil || ctx == nil { // reported when the request is sent
		return ctx
	}
	for _, derive := range s.callContexts {
		ctx = derive(ctx, operation.String())
	}
	return ctx
}

// operationContext is the context of a request; it knows the operation.
type operationContext struct {
	context.Context //nolint:containedctx // it is one
	operation       transport.Operation
}

type operationKey struct{}

func (c *operationContext) Value(key any) any {
	if key == (operationKey{}) {
		return c.operation.String()
	}
	return c.Context.Value(key)
}

// OperationFromContext returns the route of the operation that a request belongs to, such as
// "POST /integrations/{integration_id}/relink", from the context of that request: a Transport given to
// [WithHTTPClient] can name spans and metrics after it, because it contains no values. It returns "" for
// other contexts.
func OperationFromContext(ctx context.Context) string {
	op, _ := ctx.Value(operationKey{}).(string)
	return op
}

func observed(operation transport.Operation, resp *transport.Response, warnings []Warning, err error, duration time.Duration) CallInfo {
	info := CallInfo{Op: operation.String(), Warnings: warnings, Duration: duration, Err: err}
	if resp != nil {
		info.StatusCode, info.Header, info.Attempts = resp.StatusCode, resp.Header, resp.Attempts
	} else if kerr, ok := errors.AsType[*Error](err); ok {
		info.Attempts = kerr.Attempts
	}
	return info
}
