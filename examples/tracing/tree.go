package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// tree is an exporter that prints spans below their parents.
type tree struct{ output io.Writer }

// ExportSpans prints spans. It expects all spans of a trace at once.
func (t *tree) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	children := map[trace.SpanID][]sdk.ReadOnlySpan{}
	slices.SortStableFunc(spans, func(a, b sdk.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	for _, span := range spans {
		children[span.Parent().SpanID()] = append(children[span.Parent().SpanID()], span)
	}
	t.print(children, trace.SpanID{}, 0)
	return nil
}

// Shutdown does nothing.
func (*tree) Shutdown(context.Context) error { return nil }

func (t *tree) print(children map[trace.SpanID][]sdk.ReadOnlySpan, parent trace.SpanID, depth int) {
	for _, span := range children[parent] {
		fmt.Fprint(t.output, strings.Repeat("  ", depth), span.Name())
		for _, attribute := range span.Attributes() {
			switch attribute.Key {
			case "http.response.status_code", "http.request.resend_count", "kombo.event.type", "error.type":
				fmt.Fprintf(t.output, " %s=%v", attribute.Key, attribute.Value.AsInterface())
			}
		}
		if status := span.Status(); status.Description != "" {
			fmt.Fprintf(t.output, ": %s", status.Description)
		}
		fmt.Fprintln(t.output)
		t.print(children, span.SpanContext().SpanID(), depth+1)
	}
}
