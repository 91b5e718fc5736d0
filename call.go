package kombo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kombo-go/kombo/internal/boundedjson"
	"github.com/kombo-go/kombo/internal/transport"
)

// service is what all services of a client share.
type service struct {
	transport *transport.Transport
	observe   observer // of the client
	// callContexts derive the context of each call, in order.
	callContexts []func(ctx context.Context, op string) context.Context
	usualKey     bool // the API key has the form of those that Kombo issues
}

// A validator is the body of a call that has rules which can be checked before it is sent.
type validator interface {
	// validate returns an error that starts with the name of the field.
	validate() error
}

// inputError is an error about the input of a call. It may start with the name of a field, in capitals.
type inputError string

func (e inputError) Error() string { return string(e) }

// A checker is response data with required fields.
type checker interface {
	// missing returns the path of a required field that the data lacks, or "". It returns a path and not an error, because
	// callers put "data." before it and compare it with the paths of values of the wrong type.
	missing() string
}

// response is a response of the API with data of type T. Data is a typed pointer: encoding/json would decode a
// second "data" after a null into maps if it were an interface, which takes many times the memory.
type response[T any] struct {
	envelope
	Data *T `json:"data"`

	// needsData is set if a response without data is an error, although T is not a checker.
	needsData bool
}

// envelope is what all responses have in common, successful or not.
type envelope struct {
	Status string `json:"status"`
	// Error and Warnings may have any form without spoiling the rest.
	Error    json.RawMessage `json:"error"`
	Warnings json.RawMessage `json:"warnings"`
}

func (e *envelope) outer() *envelope { return e }

// maxWarnings bounds the number of warnings that are read from a response, and maxWarningBytes their size.
const (
	maxWarnings     = 100
	maxWarningBytes = 64 << 10
)

// warnings returns the warnings of a response. They are documented as a list of objects with a message; anything
// else becomes text, because people only read it.
func (e *envelope) warnings() []Warning {
	if len(e.Warnings) > maxWarningBytes {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(e.Warnings))
	if bytes.HasPrefix(e.Warnings, []byte("[")) {
		_, _ = decoder.Token()
	}
	var warnings []Warning
	for range maxWarnings {
		var item json.RawMessage
		if !decoder.More() || decoder.Decode(&item) != nil {
			break
		}
		var object struct {
			Message json.RawMessage `json:"message"`
		}
		if json.Unmarshal(item, &object) == nil && len(object.Message) > 0 && string(object.Message) != "null" {
			item = object.Message
		}
		if string(item) != "null" {
			warnings = append(warnings, Warning{Message: textOf(item)})
		}
	}
	return warnings
}

// textOf returns a JSON string as it is, and any other value as its JSON text.
func textOf(value json.RawMessage) string {
	var text string
	if boundedjson.Unmarshal(value, &text) == nil {
		return text
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, value)
	return compact.String()
}

// missing returns the path of a required field that the response lacks, or "". known is false if the required
// fields of the data are not known, because it is not a checker.
func (r *response[T]) missing() (path string, known bool) {
	return missingData(r.Data, r.Data == nil, r.needsData)
}

func missingData(data any, isNil, needed bool) (path string, known bool) {
	checked, known := data.(checker)
	switch {
	case isNil && (known || needed):
		return "data", known
	case known && checked.missing() != "":
		return "data." + checked.missing(), true
	}
	return "", known
}

// anyResponse is a *response of any type.
type anyResponse interface {
	outer() *envelope
	missing() (path string, known bool)
}

// noData is the data of a response whose data does not matter.
type noData struct{}

// UnmarshalJSON accepts any data.
func (*noData) UnmarshalJSON([]byte) error { return nil }

// input is what a call sends.
type input struct {
	body          any    // nil for none
	contentType   string // of a body that is a []byte, unless it is JSON
	pathValues    []string
	query         url.Values
	integrationID string        // of the header
	timeout       time.Duration // of one attempt, in place of all others, unless zero
	expectedSize  int64         // of the response, unless zero
	err           error         // why it cannot be sent, unless nil
}

// call makes one call of the API. It sends body as JSON unless it is nil, and returns the data of the response
// as a T. Every error is an *Error.
func call[T any](ctx context.Context, s *service, operation transport.Operation, body any, pathValues ...string) (*T, error) {
	// What is here is compiled for every T, and the rest once.
	var decoded response[T]
	if err := s.doPlain(ctx, operation, body, pathValues, &decoded); err != nil {
		return nil, err
	}
	return decoded.Data, nil
}

func (s *service) doPlain(ctx context.Context, operation transport.Operation, body any, pathValues []string, decoded anyResponse) error {
	_, err := s.do(ctx, operation, input{body: body, pathValues: pathValues}, decoded)
	return err
}

func callWith[T any](ctx context.Context, s *service, operation transport.Operation, in input) (*T, error) {
	decoded, err := callForResponse[T](ctx, s, operation, in)
	return decoded.Data, err
}

// callForResponse is for calls that need more of the response than its data.
func callForResponse[T any](ctx context.Context, s *service, operation transport.Operation, in input) (response[T], error) {
	var decoded response[T]
	if _, err := s.do(ctx, operation, in, &decoded); err != nil {
		return response[T]{}, err
	}
	return decoded, nil
}

