package transport

import (
	"context"
	"errors"
	"reflect"
	"strings"
)

// ContextError returns why ctx ended, as an error without secrets: errors.Is finds both ctx.Err() and
// the cause of the context, if that is another error.
func (t *Transport) ContextError(ctx context.Context) error {
	return contextError(ctx, []string{t.apiKey()})
}

func contextError(ctx context.Context, secrets []string) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if v := reflect.ValueOf(cause); v.Kind() == reflect.Pointer && v.IsNil() {
		cause = err // its methods would panic
	}
	usual := err == context.Canceled || err == context.DeadlineExceeded // not one that wraps them
	if usual && cause == err {                                          //nolint:errorlint // a cause may wrap the error and say more
		return err
	}
	// A cause is often the error of another request, URL included.
	return &endedError{err: err, cause: cause, text: join(redactError(err, secrets).Error(), redactError(cause, secrets).Error())}
}

// join appends more to text, unless one contains the other.
func join(text, more string) string {
	switch {
	case more == "" || strings.Contains(text, more):
		return text
	case strings.Contains(more, text):
		return more
	}
	return text + ": " + more
}

// endedError is the end of a context that has a cause, or an error of its own. Only errors.Is finds them, because
// their types may contain secrets.
type endedError struct {
	err, cause error
	text       string
}

func (e *endedError) Error() string { return e.text }

// GoString keeps %#v from printing the fields.
func (e *endedError) GoString() string { return e.text }

func (e *endedError) Is(target error) bool {
	return errors.Is(e.err, target) || errors.Is(e.cause, target)
}

// As finds in the cause what it finds in the error of an attempt.
func (e *endedError) As(target any) bool { return (&redactedError{err: e.cause}).As(target) }
