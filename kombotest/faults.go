package kombotest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
)

// Fault makes requests of the API fail. A field that is not set changes nothing: a Fault with only a Delay
// sends the normal response, but late.
type Fault struct {
	// Op is the operation that fails, in the form of Op in [kombo.Error], such as
	// "POST /connect/create-link"; "" means every operation. It is one of [Operations], or the route of a list ("GET
	// /hris/employees") or of a [Server.HandleFunc].
	Op string
	// Times is how many requests fail; 0 means one, -1 all until [Server.ClearFaults].
	Times int

	// Status is the status of the response; 0 means that of Code (as a [Server] pairs them), or
	// else the normal one.
	Status int
	// Code makes the body an error of Kombo's form, with Message as its message.
	Code    kombo.ErrorCode
	Message string
	// Body is the whole body of the response, instead of Code: a proxy's page, or JSON. Its Content-Type is
	// detected from it.
	Body string
	// Header is added to that of the response, or replaces its values; a name without values removes the header. Headers of the
	// connection, such as Content-Length and Transfer-Encoding, cannot be set.
	Header http.Header
	// RetryAfter sets the header Retry-After, in whole seconds, rounded up. For a date, or an invalid value,
	// use Header.
	RetryAfter time.Duration

	// Delay is how long the response is delayed.
	Delay time.Duration
	// Cut closes the connection instead of a response, after its first bytes: without any byte, net/http
	// retries some requests by itself.
	Cut bool
	// Truncate closes the connection after half of the response's body.
	Truncate bool

	// Executed executes the request before it fails, as when a response is lost on its
	// way. Without it a fault with a Status, Code, Body or Cut prevents that the request is executed. Other
	// faults send the normal response, or half of it, so the request is executed.
	Executed bool
}

// Validate returns an error if the fault contradicts itself or does nothing.
func (f Fault) Validate() error {
	switch {
	case f.Op != "" && !slices.Contains(Operations(), f.Op) && !isDataOp(f.Op):
		return fmt.Errorf("kombotest: Fault.Op: there is no operation %q; it is one of %s, or about data, such as GET /hris/employees",
			f.Op, strings.Join(Operations(), ", "))
	case f.Times < -1:
		return errors.New("kombotest: Fault.Times is less than -1")
	case f.Status != 0 && (f.Status < 200 || f.Status > 999):
		return fmt.Errorf("kombotest: Fault.Status: %d is not the status of a response", f.Status)
	case f.Delay < 0 || f.RetryAfter < 0:
		return errors.New("kombotest: Fault.Delay or Fault.RetryAfter is negative")
	case f.Code != "" && f.Body != "":
		return errors.New("kombotest: Fault.Code makes the body: leave Fault.Body out, or put the code into it")
	case f.Message != "" && f.Code == "":
		return errors.New("kombotest: Fault.Message needs a Fault.Code")
	case (f.Status == http.StatusNoContent || f.Status == http.StatusNotModified) && (f.Body != "" || f.Code != ""):
		return fmt.Errorf("kombotest: Fault.Status: a response with status %d has no body", f.Status)
	case f.Cut && f.Truncate:
		return errors.New("kombotest: Fault.Cut leaves nothing for Fault.Truncate")
	case !f.replaces() && !f.Cut && !f.Truncate && f.Delay == 0 && f.RetryAfter == 0 && len(f.Header) == 0:
		return errors.New("kombotest: the Fault does nothing")
	}
	return f.checkHeader()
}

// connectionHeaders are written by net/http, or are about the connection.
var connectionHeaders = []string{
	"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// checkHeader rejects headers that net/http would omit, change or send twice.
func (f Fault) checkHeader() error {
	seen := map[string]bool{}
	for name, values := range f.Header {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case slices.Contains(connectionHeaders, canonical):
			return fmt.Errorf("kombotest: Fault.Header must not contain %s: it belongs to the connection", canonical)
		case name == "" || strings.ContainsFunc(name, notInHeaderName):
			return fmt.Errorf("kombotest: Fault.Header: %q is not the name of a header", name)
		case seen[canonical]:
			return fmt.Errorf("kombotest: Fault.Header contains %s twice", canonical)
		case slices.ContainsFunc(values, func(v string) bool { return strings.ContainsFunc(v, notInHeaderValue) }):
			return fmt.Errorf("kombotest: Fault.Header: a value of %s contains a line break or another control character", canonical)
		case slices.ContainsFunc(values, func(v string) bool { return v != strings.Trim(v, " \t") }):
			return fmt.Errorf("kombotest: Fault.Header: a value of %s begins or ends with a space", canonical)
		}
		seen[canonical] = true
	}
	return nil
}

