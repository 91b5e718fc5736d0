package kombotest

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"

	"github.com/kombo-go/kombo"
)

// environmentID is what check-api-key tells.
const environmentID = "kombotestEnvironment0001"

// answer is what an endpoint says: data, or an error with its status.
type answer struct {
	data any

	status  int
	code    kombo.ErrorCode
	message string
}

func succeeded(data any) answer { return answer{status: http.StatusOK, data: data} }

func invalid(message string) answer {
	return answer{status: http.StatusBadRequest, code: kombo.CodeInputInvalid, message: message}
}

func notFound() answer {
	return answer{
		status: http.StatusNotFound, code: kombo.CodeIntegrationNotFound,
		message: "There is no integration with this id in this environment.",
	}
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	var body any = map[string]any{"status": "success", "data": a.data}
	if a.status != http.StatusOK {
		var code *kombo.ErrorCode
		if a.code != "" {
			code = &a.code
		}
		body = map[string]any{"status": "error", "error": map[string]any{
			"code": code, "title": nil, "message": a.message, "log_url": nil,
		}}
	}
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, endpoint func(*http.Request) answer) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			done, ok := s.begin()
			if !ok {
				return
			}
			defer done()
			want := "Bearer " + s.config.APIKey
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1 {
				answer{status: http.StatusUnauthorized, code: kombo.CodeAuthenticationInvalid, message: "The API key is not valid."}.write(w)
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
			endpoint(r).write(w)
		})
	}
	handle("GET /v1/check-api-key", func(*http.Request) answer {
		return succeeded(map[string]string{"environment_id": environmentID, "customer_id": environmentID})
	})
	handle("POST /v1/connect/create-link", s.createLink)
	handle("GET /v1/connect/integration-by-token/{token}", s.integrationByToken)
	handle("POST /v1/integrations/{integration_id}/relink", s.relink)
	handle("DELETE /v1/integrations/{integration_id}", s.deleteIntegration)
	handle("/", func(*http.Request) answer {
		return answer{status: http.StatusNotFound, message: "There is no such endpoint."}
	})
	return mux
}

func (s *Server) createLink(r *http.Request) answer {
	var body createLinkBody
	if refused, ok := read(r, &body); !ok {
		return refused
	}
	link := map[string]any{"link": s.newLink(flow{request: body, linkType: body.LinkType})}
	if body.EnableStaticIPs {
		link["static_ips"] = []string{"192.0.2.10", "192.0.2.11"}
	}
	return succeeded(link)
}

// read decodes and checks the body of a request.
func read(r *http.Request, body interface{ problem() string }) (refused answer, ok bool) {
	if err := json.NewDecoder(r.Body).Decode(body); err != nil {
		return invalid("The body is not a JSON object of the documented form."), false
	}
	if problem := body.problem(); problem != "" {
		return invalid(problem), false
	}
	return answer{}, true
}

func (s *Server) integrationByToken(r *http.Request) answer {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	found, ok := s.integrations[s.activations[r.PathValue("token")]]
	if !ok {
		return invalid("The token is not valid.")
	}
	return succeeded(map[string]any{
		"id": found.id, "tool": found.tool,
		"end_user_origin_id":         orNull(found.endUser.OriginID),
		"end_user_organization_name": found.endUser.OrganizationName,
		"end_user_email":             orNull(found.endUser.CreatorEmail),
		"setup_status":               kombo.SetupStatusCompleted,
	})
}

func (s *Server) relink(r *http.Request) answer {
	id := r.PathValue("integration_id")
	s.mutex.Lock()
	_, ok := s.integrations[id]
	s.mutex.Unlock()
	if !ok {
		return notFound()
	}
	var body linkBody
	if refused, ok := read(r, &body); !ok {
		return refused
	}
	return succeeded(map[string]string{"link": s.newLink(flow{integrationID: id, linkType: body.LinkType})})
}

func (s *Server) deleteIntegration(r *http.Request) answer {
	id := r.PathValue("integration_id")
	s.mutex.Lock()
	gone, ok := s.integrations[id]
	delete(s.integrations, id)
	s.mutex.Unlock()
	if !ok {
		return notFound()
	}
	event := &kombo.IntegrationDeletedEvent{
		EventHeader: newHeader(kombo.EventIntegrationDeleted),
		Data: kombo.IntegrationDeletedData{
			ID: gone.id, Tool: gone.tool, Category: gone.category, EndUser: gone.endUser, DeletedAt: now(),
		},
	}
	// The receiver may hold locks while it waits for this answer, so the webhook comes after it.
	s.announce(event)
	return succeeded(struct{}{})
}
