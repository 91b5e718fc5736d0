package kombotest

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
)

// LinkKind is the purpose of a link.
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

// OpenLink is a link that can be opened: it is neither used nor expired, and its integration is not deleted.
type OpenLink struct {
	URL      string         `json:"url"`
	Kind     LinkKind       `json:"kind"`
	LinkType kombo.LinkType `json:"link_type"`
	EndUser  kombo.EndUser  `json:"end_user"`
	Category kombo.Category `json:"category"`
	// Tool is "" if the customer can choose.
	Tool string `json:"tool"`
	// IntegrationID is "" for a link that makes a new integration.
	IntegrationID string    `json:"integration_id"`
	ExpiresAt     time.Time `json:"expires_at"`
}

// flow is a link, and how far its flow has come.
type flow struct {
	OpenLink
	number        int
	token         string
	language      kombo.Language
	scopeConfigID string
	setupSteps    []setupStep

	used       bool
	inSetup    bool   // connected, but the setup steps are not done
	activation string // the token for the browser, once there is one
}

// linkError is why a link cannot be opened. The page has a text for each.
type linkError string

const (
	errLinkUnknown linkError = "unknown"
	errLinkExpired linkError = "expired"
	errLinkUsed    linkError = "used"
	errLinkGone    linkError = "gone"
)

func (e linkError) Error() string {
	switch e {
	case errLinkExpired:
		return "kombotest: the link has expired"
	case errLinkUsed:
		return "kombotest: the link is used up"
	case errLinkGone:
		return "kombotest: the integration of the link is deleted"
	case errLinkUnknown:
	}
	return "kombotest: the link is unknown"
}

// newLink makes the link of a flow, and returns its URL.
func (st *state) newLink(f flow) (linkURL string) {
	lifetime := time.Hour
	if f.LinkType == kombo.LinkTypeMagicLink {
		lifetime = 365 * 24 * time.Hour
	}
	f.number = st.number()
	f.ExpiresAt = st.now().Add(lifetime)
	f.token = st.newToken()
	f.URL = st.url + "/connect/v1?token=" + f.token
	st.flows[f.token] = &f
	return f.URL
}

// openLink returns the flow of a link, and an error if the link cannot be opened.
func (st *state) openLink(token string) (*flow, error) {
	f, ok := st.flows[token]
	if !ok {
		return nil, errLinkUnknown
	}
	_, exists := st.integrations[f.IntegrationID]
	switch {
	case f.IntegrationID != "" && !exists:
		return f, errLinkGone
	case f.used:
		return f, errLinkUsed
	case !st.now().Before(f.ExpiresAt):
		return f, errLinkExpired
	}
	return f, nil
}

// OpenLinks returns the links that can be opened, the oldest first: for a test whose service
// does not hand out its links.
func (s *Server) OpenLinks() []OpenLink {
	links := []OpenLink{}
	s.withState(func(st *state) {
		for _, f := range slices.SortedFunc(maps.Values(st.flows), func(a, b *flow) int { return a.number - b.number }) {
			if _, err := st.openLink(f.token); err == nil {
				links = append(links, f.OpenLink)
			}
		}
	})
	return links
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

// CreateLink makes a link as [kombo.ConnectService.CreateLink] does, but without a request of the API: none is recorded,
// affected by a [Fault], or counted by a limit. It is for programs that drive the server, not for the service under test.
func (s *Server) CreateLink(request kombo.CreateLinkRequest) (linkURL string, err error) {
	return s.newLink(request, func(st *state, body []byte) (flow, error) {
		f, _, err := readLink(st.tools, body)
		return f, err
	})
}

// Relink makes a link as [kombo.IntegrationsService.Relink] does, but without a request of the API, like [Server.CreateLink].
func (s *Server) Relink(integrationID string, request kombo.RelinkRequest) (linkURL string, err error) {
	return s.newLink(request, func(st *state, body []byte) (flow, error) {
		i, err := st.integration(integrationID)
		if err != nil {
			return flow{}, err
		}
		return readRelink(i, body)
	})
}

// newLink makes a link for a request as if it had come from the API.
func (s *Server) newLink(request any, read func(st *state, body []byte) (flow, error)) (linkURL string, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return "", err
	}
	err = s.change(s.context, func(st *state) error {
		f, err := read(st, body)
		if err == nil {
			linkURL = st.newLink(f)
		}
		return err
	})
	return linkURL, err
}

func (st *state) createLink(c *call) (any, error) {
	f, staticIPs, err := readLink(st.tools, c.body)
	if err != nil {
		return nil, err
	}
	data := map[string]any{"link": st.newLink(f)}
	if staticIPs {
		data["static_ips"] = []string{"192.0.2.10", "192.0.2.11"}
	}
	return data, nil
}

// readLink reads a request for a link that makes an integration.
func readLink(tools toolset, body []byte) (f flow, staticIPs bool, err error) {
	in := readInput(body)
	f = flow{OpenLink: OpenLink{Kind: LinkKindConnect}}
	f.EndUser = kombo.EndUser{
		CreatorEmail:     in.email("end_user_email"),
		OrganizationName: in.name("end_user_organization_name"),
		OriginID:         in.optional("end_user_origin_id", "not empty if present"),
	}
	f.Category = kombo.Category(in.oneOf("integration_category", optional, string(kombo.CategoryHRIS), categories...))
	f.Tool = in.tool("integration_tool", tools)
	if in.optional("remote_environment", "") != "" && f.Tool == "" {
		in.reject("remote_environment", "only together with integration_tool")
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
	return f, staticIPs, in.err
}

func (st *state) relink(c *call, i *integration) (any, error) {
	f, err := readRelink(i, c.body)
	if err != nil {
		return nil, err
	}
	return map[string]string{"link": st.newLink(f)}, nil
}

// readRelink reads a request for a link that reconnects an integration.
func readRelink(i *integration, body []byte) (flow, error) {
	in := readOptionalInput(body)
	f := flow{OpenLink: i.link(LinkKindRelink), language: in.language(), scopeConfigID: in.optional("scope_config_id", "")}
	f.LinkType = in.linkType(optional)
	return f, in.err
}

func (st *state) setupLink(c *call, i *integration) (any, error) {
	in := readInput(c.body)
	f := flow{OpenLink: i.link(LinkKindSetup), language: in.language(), setupSteps: i.setupSteps}
	f.LinkType = in.linkType(required)
	switch {
	case in.err != nil:
		return nil, in.err
	case len(i.setupSteps) == 0:
		return nil, invalid("No setup step is enabled for this integration.")
	}
	return map[string]string{"link": st.newLink(f)}, nil
}

// link returns what all links of an integration have in common.
func (i *integration) link(kind LinkKind) OpenLink {
	return OpenLink{Kind: kind, EndUser: i.EndUser, Category: i.Category, Tool: i.Tool, IntegrationID: i.ID}
}
