package kombo_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// arrivals are the times at which requests arrived.
type arrivals struct {
	mutex sync.Mutex
	times []time.Time
}

func (a *arrivals) add() int64 {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.times = append(a.times, time.Now())
	return int64(len(a.times))
}

func (a *arrivals) all() []time.Time {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.times
}

// bodyCounter counts attempts, and the bodies that are open.
type bodyCounter struct {
	base           http.RoundTripper
	attempts, open atomic.Int64
	// begun, unless nil, is called when the first bytes of a body have been read.
	begun func()
}

func (b *bodyCounter) RoundTrip(r *http.Request) (*http.Response, error) {
	b.attempts.Add(1)
	response, err := b.base.RoundTrip(r)
	if response != nil {
		b.open.Add(1)
		response.Body = &countedBody{ReadCloser: response.Body, counter: b}
	}
	return response, err
}

type countedBody struct {
	io.ReadCloser
	counter *bodyCounter
	close   sync.Once
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 && b.counter.begun != nil {
		b.counter.begun()
	}
	return n, err
}

func (b *countedBody) Close() error {
	b.close.Do(func() { b.counter.open.Add(-1) })
	return b.ReadCloser.Close()
}

// connectionCounter counts the connections that are open.
type connectionCounter struct{ open atomic.Int64 }

func (c *connectionCounter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.open.Add(1)
	return &countedConn{Conn: connection, counter: c}, nil
}

// closeAll closes idle connections, and returns how many are left after a while: those in use.
func (c *connectionCounter) closeAll(transport *http.Transport) int64 {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); <-ticker.C {
		// A call returns before net/http has returned its connection to the pool.
		if transport.CloseIdleConnections(); c.open.Load() == 0 {
			break
		}
	}
	return c.open.Load()
}

type countedConn struct {
	net.Conn
	counter *connectionCounter
	close   sync.Once
}

func (c *countedConn) Close() error {
	c.close.Do(func() { c.counter.open.Add(-1) })
	return c.Conn.Close()
}

// retryHandler calls a function when an attempt has ended and will be retried.
type retryHandler struct {
	slog.Handler
	retry func()
}

func (h retryHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h retryHandler) Handle(_ context.Context, record slog.Record) error {
	for attribute := range record.Attrs {
		if attribute.Key == "retry_in" {
			h.retry()
		}
	}
	return nil
}
