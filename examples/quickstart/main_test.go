package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestWholeLife(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	if err := run(t.Context(), nil, environment(nil), &output); err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	wants := []string{
		`API key +works, for environment \w+ of a fake Kombo`,
		`link +http://127\.0\.0\.1:\d+/connect/v1\?token=eyJ…`,
		`customer +finished the flow, the browser got the activation token eyJ…`,
		`token exchanged +personio:\w+ belongs to customer 42, setup COMPLETED`,
		`webhook, verified +integration-created: personio of Acme, Inc\.`,
		`forged webhook +refused: 401`,
		`webhook, verified +integration-state-changed: credentials broke, state INVALID`,
		`reconnection link +http://127\.0\.0\.1:\d+/connect/v1\?token=eyJ…`,
		`webhook, verified +integration-state-changed: customer reconnected, state ACTIVE`,
		`webhook, verified +integration-deleted: gone at .+`,
		`second deletion +fails as it should: kombo: DELETE /integrations/\{integration_id\}: 404 PLATFORM\.INTEGRATION_NOT_FOUND: .+`,
	}
	steps, last, _ := strings.Cut(output.String(), "\n\n")
	if want := fmt.Sprintf("Success: %d steps, and each of them as expected.\n", len(wants)); last != want {
		t.Errorf("the output ends with %q, want %q", last, want)
	}
	lines := strings.Split(steps, "\n")
	if len(lines) != len(wants) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(wants), &output)
	}
	for i, want := range wants {
		if !regexp.MustCompile(`^ ?\d+  ` + want + `$`).MatchString(lines[i]) {
			t.Errorf("line %d = %q, want %s", i+1, lines[i], want)
		}
	}
	if strings.Contains(output.String(), "eyJh") || strings.Contains(output.String(), webhookSecret) {
		t.Errorf("a secret was printed:\n%s", &output)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name        string
		ctx         context.Context
		args        []string
		environment map[string]string
		want        string
	}{
		{"interrupted", cancelled, nil, nil, "kombo: GET /check-api-key: context canceled (nothing was sent)"},
		{"token without key", t.Context(), []string{"-token", "x"}, nil, "-token needs KOMBO_API_KEY: the fake Kombo would not know the token"},
		{"unknown region", t.Context(), nil, map[string]string{"KOMBO_API_KEY": "k", "KOMBO_REGION": "Mars"}, `kombo: NewClient: WithRegion: unknown region "mars"; use RegionEU or RegionUS`},
		{"real Kombo, interrupted", cancelled, nil, map[string]string{"KOMBO_API_KEY": "k", "KOMBO_REGION": "US"}, "kombo: GET /check-api-key: context canceled (nothing was sent)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var output bytes.Buffer
			err := run(test.ctx, test.args, environment(test.environment), &output)
			if err == nil || err.Error() != test.want {
				t.Errorf("error = %v, want %s", err, test.want)
			}
		})
	}
}
