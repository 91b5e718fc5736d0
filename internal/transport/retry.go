package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryPolicy says how often and after which waits an operation is tried again.
type RetryPolicy struct {
	// MaxAttempts counts the first attempt too: 1 switches retries off.
	MaxAttempts int
	// BaseDelay bounds the first wait; each further bound is twice the one before, up to MaxDelay.
	BaseDelay, MaxDelay time.Duration
	// MaxRetryAfter is the longest wait that a server may ask for.
	MaxRetryAfter time.Duration
}

// backoff returns how long to wait after the given number of attempts: anything between nothing
// and the bound ("full jitter"), so that callers who failed together do not come back together.
func (p RetryPolicy) backoff(attempts int, random func(int64) int64) time.Duration {
	bound := p.BaseDelay
	for range attempts - 1 {
		if bound >= p.MaxDelay/2 {
			bound = p.MaxDelay
			break
		}
		bound *= 2
	}
	bound = min(bound, p.MaxDelay)
	if bound <= 0 {
		return 0
	}
	return time.Duration(random(int64(bound)))
}

// retryableStatus reports whether a later attempt may well be answered otherwise.
func retryableStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// permanent reports whether err would be the same at every attempt.
func permanent(err error) bool {
	var (
		unverified *tls.CertificateVerificationError
		unknownCA  x509.UnknownAuthorityError
		hostname   x509.HostnameError
		invalid    x509.CertificateInvalidError
		notTLS     tls.RecordHeaderError
	)
	// net/http has no type for an answer in plain HTTP on a TLS port, nor for a scheme or a header
	// that it cannot send.
	text := err.Error()
	return errors.As(err, &unverified) || errors.As(err, &unknownCA) || errors.As(err, &hostname) ||
		errors.As(err, &invalid) || errors.As(err, &notTLS) ||
		errors.Is(err, http.ErrSchemeMismatch) ||
		strings.Contains(text, "unsupported protocol scheme") ||
		strings.Contains(text, "invalid header field")
}

// neverSent reports whether no byte of the request left: net/http got no connection, be it to the
// server or through a proxy, or an error proves the same of another RoundTripper.
func (c *call) neverSent() bool {
	if c.connection != unknownConnection {
		return c.connection == noConnection
	}
	return neverSent(c.err)
}

func neverSent(err error) bool {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	opErr, ok := errors.AsType[*net.OpError](err)
	return ok && (opErr.Op == "dial" || opErr.Op == "proxyconnect")
}

// retryAfter reads a Retry-After header, which holds seconds or a date. A value that is neither, or
// negative, counts as none; a date in the past as zero.
func retryAfter(header http.Header) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		const most = int64((1<<63 - 1) / time.Second)
		return time.Duration(min(max(seconds, 0), most)) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(time.Until(date), 0)
	}
	return 0
}

// nextWait decides whether the call makes another attempt after the last one, and when.
func (c *call) nextWait() (wait time.Duration, again bool) {
	switch {
	case c.context.Err() != nil:
		return 0, false
	case c.err != nil:
		again = !permanent(c.err) && (!c.what.Operation.NonIdempotent || c.neverSent())
	default:
		// A 429 means that the request was not executed; after a 5xx it is unknown.
		again = retryableStatus(c.response.StatusCode) &&
			(!c.what.Operation.NonIdempotent || c.response.StatusCode == http.StatusTooManyRequests)
	}
	policy := &c.transport.retry
	if !again || c.attempts >= policy.MaxAttempts {
		return 0, false
	}
	wait = policy.backoff(c.attempts, rand.Int64N)
	if c.response != nil {
		asked := retryAfter(c.response.Header)
		if asked > policy.MaxRetryAfter {
			return 0, false
		}
		wait = max(wait, asked)
	}
	if deadline, ok := c.context.Deadline(); ok && time.Until(deadline) <= wait {
		return 0, false
	}
	return wait, true
}

// mayHaveRun reports whether the last attempt may have had its effect although it failed.
func (c *call) mayHaveRun() bool {
	if c.err != nil {
		return !c.neverSent()
	}
	return c.response.StatusCode >= http.StatusInternalServerError
}

// checkRetry is called by go-retryablehttp after each attempt. Only the error is used, and only if no
// attempt was made: RoundTrip has recorded the rest, and without the URL in the error.
func (c *call) checkRetry(_ context.Context, _ *http.Response, err error) (bool, error) {
	if c.response == nil && c.err == nil {
		c.err = err // the http.Client refused the request before the first attempt
	}
	wait, again := c.nextWait()
	c.logAttempt(wait, again)
	if again {
		c.mayHaveExecuted = c.mayHaveExecuted || c.mayHaveRun()
	}
	c.wait, c.decided = wait, !again
	return again, nil
}

// backoff returns the wait that checkRetry has decided on.
func (c *call) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
	return c.wait
}
