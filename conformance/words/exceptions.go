package main

// exceptions are uses that are right, each with its reason.
var exceptions = []exception{
	{"otelkombo/otelkombo.go", "attempts as siblings", "OpenTelemetry's term for spans with one parent"},
	{"memory_test.go", "// where has", "the name of a variable"},
}
