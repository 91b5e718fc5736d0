package kombotest

import (
	"bytes"
	"cmp"
	"crypto/subtle"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
)

const (
	// environmentID is what check-api-key tells.
	environmentID = "kombotestEnvironment0001"
	// defaultScopeConfigID is that of integrations whose link names none.
	defaultScopeConfigID = "kombotestScopeConfig0001"
	// bodyLimit is how much of a request is read, and recordedLimit how much of it is remembered.
	bodyLimit     = 1 << 20
	recordedLimit = 64 << 10
)

// Request is one request of the API.
type Request struct {
	// Number counts the requests, from 1.
	Number int
	// Time is when the request came.
	Time time.Time
	// Op is the operation, as in [Fault]; "" for a request that is none.
	Op     string
	Method string
	// Path is as it was sent, escapes and query included, without the /v1 of [Server.BaseURL].
	Path   string
	Header http.Header
	// Body is what was sent, up to 64 KiB of it.
	Body []byte
	// StatusCode is the answer's; 0 where the connection was cut.
	StatusCode int
	// ErrorCode is that of the answer, "" where it has none.
	ErrorCode kombo.ErrorCode
	// Faulty is true where a [Fault] struck.
	Faulty bool
	// Duration is the time until the answer, its delay included.
	Duration time.Duration
}

// Requests returns the requests of the API, in the order in which they were answered; after 10,000 it
// forgets the older half. It does not tell of the pages that a browser opens.
func (s *Server) Requests() []Request {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return all(s.requests.entries, Request.clone)
}

// clone returns a copy that shares no memory.
func (r Request) clone() Request {
	r.Header, r.Body = r.Header.Clone(), bytes.Clone(r.Body)
	return r
}

// answer is what a request gets.
type answer struct {
	status int
	header http.Header
	body   []byte
	code   kombo.ErrorCode
}

func succeeded(data any) answer {
	return encoded(http.StatusOK, map[string]any{"status": "success", "data": data})
}

func failed(code kombo.ErrorCode, message string) answer {
	a := encoded(statusOf(code), map[string]any{"status": "error", "error": map[string]any{
		"code": orNull(string(code)), "title": nil, "message": message, "log_url": nil,
	}})
	a.code = code
	return a
}

func encoded(status int, value any) answer {
	body, err := encodeJSON(value, "")
	if err != nil {
		panic(err) // the server made it
	}
	return answer{status: status, body: body, header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}}
}

func notFound() answer {
	return failed(kombo.CodeIntegrationNotFound, "There is no integration with this id in this environment.")
}

// call is a request with what was read of it.
type call struct {
	*http.Request
	op   string
	came time.Time
	body []byte
	// answered is closed when the answer is on its way.
	answered <-chan struct{}
}

// endpoints are the operations, by what [kombo.Error] calls them.
func endpoints() map[string]func(*Server, call) answer {
	return map[string]func(*Server, call) answer{
		"GET /check-api-key":                             (*Server).checkAPIKey,
		"POST /connect/create-link":                      (*Server).createLink,
		"GET /connect/integration-by-token/{token}":      (*Server).integrationByToken,
		"GET /tools/{category}":                          (*Server).tools,
		"GET /integrations/{integration_id}":             (*Server).getIntegration,
		"DELETE /integrations/{integration_id}":          (*Server).deleteIntegration,
		"PUT /integrations/{integration_id}/enabled":     (*Server).setEnabled,
		"POST /integrations/{integration_id}/relink":     (*Server).relink,
		"POST /integrations/{integration_id}/setup-link": (*Server).setupLink,

		"GET /integrations/{integration_id}/integration-fields":                          (*Server).integrationFields,
		"PATCH /integrations/{integration_id}/integration-fields/{integration_field_id}": (*Server).setFieldPassthrough,
		"GET /integrations/{integration_id}/custom-fields":                               (*Server).customFields,
		"PUT /integrations/{integration_id}/custom-fields/{custom_field_id}":             (*Server).mapCustomField,
		"POST /force-sync":               (*Server).forceSync,
		"POST /passthrough/{tool}/{api}": (*Server).sendPassthrough,
	}
}

