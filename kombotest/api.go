package kombotest

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kombo-go/kombo"
)

const (
	// environmentID is in the response of check-api-key.
	environmentID = "kombotestEnvironment0001"
	// defaultScopeConfigID is that of integrations whose link has none.
	defaultScopeConfigID = "kombotestScopeConfig0001"
	// bodyLimit is how much of a request is read.
	bodyLimit = 1 << 20
)

// endpoints are the operations of [Operations], by their name in [kombo.Error].
func endpoints() map[string]endpoint {
	return map[string]endpoint{
		"GET /check-api-key":                             stateEndpoint((*state).checkAPIKey),
		"POST /connect/create-link":                      stateEndpoint((*state).createLink),
		"GET /connect/integration-by-token/{token}":      stateEndpoint((*state).integrationByToken),
		"GET /tools/{category}":                          stateEndpoint((*state).listTools),
		"GET /integrations/{integration_id}":             integrationEndpoint((*state).getIntegration),
		"DELETE /integrations/{integration_id}":          integrationEndpoint((*state).deleteIntegration),
		"PUT /integrations/{integration_id}/enabled":     integrationEndpoint((*state).setEnabled),
		"POST /integrations/{integration_id}/relink":     integrationEndpoint((*state).relink),
		"POST /integrations/{integration_id}/setup-link": integrationEndpoint((*state).setupLink),

		"GET /integrations/{integration_id}/integration-fields":                          integrationEndpoint((*state).listFields),
		"PATCH /integrations/{integration_id}/integration-fields/{integration_field_id}": integrationEndpoint((*state).setFieldPassthrough),
		"GET /integrations/{integration_id}/custom-fields":                               integrationEndpoint((*state).listCustomFields),
		"PUT /integrations/{integration_id}/custom-fields/{custom_field_id}":             integrationEndpoint((*state).mapCustomField),
		"POST /force-sync":               integrationEndpoint((*state).forceSync),
		"POST /passthrough/{tool}/{api}": (*Server).passthrough,
	}
}

// call is a request of the API, as far as it was read.
type call struct {
	*http.Request
	op     string
	came   time.Time
	body   []byte
	events []kombo.Event // caused by the call; delivered after the response
}

// endpoint returns the data of the response to a call, or an error such as an *apiError. Data may be an envelope.
type endpoint func(*Server, *call) (data any, err error)

// envelope is a whole response, for an endpoint with more than data.
type envelope struct {
	members object
	header  http.Header
}

// stateEndpoint makes an endpoint of a function of the state.
func stateEndpoint(f func(*state, *call) (any, error)) endpoint {
	return func(s *Server, c *call) (data any, err error) {
		c.events = s.gate.run(func(st *state) { data, err = f(st, c) })
		return data, err
	}
}

// integrationEndpoint makes an endpoint of a function of one integration: that of the path, or else of the header X-Integration-Id.
func integrationEndpoint(f func(*state, *call, *integration) (any, error)) endpoint {
	return stateEndpoint(func(st *state, c *call) (any, error) {
		i, err := st.integrationOf(c)
		if err != nil {
			return nil, err
		}
		return f(st, c, i)
	})
}

// integrationOf returns the integration that a call is about.
func (st *state) integrationOf(c *call) (*integration, error) {
	id := c.PathValue("integration_id")
	if !strings.Contains(c.op, "{integration_id}") {
		if id = c.Header.Get("X-Integration-Id"); id == "" {
			return nil, invalid("X-Integration-Id: the header is missing")
		}
	}
	i, err := st.integration(id)
	if err != nil {
		return nil, &apiError{code: kombo.CodeIntegrationNotFound, message: "There is no integration with this id in this environment."}
	}
	return i, nil
}

// Operations returns the operations of Kombo Connect that a [Server] knows, in the form of Op in [kombo.Error]. For data see
// [Lists] and [Server.HandleFunc].
func Operations() []string {
	return slices.SortedFunc(maps.Keys(endpoints()), func(a, b string) int {
		return cmp.Or(strings.Compare(path(a), path(b)), strings.Compare(a, b))
	})
}

func path(op string) string {
	_, path, _ := strings.Cut(op, " ")
	return path
}

// apiError is an error response.
type apiError struct {
	status        int // 0 means that of the code
	code          kombo.ErrorCode
	message       string
	title, logURL string
	retryAfter    time.Duration
}

// Error is for the methods of Server that take a request of the API.
func (e *apiError) Error() string { return "kombotest: the request is not valid: " + e.message }

func invalid(message string) error {
	return &apiError{code: kombo.CodeInputInvalid, message: message}
}

// response is the response to a request.
type response struct {
	status int
	header http.Header
	body   []byte
	code   kombo.ErrorCode
}