func notInHeaderName(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

func notInHeaderValue(r rune) bool { return r < ' ' && r != '\t' || r == '\x7f' }

func (f *Fault) times() *int { return &f.Times }

// replaces reports whether the fault has a response of its own.
func (f Fault) replaces() bool { return f.Status != 0 || f.Code != "" || f.Body != "" }

// statusOf returns the status of an error code. Kombo documents few of these pairs; some are known from its own tests.
func statusOf(code kombo.ErrorCode) int {
	switch code { // the others are 400
	case kombo.CodeIntegrationSetupIncomplete, kombo.CodeIntegrationSetupSyncPending, kombo.CodeIntegrationQAFailed:
		return http.StatusConflict // documented, since May 2026
	case kombo.CodeRateLimitExceeded, kombo.CodeConcurrencyLimitExceeded, kombo.CodeRemoteRateLimitExceeded:
		return http.StatusTooManyRequests
	case kombo.CodeAuthenticationInvalid:
		return http.StatusUnauthorized
	case kombo.CodeIPNotWhitelisted, kombo.CodeIntegrationPermissionMissing:
		return http.StatusForbidden
	case kombo.CodeIntegrationNotFound:
		return http.StatusNotFound
	case kombo.CodeUnknownError:
		return http.StatusInternalServerError
	case kombo.CodeRemoteServiceUnavailable:
		return http.StatusServiceUnavailable
	case kombo.CodeTaskTimedOut:
		return http.StatusGatewayTimeout
	default:
		return http.StatusBadRequest
	}
}

// apply returns the response with the fault.
func (f Fault) apply(r response) response {
	switch {
	case f.Code != "":
		r = errorResponse(&apiError{status: f.Status, code: f.Code, message: cmp.Or(f.Message, "This is a fault that a test asked for.")})
	case f.replaces():
		r = response{status: cmp.Or(f.Status, r.status), header: http.Header{}, body: []byte(f.Body)}
		if f.Body != "" {
			r.header.Set("Content-Type", http.DetectContentType(r.body))
			if json.Valid(r.body) {
				r.header.Set("Content-Type", "application/json; charset=utf-8")
			}
		}
	}
	for name, values := range f.Header {
		r.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	if f.RetryAfter > 0 {
		r.header.Set("Retry-After", strconv.Itoa(inSeconds(f.RetryAfter)))
	}
	return r
}

// InjectFault makes subsequent requests fail. If several faults match a request, the oldest is used.
// It panics if [Fault.Validate] returns an error.
func (s *Server) InjectFault(fault Fault) {
	if err := fault.Validate(); err != nil {
		panic(err)
	}
	fault.Times = cmp.Or(fault.Times, 1)
	fault.Header = fault.Header.Clone()
	s.set(func(st *state) { st.faults = append(st.faults, &fault) })
}

// ClearFaults removes all faults of [Server.InjectFault].
func (s *Server) ClearFaults() { s.set(func(st *state) { st.faults = nil }) }

// Faults returns the faults that remain, with the remaining Times. If there are none at the
// end of a test, all have been used.
func (s *Server) Faults() (faults []Fault) {
	s.withState(func(st *state) { faults = all(st.faults, (*Fault).clone) })
	return faults
}

// clone returns a copy that shares no memory.
func (f *Fault) clone() Fault {
	copied := *f
	copied.Header = f.Header.Clone()
	return copied
}

// counted is a fault that counts down how often it is used: -1 means without end.
type counted[F any] interface {
	*F
	times() *int
}

// take returns the first fault that matches, if any, and counts it down.
func take[F any, P counted[F]](faults *[]P, matches func(P) bool) (taken F, ok bool) {
	i := slices.IndexFunc(*faults, matches)
	if i < 0 {
		return taken, false
	}
	taken = *(*faults)[i]
	if times := (*faults)[i].times(); *times > 0 {
		*times--
		if *times == 0 {
			*faults = slices.Delete(*faults, i, i+1)
		}
	}
	return taken, true
}
