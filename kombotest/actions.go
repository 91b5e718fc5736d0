package kombotest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/kombo-go/kombo"
)

// actionBodyLimit is how much of a request is read that may have files in it.
const actionBodyLimit = 32 << 20

// action serves an operation of [Server.HandleFunc].
type action func(r *http.Request) (*kombo.Response[any], error)

// HandleFunc serves an operation about data that is no list of records, such as "POST /ats/jobs/{job_id}/applications". A later call
// for the same operation replaces the function.
//
//	srv.HandleFunc("POST /ats/jobs/{job_id}/applications", func(r *http.Request) (*kombo.Response[any], error) {
//		if r.PathValue("job_id") == "closed" {
//			return nil, &kombo.Error{Code: kombo.CodeATSJobClosed, Message: "The job is closed."}
//		}
//		return &kombo.Response[any]{Data: map[string]any{"id": "a1"}}, nil
//	})
//
// The server checks the API key, the integration and the limits before it calls the function, and applies faults. The
// integration is in the header X-Integration-Id; operations of AI Apply need none. Writes count for the
// concurrency limit ([Limits]). The context of the request ends when the client goes away or the server is closed.
//
// The Data of the response is anything that encoding/json encodes, and nil means {}. Its Header is added to that of the response. An
// error that is a [*kombo.Error] becomes the response, with its Code, Message, Title and LogURL, its RetryAfter as the header
// Retry-After, and its StatusCode, or the status of the code if that is 0. Any other error is a 500 without a code.
//
// The function may be called concurrently, and may call the methods of the server, except Close and Wait. HandleFunc panics if the
// operation is not about data, or if it is a list of [Lists].
func (s *Server) HandleFunc(op string, handle func(r *http.Request) (*kombo.Response[any], error)) {
	method, path, _ := strings.Cut(op, " ")
	switch {
	case !isDataOp(op):
		panic(fmt.Sprintf("kombotest: HandleFunc: %q is not an operation about data, such as \"POST /ats/jobs/{job_id}/applications\"", op))
	case method == http.MethodGet && slices.Contains(Lists(), path):
		panic(fmt.Sprintf("kombotest: HandleFunc: %q is a list of records; see Server.PutRecord", op))
	case handle == nil:
		panic("kombotest: HandleFunc: the function is nil")
	}
	var known bool
	s.withState(func(st *state) {
		_, known = st.actions[op]
		st.actions[op] = handle
	})
	if !known {
		s.serve(op, (*Server).act)
	}
}

// act runs an action.
func (s *Server) act(c *call) (any, error) {
	var handle action
	var err error
	s.withState(func(st *state) {
		handle = st.actions[c.op]
		if !needsIntegration(c.op) {
			return
		}
		var i *integration
		if i, err = st.integrationOf(c); err == nil {
			err = i.checkReady()
		}
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	defer context.AfterFunc(s.context, cancel)()
	r := c.Clone(ctx)
	r.Body = io.NopCloser(bytes.NewReader(c.body))
	response, err := handle(r)
	switch {
	case err != nil:
		return nil, actionError(err)
	case response == nil:
		response = &kombo.Response[any]{}
	}
	data := json.RawMessage("{}")
	if response.Data != nil {
		if data, err = encodeJSON(response.Data, ""); err != nil {
			return nil, fmt.Errorf("HandleFunc: the data: %w", err)
		}
	}
	answer := envelope{header: response.Header, members: object{{"status", "success"}, {"data", data}}}
	if isAction(c.op) || len(response.Warnings) > 0 {
		answer.members = answer.members.with("warnings", warnings(response.Warnings))
	}
	return answer, nil
}

// needsIntegration reports whether an operation about data needs the header X-Integration-Id.
func needsIntegration(op string) bool { return !strings.HasPrefix(path(op), "/ai-apply/") }

// isAction reports whether an operation acts on the system behind an integration; only these count for the concurrency limit.
func isAction(op string) bool {
	return op == "POST /passthrough/{tool}/{api}" || isDataOp(op) && needsIntegration(op) && !strings.HasPrefix(op, http.MethodGet+" ")
}

// actionError returns the error of a function as that of a response.
func actionError(err error) error {
	e, ok := errors.AsType[*kombo.Error](err)
	if !ok {
		return err
	}
	answer := &apiError{code: e.Code, message: e.Message, title: e.Title, logURL: e.LogURL, retryAfter: e.RetryAfter}
	if e.StatusCode >= 400 && e.StatusCode <= 599 {
		answer.status = e.StatusCode
	}
	return answer
}
