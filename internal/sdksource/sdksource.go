// Package sdksource reads the SDK's source, for tests that compare a list with it.
package sdksource

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"
)

// Values returns the constants of a string type that the Go files of a directory declare.
func Values(tb testing.TB, directory, typeName string) []string {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(directory, "*.go"))
	if err != nil {
		tb.Fatal(err)
	}
	var values []string
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			tb.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if named, ok := spec.Type.(*ast.Ident); ok && named.Name == typeName && len(spec.Values) == 1 {
				if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
					value, _ := strconv.Unquote(literal.Value) // it has been parsed
					values = append(values, value)
				}
			}
			return true
		})
	}
	if len(values) == 0 {
		tb.Fatalf("%s has no constants of type %s", directory, typeName)
	}
	return values
}
