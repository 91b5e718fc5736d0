package kombo

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/kombo-go/kombo/internal/boundedjson"
	"github.com/kombo-go/kombo/internal/transport"
)

// The kinds of a failed call, for [errors.Is]. Errors that Kombo reports are matched by their code. The
// HTTP status counts only if the response has no code, and only for 400, 401 and 429.
var (
	// ErrAuthentication means that Kombo does not accept the API key.
	ErrAuthentication = errors.New("kombo: API key refused")
	// ErrIPNotAllowed means that the API key may not be used from this address.
	ErrIPNotAllowed = errors.New("kombo: IP address not allowed")
	// ErrInvalidInput means that the request breaks a rule of the API. If [Error.Attempts] is zero, this
	// package found the mistake and sent nothing.
	ErrInvalidInput = errors.New("kombo: invalid input")
	// ErrIntegrationNotFound means that there is no such integration in the environment of the API key. A
	// 404 without that code does not match, because gateways also return it.
	ErrIntegrationNotFound = errors.New("kombo: integration not found")
	// ErrIntegrationNotReady means that the setup of the integration is not complete, its first sync has
	// not finished, or it has not passed Kombo's check ([CodeIntegrationSetupIncomplete],
	// [CodeIntegrationSetupSyncPending], [CodeIntegrationQAFailed]). Try again in hours: the first sync
	// can take several. If the setup is not complete, the customer must complete it: send a link from
	// [IntegrationsService.SetupLink].
	ErrIntegrationNotReady = errors.New("kombo: integration not ready")
	// ErrReconnectRequired means that the credentials of the integration no longer work
	// ([CodeIntegrationAuthenticationInvalid]): send the customer a link from [IntegrationsService.Relink]. It is
	// not [ErrAuthentication], which is about the API key.
	ErrReconnectRequired = errors.New("kombo: reconnection required")
	// ErrRateLimited means that a limit was exceeded. [Error.Code] says which one:
	// [CodeRateLimitExceeded], too many requests to Kombo; [CodeConcurrencyLimitExceeded], too many in
	// flight for one integration; or [CodeRemoteRateLimitExceeded], too many from Kombo to the
	// customer's tool, which other requests to Kombo need not wait for.
	ErrRateLimited = errors.New("kombo: rate limited")
	// ErrTaskTimedOut means that the task behind the request took Kombo too long.
	ErrTaskTimedOut = errors.New("kombo: task timed out")

	// ErrNetwork means that there was no complete response: no connection, a connection that was cut, or
	// the time limit of an attempt ([WithTimeout]; [os.ErrDeadlineExceeded] then matches too). The request
	// may have been executed. If the caller's context ended the call, [context.Canceled] or
	// [context.DeadlineExceeded] matches instead.
	ErrNetwork = errors.New("kombo: no response")
	// ErrUnexpectedResponse means that the response is not what the API promises: a redirect, HTML instead
	// of JSON, a link without its URL.
	ErrUnexpectedResponse = errors.New("kombo: unexpected response")
)

// ErrorCode is Kombo's code for the cause of an error. Kombo adds codes without notice.
type ErrorCode string