// Operations returns the operations that a [Server] knows, written as [kombo.Error] has them in Op.
func Operations() []string {
	var operations []string
	for op := range endpoints() {
		operations = append(operations, op)
	}
	slices.SortFunc(operations, func(a, b string) int {
		return cmp.Or(strings.Compare(path(a), path(b)), strings.Compare(a, b))
	})
	return operations
}

func path(op string) string {
	_, path, _ := strings.Cut(op, " ")
	return path
}

func (s *Server) serveAPI() {
	for op, endpoint := range endpoints() {
		method, path, _ := strings.Cut(op, " ")
		s.mux.Handle(method+" /v1"+path, s.answering(op, func(c call) answer { return endpoint(s, c) }))
	}
	s.mux.Handle("/v1/", s.answering("", func(call) answer {
		a := failed("", "There is no such endpoint.")
		a.status = http.StatusNotFound
		return a
	}))
}

// answering answers requests of one operation.
func (s *Server) answering(op string, endpoint func(call) answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done, ok := s.begin()
		if !ok {
			panic(http.ErrAbortHandler)
		}
		defer done()
		begun := time.Now()
		answered := make(chan struct{})
		defer close(answered)
		c := call{Request: r, op: op, came: s.now(), answered: answered}
		var readErr error
		c.body, readErr = io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
		leave, free := s.arrive(c)
		defer leave()

		s.mutex.Lock()
		fault, struck := take(&s.faults, func(f *Fault) bool { return op != "" && (f.Op == "" || f.Op == op) })
		s.mutex.Unlock()
		var a answer
		switch {
		case struck && !fault.Executed && (fault.replaces() || fault.Cut):
			a = answer{status: http.StatusOK, header: http.Header{}}
		case readErr != nil:
			a = failed(kombo.CodeInputInvalid, "The body is too long, or was not sent whole.")
		default:
			a = s.admit(c, free, endpoint)
		}
		a = fault.apply(a)
		s.addLimits(a, c, free)
		if fault.Delay > 0 {
			s.delay(r, fault.Delay)
		}
		s.recordRequest(c, a, fault, struck, time.Since(begun))
		a.write(w, fault)
	})
}

// delay keeps an answer back, unless the caller or the server goes away.
func (s *Server) delay(r *http.Request, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-s.context.Done():
	}
}

// admit answers a request that has the right key and keeps to the limits.
func (s *Server) admit(c call, free int, endpoint func(call) answer) answer {
	want := "Bearer " + s.config.APIKey
	if subtle.ConstantTimeCompare([]byte(c.Header.Get("Authorization")), []byte(want)) != 1 {
		return failed(kombo.CodeAuthenticationInvalid, "The API key is not valid.")
	}
	s.mutex.Lock()
	over := s.overRate()
	_, wait := s.rate()
	s.mutex.Unlock()
	switch {
	case over:
		a := failed(kombo.CodeRateLimitExceeded, "Too many requests.")
		a.header.Set("Retry-After", strconv.Itoa(inSeconds(wait)))
		return a
	case free < 0:
		return failed(kombo.CodeConcurrencyLimitExceeded, "Too many actions of this integration are in flight.")
	}
	return endpoint(c)
}

func (s *Server) recordRequest(c call, a answer, fault Fault, struck bool, duration time.Duration) {
	request := Request{
		Time: c.came, Op: c.op, Method: c.Method, Path: strings.TrimPrefix(c.RequestURI, "/v1"),
		Header: c.Header.Clone(), Body: bytes.Clone(c.body[:min(len(c.body), recordedLimit)]), StatusCode: a.status, ErrorCode: a.code,
		Faulty: struck, Duration: duration,
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
		_ = json.Unmarshal(a.body, &body) // a body that is none of Kombo's has no code
		request.ErrorCode = body.Error.Code
	}
	s.mutex.Lock()
	request.Number = s.requests.next()
	s.requests.add(request)
	s.mutex.Unlock()
	if s.config.OnRequest != nil {
		s.config.OnRequest(request.clone())
	}
	s.change()
}

