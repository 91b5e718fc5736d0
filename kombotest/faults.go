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

// Fault says how the API fails. What it leaves out stays as it is: a Fault with nothing but a Delay
// answers rightly, but late.
type Fault struct {
	// Op is the operation that it strikes, written as [kombo.Error] has it in Op, such as
	// "POST /connect/create-link"; "" means every operation. See [Operations].
	Op string
	// Times is how many requests it strikes; 0 means one, -1 all until [Server.ClearFaults].
	Times int

	// Status is the status of the answer; 0 means that of Code (as a [Server] pairs them), or
	// else the true one.
	Status int
	// Code makes the body an error of Kombo's form, with Message as its message.
	Code    kombo.ErrorCode
	Message string
	// Body is the whole body of the answer, in place of Code: a proxy's page, or JSON. Its Content-Type is
	// what it looks like.
	Body string
	// Header is added to the answer's, or replaces its values; no values remove it. What belongs to the connection, such as
	// Content-Length and Transfer-Encoding, is the server's own.
	Header http.Header
	// RetryAfter sets the header Retry-After, in whole seconds, rounded up. For a date, or nonsense,
	// use Header.
	RetryAfter time.Duration

	// Delay is how long the answer is kept back.
	Delay time.Duration
	// Cut closes the connection in place of an answer, after its first bytes: where none come at all, net/http
	// repeats some requests by itself.
	Cut bool
	// Truncate closes the connection after half of the answer's body.
	Truncate bool

	// Executed lets the request have its effect before it fails, as when an answer is lost on its
	// way. Without it a fault with a Status, Code, Body or Cut keeps the request from having any. Other
	// faults leave the true answer, or half of it, and so the effect.
	Executed bool
}

// Validate says what is wrong with a fault, if anything.
func (f Fault) Validate() error {
	switch {
	case f.Op != "" && !slices.Contains(Operations(), f.Op):
		return fmt.Errorf("kombotest: Fault.Op: there is no operation %q; it is one of %s", f.Op, strings.Join(Operations(), ", "))
	case f.Times < -1:
		return errors.New("kombotest: Fault.Times is less than -1")
	case f.Status != 0 && (f.Status < 200 || f.Status > 999):
		return fmt.Errorf("kombotest: Fault.Status: %d is no status of an answer", f.Status)
	case f.Delay < 0 || f.RetryAfter < 0:
		return errors.New("kombotest: Fault.Delay or Fault.RetryAfter is negative")
	case f.Code != "" && f.Body != "":
		return errors.New("kombotest: Fault.Code makes the body: leave Fault.Body out, or put the code into it")
	case f.Message != "" && f.Code == "":
		return errors.New("kombotest: Fault.Message needs a Fault.Code")
	case (f.Status == http.StatusNoContent || f.Status == http.StatusNotModified) && (f.Body != "" || f.Code != ""):
		return fmt.Errorf("kombotest: Fault.Status: an answer with status %d has no body", f.Status)
	case f.Cut && f.Truncate:
		return errors.New("kombotest: Fault.Cut leaves nothing for Fault.Truncate")
	case !f.replaces() && !f.Cut && !f.Truncate && f.Delay == 0 && f.RetryAfter == 0 && len(f.Header) == 0:
		return errors.New("kombotest: the Fault does nothing")
	}
	return f.checkHeader()
}

// connectionHeaders are those that net/http writes by itself, or that are about the connection.
var connectionHeaders = []string{
	"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// checkHeader finds what net/http would leave out, change or send twice.
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

// replaces reports whether the fault has an answer of its own.
func (f Fault) replaces() bool { return f.Status != 0 || f.Code != "" || f.Body != "" }

// statusOf is the status that goes with an error code. Kombo documents few of the pairs; some are known from its own tests.
func statusOf(code kombo.ErrorCode) int {
	switch code { //nolint:exhaustive // the others are 400
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

// apply returns what is sent in place of the true answer.
func (f Fault) apply(a answer) answer {
	switch {
	case f.Code != "":
		a = failed(f.Code, cmp.Or(f.Message, "This is a fault that a test asked for."))
		a.status = cmp.Or(f.Status, a.status)
	case f.replaces():
		a = answer{status: cmp.Or(f.Status, a.status), header: http.Header{}, body: []byte(f.Body)}
		if f.Body != "" {
			a.header.Set("Content-Type", http.DetectContentType(a.body))
			if json.Valid(a.body) {
				a.header.Set("Content-Type", "application/json; charset=utf-8")
			}
		}
	}
	for name, values := range f.Header {
		a.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	if f.RetryAfter > 0 {
		a.header.Set("Retry-After", strconv.Itoa(inSeconds(f.RetryAfter)))
	}
	return a
}

// InjectFault makes requests that follow fail. Of several faults for an operation the oldest strikes.
// It panics where [Fault.Validate] finds fault.
func (s *Server) InjectFault(fault Fault) {
	if err := fault.Validate(); err != nil {
		panic(err)
	}
	fault.Times = cmp.Or(fault.Times, 1)
	fault.Header = fault.Header.Clone()
	s.mutex.Lock()
	s.faults = append(s.faults, &fault)
	s.mutex.Unlock()
	s.change()
}

// ClearFaults takes back all of [Server.InjectFault].
func (s *Server) ClearFaults() {
	s.mutex.Lock()
	s.faults = nil
	s.mutex.Unlock()
	s.change()
}

// Faults returns the faults that are yet to strike, with the Times that are left: none of them, at the
// end of a test, means that all have struck.
func (s *Server) Faults() []Fault {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	faults := remaining(s.faults)
	for i := range faults {
		faults[i].Header = faults[i].Header.Clone()
	}
	return faults
}
