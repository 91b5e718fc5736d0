package transport

import (
	"context"
	"errors"
	"strings"
)

// ContextError returns why ctx ended, as an error without secrets: errors.Is finds both ctx.Err() and
// the cause of the context, if that is another error.
func (t *Transport) ContextError(ctx context.Context) error {
	return contextError(ctx, []string{t.apiKey()})
}

func contextError(ctx context.Context, secrets []string) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || cause == err { //nolint:errorlint // a cause may wrap the error and say more
		return err
	}
	// A cause is often the error of another request, URL included.
	return &endedError{err: err, cause: cause, text: join(err.Error(), redactError(cause, secrets).Error())}
}

// join appends more to text, unless one of them says all that the other does.
func join(text, more string) string {
	switch {
	case more == "" || strings.Contains(text, more):
		return text
	case strings.Contains(more, text):
		return more
	}
	return text + ": " + more
}

// endedError is the end of a context that has a cause. Only errors.Is finds the cause: it may be of a
// type that holds secrets.
type endedError struct {
	err, cause error
	text       string
}

func (e *endedError) Error() string { return e.text }

// GoString keeps %#v from printing the fields.
func (e *endedError) GoString() string { return e.text }

func (e *endedError) Unwrap() error { return e.err }

func (e *endedError) Is(target error) bool { return errors.Is(e.cause, target) }

// As finds in the cause what it finds in the error of an attempt.
func (e *endedError) As(target any) bool { return (&redactedError{err: e.cause}).As(target) }