// The codes that Kombo documents: for its platform, for integrations, for the systems behind them, and
// for the endpoints of one category.
const (
	CodeRateLimitExceeded        ErrorCode = "PLATFORM.RATE_LIMIT_EXCEEDED"
	CodeConcurrencyLimitExceeded ErrorCode = "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED"
	CodeIntegrationNotFound      ErrorCode = "PLATFORM.INTEGRATION_NOT_FOUND"
	CodeInputInvalid             ErrorCode = "PLATFORM.INPUT_INVALID"
	CodeUnknownError             ErrorCode = "PLATFORM.UNKNOWN_ERROR"
	CodeIPNotWhitelisted         ErrorCode = "PLATFORM.IP_NOT_WHITELISTED"
	CodeAuthenticationInvalid    ErrorCode = "PLATFORM.AUTHENTICATION_INVALID"
	CodeTaskTimedOut             ErrorCode = "PLATFORM.TASK_TIMED_OUT"

	CodeIntegrationPermissionMissing     ErrorCode = "INTEGRATION.PERMISSION_MISSING"
	CodeIntegrationAuthenticationInvalid ErrorCode = "INTEGRATION.AUTHENTICATION_INVALID"
	CodeIntegrationQAFailed              ErrorCode = "INTEGRATION.QA_FAILED"
	CodeIntegrationSetupSyncPending      ErrorCode = "INTEGRATION.SETUP_SYNC_PENDING"
	CodeIntegrationSetupIncomplete       ErrorCode = "INTEGRATION.SETUP_INCOMPLETE"
	CodeIntegrationInactive              ErrorCode = "INTEGRATION.INACTIVE"
	CodeIntegrationModelNotAvailable     ErrorCode = "INTEGRATION.MODEL_NOT_AVAILABLE"
	CodeIntegrationModelDisabled         ErrorCode = "INTEGRATION.MODEL_DISABLED"
	CodeIntegrationActionNotAvailable    ErrorCode = "INTEGRATION.ACTION_NOT_AVAILABLE"
	CodeIntegrationActionDisabled        ErrorCode = "INTEGRATION.ACTION_DISABLED"

	CodeRemoteServiceUnavailable ErrorCode = "REMOTE.SERVICE_UNAVAILABLE"
	CodeRemoteRateLimitExceeded  ErrorCode = "REMOTE.RATE_LIMIT_EXCEEDED"
	CodeRemoteInputInvalid       ErrorCode = "REMOTE.INPUT_INVALID"
	CodeRemoteUnknownHTTPError   ErrorCode = "REMOTE.UNKNOWN_HTTP_ERROR"

	CodeATSJobClosed                       ErrorCode = "ATS.JOB_CLOSED"
	CodeATSApplicationAlreadyExists        ErrorCode = "ATS.APPLICATION_ALREADY_EXISTS"
	CodeHRISEmployeeAlreadyExists          ErrorCode = "HRIS.EMPLOYEE_ALREADY_EXISTS"
	CodeHRISStaffingEntityClosed           ErrorCode = "HRIS.STAFFING_ENTITY_CLOSED"
	CodeLMSCourseUpdateNotSupported        ErrorCode = "LMS.COURSE_UPDATE_NOT_SUPPORTED"
	CodeAIApplyJobFeedImportAlreadyRunning ErrorCode = "AI_APPLY.JOB_FEED_IMPORT_ALREADY_RUNNING"
	CodeAIApplyJobFeedImportTimedOut       ErrorCode = "AI_APPLY.JOB_FEED_IMPORT_TIMED_OUT"
)

// MaxErrorBody is the size in bytes to which [Error.Body] is truncated.
const MaxErrorBody = 64 << 10

// Error is the error of every failed call. Neither its fields nor any way of printing it contain the API
// key, an activation token or a link: "[redacted]" replaces them in what the server sent.
type Error struct {
	// Op is the operation's route, such as "POST /integrations/{integration_id}/relink".
	Op string
	// StatusCode is the HTTP status of the last response; zero if there was none.
	StatusCode int
	// Code is the cause; "" if the response has none.
	Code ErrorCode
	// Title is a fixed label of the cause; "" if the response has none.
	Title string
	// Message describes what went wrong. For invalid input that was not sent, it names the field.
	Message string
	// LogURL is the address of the entry in the log of Kombo's dashboard; "" if the response has none.
	LogURL string
	// RetryAfter is how long the last response asks to wait; zero if it does not.
	RetryAfter time.Duration
	// Attempts is the number of requests sent; 0 if the call failed before the first.
	Attempts int
	// Body is the body of the last response, truncated to [MaxErrorBody], without secrets. It is nil if the
	// response reports success, because it may contain a link.
	Body []byte

	// err is the cause if no response reports it.
	err error
	// tooMuch means that a response was not decoded, because it would take too much memory.
	tooMuch bool
	// hint names a likely mistake of the caller, or is "".
	hint string
	// mayHaveExecuted means that an attempt before the last may have been executed although it failed.
	mayHaveExecuted bool
}

// errorInfo is the error in a response. Only the message is never null.
type errorInfo struct {
	Code    errorText `json:"code"`
	Title   errorText `json:"title"`
	Message errorText `json:"message"`
	LogURL  errorText `json:"log_url"`
}

// errorText is a string of which an error has the beginning. What is not a string is ignored.
type errorText string

