package main

import (
	"bufio"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// startProcess starts the program in a separate process.
func startProcess(t *testing.T, environment []string, args ...string) (process *exec.Cmd, stdout *bufio.Scanner) {
	t.Helper()
	process = exec.CommandContext(t.Context(), os.Args[0], args...)
	process.Env = append([]string{"KOMBO_TEST_PROGRAM=1"}, environment...)
	process.Stderr = t.Output()
	pipe, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	return process, bufio.NewScanner(pipe)
}

// wantExit interrupts a process as Ctrl-C does, and checks its exit code.
func wantExit(t *testing.T, process *exec.Cmd, want int) {
	t.Helper()
	if err := process.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := process.Wait()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if code := process.ProcessState.ExitCode(); code != want || err != nil && !failed {
		t.Errorf("exit code %d (%v, %v), want %d", code, err, exit, want)
	}
}

func TestProcessInterrupted(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("os.Process.Signal cannot send an interrupt on Windows")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") != "" {
			<-r.Context().Done()
		}
		_, _ = w.Write([]byte(`{"status":"success","data":{"results":[{"id":"1"}],"next":"x"}}`))
	}))
	defer server.Close()
	process, stdout := startProcess(t, []string{varAPIKey + "=key", varBaseURL + "=" + server.URL}, "list", "/hris/employees")
	if !stdout.Scan() || stdout.Text() != `{"id":"1"}` {
		t.Errorf("it printed %q", stdout.Text())
	}
	wantExit(t, process, exitInterrupted)
}
