package kombotest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// list is a list of records that the API serves.
type list struct {
	path string
	// model is the name in data-changed; "" if none is documented.
	model string
	// same is the path of the list that has the same records, if any.
	same string
	// untracked means that the records have no changed_at and remote_deleted_at, so that changes cannot be selected.
	untracked bool
	filters   map[string]filter
}

// lists are those of the OpenAPI document, and two that are newer: notes and scorecards.
var lists = []list{
	{path: "/hris/employees", model: "hris_employees", filters: map[string]filter{
		"employment_status": exactly("employment_status"), "employment_statuses": anyOf("employment_status"),
		"group_ids": anyOf("groups.id"), "legal_entity_ids": anyOf("legal_entity_id"), "work_location_ids": anyOf("work_location_id"),
		"work_emails": anyText("work_email"), "personal_emails": anyText("personal_email"), "custom_fields": customFieldIs,
	}},
	{path: "/hris/employee-document-categories", model: "hris_employee_document_categories"},
	{path: "/hris/groups", model: "hris_teams", filters: map[string]filter{"types": anyOf("type"), "name_contains": nameContains}},
	{path: "/hris/teams", model: "hris_teams", same: "/hris/groups"},
	{path: "/hris/employments", model: "hris_employments"},
	{path: "/hris/locations", model: "hris_locations", filters: map[string]filter{"name_contains": nameContains}},
	{path: "/hris/absence-types", model: "hris_absence_types"},
	{path: "/hris/time-off-balances", model: "hris_time_off_balances", filters: map[string]filter{"employee_id": exactly("employee_id")}},
	{path: "/hris/absences", model: "hris_absences", filters: map[string]filter{
		"employee_id": exactly("employee_id"), "type_ids": anyOf("type_id"),
		"date_from": openOr(notBefore("end_date")), "time_from": openOr(notBefore("end_date")),
		"date_until": notAfter("start_date"), "time_until": before("start_date"),
	}},
	{path: "/hris/legal-entities", model: "hris_legal_entities", filters: map[string]filter{"name_contains": nameContains}},
	{path: "/hris/timesheets", model: "hris_timesheets", filters: map[string]filter{
		"employee_id":    exactly("employee_id"),
		"started_before": before("started_at"), "started_after": notBefore("started_at"),
		"ended_before": notAfter("ended_at"), "ended_after": notBefore("ended_at"),
	}},
	{path: "/hris/performance-review-cycles", model: "hris_performance_review_cycles"},
	{path: "/hris/performance-reviews", model: "hris_performance_reviews", filters: map[string]filter{
		"types": anyOf("type"), "review_cycle_ids": anyOf("review_cycle.id"), "reviewee_ids": anyOf("reviewee.id"),
	}},
	{path: "/hris/skills", filters: map[string]filter{"name_contains": nameContains}},
	{path: "/hris/employee-skill-assignments", untracked: true, filters: map[string]filter{
		"employee_ids": anyOf("employee_id"), "skill_ids": anyOf("skill_id"),
	}},
	{path: "/hris/staffing-entities", model: "hris_staffing_entities", filters: map[string]filter{
		"model_types": anyOf("model_type"), "statuses": anyOf("status"),
	}},

	{path: "/ats/applications", model: "ats_applications", filters: map[string]filter{
		"outcome": exactly("outcome"), "outcomes": anyOf("outcome"), "job_ids": anyOf("job_id"), "job_remote_ids": anyOf("job.remote_id"),
		"current_stage_ids": anyOf("current_stage_id"), "remote_created_after": notBefore("remote_created_at"),
	}},
	{path: "/ats/candidates", model: "ats_candidates", filters: map[string]filter{
		"email": text("email_addresses.email_address"), "job_ids": anyOf("applications.job.id"),
		"first_name": text("first_name"), "last_name": text("last_name"),
	}},
	{path: "/ats/tags", model: "ats_tags"},
	{path: "/ats/application-stages", model: "ats_application_stages"},
	{path: "/ats/jobs", model: "ats_jobs", filters: map[string]filter{
		"job_codes": anyOf("job_code"), "post_url": exactly("post_url"), "status": exactly("status"), "statuses": anyOf("status"),
		"employment_types": anyOf("employment_type"), "visibilities": anyOf("visibility"),
		"remote_created_after": notBefore("remote_created_at"), "name_contains": nameContains,
	}},
	{path: "/ats/users", model: "ats_users", filters: map[string]filter{"emails": anyText("email")}},
	{path: "/ats/roles", model: "ats_roles", filters: map[string]filter{"scopes": anyOf("scope")}},
	{path: "/ats/offers", model: "ats_offers"},
	{path: "/ats/rejection-reasons", model: "ats_rejection_reasons"},
	{path: "/ats/interviews", model: "ats_interviews", filters: map[string]filter{"job_ids": anyOf("application.job.id")}},
	{path: "/ats/notes"},
	{path: "/ats/scorecards"},

	{path: "/assessment/orders", untracked: true, filters: map[string]filter{"statuses": anyOf("status"), "created_after": notBefore(firstPut)}},
	{path: "/assessment/orders/open", untracked: true},

	{path: "/lms/users", model: "lms_users", filters: map[string]filter{"work_emails": anyText("work_email")}},
	{path: "/lms/course-progressions", model: "lms_course_progressions", filters: map[string]filter{
		"user_ids": anyOf("user_id"), "course_ids": anyOf("course_revision.course.id"),
	}},
	{path: "/lms/courses", model: "lms_courses"},
	{path: "/lms/skills", model: "lms_skills"},
}

