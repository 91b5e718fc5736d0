package examples_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Methods that fmt, errors, encoding/json, log/slog and go-cmp call.
var calledByOthers = []string{
	"String", "GoString", "Format", "Error", "Is", "As", "Unwrap", "MarshalJSON", "UnmarshalJSON", "LogValue", "Equal",
}

// Every exported name is in an example, a program or a guide. Types count, too, if they are those of a field, a constant
// or a function that is.
func TestEveryNameIsInAnExample(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, text := range docs(t) {
		for _, word := range regexp.MustCompile(`\w+`).FindAllString(text, -1) {
			used[word] = true
		}
	}
	eachFile(t, []string{".", "../cmd"}, func(name string) bool { return !strings.HasSuffix(name, "_test.go") }, func(file *ast.File) { addNames(used, file) })
	eachFile(t, []string{".."}, func(name string) bool {
		return strings.HasSuffix(name, "_test.go") && strings.Contains(filepath.Base(name), "example")
	}, func(file *ast.File) { addNames(used, file) })

	for _, dir := range []string{"..", "../kombotest", "../otelkombo"} {
		declared, types := exported(t, dir)
		if len(declared) < 10 {
			t.Errorf("%s declares %d names", dir, len(declared))
		}
		for _, name := range slices.Sorted(maps.Keys(declared)) {
			if used[name] {
				reach(declared, types, used, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(declared)) {
			if !used[name] && !slices.Contains(calledByOthers, name) {
				t.Errorf("%s: %s is in no example", filepath.Base(dir), name)
			}
		}
	}
}

// reach marks the types in the declarations of a name, and in theirs, as used.
func reach(declared map[string][]ast.Node, types, used map[string]bool, name string) {
	for _, node := range declared[name] {
		mentioned := map[string]bool{}
		addNames(mentioned, node)
		for other := range mentioned {
			if types[other] && !used[other] {
				used[other] = true
				reach(declared, types, used, other)
			}
		}
	}
}

// exported returns the declarations of each exported name of a package, without the bodies of functions, and which are types.
func exported(t *testing.T, dir string) (declared map[string][]ast.Node, types map[string]bool) {
	declared, types = map[string][]ast.Node{}, map[string]bool{}
	add := func(name *ast.Ident, node ast.Node) {
		if name.IsExported() {
			declared[name.Name] = append(declared[name.Name], node)
		}
	}
	own := func(name string) bool {
		return filepath.Dir(name) == filepath.Clean(dir) && !strings.HasSuffix(name, "_test.go")
	}
	eachFile(t, []string{dir}, own, func(file *ast.File) {
		for _, declaration := range file.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				add(d.Name, d.Type)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						add(s.Name, s)
						types[s.Name.Name] = s.Name.IsExported()
					case *ast.ValueSpec:
						for _, name := range s.Names {
							add(name, s)
						}
					}
				}
			}
		}
	})
	return declared, types
}

func addNames(names map[string]bool, node ast.Node) {
	ast.Inspect(node, func(n ast.Node) bool {
		if ident, ok := n.(*ast.Ident); ok {
			names[ident.Name] = true
		}
		return true
	})
}

// eachFile parses the chosen Go files in folders and theirs.
func eachFile(t *testing.T, dirs []string, chosen func(name string) bool, do func(*ast.File)) {
	t.Helper()
	files := token.NewFileSet()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "node_modules" || entry.Name() == "conformance"):
				return filepath.SkipDir
			case filepath.Ext(name) != ".go" || !chosen(filepath.Clean(name)):
				return nil
			}
			file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err == nil {
				do(file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
