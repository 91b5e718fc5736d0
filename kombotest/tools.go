package kombotest

import (
	_ "embed" // the slugs
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/kombo-go/kombo"
)

// Tool is an HR system that a customer can connect.
type Tool struct {
	// ID is the slug, such as "personio". Required.
	ID string
	// Label is the name that the customer sees; "" means the ID.
	Label string
	// Categories are those in which the customer can choose it; if there are none, only a link for the tool
	// leads to it.
	Categories []kombo.Category
	// Credentials are the fields that the customer fills in, of client_id, client_secret, api_key, subdomain,
	// username, password and url. None means an API key.
	Credentials []string
}

// catalog is a selection of well-known tools. Their categories and credentials are invented if they
// are not in Kombo's documentation.
var catalog = []Tool{
	{"personio", "Personio", []kombo.Category{kombo.CategoryHRIS, kombo.CategoryATS}, []string{"client_id", "client_secret"}},
	{"bamboohr", "BambooHR", []kombo.Category{kombo.CategoryHRIS, kombo.CategoryATS}, []string{"subdomain", "api_key"}},
	{"factorial", "Factorial", []kombo.Category{kombo.CategoryHRIS, kombo.CategoryATS}, []string{"api_key"}},
	{"hibob", "HiBob", []kombo.Category{kombo.CategoryHRIS}, []string{"client_id", "client_secret"}},
	{"hrworks", "HRworks", []kombo.Category{kombo.CategoryHRIS}, []string{"client_id", "client_secret"}},
	{"lucca", "Lucca", []kombo.Category{kombo.CategoryHRIS}, []string{"subdomain", "api_key"}},
	{"successfactors", "SAP SuccessFactors", []kombo.Category{kombo.CategoryHRIS, kombo.CategoryATS}, []string{"url", "username", "password"}},
	{"workday", "Workday", []kombo.Category{kombo.CategoryHRIS, kombo.CategoryATS, kombo.CategoryAssessment}, []string{"url", "username", "password"}},
	{"ashby", "Ashby", []kombo.Category{kombo.CategoryATS, kombo.CategoryAssessment}, []string{"api_key"}},
	{"greenhouse", "Greenhouse", []kombo.Category{kombo.CategoryATS, kombo.CategoryAssessment}, []string{"api_key"}},
	{"lever", "Lever", []kombo.Category{kombo.CategoryATS}, []string{"api_key"}},
	{"smartrecruiters", "SmartRecruiters", []kombo.Category{kombo.CategoryATS, kombo.CategoryAssessment}, []string{"client_id", "client_secret"}},
	{"workable", "Workable", []kombo.Category{kombo.CategoryATS}, []string{"subdomain", "api_key"}},
	{"360learning", "360Learning", []kombo.Category{kombo.CategoryLMS}, []string{"client_id", "client_secret"}},
	{"linkedinlearning", "LinkedIn Learning", []kombo.Category{kombo.CategoryLMS}, []string{"client_id", "client_secret"}},
	{"moodle", "Moodle", []kombo.Category{kombo.CategoryLMS}, []string{"url", "api_key"}},
	{"talentlms", "TalentLMS", []kombo.Category{kombo.CategoryLMS}, []string{"subdomain", "api_key"}},
	{"udemy", "Udemy", []kombo.Category{kombo.CategoryLMS}, []string{"client_id", "client_secret"}},
}

//go:embed tools.txt
var toolsFile string

// slugs are the tools that Kombo's API knew in August 2026.
var slugs = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	for slug := range strings.FieldsSeq(toolsFile) {
		known[slug] = true
	}
	return known
})

var categories = []string{
	string(kombo.CategoryHRIS), string(kombo.CategoryATS), string(kombo.CategoryAssessment), string(kombo.CategoryLMS),
}

// emailAddress is the pattern of the OpenAPI document, except that it allows consecutive dots.
var emailAddress = regexp.MustCompile(`(?i)^([\w'+,\-][\w'+,\-.]*)?[\w+\-]@([\da-z][\da-z-]*\.)+[a-z]{2,}$`)

// slugForm matches all known slugs.
var slugForm = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

// toolset is the tools of a server: those of the catalog, and its own.
type toolset struct {
	own    []Tool
	strict bool
}

// knows reports whether a link can have a tool, and a customer connect it.
func (t toolset) knows(slug string) bool {
	return slugs()[slug] || slices.ContainsFunc(t.own, func(t Tool) bool { return t.ID == slug }) ||
		!t.strict && slugForm.MatchString(slug)
}

// hasOwnSetup reports whether a tool requires a setup step by itself. Other than for these tools, that is not documented.
func hasOwnSetup(slug string) bool {
	return slices.Contains([]string{"greenhouse", "scim", "teamtailor"}, slug)
}

// all returns the tools that a customer can choose.
func (t toolset) all() []Tool {
	tools := make([]Tool, 0, len(catalog)+len(t.own))
	for _, tool := range slices.Concat(t.own, catalog) {
		if !slices.ContainsFunc(tools, func(t Tool) bool { return t.ID == tool.ID }) {
			tools = append(tools, tool.filled())
		}
	}
	return tools
}

