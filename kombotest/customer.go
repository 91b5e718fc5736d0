package kombotest

import (
	"cmp"
	"context"
	"errors"
	"testing"

	"github.com/kombo-go/kombo"
)

// defaultTool is what a customer chooses who does not care.
const defaultTool = "personio"

// Completion is what the customer does in the connection flow.
type Completion struct {
	// Tool is the slug of the tool that the customer chooses; "" means "personio". It does not
	// count where the link names one.
	Tool string
	// LeaveSetup leaves the setup steps (filtering, field mapping) for later, so that the
	// integration stays [kombo.SetupStatusIncomplete]. It does not count where there are none.
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
	connected, err := s.connect(link, cmp.Or(completion.Tool, defaultTool))
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
	return token, s.tell(ctx, event)
}

// FailFlow plays the customer who opens a link and cannot connect. It returns once
// connection-flow-failed is delivered. The link stays valid.
func (s *Server) FailFlow(ctx context.Context, linkURL string) error {
	link, _, err := s.linkOf(linkURL)
	if err != nil {
		return err
	}
	event, err := s.failFlow(link, defaultTool)
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

// Connect makes an integration in one step, for a test that is about what comes after: a link for the
// request, its flow, the exchange of the token. The service gets integration-created, as always. It
// ends the test where a step fails.
func (s *Server) Connect(tb testing.TB, request kombo.CreateLinkRequest) *kombo.ConnectedIntegration {
	tb.Helper()
	ctx := tb.Context()
	client, err := s.Client()
	if err != nil {
		tb.Fatal(err)
	}
	request.LinkType = kombo.LinkTypeEmbedded // a magic link gives no token
	link, err := client.Connect.CreateLink(ctx, request)
	if err != nil {
		tb.Fatal(err)
	}
	token, err := s.CompleteFlow(ctx, link.URL, Completion{})
	if err != nil {
		tb.Fatal(err)
	}
	connected, err := client.Connect.IntegrationByToken(ctx, token)
	if err != nil {
		tb.Fatal(err)
	}
	return connected
}
