package kombo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/kombo-go/kombo/internal/transport"
)

// service is what all services of a client share.
type service struct {
	transport *transport.Transport
	observe   observer // of the client
	usualKey  bool     // the API key has the form of those that Kombo issues
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
type envelope struct {
	Status string `json:"status"`
	// Data is a **T, so that whatever comes is decoded as a T: after null in a mere *T, encoding/json would
	// make maps of a second data, which take many times the memory of the answer.
	Data  any        `json:"data"`
	Error *errorInfo `json:"error"`
	// Warnings is read of answers that have a place for it: of others nothing is known.
	Warnings json.RawMessage `json:"warnings"`
}

// nothing is the data of an answer that promises none.
type nothing struct{}

// input is what a call sends.
type input struct {
	body          request // nil for none
	pathValues    []string
	query         url.Values
	integrationID string // of the header
	problem       string // why it cannot be sent, unless ""
}

// call makes one call of the API: body is sent as JSON unless it is nil, and the data of the answer
// is returned as a T. Every error is an *Error.
func call[T any](ctx context.Context, s *service, operation transport.Operation, body request, pathValues ...string) (*T, error) {
	return callWith[T](ctx, s, operation, input{body: body, pathValues: pathValues})
}

func callWith[T any](ctx context.Context, s *service, operation transport.Operation, in input) (*T, error) {
	var data *T
	// The rest is the same for every T, and compiled once.
	if err := s.call(ctx, operation, in, &data); err != nil {
		return nil, err
	}
	return data, nil
}

// call makes one call and decodes the data of the answer into data, a **T.
func (s *service) call(ctx context.Context, operation transport.Operation, in input, data any) error {
	observe := observerOf(ctx)
	if s != nil {
		observe = observe.then(s.observe)
	}
	var begun time.Time
	if observe != nil {
		begun = time.Now()
	}
	answer, err := s.send(ctx, operation, in)
	if err == nil {
		err = s.withHint(decode(operation, answer, data))
	}
	if observe != nil {
		observe(ctx, observed(operation, answer, err, time.Since(begun)))
	}
	return err
}

// withHint adds the likely mistake to an error that a wrong setting of the client explains.
func (s *service) withHint(err error) error {
	kerr, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
	case kerr.Is(ErrAuthentication) && !s.usualKey:
		kerr.hint = "the API key does not start with ks_prod_ or ks_dev_; is it a webhook secret?"
	case kerr.StatusCode == http.StatusNotFound && kerr.Code == "" && !strings.HasSuffix(s.transport.BaseURL(), "/v1"):
		kerr.hint = "the base URL does not end with /v1; is the version missing?"
	}
	return err
}

// decode decodes the data of a successful answer, and turns any other into an error.
func decode(operation transport.Operation, answer *transport.Answer, data any) error {
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return errorFromAnswer(operation, answer)
	}
	if answer.TooLarge {
		return unexpectedAnswer(operation, answer, fmt.Sprintf("it is longer than %d bytes", transport.MaxBody))
	}
	decoded := envelope{Data: data}
	err := json.Unmarshal(answer.Body, &decoded)
	pointer := reflect.ValueOf(data).Elem()
	if warned, ok := reflect.TypeAssert[interface{ warn(json.RawMessage) error }](pointer); ok && err == nil && !pointer.IsNil() {
		err = warned.warn(decoded.Warnings)
	}
	if err == nil && decoded.Status != "success" && decoded.Error != nil {
		return errorFromAnswer(operation, answer)
	}
	if problem := decoded.problem(err, pointer); problem != "" {
		return unexpectedAnswer(operation, answer, problem)
	}
	return nil
}

// problem says in which way the answer breaks its promise, or "". The data is a *T.
func (e *envelope) problem(decodeError error, data reflect.Value) string {
	promised, hasPromise := reflect.TypeAssert[promise](data)
	switch {
	case decodeError != nil:
		return describeDecodeError(decodeError)
	case e.Status != "success":
		return "its status is not success"
	case !hasPromise:
		return ""
	case data.IsNil():
		return "it has no data"
	case promised.missing() != "":
		return "data." + promised.missing() + " is missing"
	}
	return ""
}

// send validates and sends a request.
func (s *service) send(ctx context.Context, operation transport.Operation, in input) (*transport.Answer, error) {
	if s == nil || s.transport == nil {
		return nil, &Error{Op: operation.String(), Message: "the client was not made by NewClient", err: ErrInvalidInput}
	}
	if in.problem != "" {
		return nil, &Error{Op: operation.String(), Message: in.problem, err: ErrInvalidInput}
	}
	var encoded []byte
	if in.body != nil {
		if problem := in.body.validate(); problem != "" {
			return nil, &Error{Op: operation.String(), Message: problem, err: ErrInvalidInput}
		}
		var err error
		if encoded, err = json.Marshal(in.body); err != nil {
			return nil, &Error{Op: operation.String(), Message: "the request cannot be encoded", err: ErrInvalidInput}
		}
	}
	answer, err := s.transport.Do(ctx, transport.Request{
		Operation: operation, PathValues: in.pathValues, Query: in.query, IntegrationID: in.integrationID, Body: encoded,
	})
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