// maxErrorText is how much of the JSON of an errorText is decoded. An escape takes six bytes. To find a
// secret that the limit cuts, the longest secret must fit after the message; each of its bytes can take 16 if it is escaped.
const maxErrorText = 6 * (maxErrorMessage + 16*transport.MaxValue)

// UnmarshalJSON decodes the beginning of a string.
func (t *errorText) UnmarshalJSON(document []byte) error {
	if document[0] != '"' {
		return nil
	}
	if len(document) > maxErrorText {
		end := 1
		for end < maxErrorText {
			switch {
			case document[end] != '\\':
				end++
			case document[end+1] == 'u':
				end += len(`\u0000`)
			default:
				end += len(`\n`)
			}
		}
		document = append(document[:end:end], '"')
	}
	return json.Unmarshal(document, (*string)(t))
}

// errorFromResponse turns a response that reports an error into an *Error, which has the status whatever the
// body is.
func errorFromResponse(operation transport.Operation, resp *transport.Response) *Error {
	e := newError(operation, resp)
	e.Body = resp.RedactedBody(MaxErrorBody)
	var decoded struct {
		Error errorInfo `json:"error"`
	}
	// Use what can be decoded of an error of an unexpected form.
	_ = boundedjson.Unmarshal(withoutBOM(resp.Body), &decoded)
	info := decoded.Error
	e.Code = ErrorCode(info.Code)
	if !looksLikeCode(e.Code) {
		e.Code = ErrorCode(resp.Redact(string(info.Code), maxErrorLine))
	}
	e.Title = resp.Redact(string(info.Title), maxErrorLine)
	e.Message = resp.Redact(string(info.Message), maxErrorMessage)
	e.LogURL = resp.Redact(string(info.LogURL), maxErrorLine)
	switch {
	case resp.StatusCode == http.StatusNotModified:
		e.err = &unexpectedError{reason: "the request was not conditional"}
	case resp.StatusCode >= 300 && resp.StatusCode <= 399:
		e.err = &unexpectedError{reason: "a redirect, which is not followed"}
	case e.Code != "" || e.Message != "":
	case e.Is(ErrAuthentication), e.Is(ErrInvalidInput), e.Is(ErrRateLimited):
		e.err = errors.New("not a Kombo error response (" + describeResponse(resp) + ")")
	default:
		e.err = &unexpectedError{reason: "not a Kombo error response (" + describeResponse(resp) + ")"}
	}
	return e
}

// looksLikeCode reports whether code has the form of an error code; such codes are not redacted.
func looksLikeCode(code ErrorCode) bool {
	for i := range len(code) {
		if c := code[i]; (c < 'A' || c > 'Z') && c != '_' && c != '.' {
			return false
		}
	}
	return len(code) <= 100
}

// unexpectedResponse returns the error of a response that reports success but is not what the API promises.
func unexpectedResponse(operation transport.Operation, resp *transport.Response, reason string) *Error {
	e := newError(operation, resp)
	e.err = &unexpectedError{reason: "not what the API promises: " + reason + " (" + describeResponse(resp) + ")"}
	return e
}

func newError(operation transport.Operation, resp *transport.Response) *Error {
	return &Error{
		Op: operation.String(), StatusCode: resp.StatusCode,
		RetryAfter: resp.RetryAfter, Attempts: resp.Attempts, mayHaveExecuted: resp.MayHaveExecuted,
	}
}

// Error returns in one line which operation failed, why, and after how many attempts.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString("kombo: ")
	text.WriteString(e.Op)
	if e.StatusCode != 0 {
		fmt.Fprintf(&text, ": %d", e.StatusCode)
		if e.Code != "" {
			text.WriteString(" " + singleLine(string(e.Code)))
		} else if status := http.StatusText(e.StatusCode); status != "" {
			text.WriteString(" " + status)
		}
	}
	for _, part := range [...]string{e.Title, e.Message} {
		if part != "" {
			text.WriteString(": " + singleLine(part))
		}
	}
	if e.err != nil && e.err != ErrInvalidInput { //nolint:errorlint // the mark itself says nothing new
		text.WriteString(": " + singleLine(e.err.Error()))
	}
	if e.hint != "" {
		text.WriteString(": " + e.hint)
	}
	switch {
	case e.Attempts == 0:
		text.WriteString(" (nothing was sent)")
	case e.LogURL != "":
		fmt.Fprintf(&text, " (attempts: %d, log: %s)", e.Attempts, singleLine(e.LogURL))
	default:
		fmt.Fprintf(&text, " (attempts: %d)", e.Attempts)
	}
	return text.String()
}

