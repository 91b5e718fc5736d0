package transport

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// idleConnections is how many connections stay open between calls. Over HTTP/1.1 each call in flight needs its own, so
// up to this many callers never connect again.
const idleConnections = 1024

// sharedPool returns the connection pool of all Transports that were given none. One pool for all
// keeps a program that makes a client for each request from piling up idle connections.
func sharedPool() *http.Transport {
	pool.once.Do(func() { pool.transport = newPool() })
	return pool.transport
}

// pool is created when it is needed: importing this package does nothing.
var pool struct {
	once      sync.Once
	transport *http.Transport
}

func newPool() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          idleConnections,
		MaxIdleConnsPerHost:   idleConnections,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		// Without pings, a connection that died in silence keeps all calls until the system gives
		// it up, which takes many minutes; each attempt would go the same way.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
			if response.StatusCode != http.StatusOK {
				return connectError(response.StatusCode)
			}
			return nil
		},
	}
}

// connectError is the status with which a proxy refused to connect.
type connectError int

func (e connectError) Error() string {
	return fmt.Sprintf("the proxy refused to connect: %d %s", int(e), http.StatusText(int(e)))
}
