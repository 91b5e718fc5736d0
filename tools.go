package kombo

import (
	"context"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/kombo-go/kombo/internal/transport"
)

// Tool is an HR system that customers can connect.
type Tool struct {
	// ID is the slug, such as "personio", for [CreateLinkRequest.IntegrationTool].
	ID string `json:"id"`
	// Label is the name for customers.
	Label string `json:"label"`
	// InternalLabel distinguishes variants; "" if there are none. It is not for customers.
	InternalLabel string     `json:"internal_label"`
	Assets        ToolAssets `json:"assets"`
	// PaidAPIDetailsMarkdown describes what the tool's API costs; "" if it costs nothing.
	PaidAPIDetailsMarkdown string `json:"paid_api_details_markdown"`
	// FastTrackDetailsMarkdown describes the fast track; "" if there is none.
	FastTrackDetailsMarkdown string `json:"fast_track_details_markdown"`
	// PartnerOnlyDetailsMarkdown describes the partnership that the tool requires; "" if it requires
	// none.
	PartnerOnlyDetailsMarkdown string `json:"partner_only_details_markdown"`
	// ConnectionGuideURL leads to a guide for customers; "" if there is none.
	ConnectionGuideURL string       `json:"connection_guide_url"`
	Coverage           ToolCoverage `json:"coverage"`
}

// MarshalJSON writes null for what Kombo does not have.
func (t Tool) MarshalJSON() ([]byte, error) {
	type plain Tool // without this method
	return marshalWithNulls(plain(t), "internal_label", "paid_api_details_markdown", "fast_track_details_markdown", "partner_only_details_markdown", "connection_guide_url")
}

// ToolAssets are images of a tool.
type ToolAssets struct {
	LogoURL      string `json:"logo_url"`
	IconURL      string `json:"icon_url"`
	IconBlackURL string `json:"icon_black_url"`
}

// ToolCoverage lists what Kombo can do with a tool.
type ToolCoverage struct {
	ReadModels   []CoveredModel   `json:"read_models"`
	WriteActions []CoveredModel   `json:"write_actions"`
	Features     []CoveredFeature `json:"features"`
}

// CoveredModel is a kind of data that Kombo may read from a tool, or an action that it may take there.
type CoveredModel struct {
	// ID is the name, such as "hris_employees".
	ID             string         `json:"id"`
	Label          string         `json:"label"`
	CoverageStatus CoverageStatus `json:"coverage_status"`
	Fields         []CoveredField `json:"fields"`
}

// CoveredField is a field of a [CoveredModel].
type CoveredField struct {
	// ID is the key of the field, such as "first_name".
	ID             string         `json:"id"`
	CoverageStatus CoverageStatus `json:"coverage_status"`
}

// CoveredFeature is another feature that a tool may have.
type CoveredFeature struct {
	ID             string         `json:"id"`
	Label          string         `json:"label"`
	CoverageStatus CoverageStatus `json:"coverage_status"`
}

// toolList is the data of a response that lists tools.
type toolList struct {
	Tools *[]Tool `json:"tools"`
}

func (l *toolList) missing() string {
	if l.Tools == nil {
		return "tools"
	}
	for i := range *l.Tools {
		if (*l.Tools)[i].ID == "" {
			return "tools.id"
		}
	}
	return ""
}

var toolsOperation = transport.Operation{Method: http.MethodGet, Path: "/tools/{category}"}

// Tools returns the tools of a category that are enabled in the environment of the API key, with what Kombo
// can do with each. Use it for your own choice of tools in place of the flow's first step.
//
// It fails with [ErrInvalidInput] for an unknown category.
//
// Kombo's documentation: https://docs.kombo.dev/v1/get-tools-category
func (s *ConnectService) Tools(ctx context.Context, category Category) ([]Tool, error) {
	name := string(category)
	if utf8.ValidString(name) { // else ToLower would change it, and the transport refuses it
		name = strings.ToLower(name) // in this path only
	}
	list, err := call[toolList](ctx, (*service)(s), toolsOperation, nil, name)
	if err != nil {
		return nil, err
	}
	return *list.Tools, nil
}
