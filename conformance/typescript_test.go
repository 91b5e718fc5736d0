package conformance_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

const (
	typescriptFolder = "typescript"
	// typescriptSDK is where npm puts Kombo's official SDK, in that folder.
	typescriptSDK = "node_modules/@kombo-api/sdk"
	// typescriptAgent is how that SDK calls itself, in the version of package.json.
	typescriptAgent = "speakeasy-sdk/typescript 1.1.3 "
	// typescriptKey is the API key in all examples of that SDK.
	typescriptKey = "<YOUR_BEARER_TOKEN_HERE>"
	// typescriptControlPath is where a script reaches what plays the customer.
	typescriptControlPath = "/_test/"
)

// The official SDK checks each response against its own schemas: it has to accept all of the fake's.
func TestTypeScriptSDK(t *testing.T) {
	t.Parallel()
	needTypeScriptSDK(t)
	srv := kombotest.NewServer(kombotest.Config{})
	t.Cleanup(srv.Close)
	typescriptControl(srv)
	output := runNode(t, srv, "", "life.mjs")
	if !strings.HasSuffix(output, "\ndone\n") {
		t.Fatalf("life.mjs did not come to its end:\n%s", output)
	}

	// Nothing was left out, and it was the official SDK that asked.
	succeeded, faulty := map[string]bool{}, map[string]bool{}
	for _, r := range srv.Requests() {
		if agent := r.Header.Get("User-Agent"); !strings.HasPrefix(agent, typescriptAgent) {
			t.Fatalf("%s %s comes from %q, want %q", r.Method, r.Path, agent, typescriptAgent)
		}
		if r.Faulty {
			faulty[r.Op] = true
		} else if r.StatusCode == http.StatusOK {
			succeeded[r.Op] = true
		}
	}
	for _, op := range kombotest.Operations() {
		if !succeeded[op] || !faulty[op] {
			t.Errorf("%s: succeeded %t, failed %t; life.mjs has to do both", op, succeeded[op], faulty[op])
		}
	}
	if left := srv.Faults(); len(left) > 0 {
		t.Errorf("faults that did not strike: %+v", left)
	}
}

// The examples that come with the official SDK run as they are.
func TestTypeScriptSDKExamples(t *testing.T) {
	t.Parallel()
	needTypeScriptSDK(t)
	readme, functions := typescriptExamples(t, "README.md", 4), typescriptExamples(t, "FUNCTIONS.md", 1)
	shipped := readTypeScriptSDK(t, "examples/generalCheckApiKey.example.ts")
	tests := []struct {
		name, code string
		wrongKey   bool
	}{
		{"shipped", shipped, false},
		{"shipped, with a wrong key", shipped, true},
		{"usage", readme[0], false},
		{"error handling", readme[1], false},
		{"error handling, with a wrong key", readme[1], true},
		{"retries of a call", readme[2], false},
		{"retries of all calls", readme[3], false},
		{"standalone functions", functions[0], false},
		{"standalone functions, with a wrong key", functions[0], true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := kombotest.Config{APIKey: typescriptKey}
			if test.wrongKey {
				config.APIKey = "another"
			}
			srv, client := kombotest.Start(t, config)
			check, err := client.CheckAPIKey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantStatus, want := http.StatusOK, "environment_id: '"+check.EnvironmentID+"'"
			if test.wrongKey {
				wantStatus, want = http.StatusUnauthorized, "code: 'PLATFORM.AUTHENTICATION_INVALID'"
			}
			// From stdin, as node takes no file that ends in .ts. What TypeScript adds to the language is
			// in none of these.
			output := runNode(t, srv, test.code, "--import", "./redirect.mjs", "--input-type=module", "-")
			if !strings.Contains(output, want) || strings.Contains(output, "ValidationError") {
				t.Errorf("it prints, want %s:\n%s", want, output)
			}
			requests := srv.Requests()[1:]
			if len(requests) != 1 || requests[0].StatusCode != wantStatus ||
				!strings.HasPrefix(requests[0].Header.Get("User-Agent"), typescriptAgent) {
				t.Errorf("the requests are %+v, want one of %q with status %d", requests, typescriptAgent, wantStatus)
			}
		})
	}
}

