package otelkombo_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// constants returns the values of the constants of names.go whose names begin with prefix.
func constants(t *testing.T, prefix string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "names.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		ast.Inspect(spec.Values[0], func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, value)
			}
			return true
		})
		return true
	})
	if len(values) == 0 {
		t.Fatalf("no constants named %s", prefix)
	}
	slices.Sort(values)
	return values
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// section returns the part of the README below a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, after, ok := strings.Cut(read(t, "README.md"), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the README has no section %s", heading)
	}
	text, _, _ := strings.Cut(after, "\n## ")
	return text
}

// The tables of the README have all names, and no others.
func TestNamesAreDocumented(t *testing.T) {
	t.Parallel()
	firstCells := func(heading string) []string {
		var names []string
		for line := range strings.SplitSeq(section(t, heading), "\n") {
			row, isRow := strings.CutPrefix(line, "|")
			cell, _, _ := strings.Cut(row, "|")
			if !isRow {
				continue
			}
			for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
				names = append(names, name[1])
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	if diff := cmp.Diff(constants(t, "key"), firstCells("Attributes")); diff != "" {
		t.Errorf("attributes (-code +README):\n%s", diff)
	}
	metrics := firstCells("Metrics")
	if diff := cmp.Diff(constants(t, "metric"), metrics); diff != "" {
		t.Errorf("metrics (-code +README):\n%s", diff)
	}
	for _, value := range slices.Concat(constants(t, "outcome"), constants(t, "error")) {
		if !strings.Contains(section(t, "Attributes"), "`"+value+"`") {
			t.Errorf("the README does not have the value %s", value)
		}
	}
	attributes := constants(t, "key")
	for _, heading := range []string{"Spans", "Metrics"} {
		for _, name := range regexp.MustCompile("`((?:http|url|server|error|kombo)\\.[a-z_.]+)`").FindAllStringSubmatch(section(t, heading), -1) {
			if !slices.Contains(attributes, name[1]) && !slices.Contains(metrics, name[1]) {
				t.Errorf("%s: there is no %s", heading, name[1])
			}
		}
	}
}

// What Prometheus makes of the names of metrics.
var prometheusNames = map[string][]string{
	"http.client.request.duration":       histogram("http_client_request_duration_seconds"),
	"kombo.client.call.duration":         histogram("kombo_client_call_duration_seconds"),
	"kombo.client.attempts":              {"kombo_client_attempts_total"},
	"kombo.client.retries":               {"kombo_client_retries_total"},
	"kombo.client.retry.wait":            histogram("kombo_client_retry_wait_seconds"),
	"kombo.client.rate_limit.limit":      {"kombo_client_rate_limit_limit"},
	"kombo.client.rate_limit.remaining":  {"kombo_client_rate_limit_remaining"},
	"kombo.client.concurrency.remaining": histogram("kombo_client_concurrency_remaining"),
	"kombo.webhook.duration":             histogram("kombo_webhook_duration_seconds"),
	"kombo.webhook.event.age":            histogram("kombo_webhook_event_age_seconds"),
}

func histogram(name string) []string {
	return []string{name + "_bucket", name + "_count", name + "_sum"}
}

// The dashboard and the alerts use metrics, labels and values that there are, and the dashboard all metrics.
func TestDashboardAndAlertsUseExistingNames(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, name := range constants(t, "metric") {
		if prometheusNames[name] == nil {
			t.Errorf("Prometheus' name of %s is not known", name)
		}
		for _, name := range prometheusNames[name] {
			known[name] = true
		}
	}
	labels := map[string]bool{"le": true, "job": true, "instance": true}
	for _, name := range constants(t, "key") {
		labels[strings.ReplaceAll(name, ".", "_")] = true
	}
	outcomes := constants(t, "outcome")
	dashboard := read(t, "grafana/dashboard.json")
	if !json.Valid([]byte(dashboard)) {
		t.Error("the dashboard is not JSON")
	}
	dashboard = strings.ReplaceAll(dashboard, `\"`, `"`)
	for file, text := range map[string]string{"dashboard": dashboard, "alerts": read(t, "prometheus/alerts.yml"), "test of the alerts": read(t, "prometheus/alerts_test.yml")} {
		uses := regexp.MustCompile(`\b(?:http_client|kombo_client|kombo_webhook)_[a-z_]*[a-z]\b`).FindAllString(text, -1)
		for _, name := range uses {
			if !known[name] && !labels[name] {
				t.Errorf("%s: there is no metric or label %s", file, name)
			}
		}
		if len(uses) < 8 {
			t.Errorf("%s: uses %q only", file, uses)
		}
		for _, matcher := range regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"$]*)"`).FindAllStringSubmatch(text, -1) {
			if !labels[matcher[1]] {
				t.Errorf("%s: there is no label %s", file, matcher[1])
			}
			if matcher[1] == "kombo_webhook_outcome" {
				for value := range strings.SplitSeq(matcher[3], "|") {
					if !slices.Contains(outcomes, value) {
						t.Errorf("%s: there is no outcome %s", file, value)
					}
				}
			}
		}
	}
	for metric, names := range prometheusNames {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(dashboard, name) }) {
			t.Errorf("the dashboard does not show %s", metric)
		}
	}
}

// Prometheus loads the alerts and the queries of the dashboard, and the alerts fire when they should.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool here")
	}
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "grafana/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	type group struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	}
	var rules []rule
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$job", "x").Replace(target.Expr)
			rules = append(rules, rule{Record: "query" + strconv.Itoa(len(rules)), Expr: expr})
		}
	}
	queries, err := json.Marshal(map[string][]group{"groups": {{Name: "dashboard", Rules: rules}}}) // JSON is YAML
	if err != nil || len(rules) < 10 {
		t.Fatal(err, rules)
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, queries, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{{"check", "rules", file}, {"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		command := exec.CommandContext(t.Context(), promtool, arguments...)
		command.Dir = "prometheus"
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, output)
		}
	}
}
