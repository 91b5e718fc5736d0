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
	// Categories are those in which the customer can choose it; none means that only a link that
	// names it leads to it.
	Categories []kombo.Category
	// Credentials are what the customer types in: of client_id, client_secret, api_key, subdomain,
	// username, password and url. None means an API key.
	Credentials []string
}

// catalog is a choice of well-known tools. Their categories and credentials are made up as far as they
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

var (
	categories = []string{
		string(kombo.CategoryHRIS), string(kombo.CategoryATS), string(kombo.CategoryAssessment), string(kombo.CategoryLMS),
	}
	languages = []string{
		string(kombo.LanguageEN), string(kombo.LanguageDE), string(kombo.LanguageFR), string(kombo.LanguageIT), string(kombo.LanguageES),
	}
)

// emailAddress is the form that the OpenAPI document promises of addresses, but for doubled dots.
var emailAddress = regexp.MustCompile(`(?i)^([\w'+,\-][\w'+,\-.]*)?[\w+\-]@([\da-z][\da-z-]*\.)+[a-z]{2,}$`)

// slugForm is the form of all slugs that are known.
var slugForm = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

// knowsTool reports whether a link can name a tool, and a customer connect it.
func (s *Server) knowsTool(slug string) bool {
	return slugs()[slug] || slices.ContainsFunc(s.config.Tools, func(t Tool) bool { return t.ID == slug }) ||
		!s.config.StrictTools && slugForm.MatchString(slug)
}

// hasOwnSetup reports whether a tool asks for a setup step by itself. Which tools do, other than these, is not documented.
func hasOwnSetup(slug string) bool {
	return slices.Contains([]string{"greenhouse", "scim", "teamtailor"}, slug)
}

// tool returns a tool with all that may be missing.
func (s *Server) tool(slug string) Tool {
	for _, tools := range [][]Tool{s.config.Tools, catalog} {
		if i := slices.IndexFunc(tools, func(t Tool) bool { return t.ID == slug }); i >= 0 {
			return tools[i].filled()
		}
	}
	return Tool{ID: slug}.filled()
}

func (t Tool) filled() Tool {
	if t.Label == "" {
		t.Label = t.ID
	}
	if len(t.Credentials) == 0 {
		t.Credentials = []string{"api_key"}
	}
	return t
}

// toolsOf returns the tools that a customer can choose in a category.
func (s *Server) toolsOf(category kombo.Category) []Tool {
	var tools []Tool
	for _, tool := range s.Tools() {
		if slices.Contains(tool.Categories, category) {
			tools = append(tools, tool)
		}
	}
	return tools
}

// firstTool is what a customer chooses in a category who does not care.
func (s *Server) firstTool(category kombo.Category) string {
	if tools := s.toolsOf(category); len(tools) > 0 {
		return tools[0].ID
	}
	return catalog[0].ID
}

// Tools returns the tools that a customer can choose: a sample, and those of [Config.Tools]. A link can
// name others too.
func (s *Server) Tools() []Tool {
	tools := make([]Tool, 0, len(catalog)+len(s.config.Tools))
	for _, tool := range slices.Concat(s.config.Tools, catalog) {
		if !slices.ContainsFunc(tools, func(t Tool) bool { return t.ID == tool.ID }) {
			tool = tool.filled()
			tool.Categories, tool.Credentials = slices.Clone(tool.Categories), slices.Clone(tool.Credentials)
			tools = append(tools, tool)
		}
	}
	return tools
}

// datapoint is a model that can be read, or an action, with some of its fields.
type datapoint struct {
	id, label string
	fields    []string
}

// sample is what the tools of a category can do, all of them the same.
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
