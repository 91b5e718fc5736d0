package transport

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// forwarder forwards connections to a server. A silenced connection stays open, but its bytes are dropped. Firewalls do
// that to connections that they have forgotten.
type forwarder struct {
	net.Listener
	connections atomic.Int64
	silenced    atomic.Int64 // connections up to this number
}

func newForwarder(t *testing.T, server string) *forwarder {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{Listener: listener}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := new(net.Dialer).DialContext(t.Context(), "tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _, _ = client.Close(), upstream.Close() })
			number := f.connections.Add(1)
			go f.pass(number, client, upstream)
			go f.pass(number, upstream, client)
		}
	}()
	return f
}

func (f *forwarder) pass(number int64, from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			_ = to.Close()
			return
		}
		if f.silenced.Load() >= number {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// A connection that dies silently must not fail every attempt of every call.
func TestDeadHTTP2Connection(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	f := newForwarder(t, server.Listener.Addr().String())

	pool := newPool()
	if pool.HTTP2.SendPingTimeout == 0 || pool.HTTP2.PingTimeout == 0 {
		t.Fatal("the pool does not ping")
	}
	pool.HTTP2.SendPingTimeout, pool.HTTP2.PingTimeout = 50*time.Millisecond, 50*time.Millisecond
	pool.TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}
	t.Cleanup(pool.CloseIdleConnections)
	transport := newTest(pool, func(c *Config) {
		c.BaseURL = "https://" + f.Addr().String()
		c.Retry.BaseDelay = time.Nanosecond
	})
	for _, silenced := range []int64{0, 1} {
		f.silenced.Store(silenced)
		resp, err := transport.do(t.Context(), read)
		if err != nil || string(resp.Body) != "HTTP/2.0" {
			t.Fatalf("%d connections silenced: response = %+v, %v", silenced, resp, err)
		}
	}
	if got := f.connections.Load(); got != 2 {
		t.Errorf("%d connections, want a second one in place of the dead", got)
	}
}

// Over HTTP/1.1 each call in flight needs a connection. As many as the pool keeps are opened once, and never again.
func TestPoolDoesNotChurn(t *testing.T) {
	t.Parallel()
	const callers, rounds = 1024, 3
	inFlight, everyone := atomic.Int64{}, make(chan struct{}, callers)
	listener := &pipes{accept: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if inFlight.Add(1)%callers == 0 { // all callers wait for a response, so each has a connection
			for range callers {
				everyone <- struct{}{}
			}
		}
		<-everyone
		_, _ = io.WriteString(w, r.Proto)
	}), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	pool := newPool()
	pool.DialContext = listener.dial
	t.Cleanup(pool.CloseIdleConnections)
	transport := newTest(pool, func(c *Config) { c.BaseURL = "http://localhost" })
	for round := range rounds {
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				if resp, err := transport.do(t.Context(), read); err != nil || string(resp.Body) != "HTTP/1.1" {
					t.Errorf("response = %+v, %v", resp, err)
				}
			})
		}
		all.Wait()
		if got := listener.dialed.Load(); got != callers {
			t.Fatalf("after round %d: %d connections, want %d", round, got, callers)
		}
	}
}

// pipes is a network within the process.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
	dialed atomic.Int64
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	p.dialed.Add(1)
	select {
	case p.accept <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.accept:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestPool(t *testing.T) {
	t.Parallel()
	pool := newPool()
	if pool.Proxy == nil || pool.TLSHandshakeTimeout == 0 || pool.IdleConnTimeout == 0 || pool.MaxIdleConns < pool.MaxIdleConnsPerHost {
		t.Errorf("pool = %+v", pool)
	}
	if a, b := New(Config{}).base, New(Config{HTTPClient: &http.Client{}}).base; a != b {
		t.Error("two transports without a pool of their own do not share one")
	}
}