func (a answer) write(w http.ResponseWriter, fault Fault) {
	if fault.Cut {
		if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(connection, "HTTP/1.1 ")
			_ = connection.Close()
		}
		return
	}
	maps.Copy(w.Header(), a.header)
	// The length is told, and the answer sent before what waits for it goes on.
	length := len(a.body)
	if fault.Truncate {
		length = max(1, length)
		a.body = a.body[:len(a.body)/2]
	}
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
	_ = http.NewResponseController(w).Flush()
	if fault.Truncate {
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) checkAPIKey(call) answer {
	return succeeded(map[string]string{"environment_id": environmentID, "customer_id": environmentID})
}

func (s *Server) createLink(c call) answer {
	f, staticIPs, problem := s.readLink(c.body)
	if problem != "" {
		return failed(kombo.CodeInputInvalid, problem)
	}
	data := map[string]any{"link": s.newFlow(f).URL}
	if staticIPs {
		data["static_ips"] = []string{"192.0.2.10", "192.0.2.11"}
	}
	return succeeded(data)
}

// readLink reads what a link is to lead to.
func (s *Server) readLink(body []byte) (f flow, staticIPs bool, problem string) {
	in := readInput(body)
	f = flow{OpenLink: OpenLink{Kind: LinkKindConnect}}
	f.EndUser = kombo.EndUser{
		CreatorEmail:     in.email("end_user_email"),
		OrganizationName: in.name("end_user_organization_name"),
		OriginID:         in.optional("end_user_origin_id", "not empty where it is there"),
	}
	f.Category = kombo.Category(in.oneOf("integration_category", optional, string(kombo.CategoryHRIS), categories...))
	f.Tool = in.tool("integration_tool", s.knowsTool)
	if in.optional("remote_environment", "") != "" && f.Tool == "" {
		in.refuse("remote_environment", "only together with integration_tool")
	}
	f.language, f.LinkType = in.language(), in.linkType(optional)
	f.scopeConfigID = in.optional("scope_config_id", "")
	if in.flag("enable_filtering", optional) && f.Category == kombo.CategoryHRIS {
		f.setupSteps = append(f.setupSteps, stepFiltering)
	}
	if in.flag("enable_field_mapping", optional) {
		f.setupSteps = append(f.setupSteps, stepFieldMapping)
	}
	staticIPs = in.flag("enable_static_ips", optional)
	return f, staticIPs, in.problem
}

func (s *Server) integrationByToken(c call) answer {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	found, ok := s.integrations[s.activations[c.PathValue("token")]]
	if !ok {
		return failed(kombo.CodeInputInvalid, "The token is not valid.")
	}
	return succeeded(map[string]any{
		"id": found.ID, "tool": found.Tool,
		"end_user_origin_id":         orNull(found.EndUser.OriginID),
		"end_user_organization_name": found.EndUser.OrganizationName,
		"end_user_email":             orNull(found.EndUser.CreatorEmail),
		"setup_status":               found.SetupStatus,
	})
}

// withIntegration answers 404 unless the integration that the path names is there.
func (s *Server) withIntegration(c call, endpoint func(integration) answer) answer {
	s.mutex.Lock()
	existing, ok := s.integrations[c.PathValue("integration_id")]
	if !ok {
		s.mutex.Unlock()
		return notFound()
	}
	found := *existing
	s.mutex.Unlock()
	return endpoint(found)
}

func (s *Server) relink(c call) answer {
	return s.withIntegration(c, func(i integration) answer {
		f, problem := readRelink(i, c.body)
		if problem != "" {
			return failed(kombo.CodeInputInvalid, problem)
		}
		return succeeded(map[string]string{"link": s.newFlow(f).URL})
	})
}

// readRelink reads what a link to reconnect an integration is to lead to.
func readRelink(i integration, body []byte) (f flow, problem string) {
	in := readOptionalInput(body)
	f = flow{OpenLink: i.link(LinkKindRelink), language: in.language(), scopeConfigID: in.optional("scope_config_id", "")}
	f.LinkType = in.linkType(optional)
	return f, in.problem
}