// get returns a tool, which need not be one that a customer can choose.
func (t toolset) get(slug string) Tool {
	tools := t.all()
	if i := slices.IndexFunc(tools, func(t Tool) bool { return t.ID == slug }); i >= 0 {
		return tools[i]
	}
	return Tool{ID: slug}.filled()
}

// of returns the tools that a customer can choose in a category.
func (t toolset) of(category kombo.Category) []Tool {
	return slices.DeleteFunc(t.all(), func(t Tool) bool { return !slices.Contains(t.Categories, category) })
}

// first returns the tool of a customer who does not choose one.
func (t toolset) first(category kombo.Category) string {
	return append(t.of(category), catalog[0])[0].ID
}

// filled returns a copy of a tool with the defaults.
func (t Tool) filled() Tool {
	t.Categories, t.Credentials = slices.Clone(t.Categories), slices.Clone(t.Credentials)
	if t.Label == "" {
		t.Label = t.ID
	}
	if len(t.Credentials) == 0 {
		t.Credentials = []string{"api_key"}
	}
	return t
}

// Tools returns the tools that a customer can choose: a sample, and those of [Config.Tools]. A link can
// have others too.
func (s *Server) Tools() []Tool { return s.tools.all() }

func (st *state) listTools(c *call) (any, error) {
	category := kombo.Category(strings.ToUpper(c.PathValue("category")))
	if !slices.Contains(categories, string(category)) || c.PathValue("category") != strings.ToLower(string(category)) {
		return nil, invalid("category: not one of " + strings.ToLower(strings.Join(categories, ", ")))
	}
	models, actions := samplesOf(category).inTool()
	tools := []any{}
	for _, tool := range st.tools.of(category) {
		iconURL := st.url + iconPath(tool.ID)
		tools = append(tools, map[string]any{
			"id": tool.ID, "label": tool.Label, "internal_label": nil,
			"assets":                    map[string]string{"logo_url": iconURL, "icon_url": iconURL, "icon_black_url": iconURL},
			"paid_api_details_markdown": nil, "fast_track_details_markdown": nil, "partner_only_details_markdown": nil,
			"connection_guide_url": nil,
			"coverage":             map[string]any{"read_models": models, "write_actions": actions, "features": []any{}},
		})
	}
	return map[string]any{"tools": tools}, nil
}

// datapoint is a model that can be read, or an action, with some of its fields.
type datapoint struct {
	id, label string
	fields    []string
}

// sample is what the tools of a category can do, which is the same for each.
type sample struct{ models, actions []datapoint }

func samplesOf(category kombo.Category) sample {
	switch category {
	case kombo.CategoryATS:
		return sample{
			[]datapoint{{"ats_jobs", "Jobs", []string{"name", "status"}}, {"ats_applications", "Applications", []string{"outcome"}}},
			[]datapoint{{"ats_create_candidate", "Create candidate", []string{"candidate.first_name", "candidate.email_address"}}},
		}
	case kombo.CategoryAssessment:
		return sample{nil, []datapoint{{"assessment_update_order_result", "Update order result", []string{"status"}}}}
	case kombo.CategoryLMS:
		return sample{
			[]datapoint{{"lms_users", "Users", []string{"first_name", "work_email"}}, {"lms_courses", "Courses", []string{"title"}}},
			nil,
		}
	case kombo.CategoryHRIS:
	}
	return sample{
		[]datapoint{{"hris_employees", "Employees", []string{"first_name", "date_of_birth"}}, {"hris_teams", "Groups", []string{"parent_id"}}},
		[]datapoint{{"hris_create_employee", "Create employee", []string{"first_name"}}},
	}
}

// inTool describes the sample as the tools endpoint does.
func (s sample) inTool() (models, actions []any) {
	describe := func(id string) map[string]any {
		return map[string]any{"id": id, "coverage_status": "SUPPORTED"}
	}
	return describeAll(s.models, describe, describe), describeAll(s.actions, describe, describe)
}

// inIntegration describes the sample as an integration does: all of it is enabled.
func (s sample) inIntegration() (models, actions []any) {
	actionField := func(id string) map[string]any {
		return map[string]any{"id": id, "is_available": true, "coverage_status": "SUPPORTED"}
	}
	describe := func(id string) map[string]any {
		described := actionField(id)
		described["scope_config_setting"], described["opted_out_by_customer"] = "ENABLED", false
		return described
	}
	return describeAll(s.models, describe, describe), describeAll(s.actions, describe, actionField)
}

func describeAll(datapoints []datapoint, describe, describeField func(id string) map[string]any) []any {
	all := []any{}
	for _, d := range datapoints {
		fields := []any{}
		for _, field := range d.fields {
			fields = append(fields, describeField(field))
		}
		described := describe(d.id)
		described["label"], described["fields"] = d.label, fields
		all = append(all, described)
	}
	return all
}
