package kombotest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/kombo-go/kombo"
)

// Completion is what the customer does in the connection flow.
type Completion struct {
	// Tool is the slug of the tool that the customer chooses; "" means the first of the category, which
	// is "personio" for HRIS and ATS. It does not count where the link names one.
	Tool string
	// LeaveSetup leaves the setup steps (filtering, field mapping) for later, so that the
	// integration stays [kombo.SetupStatusIncomplete]. It does not count where there are none. The step that Greenhouse,
	// SCIM and Teamtailor ask for by themselves is always left: only a setup link leads to it.
	LeaveSetup bool
}

// CompleteFlow plays the customer who opens a link and finishes the flow. It returns the activation
// token that the browser would get, or "" for a magic link, whose flow ends on a page of Kombo's.
//
// A connection link makes an integration, which is announced by integration-created; a reconnection
// link makes its integration active again, and a setup link completes its setup, both announced by
// integration-state-changed. Where a new integration has setup steps, both come, one after the other.
// CompleteFlow returns once the webhooks are delivered. Where the service does not accept one, the
// error says so; the flow is finished, and the token valid, nevertheless.
//
// It fails for a link that cannot be entered: unknown, expired, used up, or of an integration that is
// gone.
func (s *Server) CompleteFlow(ctx context.Context, linkURL string, completion Completion) (token string, err error) {
	link, kind, err := s.linkOf(linkURL)
	if err != nil {
		return "", err
	}
	if kind == LinkKindSetup {
		if completion.LeaveSetup {
			return "", errors.New("kombotest: the setup is all that a setup link is for: LeaveSetup leaves nothing")
		}
		return s.finishSetup(ctx, link)
	}
	connected, err := s.connect(link, completion.Tool)
	if err != nil {
		return "", err
	}
	s.change()
	err = s.tell(ctx, connected.event)
	if len(connected.setupSteps) == 0 || completion.LeaveSetup {
		return connected.activation, err
	}
	_, setupErr := s.finishSetup(ctx, link)
	return connected.activation, errors.Join(err, setupErr)
}

func (s *Server) finishSetup(ctx context.Context, link string) (token string, err error) {
	token, event, err := s.endSetup(link, true)
	if err != nil {
		return "", err
	}
	s.change()
	if event == nil {
		return token, nil
	}
	return token, s.tell(ctx, event)
}

// FailFlow plays the customer who opens a link and cannot connect, the first tool of the category unless the link
// names one. It returns once connection-flow-failed is delivered. The link stays valid.
func (s *Server) FailFlow(ctx context.Context, linkURL string) error {
	link, _, err := s.linkOf(linkURL)
	if err != nil {
		return err
	}
	event, err := s.failFlow(link, "")
	if err != nil {
		return err
	}
	return s.tell(ctx, event)
}

// linkOf finds a link that can be entered.
func (s *Server) linkOf(linkURL string) (token string, kind LinkKind, err error) {
	token, err = s.tokenOf(linkURL)
	if err != nil {
		return "", "", err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	f, err := s.enter(token)
	if err != nil {
		return "", "", err
	}
	return token, f.Kind, nil
}

// SetState changes the state of an integration, as when its credentials break
// ([kombo.StateInvalid]), and returns once integration-state-changed is delivered.
func (s *Server) SetState(ctx context.Context, integrationID string, state kombo.State) error {
	return s.changeIntegration(ctx, integrationID, func(i *integration) { i.State = state })
}

// SetSetupStatus changes how far the setup of an integration has come, as when its last sync
// ([kombo.SetupStatusFinalSyncPending]) is done, and returns once integration-state-changed is
// delivered.
func (s *Server) SetSetupStatus(ctx context.Context, integrationID string, status kombo.SetupStatus) error {
	return s.changeIntegration(ctx, integrationID, func(i *integration) { i.SetupStatus = status })
}

func (s *Server) changeIntegration(ctx context.Context, integrationID string, change func(*integration)) error {
	event, err := s.update(integrationID, func(i *integration) bool { change(i); return true })
	if err != nil {
		return err
	}
	s.change()
	return s.tell(ctx, event)
}

// DeleteIntegration deletes an integration as in Kombo's dashboard, and returns once
// integration-deleted is delivered.
func (s *Server) DeleteIntegration(ctx context.Context, integrationID string) error {
	event, ok := s.remove(integrationID)
	if !ok {
		return noIntegration(integrationID)
	}
	s.change()
	return s.tell(ctx, event)
}

// CreateLink makes a link as [kombo.ConnectService.CreateLink] does, but without a request of the API: none is recorded,
// struck by a [Fault], or counted by a limit. It is for whoever drives the server beside the service under test.
func (s *Server) CreateLink(request kombo.CreateLinkRequest) (linkURL string, err error) {
	link, err := s.newLink(request)
	if err != nil {
		return "", err
	}
	return link.URL, nil
}

// Relink makes a link as [kombo.IntegrationsService.Relink] does, but without a request of the API, like [Server.CreateLink].
func (s *Server) Relink(integrationID string, request kombo.RelinkRequest) (linkURL string, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return "", err
	}
	s.mutex.Lock()
	existing, ok := s.integrations[integrationID]
	if !ok {
		s.mutex.Unlock()
		return "", noIntegration(integrationID)
	}
	found := *existing
	s.mutex.Unlock()
	f, problem := readRelink(found, body)
	if problem != "" {
		return "", invalidRequest(problem)
	}
	return s.newFlow(f).URL, nil
}

func (s *Server) newLink(request kombo.CreateLinkRequest) (*flow, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	f, _, problem := s.readLink(body)
	if problem != "" {
		return nil, invalidRequest(problem)
	}
	return s.newFlow(f), nil
}

func invalidRequest(problem string) error {
	return fmt.Errorf("kombotest: the request is not valid: %s", problem)
}

// Connect makes an integration in one step, for a test that is about what comes after: as if the customer had
// finished the flow of a link for the request, with the tool that [Completion] tells. The service gets
// integration-created, as always. No request of the API is made, recorded, or struck by a [Fault]. It ends the
// test where the request is not valid, or the service does not accept the webhook.
func (s *Server) Connect(tb testing.TB, request kombo.CreateLinkRequest) *kombo.ConnectedIntegration {
	tb.Helper()
	link, err := s.newLink(request)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.CompleteFlow(tb.Context(), link.URL, Completion{}); err != nil {
		tb.Fatal(err)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	made := s.integrations[link.IntegrationID]
	if made == nil {
		tb.Fatal("kombotest: the integration was deleted at once")
	}
	return &kombo.ConnectedIntegration{
		ID: made.ID, Tool: made.Tool, EndUserOriginID: made.EndUser.OriginID, EndUserOrganizationName: made.EndUser.OrganizationName,
		EndUserEmail: made.EndUser.CreatorEmail, SetupStatus: made.SetupStatus,
	}
}