func (s *Server) setupLink(c call) answer {
	return s.withIntegration(c, func(i integration) answer {
		in := readInput(c.body)
		f := flow{OpenLink: i.link(LinkKindSetup), language: in.language(), setupSteps: i.setupSteps}
		f.LinkType = in.linkType(required)
		switch {
		case in.problem != "":
			return failed(kombo.CodeInputInvalid, in.problem)
		case len(i.setupSteps) == 0:
			return failed(kombo.CodeInputInvalid, "No setup step is enabled for this integration.")
		}
		return succeeded(map[string]string{"link": s.newFlow(f).URL})
	})
}

// link is what all links of an integration have in common.
func (i integration) link(kind LinkKind) OpenLink {
	return OpenLink{Kind: kind, EndUser: i.EndUser, Category: i.Category, Tool: i.Tool, IntegrationID: i.ID}
}

func (s *Server) getIntegration(c call) answer {
	return s.withIntegration(c, func(i integration) answer {
		tool := s.tool(i.Tool)
		var scopeConfigName any
		if i.ScopeConfigID == defaultScopeConfigID {
			scopeConfigName = "Default"
		}
		models, actions := samplesOf(i.Category).inIntegration()
		return succeeded(map[string]any{
			"id": i.ID,
			"tool": map[string]any{
				"id": tool.ID, "label": tool.Label, "internal_label": nil,
				"logo_url": s.iconURL(tool.ID), "icon_url": s.iconURL(tool.ID),
			},
			"category": i.Category, "status": i.State, "setup_status": i.SetupStatus, "end_user": endUser(i.EndUser),
			"scope_config":    map[string]any{"id": i.ScopeConfigID, "name": scopeConfigName},
			"data_expired_at": nil, "created_at": i.CreatedAt.Format(timeFormat), "beta": false,
			"read_models": models, "write_actions": actions,
		})
	})
}

func (s *Server) setEnabled(c call) answer {
	return s.withIntegration(c, func(i integration) answer {
		in := readInput(c.body)
		enabled := in.flag("value", required)
		if in.problem != "" {
			return failed(kombo.CodeInputInvalid, in.problem)
		}
		event, err := s.update(i.ID, func(i *integration) bool {
			before := i.State
			switch {
			case !enabled:
				i.State = kombo.StateInactive
			case i.State == kombo.StateInactive:
				i.State = kombo.StateActive
			}
			return i.State != before
		})
		if err != nil {
			return notFound() // deleted meanwhile
		}
		if event != nil {
			_ = s.announce(event, c.answered) // a server that ends announces nothing
		}
		return succeeded(struct{}{})
	})
}

func (s *Server) deleteIntegration(c call) answer {
	return s.withIntegration(c, func(i integration) answer {
		if in := readOptionalInput(c.body); in.problem != "" {
			return failed(kombo.CodeInputInvalid, in.problem)
		}
		event, ok := s.remove(i.ID)
		if !ok {
			return notFound()
		}
		// The receiver may hold locks while it waits for this answer, so the webhook comes after it.
		_ = s.announce(event, c.answered)
		return succeeded(struct{}{})
	})
}

func (s *Server) tools(c call) answer {
	category := kombo.Category(strings.ToUpper(c.PathValue("category")))
	if !slices.Contains(categories, string(category)) || c.PathValue("category") != strings.ToLower(string(category)) {
		return failed(kombo.CodeInputInvalid, "category: not one of "+strings.ToLower(strings.Join(categories, ", ")))
	}
	models, actions := samplesOf(category).inTool()
	tools := []any{}
	for _, tool := range s.toolsOf(category) {
		tools = append(tools, map[string]any{
			"id": tool.ID, "label": tool.Label, "internal_label": nil,
			"assets": map[string]string{
				"logo_url": s.iconURL(tool.ID), "icon_url": s.iconURL(tool.ID), "icon_black_url": s.iconURL(tool.ID),
			},
			"paid_api_details_markdown": nil, "fast_track_details_markdown": nil, "partner_only_details_markdown": nil,
			"connection_guide_url": nil,
			"coverage":             map[string]any{"read_models": models, "write_actions": actions, "features": []any{}},
		})
	}
	return succeeded(map[string]any{"tools": tools})
}