// needTypeScriptSDK skips a test if the official SDK cannot be run.
func needTypeScriptSDK(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("needs Node.js 20 or newer on the PATH")
	}
	if _, err := os.Stat(filepath.Join(typescriptFolder, typescriptSDK, "package.json")); err != nil {
		t.Skip("needs Kombo's official SDK: run npm ci --prefix conformance/" + typescriptFolder)
	}
}

func readTypeScriptSDK(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(typescriptFolder, typescriptSDK, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// runNode runs node in the folder of the official SDK, and returns what it prints.
func runNode(t *testing.T, srv *kombotest.Server, input string, args ...string) string {
	t.Helper()
	// The go command repeats a test whose files have changed, but knows of those only that the test looks at.
	scripts, err := filepath.Glob(filepath.Join(typescriptFolder, "*.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		if _, err := os.Stat(script); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir, cmd.Stdin = typescriptFolder, strings.NewReader(input)
	cmd.Env = append(os.Environ(),
		"FORCE_COLOR=0", // what is printed is searched
		"KOMBOTEST_BASE_URL="+srv.BaseURL(),
		"KOMBOTEST_API_KEY="+srv.APIKey(),
		"KOMBOTEST_CONTROL_URL="+strings.TrimSuffix(srv.BaseURL(), "/v1")+typescriptControlPath,
	)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return string(output)
}

// typescriptExamples returns the examples in a file of the official SDK that use an operation of the fake. The
// others are about data, or about nothing that is sent.
func typescriptExamples(t *testing.T, file string, want int) []string {
	t.Helper()
	var examples []string
	for _, block := range typescriptBlock.FindAllStringSubmatch(readTypeScriptSDK(t, file), -1) {
		if strings.Contains(block[1], "heckApiKey(") {
			examples = append(examples, block[1])
		}
	}
	if len(examples) != want {
		t.Fatalf("%s has %d examples, want %d", file, len(examples), want)
	}
	return examples
}

var typescriptBlock = regexp.MustCompile("(?s)```typescript\n(.*?)```")

// typescriptControl lets a script do with the server what the SDK cannot.
func typescriptControl(srv *kombotest.Server) {
	typescriptAction(srv, "complete", func(ctx context.Context, input struct {
		Link string
		kombotest.Completion
	},
	) (any, error) {
		token, err := srv.CompleteFlow(ctx, input.Link, input.Completion)
		return map[string]string{"token": token}, err
	})
	typescriptAction(srv, "fail", func(ctx context.Context, link string) (any, error) {
		return link, srv.FailFlow(ctx, link)
	})
	typescriptAction(srv, "state", func(ctx context.Context, input struct {
		ID          string            `json:"id"`
		State       kombo.State       `json:"state"`
		SetupStatus kombo.SetupStatus `json:"setup_status"`
	},
	) (any, error) {
		err := srv.SetState(ctx, input.ID, input.State)
		if err == nil && input.SetupStatus != "" {
			err = srv.SetSetupStatus(ctx, input.ID, input.SetupStatus)
		}
		return input, err
	})
	typescriptAction(srv, "fault", func(_ context.Context, fault kombotest.Fault) (any, error) {
		if err := fault.Validate(); err != nil {
			return nil, err
		}
		srv.InjectFault(fault)
		return fault, nil
	})
	typescriptAction(srv, "limits", func(_ context.Context, limits kombotest.Limits) (any, error) {
		srv.SetLimits(limits)
		return limits, nil
	})
	typescriptAction(srv, "webhooks", func(ctx context.Context, _ struct{}) (any, error) {
		bodies := []string{}
		err := srv.Wait(ctx)
		for _, d := range srv.Deliveries() {
			bodies = append(bodies, string(d.Body))
		}
		return bodies, err
	})
}

func typescriptAction[Input any](srv *kombotest.Server, name string, act func(context.Context, Input) (any, error)) {
	srv.Handle("POST "+typescriptControlPath+name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var input Input
		var output any
		err := json.NewDecoder(r.Body).Decode(&input)
		if err == nil {
			output, err = act(r.Context(), input)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(output)
	}))
}
