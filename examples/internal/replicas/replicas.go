// Package replicas runs an example as several processes that share a database, and kills them.
package replicas

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/kombo-go/kombo/kombotest"
)

// Patience is how long a process may take to start or to end.
const Patience = 20 * time.Second

// Replica is a process of the product. It keeps its address across restarts.
type Replica struct {
	// Address and Database are the arguments of the process.
	Address, Database string

	t           testing.TB
	binary      string
	environment []string
	arguments   []string

	command *exec.Cmd
	output  *bytes.Buffer // of command; read it only after the process has ended
	ended   chan error    // of command
}

// New returns a replica that is not started. At the end of the test the process must exit with status 0.
func New(t testing.TB, binary string, srv *kombotest.Server, dsn string, arguments ...string) *Replica {
	r := &Replica{t: t, binary: binary, Address: freeAddress(t), Database: dsn, arguments: arguments, environment: append(os.Environ(),
		"KOMBO_API_KEY="+srv.APIKey(), "KOMBO_WEBHOOK_SECRET="+srv.WebhookSecret(), "KOMBO_BASE_URL="+srv.BaseURL(),
		"KOMBO_REGION=", "KOMBO_WEBHOOK_SECRET_PREVIOUS=")}
	t.Cleanup(func() {
		if r.command == nil {
			return
		}
		r.Terminate()
		r.AwaitEnd()
	})
	return r
}

// URL returns the address of the process as a URL.
func (r *Replica) URL() string { return "http://" + r.Address }

// Start starts the process and waits until it serves requests.
func (r *Replica) Start() {
	r.output, r.ended = new(bytes.Buffer), make(chan error, 1)
	r.command = exec.Command(r.binary, append([]string{"-listen", r.Address, "-database", r.Database}, r.arguments...)...)
	r.command.Env, r.command.Dir = r.environment, filepath.Dir(r.binary)
	r.command.Stdout, r.command.Stderr = r.output, r.output
	if err := r.command.Start(); err != nil {
		r.command = nil
		r.t.Error(err)
		return
	}
	go func(command *exec.Cmd, ended chan<- error) { ended <- command.Wait() }(r.command, r.ended)
	WaitUntil(r.t, "the replica serves", func() bool {
		select {
		case err := <-r.ended:
			r.t.Errorf("a replica has ended: %v\n%s", err, r.output)
			r.command = nil
			return true
		default:
		}
		response, err := http.Get(r.URL() + "/healthz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// Terminate asks the process to end by SIGTERM.
func (r *Replica) Terminate() {
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Errorf("SIGTERM: %v", err)
	}
}

// Kill ends the process by SIGKILL.
func (r *Replica) Kill() {
	if r.command == nil {
		return // it did not start, and the test has failed
	}
	if err := r.command.Process.Kill(); err != nil {
		r.t.Errorf("SIGKILL: %v", err)
	}
	if err := <-r.ended; err == nil {
		r.t.Error("a replica had ended before it was killed")
	}
	r.command = nil
}

// AwaitEnd waits until the process has exited without an error.
func (r *Replica) AwaitEnd() {
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Errorf("a replica ended with %v:\n%s", err, r.output)
		}
	case <-time.After(Patience):
		_ = r.command.Process.Kill()
		r.t.Errorf("a replica did not end, until it was killed: %v\n%s", <-r.ended, r.output)
	}
	r.command = nil
}

// freeAddress returns an address that stays free, because its port is outside the range of outgoing connections.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(18000))
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		_ = listener.Close()
		return address
	}
	t.Fatal("no port is free")
	return ""
}

// Balance starts a load balancer that sends each request to a random replica, alive or not, and returns its address.
func Balance(t testing.TB, replicas []*Replica) string {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			target, err := url.Parse(replicas[rand.IntN(len(replicas))].URL())
			if err != nil {
				panic(err)
			}
			r.SetURL(target)
		},
		Transport:    transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(func() {
		server.Close()
		// A server that shuts down waits for connections that were never used.
		transport.CloseIdleConnections()
	})
	return server.URL
}

// WaitUntil polls until the condition is true, and fails the test after [Patience].
func WaitUntil(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(Patience); !condition(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Errorf("%s: not within %v", what, Patience)
			return
		}
	}
}