// do makes one call and decodes its response. It returns the response if there is one, also with an error.
func (s *service) do(ctx context.Context, operation transport.Operation, in input, decoded anyResponse) (*transport.Response, error) {
	ctx = s.callContext(ctx, operation)
	observe := observerOf(ctx)
	if s != nil {
		observe = observe.then(s.observe)
	}
	var begun time.Time
	if observe != nil {
		begun = time.Now()
	}
	resp, err := s.send(ctx, operation, in)
	if err == nil {
		err = s.withHint(decode(operation, resp, decoded))
	}
	if observe != nil {
		observe(ctx, observed(operation, resp, decoded.outer().warnings(), err, time.Since(begun)))
	}
	return resp, err
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

// decode decodes a successful response, and turns any other into an error.
func decode(operation transport.Operation, resp *transport.Response, decoded anyResponse) error {
	if resp.Undecodable {
		e := newError(operation, resp)
		e.err = &unexpectedError{reason: "the body cannot be decompressed"}
		return e
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return errorFromResponse(operation, resp)
	}
	if resp.TooLarge {
		return unexpectedResponse(operation, resp, "it is longer than the limit; see WithMaxResponseSize")
	}
	document := withoutBOM(resp.Body)
	err := boundedjson.Unmarshal(document, decoded)
	if errors.Is(err, boundedjson.ErrTooMuch) {
		e := unexpectedResponse(operation, resp, err.Error())
		e.tooMuch = true
		return e
	}
	if err != nil && !json.Valid(document) {
		return unexpectedResponse(operation, resp, "it is not JSON")
	}
	outer := decoded.outer()
	if outer.Status != "success" && len(outer.Error) > 0 && string(outer.Error) != "null" {
		return errorFromResponse(operation, resp)
	}
	if reason := mismatch(operation, document, decoded, err); reason != "" {
		return unexpectedResponse(operation, resp, reason)
	}
	return nil
}

// mismatch describes why a response is not what the API promises, or returns "". decodeErr is the error of
// encoding/json, if any.
func mismatch(operation transport.Operation, document []byte, decoded anyResponse, decodeErr error) string {
	succeeded := decoded.outer().Status == "success"
	missing, known := decoded.missing()
	counts := func(string) bool { return true }
	if _, wrongType := errors.AsType[*json.UnmarshalTypeError](decodeErr); wrongType && known && operation.Method != http.MethodGet {
		// encoding/json has decoded everything else. After a write that succeeded, a value of the wrong type does not
		// matter unless it is a required field.
		if succeeded && missing == "" {
			return ""
		}
		counts = func(path string) bool {
			return path == "" || path == "status" || strings.HasPrefix(missing+".", path+".")
		}
	}
	if decodeErr != nil {
		if wrong := findMisfit(document, decoded, "", decodeErr, counts); wrong != nil || missing == "" && succeeded {
			return wrong.describe()
		}
	}
	switch {
	case !succeeded:
		return "its status is not success"
	case missing == "data":
		return "it has no data"
	case missing != "":
		return missing + " is missing"
	}
	return ""
}

// withoutBOM returns a JSON document without the byte order mark that some servers write before it.
func withoutBOM(document []byte) []byte { return bytes.TrimPrefix(document, []byte("\ufeff")) }

// send validates and sends a request.
func (s *service) send(ctx context.Context, operation transport.Operation, in input) (*transport.Response, error) {
	encoded, err := s.encode(in)
	if err != nil {
		return nil, &Error{Op: operation.String(), Message: err.Error(), err: ErrInvalidInput}
	}
	if ctx != nil {
		ctx = &operationContext{ctx, operation}
	}
	resp, err := s.transport.Do(ctx, transport.Request{
		Operation: operation, PathValues: in.pathValues, Query: in.query, IntegrationID: in.integrationID,
		Body: encoded, ContentType: in.contentType, ExpectedSize: in.expectedSize, Timeout: in.timeout,
	})
	if err == nil {
		return resp, nil
	}
	failure, ok := errors.AsType[*transport.CallError](err)
	switch {
	case !ok:
		return nil, &Error{Op: operation.String(), Message: err.Error(), err: ErrInvalidInput}
	case failure.Canceled:
		return nil, &Error{Op: operation.String(), Attempts: failure.Attempts, err: &endedError{failure.Err}}
	}
	return nil, &Error{
		Op: operation.String(), Attempts: failure.Attempts,
		err: &networkError{failure.Err},
	}
}

// encode validates what a call sends and returns its body in JSON.
func (s *service) encode(in input) ([]byte, error) {
	if s == nil || s.transport == nil {
		return nil, inputError("the client was not made by NewClient")
	}
	if in.err != nil {
		return nil, in.err
	}
	for name, values := range in.query {
		if !utf8.ValidString(name) {
			return nil, inputError("the name of a parameter" + notUTF8)
		}
		if slices.ContainsFunc(values, func(value string) bool { return !utf8.ValidString(value) }) {
			return nil, inputError(name + notUTF8)
		}
	}
	if in.body == nil {
		return nil, nil
	}
	if in.contentType != "" {
		raw, _ := in.body.([]byte)
		return raw, nil
	}
	if body, ok := in.body.(validator); ok {
		if err := body.validate(); err != nil {
			return nil, err
		}
	}
	encoded, err := json.Marshal(in.body)
	if err != nil {
		return nil, inputError("the request cannot be encoded") // err may quote it
	}
	return encoded, checkText(in.body, encoded)
}

// describeResponse returns the kind and the size of a response. It does not quote the content type, which is the
// server's text.
func describeResponse(resp *transport.Response) string {
	contentType := strings.ToLower(resp.Header.Get("Content-Type"))
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
	return fmt.Sprintf("%s, %d bytes", kind, len(resp.Body))
}
