package examples_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs returns the text of the README and of each guide, by its path from the root of the repository.
func docs(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../docs/*.md")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d guides, %v", len(paths), err)
	}
	texts := map[string]string{}
	for _, path := range append(paths, "../README.md", "../llms.txt", "../otelkombo/README.md", "embeddedflow/README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
	return texts
}

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// Every Go block of the README and of the guides compiles. A block is a program, functions, or statements within a function.
func TestDocsCompile(t *testing.T) {
	t.Parallel()
	prelude, err := os.ReadFile("testdata/prelude.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	check := newChecker(t, string(prelude))
	blocks := 0
	for path, text := range docs(t) {
		for _, at := range goBlock.FindAllStringSubmatchIndex(text, -1) {
			blocks++
			if err := check(text[at[2]:at[3]]); err != nil {
				t.Errorf("%s, line %d: %v", path, strings.Count(text[:at[2]], "\n")+1, err)
			}
		}
	}
	if blocks < 20 {
		t.Errorf("%d blocks", blocks)
	}
	// The check finds mistakes.
	for _, wrong := range []string{
		"client.Connect.NoMethod(ctx)", "return client.Integrations.Delete(integrationID)", "var x kombo.NoType", "func f() {\n\tkombo.List()\n}",
		"package main\n\nfunc main() { undefined() }\n",
	} {
		if check(wrong) == nil {
			t.Errorf("%q compiles", wrong)
		}
	}
}

// newChecker returns a function that checks the types of a block. The prelude declares what the blocks leave out.
func newChecker(t *testing.T, prelude string) func(block string) error {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "prelude.go", prelude, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	imports := prelude[file.Imports[0].Pos()-1 : file.Imports[len(file.Imports)-1].End()]
	arguments := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}
	for _, i := range file.Imports {
		arguments = append(arguments, strings.Trim(i.Path.Value, `"`))
	}
	output, err := exec.CommandContext(t.Context(), "go", arguments...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	compiled := map[string]string{}
	for line := range strings.Lines(string(output)) {
		path, export, _ := strings.Cut(strings.TrimSpace(line), "\t")
		compiled[path] = export
	}
	from := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(compiled[path]) })
	errorsOf := func(sources ...string) (found []error) {
		var files []*ast.File
		for i, source := range sources {
			file, err := parser.ParseFile(fset, fmt.Sprintf("block%d.go", i), source, parser.SkipObjectResolution)
			if err != nil {
				return []error{err}
			}
			files = append(files, file)
		}
		config := types.Config{Importer: from, Error: func(err error) {
			// The reader's code uses what a block declares.
			if !strings.Contains(err.Error(), "declared and not used") && !strings.Contains(err.Error(), "imported and not used") {
				found = append(found, err)
			}
		}}
		_, _ = config.Check("docs", fset, files, nil)
		return found
	}
	if found := errorsOf(prelude); found != nil {
		t.Fatalf("the prelude: %v", found)
	}
	return func(block string) error {
		header := "package docs\n\nimport (\n" + imports + "\n)\n\n"
		if strings.HasPrefix(block, "package ") {
			if found := errorsOf(block); found != nil {
				return found[0]
			}
			return nil
		}
		if strings.HasPrefix(block, "func ") {
			if found := errorsOf(prelude, header+block); found != nil {
				return found[0]
			}
			return nil
		}
		// The declarations of a block are new variables, even if the prelude has them, too.
		var first error
		for _, result := range []string{"error", "int", ""} {
			found := errorsOf(prelude, header+"func _() "+result+" {\n"+block+"\npanic(0)\n}\n")
			if found == nil {
				return nil
			} else if first == nil {
				first = found[0]
			}
		}
		return first
	}
}

// The Go block of a guide that is also a file in examples is the same text.
func TestDocsQuoteTheExamples(t *testing.T) {
	t.Parallel()
	text := docs(t)["../docs/frameworks.md"]
	file, err := os.ReadFile("frameworks/lambda.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range goBlock.FindAllStringSubmatch(text, -1) {
		if !bytes.Contains(bytes.ReplaceAll(file, []byte("\r\n"), []byte("\n")), []byte(block[1])) {
			t.Errorf("frameworks/lambda.go lacks the block of the guide:\n%s", block[1])
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	code    = regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]*`")
)

// Each link to a file or a section has its target.
func TestDocsLink(t *testing.T) {
	t.Parallel()
	links := 0
	for path, text := range docs(t) {
		for _, found := range link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
			target, section, _ := strings.Cut(found[1], "#")
			if strings.Contains(found[1], "://") || strings.HasPrefix(found[1], "mailto:") {
				continue
			}
			links++
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", path, found[1], err)
				continue
			}
			if section == "" {
				continue
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Errorf("%s links to %s: %v", path, found[1], err)
				continue
			}
			sections := map[string]bool{}
			for _, h := range heading.FindAllStringSubmatch(string(content), -1) {
				sections[anchor(h[1])] = true
			}
			if !sections[section] {
				t.Errorf("%s links to %s; the sections are %q", path, found[1], slices.Sorted(maps.Keys(sections)))
			}
		}
	}
	if links < 50 {
		t.Errorf("%d links", links)
	}
}

// anchor returns the anchor that GitHub gives a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', r >= '0' && r <= '9', r >= 'a' && r <= 'z', r > 127:
			return r
		default:
			return -1
		}
	}, strings.ToLower(strings.TrimSpace(heading)))
}
