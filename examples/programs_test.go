package examples_test

import (
	"bytes"
	"errors"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// Every program of the repository prints its help on standard output and succeeds, and what is wrong with its arguments
// on standard error and exits with 2.
func TestPrograms(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds all programs")
	}
	folder := t.TempDir()
	// In the module's own folder: CI tests each module without the workspace.
	for _, module := range []string{"..", "../conformance", "."} {
		list := exec.CommandContext(t.Context(), "go", "list", "-f", "{{if eq .Name \"main\"}}{{.ImportPath}}{{end}}", "./...")
		list.Dir = module
		paths, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		var programs []string
		for p := range strings.FieldsSeq(string(paths)) {
			if !strings.Contains(p, "/footprint/programs/") { // they are measured, not run
				programs = append(programs, p)
			}
		}
		if len(programs) == 0 {
			t.Errorf("%s has no programs", module)
			continue
		}
		build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", folder + string(filepath.Separator)}, programs...)...)
		build.Dir = module
		if output, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		for _, p := range programs {
			t.Run(path.Base(p), func(t *testing.T) {
				t.Parallel()
				program := filepath.Join(folder, path.Base(p))
				stdout, stderr, code := execute(t, program, "-h")
				if code != 0 || stderr != "" || !strings.Contains(stdout, "Usage: "+path.Base(p)) {
					t.Errorf("-h: exit code %d\nstdout: %s\nstderr: %s", code, stdout, stderr)
				}
				stdout, stderr, code = execute(t, program, "-nonsense")
				if code != 2 || stdout != "" || !strings.Contains(stderr, "nonsense") {
					t.Errorf("-nonsense: exit code %d\nstdout: %s\nstderr: %s", code, stdout, stderr)
				}
			})
		}
	}
}

func execute(t *testing.T, program string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, problems bytes.Buffer
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir = t.TempDir()
	command.Stdout, command.Stderr = &out, &problems
	err := command.Run()
	if exit, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	} else if failed {
		code = exit.ExitCode()
	}
	return out.String(), problems.String(), code
}
