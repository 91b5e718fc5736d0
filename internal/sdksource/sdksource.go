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
	values := Enumerations(tb, directory)[typeName]
	if len(values) == 0 {
		tb.Fatalf("%s has no constants of type %s", directory, typeName)
	}
	return values
}

// Enumerations returns the constants of all string types that the Go files of a directory declare, by the type.
func Enumerations(tb testing.TB, directory string) map[string][]string {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(directory, "*.go"))
	if err != nil {
		tb.Fatal(err)
	}
	values := map[string][]string{}
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
			if named, ok := spec.Type.(*ast.Ident); ok && len(spec.Values) == 1 {
				if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
					value, _ := strconv.Unquote(literal.Value) // it has been parsed
					values[named.Name] = append(values[named.Name], value)
				}
			}
			return true
		})
	}
	return values
}
