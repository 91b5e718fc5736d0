package kombo_test

import (
	"errors"
	"go/ast"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// Each list that is maintained by hand is compared with its source.

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cells returns the code in one column of the Markdown table that begins with the given header.
func cells(t *testing.T, document, header string, cell int) []string {
	t.Helper()
	_, table, found := strings.Cut(document, "\n"+header+"\n")
	if !found {
		t.Fatalf("there is no table %s", header)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	code := regexp.MustCompile("`([^`]+)`")
	var all []string
	for _, row := range strings.Split(table, "\n")[1:] { // after the line of dashes
		columns := strings.Split(row, "|")
		if len(columns) <= cell {
			t.Fatalf("%s: a row with too few cells: %s", header, row)
		}
		for _, match := range code.FindAllStringSubmatch(columns[cell], -1) {
			all = append(all, match[1])
		}
	}
	return all
}

func TestDocsListTheOperations(t *testing.T) {
	t.Parallel()
	routes := cells(t, readFile(t, "docs/data.md"), "| method | wraps | purpose |", 2)
	for _, op := range kombotest.Operations() {
		if !slices.ContainsFunc(routes, func(route string) bool { return isRoute(route, op) }) {
			t.Errorf("the table in docs/data.md lacks %s", op)
		}
	}
	for _, route := range routes {
		if !slices.ContainsFunc(kombotest.Operations(), func(op string) bool { return isRoute(route, op) }) {
			t.Errorf("the table in docs/data.md has %s, which is not an operation", route)
		}
	}
}

// isRoute reports whether route means op. It may abbreviate the path: "PUT …/enabled".
func isRoute(route, op string) bool {
	before, after, shortened := strings.Cut(route, "…")
	return route == op || shortened && strings.HasPrefix(op, before) && strings.HasSuffix(op, after)
}

func TestREADMEListsTheErrors(t *testing.T) {
	t.Parallel()
	listed := cells(t, readFile(t, "README.md"), "| `errors.Is` | meaning |", 1)
	want := append(declaredErrors(t, "errors.go"), "context.Canceled", "context.DeadlineExceeded")
	slices.Sort(listed)
	slices.Sort(want)
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("the README's table of errors (-want +got):\n%s", diff)
	}
}

// The table of codes in docs/retries.md has every code, and is true.
func TestDocsDescribeTheCodes(t *testing.T) {
	t.Parallel()
	kinds := map[string]error{
		"ErrAuthentication": kombo.ErrAuthentication, "ErrIPNotAllowed": kombo.ErrIPNotAllowed, "ErrInvalidInput": kombo.ErrInvalidInput,
		"ErrIntegrationNotFound": kombo.ErrIntegrationNotFound, "ErrIntegrationNotReady": kombo.ErrIntegrationNotReady,
		"ErrReconnectRequired": kombo.ErrReconnectRequired, "ErrRateLimited": kombo.ErrRateLimited, "ErrTaskTimedOut": kombo.ErrTaskTimedOut,
	}
	documented := map[string][]string{}
	_, table, _ := strings.Cut(readFile(t, "docs/retries.md"), "| code | `errors.Is` | retried | what to do |\n| --- | --- | --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.SplitSeq(table, "\n") {
		columns := strings.Split(strings.ReplaceAll(line, "`", ""), "|")
		documented[strings.TrimSpace(columns[1])] = []string{strings.TrimSpace(columns[2]), strings.TrimSpace(columns[3])}
	}
	attempts := func(code string, status int) (int, error) {
		client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: staticTransport(status, []byte(komboError(code)))}),
			kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 2, BaseDelay: time.Nanosecond}))
		_, err := client.CheckAPIKey(t.Context())
		kerr, _ := errors.AsType[*kombo.Error](err)
		return kerr.Attempts, err
	}
	codes := 0
	for _, spec := range declarations(t, token.CONST, "errors.go") {
		name := spec.Names[0].Name
		if !strings.HasPrefix(name, "Code") {
			continue
		}
		codes++
		row := documented[name]
		if row == nil {
			t.Errorf("docs/retries.md lacks %s", name)
			continue
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		temporary, err := attempts(code, http.StatusServiceUnavailable)
		permanent, _ := attempts(code, http.StatusConflict)
		retried := "no"
		switch {
		case permanent > 1:
			retried = "yes"
		case temporary > 1:
			retried = "status"
		}
		var kind string
		for name, target := range kinds {
			if errors.Is(err, target) {
				kind += name
			}
		}
		if diff := cmp.Diff([]string{kind, retried}, row); diff != "" {
			t.Errorf("docs/retries.md: %s (-want +got):\n%s", name, diff)
		}
	}
	if codes != len(documented) {
		t.Errorf("docs/retries.md has %d codes, and errors.go %d", len(documented), codes)
	}
}

// Every error code has a rule for retries. The rule may be that the status decides.
func TestEveryCodeHasARetryRule(t *testing.T) {
	t.Parallel()
	rules := readFile(t, "retry.go")
	for _, spec := range declarations(t, token.CONST, "errors.go") {
		if name := spec.Names[0].Name; strings.HasPrefix(name, "Code") && !regexp.MustCompile(`\b`+name+`\b`).MatchString(rules) {
			t.Errorf("classify in retry.go lacks %s", name)
		}
	}
}

// The table of files in CONTRIBUTING.md names each file of the package and each other directory with Go files.
func TestCONTRIBUTINGListsTheFiles(t *testing.T) {
	t.Parallel()
	listed := cells(t, readFile(t, "CONTRIBUTING.md"), "| place | contents |", 1)
	want := map[string]bool{}
	err := filepath.WalkDir(".", func(name string, entry os.DirEntry, err error) error {
		slashed := filepath.ToSlash(name)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "node_modules" || name != "." && strings.HasPrefix(entry.Name(), ".")):
			return filepath.SkipDir
		case path.Ext(slashed) != ".go" || strings.HasSuffix(slashed, "_test.go"):
		case path.Dir(slashed) == ".":
			want[slashed] = true
		case strings.HasPrefix(slashed, "internal/"):
			want[path.Dir(slashed)] = true
		default:
			root, _, _ := strings.Cut(path.Dir(slashed), "/")
			if root == "cmd" {
				root = path.Dir(slashed)
			}
			want[root] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(listed)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), listed); diff != "" {
		t.Errorf("the table of files in CONTRIBUTING.md (-want +got):\n%s", diff)
	}
}

// Each test file is named after the file that it tests.
func TestTestFilesAreNamedAfterFiles(t *testing.T) {
	t.Parallel()
	// These test the whole package in one respect, or have helpers.
	others := []string{
		"allocations", "bench", "calls", "example", "faultcounters", "faultmatrix", "faultserver", "helpers", "lists", "loopback", "memory",
		"oracle", "secrets", "soak",
	}
	names, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		subject, _, _ := strings.Cut(name, "_")
		if _, err := os.Stat(subject + ".go"); err != nil && !slices.Contains(others, subject) {
			t.Errorf("%s tests no file", name)
		}
	}
}
