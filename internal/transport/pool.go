package transport

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// idleConnections is how many connections stay open between calls: enough for a busy server over
// HTTP/1.1, where each call in flight needs one of its own.
const idleConnections = 256

// sharedPool returns the connection pool of all Transports that were given none. One pool for all
// keeps a program that makes a client for each request from piling up idle connections.
func sharedPool() *http.Transport {
	pool.once.Do(func() { pool.transport = newPool() })
	return pool.transport
}

// pool is made when it is needed: importing this package does nothing.
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
	}
}
