package kombotest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// setupStep is a part of the setup that follows the credentials. The page has a section for each.
type setupStep string

const (
	stepFiltering    setupStep = "filtering"
	stepFieldMapping setupStep = "field_mapping"
	// stepTool is one that a tool requires by itself. The flow that connects the tool does not contain it.
	stepTool setupStep = "tool"
)

// Completion is what the customer does in the connection flow.
type Completion struct {
	// Tool is the slug of the tool that the customer chooses; "" means the first of the category, which
	// is "personio" for HRIS and ATS. It is ignored if the link has a tool.
	Tool string
	// LeaveSetup leaves the setup steps (filtering, field mapping) for later, so that the
	// integration stays [kombo.SetupStatusIncomplete]. It is ignored if there are none. The step that Greenhouse,
	// SCIM and Teamtailor require by themselves is always left: only a setup link leads to it.
	LeaveSetup bool
}

// CompleteFlow plays a customer who opens a link and finishes the flow. It returns the activation
// token that the browser would get, or "" for a magic link, whose flow ends on a page of Kombo's.
//
// A connection link makes an integration and causes integration-created; a reconnection
// link makes its integration active again, and a setup link completes its setup, and both cause
// integration-state-changed. A new integration with setup steps causes first one event, then the other.
// CompleteFlow returns once the webhooks are delivered. If the service does not accept one, CompleteFlow returns the token
// and an error: the flow is finished, and the token valid.
//
// It fails for a link that cannot be opened: it is unknown, expired or used, or its integration is
// deleted.
func (s *Server) CompleteFlow(ctx context.Context, linkURL string, completion Completion) (token string, err error) {
	link, err := s.tokenOf(linkURL)
	if err != nil {
		return "", err
	}
	var setup bool // whether setup steps are to be finished
	err = s.change(ctx, func(st *state) error {
		f, err := st.openLink(link)
		switch {
		case err != nil:
			return err
		case f.Kind == LinkKindSetup && completion.LeaveSetup:
			return errors.New("kombotest: a setup link leads to the setup only: LeaveSetup leaves nothing")
		case f.Kind == LinkKindSetup:
			setup = true
			return nil
		}
		token, err = st.connect(link, completion.Tool)
		setup = f.inSetup && !completion.LeaveSetup
		return err
	})
	if !setup {
		return token, err
	}
	setupErr := s.change(ctx, func(st *state) error {
		activation, err := st.endSetup(link, true)
		token = cmp.Or(activation, token)
		return err
	})
	return token, errors.Join(err, setupErr)
}

// FailFlow plays a customer who opens a link and cannot connect the tool of the link, or the first one of the category if the link
// has none. It returns once connection-flow-failed is delivered. The link stays valid.
func (s *Server) FailFlow(ctx context.Context, linkURL string) error {
	link, err := s.tokenOf(linkURL)
	if err != nil {
		return err
	}
	return s.change(ctx, func(st *state) error { return st.failFlow(link, "") })
}

// Connect makes an integration in one call, for a test of what follows: as if a customer had
// finished the flow of a link for the request, with the default tool of [Completion]. The service gets
// integration-created, as always. There is no request of the API that would be recorded or affected by a [Fault]. Connect ends the
// test if the request is not valid, or the service does not accept the webhook.
func (s *Server) Connect(tb testing.TB, request kombo.CreateLinkRequest) *kombo.ConnectedIntegration {
	tb.Helper()
	linkURL, err := s.CreateLink(request)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.CompleteFlow(tb.Context(), linkURL, Completion{}); err != nil {
		tb.Fatal(err)
	}
	link, _ := s.tokenOf(linkURL)
	var connected kombo.ConnectedIntegration
	s.withState(func(st *state) {
		var i *integration
		if i, err = st.integration(st.flows[link].IntegrationID); err == nil {
			connected = kombo.ConnectedIntegration{
				ID: i.ID, Tool: i.Tool, EndUserOriginID: i.EndUser.OriginID, EndUserOrganizationName: i.EndUser.OrganizationName,
				EndUserEmail: i.EndUser.CreatorEmail, SetupStatus: i.SetupStatus,
			}
		}
	})
	if err != nil { // deleted at once
		tb.Fatal(err)
	}
	return &connected
}

