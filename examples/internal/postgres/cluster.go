package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// Cluster is a Postgres server of a test, which can be stopped and started.
type Cluster struct {
	// DSN is the address of its database.
	DSN string

	t                 testing.TB
	programs, folder  string
	startArguments    []string
	surroundingPrefix []string
}

// NewCluster starts a Postgres server that ends with the test. It skips the test if no Postgres is installed. Postgres refuses to
// run as root, so root runs it as the user postgres.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if path, err := exec.LookPath("pg_ctl"); err == nil {
		installed = append(installed, filepath.Dir(path))
	}
	if len(installed) == 0 {
		t.Skip("no Postgres is installed")
	}
	folder, err := os.MkdirTemp("", "pg") // t.TempDir is not accessible to another user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	c := &Cluster{t: t, programs: installed[len(installed)-1], folder: folder}
	if os.Getuid() == 0 {
		c.surroundingPrefix = []string{"runuser", "-u", "postgres", "--"}
		if output, err := exec.CommandContext(t.Context(), "chown", "postgres", folder).CombinedOutput(); err != nil {
			t.Skipf("there is no user postgres: %v\n%s", err, output)
		}
	}
	port := 12000 + rand.IntN(18000) // not a port of outgoing connections
	c.DSN = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", port)
	c.startArguments = []string{"start", "-w", "-l", folder + "/log", "-o", fmt.Sprintf("-p %d -k %s -c listen_addresses=127.0.0.1", port, folder)}
	c.run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
	c.Start()
	t.Cleanup(c.Crash)
	return c
}

// Start starts the server, and waits until it has recovered.
func (c *Cluster) Start() { c.run("pg_ctl", c.startArguments...) }

// Crash stops the server at once. Its connections break, and open transactions are lost.
func (c *Cluster) Crash() { c.run("pg_ctl", "stop", "-m", "immediate") }

func (c *Cluster) run(program string, arguments ...string) {
	c.t.Helper()
	line := slices.Concat(c.surroundingPrefix, []string{filepath.Join(c.programs, program), "-D", c.folder + "/data"}, arguments)
	command := exec.CommandContext(context.Background(), line[0], line[1:]...)
	command.Dir = "/"
	if output, err := command.CombinedOutput(); err != nil {
		c.t.Errorf("%s: %v\n%s", program, err, output)
	}
}