// Unwrap returns the underlying network, context or decoding error, if any.
func (e *Error) Unwrap() error { return e.err }

// Is reports whether the error is of the kind target.
func (e *Error) Is(target error) bool {
	byStatus := e.Code == ""
	switch target {
	case ErrAuthentication:
		return e.Code == CodeAuthenticationInvalid || byStatus && e.StatusCode == http.StatusUnauthorized
	case ErrIPNotAllowed:
		return e.Code == CodeIPNotWhitelisted
	case ErrInvalidInput:
		return e.Code == CodeInputInvalid || byStatus && e.StatusCode == http.StatusBadRequest
	case ErrIntegrationNotFound:
		// Match the code only. Gateways and wrong base URLs also return 404, and callers delete
		// integrations on this error.
		return e.Code == CodeIntegrationNotFound
	case ErrIntegrationNotReady:
		return e.Code == CodeIntegrationSetupIncomplete || e.Code == CodeIntegrationSetupSyncPending || e.Code == CodeIntegrationQAFailed
	case ErrReconnectRequired:
		return e.Code == CodeIntegrationAuthenticationInvalid
	case ErrRateLimited:
		return e.Code == CodeRateLimitExceeded || e.Code == CodeConcurrencyLimitExceeded || e.Code == CodeRemoteRateLimitExceeded ||
			byStatus && e.StatusCode == http.StatusTooManyRequests
	case ErrTaskTimedOut:
		return e.Code == CodeTaskTimedOut
	}
	return false
}

// GoString returns the same as Error.
func (e *Error) GoString() string { return e.Error() }

// LogValue returns the parts of the error as a group for [log/slog].
func (e *Error) LogValue() slog.Value {
	attributes := []slog.Attr{slog.String("message", e.Error()), slog.String("op", e.Op), slog.Int("attempts", e.Attempts)}
	if e.StatusCode != 0 {
		attributes = append(attributes, slog.Int("status", e.StatusCode))
	}
	if e.Code != "" {
		attributes = append(attributes, slog.String("code", string(e.Code)))
	}
	if e.LogURL != "" {
		attributes = append(attributes, slog.String("log_url", e.LogURL))
	}
	return slog.GroupValue(attributes...)
}

// unexpectedError is a response that is not what the API promises.
type unexpectedError struct{ reason string }

func (e *unexpectedError) Error() string { return e.reason }

func (e *unexpectedError) Is(target error) bool { return target == ErrUnexpectedResponse }

// networkError is a call without a response.
type networkError struct{ err error }

func (e *networkError) Error() string { return e.err.Error() }

func (e *networkError) Unwrap() error { return e.err }

func (e *networkError) Is(target error) bool { return target == ErrNetwork }

// endedError is a call that its context ended. The cause of the context is often the error of another call, as with
// errgroup, so it must not decide the kind of this one: callers forget integrations on [ErrIntegrationNotFound].
type endedError struct{ err error }

func (e *endedError) Error() string { return e.err.Error() }

func (e *endedError) Is(target error) bool {
	switch target {
	case ErrAuthentication, ErrIPNotAllowed, ErrInvalidInput, ErrIntegrationNotFound, ErrIntegrationNotReady,
		ErrReconnectRequired, ErrRateLimited, ErrTaskTimedOut, ErrNetwork, ErrUnexpectedResponse:
		return false
	}
	return errors.Is(e.err, target)
}

func (e *endedError) As(target any) bool { return transport.As(e.err, target) }

const (
	// maxErrorLine bounds what one part of a response adds to the text of an error, in bytes.
	maxErrorLine = 500
	// maxErrorMessage bounds the message itself.
	maxErrorMessage = 8 << 10
)

// singleLine makes text fit into one line of a log: it replaces control characters and truncates it.
func singleLine(text string) string {
	if len(text) > maxErrorLine {
		text = transport.Truncate(text, maxErrorLine) + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}