// connect enters the right credentials in the flow of a link. It returns the activation token, "" for a magic link.
func (st *state) connect(link, tool string) (activation string, err error) {
	f, tool, err := st.enterCredentials(link, tool)
	if err != nil {
		return "", err
	}
	f.used = true
	if f.Kind == LinkKindRelink {
		i := st.integrations[f.IntegrationID]
		i.State = kombo.StateActive
		i.ScopeConfigID = cmp.Or(f.scopeConfigID, i.ScopeConfigID)
		st.publishStateChanged(i)
		return st.activate(f), nil
	}
	i := st.newIntegration(f, tool)
	f.IntegrationID, f.inSetup = i.ID, len(f.setupSteps) > 0
	st.publish(&kombo.IntegrationCreatedEvent{
		EventHeader: st.newHeader(kombo.EventIntegrationCreated),
		Data:        kombo.IntegrationCreatedData{ID: i.ID, Tool: i.Tool, Category: i.Category, EndUser: i.EndUser},
	})
	return st.activate(f), nil
}

// failedFlow is a flow whose credentials were wrong, for the page of log_url.
type failedFlow struct {
	at                 time.Time
	tool, organization string
}

// failFlow enters wrong credentials in the flow of a link.
func (st *state) failFlow(link, tool string) error {
	f, tool, err := st.enterCredentials(link, tool)
	if err != nil {
		return err
	}
	id := st.newID()
	st.failedFlows[id] = failedFlow{at: st.now(), tool: tool, organization: f.EndUser.OrganizationName}
	st.publish(&kombo.ConnectionFlowFailedEvent{
		EventHeader: st.newHeader(kombo.EventConnectionFlowFailed),
		Data: kombo.ConnectionFlowFailedData{
			IntegrationTool: tool, IntegrationCategory: f.Category, EndUser: f.EndUser, LogURL: st.url + "/logs?flowId=" + id,
		},
	})
	return nil
}

// enterCredentials returns the flow of a link, and the tool whose credentials the customer enters.
func (st *state) enterCredentials(link, tool string) (*flow, string, error) {
	f, err := st.openLink(link)
	if err != nil {
		return nil, "", err
	}
	tool = cmp.Or(f.Tool, tool, st.tools.first(f.Category))
	switch {
	case f.Kind == LinkKindSetup:
		return nil, "", errors.New("kombotest: a setup link has no credentials to enter")
	case !st.tools.knows(tool): // a browser can send anything
		return nil, "", fmt.Errorf("kombotest: the tool %q is unknown; see Config.Tools", tool)
	}
	return f, tool, nil
}

// endSetup ends the setup steps of a flow: they are finished, or left for later.
func (st *state) endSetup(link string, finished bool) (activation string, err error) {
	f, err := st.openLink(link)
	switch {
	case f != nil && f.inSetup && st.integrations[f.IntegrationID] != nil:
		// The rest of a flow whose link was used by connecting.
	case err != nil:
		return "", err
	case f.Kind != LinkKindSetup:
		return "", errors.New("kombotest: the flow has not come to its setup steps")
	}
	i := st.integrations[f.IntegrationID]
	// The step that a tool requires by itself remains after the flow that connects it.
	if finished && (f.Kind == LinkKindSetup || !slices.Contains(i.setupSteps, stepTool)) {
		if i.SetupStatus != kombo.SetupStatusCompleted {
			i.SetupStatus = st.afterSetup
		}
		st.publishStateChanged(i)
	}
	// A setup link that is left for later can be opened again.
	f.used, f.inSetup = finished || f.Kind != LinkKindSetup, false
	return st.activate(f), nil
}

// activate returns the token for the browser that went through a flow.
func (st *state) activate(f *flow) string {
	if f.LinkType == kombo.LinkTypeMagicLink {
		return ""
	}
	if f.activation == "" {
		f.activation = st.newToken()
		st.activations[f.activation] = f.IntegrationID
	}
	return f.activation
}