// Lists returns the paths of the lists of data that a [Server] serves, such as "/hris/employees": those of HRIS, ATS, Assessment and LMS.
func Lists() []string { return all(lists, func(l list) string { return l.path }) }

// findList returns the list of a path.
func findList(path string) (list, error) {
	at := slices.Index(Lists(), path)
	if at < 0 {
		return list{}, fmt.Errorf("kombotest: there is no list %q; it is one of %s", path, strings.Join(Lists(), ", "))
	}
	return lists[at], nil
}

// dataOp is the form of the operations about data: those of the categories, and of AI Apply.
var dataOp = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) /(hris|ats|assessment|lms|custom|ai-apply)(/[A-Za-z0-9._-]+|/\{[a-z_]+\})+$`)

func isDataOp(op string) bool { return dataOp.MatchString(op) }

// records is the path under which the records of the list are kept.
func (l list) records() string {
	if l.same != "" {
		return l.same
	}
	return l.path
}

// filter is a parameter of a list: a record is in the list if one of its values passes the test.
type filter struct {
	// path leads to the values, through objects and lists.
	path string
	test func(parameter string) (func(value any) bool, error)
}

// firstPut is the path to the time at which a record was put for the first time.
const firstPut = "(first put)"

// matches reports whether a record passes a test of the filter.
func (f filter) matches(record map[string]any, test func(any) bool) bool {
	return slices.ContainsFunc(valuesAt(record, f.path), test)
}

// valuesAt returns the values at a path: nil for what is missing.
func valuesAt(value any, path string) []any {
	if entries, ok := value.([]any); ok {
		var values []any
		for _, entry := range entries {
			values = append(values, valuesAt(entry, path)...)
		}
		return values
	}
	if path == "" {
		return []any{value}
	}
	name, rest, _ := strings.Cut(path, ".")
	members, _ := value.(map[string]any)
	return valuesAt(members[name], rest)
}

// exactly selects by one value, and anyOf by a comma-separated list. "null" selects what has none.
func exactly(path string) filter {
	return filter{path, func(want string) (func(any) bool, error) {
		return func(value any) bool { return plain(value) == want }, nil
	}}
}

func anyOf(path string) filter {
	return filter{path, func(parameter string) (func(any) bool, error) {
		wanted := split(parameter)
		return func(value any) bool { return wanted[plain(value)] }, nil
	}}
}

// text and anyText ignore the case.
func text(path string) filter {
	return filter{path, func(want string) (func(any) bool, error) {
		return func(value any) bool { return strings.EqualFold(plain(value), want) }, nil
	}}
}

func anyText(path string) filter {
	return filter{path, func(parameter string) (func(any) bool, error) {
		wanted := split(strings.ToLower(parameter))
		return func(value any) bool { return wanted[strings.ToLower(plain(value))] }, nil
	}}
}

var nameContains = filter{"name", func(part string) (func(any) bool, error) {
	return func(value any) bool {
		return value != nil && strings.Contains(strings.ToLower(plain(value)), strings.ToLower(part))
	}, nil
}}

func notBefore(path string) filter { return byTime(path, func(order int) bool { return order >= 0 }) }

func before(path string) filter { return byTime(path, func(order int) bool { return order < 0 }) }

func notAfter(path string) filter { return byTime(path, func(order int) bool { return order <= 0 }) }

// byTime selects by how a time compares with that of the parameter.
func byTime(path string, passes func(order int) bool) filter {
	return filter{path, func(parameter string) (func(any) bool, error) {
		limit, err := readTime(parameter)
		return func(value any) bool {
			at, err := readTime(plain(value))
			return err == nil && passes(at.Compare(limit))
		}, err
	}}
}

// openOr also selects what has no value: an absence without an end has not ended.
func openOr(f filter) filter {
	return filter{f.path, func(parameter string) (func(any) bool, error) {
		test, err := f.test(parameter)
		return func(value any) bool { return value == nil || test(value) }, err
	}}
}

// customFieldIs selects by a JSON object with one custom field and its value.
var customFieldIs = filter{"custom_fields", func(parameter string) (func(any) bool, error) {
	var wanted map[string]any
	if err := json.Unmarshal([]byte(parameter), &wanted); err != nil || len(wanted) != 1 {
		return nil, errors.New("not a JSON object with one member")
	}
	return func(value any) bool {
		fields, _ := value.(map[string]any)
		for name, want := range wanted {
			if got, ok := fields[name]; !ok || !reflect.DeepEqual(got, want) {
				return false
			}
		}
		return true
	}, nil
}}

func split(parameter string) map[string]bool {
	values := map[string]bool{}
	for value := range strings.SplitSeq(parameter, ",") {
		values[value] = true
	}
	return values
}

// plain returns a value as it is in a query.
func plain(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case string:
		return value
	}
	return fmt.Sprint(value)
}

// readTime reads a time as the API takes it: in UTC, or a date.
func readTime(value string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04:05Z", "2006-01-02T15:04:05", time.DateOnly, "2006-01-02Z"} { // they also parse fractions of a second
		if at, err := time.Parse(layout, value); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New("not a time such as 2026-05-04T03:02:01.000Z")
}