func successResponse(data any) response {
	if whole, ok := data.(envelope); ok {
		r := jsonResponse(http.StatusOK, whole.members)
		for name, values := range whole.header {
			r.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
		return r
	}
	return jsonResponse(http.StatusOK, map[string]any{"status": "success", "data": data})
}

func errorResponse(err error) response {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		e = &apiError{status: http.StatusInternalServerError, message: err.Error()}
	}
	r := jsonResponse(cmp.Or(e.status, statusOf(e.code)), map[string]any{"status": "error", "error": map[string]any{
		"code": orNull(string(e.code)), "title": orNull(e.title), "message": e.message, "log_url": orNull(e.logURL),
	}})
	r.code = e.code
	if e.retryAfter > 0 {
		r.header.Set("Retry-After", strconv.Itoa(inSeconds(e.retryAfter)))
	}
	return r
}

func jsonResponse(status int, value any) response {
	body, err := encodeJSON(value, "")
	if err != nil {
		panic(err) // the server made the value
	}
	return response{status: status, body: body, header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}}
}

func (s *Server) serveAPI() {
	for op, run := range endpoints() {
		s.serve(op, run)
	}
	for _, l := range lists {
		s.serve("GET "+l.path, listRecords(l))
	}
	s.mux.Handle("/v1/", s.handler("", func(*Server, *call) (any, error) {
		return nil, &apiError{status: http.StatusNotFound, message: "There is no such endpoint. In a test, Server.HandleFunc adds those that are about data."}
	}))
}

func (s *Server) serve(op string, run endpoint) {
	method, path, _ := strings.Cut(op, " ")
	s.mux.Handle(method+" /v1"+path, s.handler(op, run))
}

// handler serves the requests of one operation; op is "" for those of none.
func (s *Server) handler(op string, run endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done, ok := s.begin()
		if !ok {
			panic(http.ErrAbortHandler)
		}
		defer done()
		begun := time.Now()
		responded := make(chan struct{})
		defer close(responded)
		c := &call{Request: r, op: op, came: s.now()}
		var readErr error
		limit := int64(bodyLimit)
		if isAction(op) {
			limit = actionBodyLimit
		}
		c.body, readErr = io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		var fault Fault
		var faulty bool
		var free int // how many more actions the integration takes
		s.withState(func(st *state) {
			free = st.limiter.enter(c)
			fault, faulty = take(&st.faults, func(f *Fault) bool { return op != "" && (f.Op == "" || f.Op == op) })
		})
		leave := sync.OnceFunc(func() { s.withState(func(st *state) { st.limiter.leave(c) }) })
		defer leave()

		var response response
		switch {
		case faulty && !fault.Executed && (fault.replaces() || fault.Cut):
			response.status, response.header = http.StatusOK, http.Header{}
		case readErr != nil:
			response = errorResponse(&apiError{code: kombo.CodeInputInvalid, message: "The body is too long or incomplete."})
		default:
			response = s.respond(c, free, run)
		}
		_ = s.enqueueAll(s.context, responded, c.events) // fails only if the server is being closed
		response = fault.apply(response)
		s.withState(func(st *state) { st.limiter.addHeaders(response.header, c, free, st.clock) })
		if fault.Delay > 0 {
			s.delay(r, fault.Delay)
		}
		s.recordRequest(c, response, fault, faulty, time.Since(begun))
		leave() // whoever has the response is not limited by it
		response.write(w, fault)
	})
}

// delay waits, unless the client or the server goes away.
func (s *Server) delay(r *http.Request, wait time.Duration) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.context, cancel)()
	_ = pause(ctx, wait)
}

// respond runs an endpoint for a request that has the right key and is within the limits.
func (s *Server) respond(c *call, free int, run endpoint) response {
	want := "Bearer " + s.config.APIKey
	if subtle.ConstantTimeCompare([]byte(c.Header.Get("Authorization")), []byte(want)) != 1 {
		return errorResponse(&apiError{code: kombo.CodeAuthenticationInvalid, message: "The API key is not valid."})
	}
	var over bool
	var wait time.Duration
	s.withState(func(st *state) { over, wait = st.limiter.count(st.clock) })
	switch {
	case over:
		return errorResponse(&apiError{code: kombo.CodeRateLimitExceeded, message: "Too many requests.", retryAfter: wait})
	case free < 0:
		return errorResponse(&apiError{code: kombo.CodeConcurrencyLimitExceeded, message: "Too many actions of this integration are in flight."})
	}
	data, err := run(s, c)
	if c.Method != http.MethodGet {
		s.onChange()
	}
	if err != nil {
		return errorResponse(err)
	}
	return successResponse(data)
}

// write sends a response as far as a fault lets it.
func (r response) write(w http.ResponseWriter, fault Fault) {
	if fault.Cut {
		if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(connection, "HTTP/1.1 ")
			_ = connection.Close()
		}
		return
	}
	maps.Copy(w.Header(), r.header)
	// With its length, and flushed, the response arrives before what waits for it goes on.
	length := len(r.body)
	if fault.Truncate {
		length = max(1, length)
		r.body = r.body[:len(r.body)/2]
	}
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body)
	_ = http.NewResponseController(w).Flush()
	if fault.Truncate {
		panic(http.ErrAbortHandler)
	}
}

func (st *state) checkAPIKey(*call) (any, error) {
	return map[string]string{"environment_id": environmentID, "customer_id": environmentID}, nil
}
