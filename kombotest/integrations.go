package kombotest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kombo-go/kombo"
)

// Integration is the state of an integration.
type Integration struct {
	ID          string            `json:"id"`
	Tool        string            `json:"tool"`
	Category    kombo.Category    `json:"category"`
	EndUser     kombo.EndUser     `json:"end_user"`
	State       kombo.State       `json:"state"`
	SetupStatus kombo.SetupStatus `json:"setup_status"`
	// ScopeConfigID is that of the link that made or last reconnected the integration.
	ScopeConfigID string    `json:"scope_config_id"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// integration is all that the server keeps of an integration.
type integration struct {
	Integration
	number       int
	setupSteps   []setupStep
	syncs        []queuedSync // at most one of each type, the oldest first
	fields       []kombo.IntegrationField
	customFields []kombo.CustomField
	data         dataset
}

// newIntegration makes the integration of a flow.
func (st *state) newIntegration(f *flow, tool string) *integration {
	now := st.now()
	i := &integration{
		number: st.number(),
		Integration: Integration{
			ID: tool + ":" + st.newID(), Tool: tool, Category: f.Category, EndUser: f.EndUser,
			State: kombo.StateActive, SetupStatus: st.afterSetup,
			ScopeConfigID: cmp.Or(f.scopeConfigID, defaultScopeConfigID), CreatedAt: now, UpdatedAt: now,
		},
		setupSteps:   slices.Clone(f.setupSteps),
		fields:       sampleFields(f.Category),
		customFields: sampleCustomFields(f.Category),
	}
	if st.fields != nil {
		i.fields = slices.Clone(st.fields)
	}
	if st.customFields != nil {
		i.customFields = slices.Clone(st.customFields)
	}
	if hasOwnSetup(tool) {
		i.setupSteps = append(i.setupSteps, stepTool)
	}
	if len(i.setupSteps) > 0 {
		i.SetupStatus = kombo.SetupStatusIncomplete
	}
	st.integrations[i.ID] = i
	return i
}

// integration is the only place that looks an integration up by its id.
func (st *state) integration(id string) (*integration, error) {
	if i, ok := st.integrations[id]; ok {
		return i, nil
	}
	return nil, fmt.Errorf("kombotest: no integration %q", id)
}

// publishStateChanged publishes that an integration has changed.
func (st *state) publishStateChanged(i *integration) {
	// Of two events the newer one has a later time, even if the clock stands still.
	i.UpdatedAt = later(st.now(), i.UpdatedAt.Add(time.Millisecond))
	st.publish(&kombo.IntegrationStateChangedEvent{
		EventHeader: st.newHeader(kombo.EventIntegrationStateChanged),
		Data: kombo.IntegrationStateChangedData{
			IntegrationID: i.ID, IntegrationTool: i.Tool, IntegrationCategory: i.Category, EndUser: i.EndUser,
			State: i.State, QAStatus: kombo.QAStatusPassed, SetupStatus: i.SetupStatus, UpdatedAt: i.UpdatedAt,
		},
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// remove deletes an integration.
func (st *state) remove(i *integration) {
	delete(st.integrations, i.ID)
	maps.DeleteFunc(st.issues, func(key issueKey, _ kombo.Issue) bool { return key.integrationID == i.ID })
	st.publish(&kombo.IntegrationDeletedEvent{
		EventHeader: st.newHeader(kombo.EventIntegrationDeleted),
		Data: kombo.IntegrationDeletedData{
			ID: i.ID, Tool: i.Tool, Category: i.Category, EndUser: i.EndUser,
			DeletedAt: later(st.now(), i.UpdatedAt.Add(time.Millisecond)),
		},
	})
}

// Integrations returns the integrations, the oldest first.
func (s *Server) Integrations() []Integration {
	integrations := []Integration{}
	s.withState(func(st *state) {
		for _, i := range slices.SortedFunc(maps.Values(st.integrations), func(a, b *integration) int { return a.number - b.number }) {
			integrations = append(integrations, i.Integration)
		}
	})
	return integrations
}

// Integration returns an integration; ok is false if there is none with the ID.
func (s *Server) Integration(integrationID string) (found Integration, ok bool) {
	s.withState(func(st *state) {
		if i, err := st.integration(integrationID); err == nil {
			found, ok = i.Integration, true
		}
	})
	return found, ok
}

// changeIntegration changes an integration, and returns once the events of the change are delivered.
func (s *Server) changeIntegration(ctx context.Context, integrationID string, change func(*state, *integration)) error {
	return s.change(ctx, func(st *state) error {
		i, err := st.integration(integrationID)
		if err == nil {
			change(st, i)
		}
		return err
	})
}

// SetState changes the state of an integration, as when its credentials stop working
// ([kombo.StateInvalid]), and returns once integration-state-changed is delivered.
func (s *Server) SetState(ctx context.Context, integrationID string, newState kombo.State) error {
	return s.changeIntegration(ctx, integrationID, func(st *state, i *integration) {
		i.State = newState
		st.publishStateChanged(i)
	})
}

// SetSetupStatus changes the setup status of an integration, as when its last sync
// ([kombo.SetupStatusFinalSyncPending]) is done, and returns once integration-state-changed is
// delivered.
func (s *Server) SetSetupStatus(ctx context.Context, integrationID string, status kombo.SetupStatus) error {
	return s.changeIntegration(ctx, integrationID, func(st *state, i *integration) {
		i.SetupStatus = status
		st.publishStateChanged(i)
	})
}

// DeleteIntegration deletes an integration as in Kombo's dashboard, and returns once
// integration-deleted is delivered.
func (s *Server) DeleteIntegration(ctx context.Context, integrationID string) error {
	return s.changeIntegration(ctx, integrationID, (*state).remove)
}

func (st *state) integrationByToken(c *call) (any, error) {
	i, err := st.integration(st.activations[c.PathValue("token")])
	if err != nil {
		return nil, invalid("The token is not valid.")
	}
	return map[string]any{
		"id": i.ID, "tool": i.Tool,
		"end_user_origin_id":         orNull(i.EndUser.OriginID),
		"end_user_organization_name": i.EndUser.OrganizationName,
		"end_user_email":             orNull(i.EndUser.CreatorEmail),
		"setup_status":               i.SetupStatus,
	}, nil
}

func (st *state) getIntegration(_ *call, i *integration) (any, error) {
	tool, iconURL := st.tools.get(i.Tool), st.url+iconPath(i.Tool)
	var scopeConfigName any
	if i.ScopeConfigID == defaultScopeConfigID {
		scopeConfigName = "Default"
	}
	models, actions := samplesOf(i.Category).inIntegration()
	return map[string]any{
		"id":       i.ID,
		"tool":     map[string]any{"id": tool.ID, "label": tool.Label, "internal_label": nil, "logo_url": iconURL, "icon_url": iconURL},
		"category": i.Category, "status": i.State, "setup_status": i.SetupStatus, "end_user": endUser(i.EndUser),
		"scope_config":    map[string]any{"id": i.ScopeConfigID, "name": scopeConfigName},
		"data_expired_at": nil, "created_at": timeText(i.CreatedAt), "beta": false,
		"read_models": models, "write_actions": actions,
	}, nil
}

func (st *state) setEnabled(c *call, i *integration) (any, error) {
	in := readInput(c.body)
	enabled := in.flag("value", required)
	if in.err != nil {
		return nil, in.err
	}
	before := i.State
	switch {
	case !enabled:
		i.State = kombo.StateInactive
	case i.State == kombo.StateInactive:
		i.State = kombo.StateActive
	}
	if i.State != before {
		st.publishStateChanged(i)
	}
	return struct{}{}, nil
}

func (st *state) deleteIntegration(c *call, i *integration) (any, error) {
	if in := readOptionalInput(c.body); in.err != nil {
		return nil, in.err
	}
	st.remove(i)
	return struct{}{}, nil
}
