// The program extract reduces Kombo's OpenAPI document to what a test of all operations needs: routes, methods,
// parameters, and the form of requests and responses. Descriptions, examples, long enumerations, the fields of single
// tools, error responses and webhooks are left out.
//
//	go run ./extract kombo.openapi.json >testdata/operations.json
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/kombo-go/kombo/internal/usage"
)

type object = map[string]any

// maxDepth is the depth of operations and of schemas in the document.
const maxDepth = 3

// maxEnum is the length of the longest enumeration that is kept: those of tools have hundreds of values.
const maxEnum = 30

const schemaPrefix = "#/components/schemas/"

func main() {
	os.Exit(usage.Run("extract", os.Stderr, func(context.Context) error {
		flags := flag.NewFlagSet("extract", flag.ContinueOnError)
		about := "Reduces Kombo's OpenAPI document, whose file is the argument, to what a test of all operations needs."
		if err := usage.Parse(flags, about, os.Args[1:], 1, os.Stdout); err != nil {
			return err
		}
		return run(flags.Arg(0))
	}))
}

func run(name string) error {
	file, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var document object
	if err := json.Unmarshal(file, &document); err != nil {
		return err
	}
	reduced, err := reduce(document)
	if err != nil {
		return err
	}
	text, err := json.Marshal(reduced)
	if err != nil {
		return err
	}
	// One line for each operation and schema, so that versions can be compared.
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", "\t"); err != nil {
		return err
	}
	for line := range strings.Lines(indented.String()) {
		if deep := strings.TrimLeft(line, "\t"); len(line)-len(deep) > maxDepth {
			line = strings.TrimSuffix(deep, "\n")
		}
		fmt.Print(line)
	}
	return nil
}

// reducer copies what is needed of a document, and all schemas that are referred to.
type reducer struct {
	schemas, kept object
	err           error
}

func reduce(document object) (object, error) {
	r := &reducer{schemas: at(document, "components", "schemas"), kept: object{}}
	paths := object{}
	for path, item := range at(document, "paths") {
		operations := object{}
		for method, operation := range item.(object) {
			operations[method] = r.operation(operation.(object))
		}
		paths[path] = operations
	}
	if len(paths) == 0 {
		return nil, errors.New("the document has no paths")
	}
	return object{
		"openapi": document["openapi"],
		"info": object{
			"title": "The operations of Kombo's API", "version": at(document, "info")["version"],
			"description": "What the program extract keeps of Kombo's public OpenAPI document: no prose, no examples.",
		},
		"paths":      paths,
		"components": object{"schemas": r.kept},
	}, r.err
}

// at returns an object within objects, or nil.
func at(value any, names ...string) object {
	for _, name := range names {
		parent, _ := value.(object)
		value = parent[name]
	}
	found, _ := value.(object)
	return found
}

func (r *reducer) operation(operation object) object {
	reduced := object{}
	parameters, _ := operation["parameters"].([]any)
	for i, parameter := range parameters {
		parameter := parameter.(object)
		schema := at(parameter, "schema")
		if name, ok := schema["$ref"].(string); ok { // each has a name of its own, and few differ
			schema = at(r.schemas, strings.TrimPrefix(name, schemaPrefix))
		}
		copied := object{"schema": r.schema(schema)}
		for _, name := range []string{"name", "in", "required"} {
			if value, ok := parameter[name]; ok {
				copied[name] = value
			}
		}
		parameters[i] = copied
	}
	if len(parameters) > 0 {
		reduced["parameters"] = parameters
	}
	if body := at(operation, "requestBody"); body != nil {
		reduced["requestBody"] = object{"required": body["required"] == true, "content": r.content(body)}
	}
	reduced["responses"] = object{"200": object{
		"description": "success", "content": r.content(at(operation, "responses", "200")),
	}}
	return reduced
}

func (r *reducer) content(of object) object {
	reduced := object{}
	for contentType := range at(of, "content") {
		reduced[contentType] = r.schema(object{"schema": at(of, "content", contentType, "schema")})
	}
	return reduced
}

// schema copies the keywords of a schema, or of an object that has one, that say something about its form.
func (r *reducer) schema(schema object) object {
	reduced := object{}
	for keyword, value := range schema {
		switch keyword {
		case "type", "format", "const", "required", "minimum", "maximum", "minLength", "maxLength", "pattern", "nullable", "discriminator":
			reduced[keyword] = value
		case "enum":
			if values := value.([]any); len(values) <= maxEnum {
				reduced[keyword] = values
			}
		case "schema", "items", "additionalProperties":
			reduced[keyword] = value
			if child, ok := value.(object); ok {
				reduced[keyword] = r.schema(child)
			}
		case "anyOf", "oneOf", "allOf":
			var children []any
			for _, child := range value.([]any) {
				children = append(children, r.schema(child.(object)))
			}
			reduced[keyword] = children
		case "properties":
			properties := object{}
			for name, child := range value.(object) {
				properties[name] = r.schema(child.(object))
				if name == "remote_fields" { // an object for each tool that has fields of its own
					properties[name] = object{"type": "object"}
				}
			}
			reduced[keyword] = properties
		case "$ref":
			reduced[keyword] = value
			r.keep(value.(string))
		}
	}
	return reduced
}

func (r *reducer) keep(reference string) {
	name := strings.TrimPrefix(reference, schemaPrefix)
	if _, ok := r.kept[name]; ok {
		return
	}
	schema, ok := r.schemas[name].(object)
	if !ok {
		r.err = fmt.Errorf("%s refers to nothing", reference)
		return
	}
	r.kept[name] = nil // a schema can refer to itself
	r.kept[name] = r.schema(schema)
}
