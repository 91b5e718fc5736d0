package kombotest

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
)

// Integration is what the server knows of an integration.
type Integration struct {
	ID          string            `json:"id"`
	Tool        string            `json:"tool"`
	Category    kombo.Category    `json:"category"`
	EndUser     kombo.EndUser     `json:"end_user"`
	State       kombo.State       `json:"state"`
	SetupStatus kombo.SetupStatus `json:"setup_status"`
	// ScopeConfigID is that of the link that the integration was made or last reconnected with.
	ScopeConfigID string    `json:"scope_config_id"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

type integration struct {
	Integration
	number     int
	setupSteps []string

	syncs       []queuedSync // at most one of each type, the oldest first
	passthrough map[string]bool
	mappings    map[string]*kombo.MappedField // of custom fields
}

// LinkKind says what a link is for.
type LinkKind string

// The kinds of link.
const (
	// LinkKindConnect is a link that makes a new integration.
	LinkKindConnect LinkKind = "connect"
	// LinkKindRelink is a link to enter new credentials for an integration.
	LinkKindRelink LinkKind = "relink"
	// LinkKindSetup is a link to the setup steps of an integration.
	LinkKindSetup LinkKind = "setup"
)

// OpenLink is a link that can be entered: neither used up, nor expired, nor of an integration that is
// gone.
type OpenLink struct {
	URL      string         `json:"url"`
	Kind     LinkKind       `json:"kind"`
	LinkType kombo.LinkType `json:"link_type"`
	EndUser  kombo.EndUser  `json:"end_user"`
	Category kombo.Category `json:"category"`
	// Tool is "" where the customer may choose.
	Tool string `json:"tool"`
	// IntegrationID is "" for a link that makes a new integration.
	IntegrationID string    `json:"integration_id"`
	ExpiresAt     time.Time `json:"expires_at"`
}

// flow is what a link leads to.
type flow struct {
	OpenLink
	number        int
	token         string
	language      kombo.Language
	scopeConfigID string
	setupSteps    []string

	used bool
	// inSetup is true between connecting and the end of the setup steps.
	inSetup bool
	// activation is the token that the browser gets, once there is one.
	activation string
}

// failure is a connection flow that failed.
type failure struct {
	at                 time.Time
	tool, organization string
}

// The steps that a flow can have after connecting.
const (
	stepFiltering    = "filtering"
	stepFieldMapping = "field_mapping"
	// stepTool is one that a tool asks for by itself. The flow that connects the tool does not contain it.
	stepTool = "tool"
)

// problem is why a link cannot be entered; the page has texts for each.
type problem string

const (
	problemUnknown problem = "unknown"
	problemExpired problem = "expired"
	problemUsed    problem = "used"
	problemGone    problem = "gone"
)

// linkError is the error of a link that cannot be entered.
type linkError struct{ problem problem }

func (e *linkError) Error() string {
	switch e.problem {
	case problemExpired:
		return "kombotest: the link has expired"
	case problemUsed:
		return "kombotest: the link is used up"
	case problemGone:
		return "kombotest: the integration of the link is deleted"
	case problemUnknown:
	}
	return "kombotest: the link is unknown"
}

// now is the time in the precision in which Kombo tells it.
func (s *Server) now() time.Time { return s.config.Now().UTC().Truncate(time.Millisecond) }

// idAlphabet is what Kombo's ids are made of: digits and letters that nobody mixes up.
const idAlphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// newID returns an id in the form of Kombo's. The caller holds the mutex, or is alone.
func (s *Server) newID() string {
	var id [24]byte
	// Neither source fails, and the bias of the remainder is no matter here.
	_, _ = io.ReadFull(s.entropy, id[:])
	for i := range id {
		id[i] = idAlphabet[int(id[i])%len(idAlphabet)]
	}
	return string(id[:])
}

// newToken returns a token in the form of a JSON Web Token. The caller holds the mutex.
func (s *Server) newToken() string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		encode([]byte(`{"jti":"`+s.newID()+`"}`)) + "." + encode([]byte(s.newID()))
}

// newFlow completes a flow. The caller does not hold the mutex.
func (s *Server) newFlow(f flow) *flow {
	s.mutex.Lock()
	defer s.change()
	defer s.mutex.Unlock()
	lifetime := time.Hour
	if f.LinkType == kombo.LinkTypeMagicLink {
		lifetime = 365 * 24 * time.Hour
	}
	s.made++
	f.number = s.made
	f.ExpiresAt = s.now().Add(lifetime)
	f.token = s.newToken()
	f.URL = s.url + "/connect/v1?token=" + f.token
	s.flows[f.token] = &f
	return &f
}

// enter finds the flow that the token of a link leads to. The caller holds the mutex.
func (s *Server) enter(token string) (*flow, error) {
	f, ok := s.flows[token]
	if !ok {
		return nil, &linkError{problemUnknown}
	}
	if err := s.blocked(f); err != nil {
		return f, err
	}
	return f, nil
}

// blocked tells why a flow cannot be entered, if so. The caller holds the mutex.
func (s *Server) blocked(f *flow) error {
	_, exists := s.integrations[f.IntegrationID]
	switch {
	case f.IntegrationID != "" && !exists:
		return &linkError{problemGone}
	case f.used:
		return &linkError{problemUsed}
	case !s.now().Before(f.ExpiresAt):
		return &linkError{problemExpired}
	}
	return nil
}

// OpenLinks returns the links that can be entered, the oldest first: for a test whose service
// keeps its links to itself.
func (s *Server) OpenLinks() []OpenLink {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var open []*flow
	for _, f := range s.flows {
		if s.blocked(f) == nil {
			open = append(open, f)
		}
	}
	slices.SortFunc(open, func(a, b *flow) int { return cmp.Compare(a.number, b.number) })
	links := make([]OpenLink, len(open))
	for i, f := range open {
		links[i] = f.OpenLink
	}
	return links
}

// Integrations returns the integrations that exist, the oldest first.
func (s *Server) Integrations() []Integration {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	existing := make([]*integration, 0, len(s.integrations))
	for _, i := range s.integrations {
		existing = append(existing, i)
	}
	slices.SortFunc(existing, func(a, b *integration) int { return cmp.Compare(a.number, b.number) })
	copies := make([]Integration, len(existing))
	for i, one := range existing {
		copies[i] = one.Integration
	}
	return copies
}

// Integration returns one integration; ok is false where there is none with that id.
func (s *Server) Integration(integrationID string) (found Integration, ok bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	i, ok := s.integrations[integrationID]
	if !ok {
		return Integration{}, false
	}
	return i.Integration, true
}

// connected is what the customer's credentials lead to: a new integration, or one that works again.
type connected struct {
	// activation is "" for a magic link.
	activation string
	setupSteps []string
	event      kombo.Event
}

// connect takes the flow of a link past its credentials. The caller does not hold the mutex.
func (s *Server) connect(token, tool string) (connected, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	f, err := s.enter(token)
	if err != nil {
		return connected{}, err
	}
	tool = cmp.Or(f.Tool, tool, s.firstTool(f.Category))
	switch {
	case f.Kind == LinkKindSetup:
		return connected{}, errors.New("kombotest: a setup link has no credentials to enter")
	case !s.knowsTool(tool):
		return connected{}, unknownTool(tool)
	}
	f.used = true
	var result connected
	if f.Kind == LinkKindRelink {
		existing := s.integrations[f.IntegrationID]
		existing.State = kombo.StateActive
		existing.ScopeConfigID = cmp.Or(f.scopeConfigID, existing.ScopeConfigID)
		result.event = s.stateChanged(existing)
	} else {
		created := s.create(f, tool)
		f.IntegrationID = created.ID
		result.event = &kombo.IntegrationCreatedEvent{
			EventHeader: s.newHeader(kombo.EventIntegrationCreated),
			Data: kombo.IntegrationCreatedData{
				ID: created.ID, Tool: created.Tool, Category: created.Category, EndUser: created.EndUser,
			},
		}
		result.setupSteps, f.inSetup = f.setupSteps, len(f.setupSteps) > 0
	}
	result.activation = s.activate(f)
	return result, nil
}

// create makes the integration that a flow ends with. The caller holds the mutex.
func (s *Server) create(f *flow, tool string) *integration {
	s.made++
	now := s.now()
	created := &integration{
		number: s.made,
		Integration: Integration{
			ID: tool + ":" + s.newID(), Tool: tool, Category: f.Category, EndUser: f.EndUser,
			State: kombo.StateActive, SetupStatus: kombo.SetupStatusCompleted,
			ScopeConfigID: cmp.Or(f.scopeConfigID, defaultScopeConfigID), CreatedAt: now, UpdatedAt: now,
		},
		setupSteps: f.setupSteps,
	}
	if hasOwnSetup(tool) {
		created.setupSteps = append(slices.Clone(f.setupSteps), stepTool)
	}
	if len(created.setupSteps) > 0 {
		created.SetupStatus = kombo.SetupStatusIncomplete
	}
	s.integrations[created.ID] = created
	return created
}

// endSetup takes a flow past its setup steps: finished, or left for later. The event is nil where
// nothing has changed. The caller does not hold the mutex.
func (s *Server) endSetup(token string, finished bool) (activation string, event kombo.Event, err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	f, err := s.enter(token)
	switch {
	case f != nil && f.inSetup && s.integrations[f.IntegrationID] != nil:
		// The rest of a flow whose link is used up by connecting.
	case err != nil:
		return "", nil, err
	case f.Kind != LinkKindSetup:
		return "", nil, errors.New("kombotest: the flow has not come to its setup steps")
	}
	// A tool's own step remains after the flow that connects it.
	existing := s.integrations[f.IntegrationID]
	if finished && (f.Kind == LinkKindSetup || !hasOwnSetup(existing.Tool)) {
		existing.SetupStatus = kombo.SetupStatusCompleted
		event = s.stateChanged(existing)
	}
	// A setup link that is left for later can be opened again.
	f.used, f.inSetup = finished || f.Kind != LinkKindSetup, false
	return s.activate(f), event, nil
}

// activate returns the token for the browser that went through a flow. The caller holds the mutex.
func (s *Server) activate(f *flow) string {
	if f.LinkType == kombo.LinkTypeMagicLink {
		return ""
	}
	if f.activation == "" {
		f.activation = s.newToken()
		s.activations[f.activation] = f.IntegrationID
	}
	return f.activation
}

// failFlow returns the event of a flow that did not lead to a connection. The caller does not hold
// the mutex.
func (s *Server) failFlow(token, tool string) (kombo.Event, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	f, err := s.enter(token)
	if err != nil {
		return nil, err
	}
	tool = cmp.Or(f.Tool, tool, s.firstTool(f.Category))
	switch {
	case f.Kind == LinkKindSetup:
		return nil, errors.New("kombotest: a setup link has no credentials to fail with")
	case !s.knowsTool(tool): // a page can send anything
		return nil, unknownTool(tool)
	}
	id := s.newID()
	s.failures[id] = failure{at: s.now(), tool: tool, organization: f.EndUser.OrganizationName}
	return &kombo.ConnectionFlowFailedEvent{
		EventHeader: s.newHeader(kombo.EventConnectionFlowFailed),
		Data: kombo.ConnectionFlowFailedData{
			IntegrationTool: tool, IntegrationCategory: f.Category, EndUser: f.EndUser,
			LogURL: s.url + "/logs?flowId=" + id,
		},
	}, nil
}

// update changes an integration and returns the event that tells of it; nil where change says that
// there is nothing to tell. The caller does not hold the mutex.
func (s *Server) update(integrationID string, change func(*integration) bool) (kombo.Event, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	existing, ok := s.integrations[integrationID]
	if !ok {
		return nil, noIntegration(integrationID)
	}
	if !change(existing) {
		return nil, nil //nolint:nilnil // no event is a valid outcome
	}
	return s.stateChanged(existing), nil
}

// stateChanged tells of an integration that has just changed. The caller holds the mutex.
func (s *Server) stateChanged(i *integration) kombo.Event {
	// The clock may stand still, but which of two events is newer must show.
	i.UpdatedAt = later(s.now(), i.UpdatedAt.Add(time.Millisecond))
	return &kombo.IntegrationStateChangedEvent{
		EventHeader: s.newHeader(kombo.EventIntegrationStateChanged),
		Data: kombo.IntegrationStateChangedData{
			IntegrationID: i.ID, IntegrationTool: i.Tool, IntegrationCategory: i.Category, EndUser: i.EndUser,
			State: i.State, QAStatus: kombo.QAStatusPassed, SetupStatus: i.SetupStatus, UpdatedAt: i.UpdatedAt,
		},
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// remove deletes an integration and returns the event that tells of it. The caller does not hold the
// mutex.
func (s *Server) remove(integrationID string) (kombo.Event, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	gone, ok := s.integrations[integrationID]
	if !ok {
		return nil, false
	}
	delete(s.integrations, integrationID)
	maps.DeleteFunc(s.issues, func(key issueKey, _ kombo.Issue) bool { return key.integrationID == integrationID })
	return &kombo.IntegrationDeletedEvent{
		EventHeader: s.newHeader(kombo.EventIntegrationDeleted),
		Data: kombo.IntegrationDeletedData{
			ID: gone.ID, Tool: gone.Tool, Category: gone.Category, EndUser: gone.EndUser,
			DeletedAt: later(s.now(), gone.UpdatedAt.Add(time.Millisecond)),
		},
	}, true
}

// newHeader returns the header of a new event. The caller holds the mutex.
func (s *Server) newHeader(eventType kombo.EventType) kombo.EventHeader {
	return kombo.EventHeader{ID: s.newID(), Type: eventType}
}

// tokenOf returns the token of a link of this server.
func (s *Server) tokenOf(linkURL string) (string, error) {
	link, err := url.Parse(linkURL)
	switch {
	case err != nil || linkURL == "":
		return "", errors.New("kombotest: the link is empty, or no URL")
	case !strings.HasPrefix(linkURL, s.url+"/"):
		return "", errors.New("kombotest: the link is not one of this server")
	}
	return link.Query().Get("token"), nil
}

func unknownTool(tool string) error {
	return fmt.Errorf("kombotest: the tool %q is unknown; see Config.Tools", tool)
}

func noIntegration(integrationID string) error {
	return fmt.Errorf("kombotest: no integration %q", integrationID)
}
