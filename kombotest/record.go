package kombotest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
)

// recordedLimit is how much of the body of a request is recorded.
const recordedLimit = 64 << 10

// Request is one request of the API.
type Request struct {
	// Number counts the requests, from 1.
	Number int
	// Time is when the request came.
	Time time.Time
	// Op is the operation, as in [Fault]; "" for a request of no operation.
	Op     string
	Method string
	// Path is as it was sent, escapes and query included, without the /v1 of [Server.BaseURL].
	Path   string
	Header http.Header
	// Body is what was sent, up to 64 KiB of it.
	Body []byte
	// StatusCode is that of the response; 0 if the connection was cut.
	StatusCode int
	// ErrorCode is that of the response, "" if it has none.
	ErrorCode kombo.ErrorCode
	// Faulty is true if a [Fault] affected the request.
	Faulty bool
	// Duration is the time until the response, including delays.
	Duration time.Duration
}

// Requests returns the requests of the API, in the order of their responses. After 10,000, the older half is
// discarded. Requests of the customer's pages are not recorded.
func (s *Server) Requests() (requests []Request) {
	s.withState(func(st *state) { requests = all(st.requests.entries, Request.clone) })
	return requests
}

// clone returns a copy that shares no memory.
func (r Request) clone() Request {
	r.Header, r.Body = r.Header.Clone(), bytes.Clone(r.Body)
	return r
}

func (s *Server) recordRequest(c *call, r response, fault Fault, faulty bool, duration time.Duration) {
	request := Request{
		Time: c.came, Op: c.op, Method: c.Method, Path: strings.TrimPrefix(c.RequestURI, "/v1"),
		Header: c.Header.Clone(), Body: bytes.Clone(c.body[:min(len(c.body), recordedLimit)]), StatusCode: r.status, ErrorCode: r.code,
		Faulty: faulty, Duration: duration,
	}
	if fault.Cut {
		request.StatusCode, request.ErrorCode = 0, ""
	}
	if request.ErrorCode == "" && fault.Body != "" && !fault.Cut {
		var body struct {
			Error struct {
				Code kombo.ErrorCode `json:"code"`
			} `json:"error"`
		}
		_ = json.Unmarshal(r.body, &body) // a body of another form has no code
		request.ErrorCode = body.Error.Code
	}
	s.withState(func(st *state) {
		request.Number = st.requests.next()
		st.requests.add(request)
	})
	if s.config.OnRequest != nil {
		s.config.OnRequest(request.clone())
	}
	s.onChange()
}

// recordLimit is how many requests, and how many deliveries, a server keeps. If there are more, it
// discards half.
const recordLimit = 10_000

// record keeps the newest entries.
type record[T any] struct {
	entries []T
	total   int
}

// next returns the number of the entry that is added next; they count from 1.
func (r *record[T]) next() int { return r.total + 1 }

func (r *record[T]) add(entry T) {
	if len(r.entries) >= recordLimit {
		// Half at once, so that moving the rest is rare.
		r.entries = slices.Delete(r.entries, 0, recordLimit/2)
	}
	r.entries = append(r.entries, entry)
	r.total++
}
