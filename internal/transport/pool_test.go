package transport

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
