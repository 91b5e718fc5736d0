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
var sharedPool = sync.OnceValue(func() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          idleConnections,
		MaxIdleConnsPerHost:   idleConnections,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
})
