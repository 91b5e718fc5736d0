package kombo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/kombo-go/kombo/internal/transport"
)

// service is what all services of a client share.
type service struct {
	transport *transport.Transport
}

// A request is the body of a call that has rules which can be checked before it is sent.
type request interface {
	// validate returns what is wrong, starting with the name of the field, or "".
	validate() string
}

// A promise is an answer that cannot do without some of its fields.
type promise interface {
	// missing returns the name of a field that the answer lacks, or "".
	missing() string
}

// envelope is the outer form of every answer, successful or not.
type envelope[T any] struct {
	Status string     `json:"status"`
	Data   *T         `json:"data"`
	Error  *errorInfo `json:"error"`
}

// nothing is the data of an answer that promises none.
type nothing struct{}

// call makes one call of the API: body is sent as JSON unless it is nil, and the data of the answer
// is returned as a T. Every error is an *Error.
func call[T any](ctx context.Context, s *service, operation transport.Operation, body request, pathValues ...string) (*T, error) {
	answer, err := send(ctx, s, operation, body, pathValues)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return nil, errorFromAnswer(operation, answer)
	}
	if answer.TooLarge {
		return nil, unexpectedAnswer(operation, answer, fmt.Sprintf("it is longer than %d bytes", transport.MaxBody))
	}
	var decoded envelope[T]
	err = json.Unmarshal(answer.Body, &decoded)
	if err == nil && decoded.Status != "success" && decoded.Error != nil {
		return nil, errorFromAnswer(operation, answer)
	}
	if problem := decoded.problem(err); problem != "" {
		return nil, unexpectedAnswer(operation, answer, problem)
	}
	return decoded.Data, nil
}

// problem says in which way the answer breaks its promise, or "".
func (e *envelope[T]) problem(decodeError error) string {
	data, hasPromise := any(e.Data).(promise)
	switch {
	case decodeError != nil:
		return describeDecodeError(decodeError)
	case e.Status != "success":
		return "its status is not success"
	case !hasPromise:
		return ""
	case e.Data == nil:
		return "it has no data"
	case data.missing() != "":
		return "data." + data.missing() + " is missing"
	}
	return ""
}

// send validates and sends a request.
func send(ctx context.Context, s *service, operation transport.Operation, body request, pathValues []string) (*transport.Answer, error) {
	if s == nil || s.transport == nil {
		return nil, &Error{Op: operation.String(), Message: "the client was not made by NewClient", err: ErrInvalidInput}
	}
	var encoded []byte
	if body != nil {
		if problem := body.validate(); problem != "" {
			return nil, &Error{Op: operation.String(), Message: problem, err: ErrInvalidInput}
		}
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return nil, &Error{Op: operation.String(), Message: "the request cannot be encoded", err: ErrInvalidInput}
		}
	}
	answer, err := s.transport.Do(ctx, transport.Request{Operation: operation, PathValues: pathValues, Body: encoded})
	if err == nil {
		return answer, nil
	}
	failure, ok := errors.AsType[*transport.CallError](err)
	switch {
	case !ok:
		return nil, &Error{Op: operation.String(), Message: err.Error(), err: ErrInvalidInput}
	case failure.Canceled:
		return nil, &Error{Op: operation.String(), Attempts: failure.Attempts, err: failure.Err}
	}
	return nil, &Error{
		Op: operation.String(), Attempts: failure.Attempts,
		err: &networkError{failure.Err},
	}
}

// describeDecodeError says what is wrong with a JSON document without quoting it.
func describeDecodeError(err error) string {
	typeErr, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case !ok:
		return "it is not JSON"
	case typeErr.Field == "":
		return "it is not a JSON object"
	}
	return "the type of " + typeErr.Field + " is wrong"
}

// describeAnswer says in a few words what kind of answer came. The content type is not quoted: it is
// the server's text.
func describeAnswer(answer *transport.Answer) string {
	contentType := strings.ToLower(answer.Header.Get("Content-Type"))
	kind := "another content type"
	switch {
	case contentType == "":
		kind = "no content type"
	case strings.Contains(contentType, "json"):
		kind = "JSON"
	case strings.Contains(contentType, "html"):
		kind = "HTML"
	case strings.HasPrefix(contentType, "text/plain"):
		kind = "plain text"
	}
	return fmt.Sprintf("%s, %d bytes", kind, len(answer.Body))
}
