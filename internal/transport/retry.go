package transport

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"
)

// RetryPolicy is how often and after which waits an operation is retried.
type RetryPolicy struct {
	// MaxAttempts includes the first attempt: 1 switches retries off.
	MaxAttempts int
	// BaseDelay bounds the first wait; each further bound is twice the one before, up to MaxDelay.
	BaseDelay, MaxDelay time.Duration
	// MaxRetryAfter is the longest wait that a server may ask for.
	MaxRetryAfter time.Duration
}

// bound returns the bound of the wait after the given number of attempts.
func (p RetryPolicy) bound(attempts int) time.Duration {
	bound := p.BaseDelay
	for range attempts - 1 {
		if bound >= p.MaxDelay/2 {
			return p.MaxDelay
		}
		bound *= 2
	}
	return min(bound, p.MaxDelay)
}

// backoff returns how long to wait after the given number of attempts: anything between nothing
// and the bound ("full jitter"), so that callers who failed together do not retry together.
func (p RetryPolicy) backoff(attempts int, random func(int64) int64) time.Duration {
	bound := p.bound(attempts)
	if bound <= 0 {
		return 0
	}
	return time.Duration(random(int64(bound)))
}

// limitBackoff returns how long to wait after a rate or concurrency limit. Limits take time to recover, so the wait is
// longer: 2×BaseDelay ±25 %, doubled with each attempt, at most MaxDelay.
func (p RetryPolicy) limitBackoff(attempts int, random func(int64) int64) time.Duration {
	bound := p.bound(attempts + 1)
	shortest := bound - bound/4
	spread := min(bound/2, p.MaxDelay-shortest)
	if spread < 0 {
		return 0
	}
	return shortest + time.Duration(random(int64(spread)+1))
}

// Classification is what a response that reports no success means for retries.
type Classification int

const (
	// ByStatus leaves the decision to the HTTP status.
	ByStatus Classification = iota
	// Permanent means that a retry would fail in the same way.
	Permanent
	// SafeToRetry means that a retry is safe, also of an operation that is not idempotent.
	SafeToRetry
	// RateLimited means that the request was not executed: there were too many in a time.
	RateLimited
	// ConcurrencyLimited means that the request was not executed: too many are in flight.
	ConcurrencyLimited
)

// limited reports whether the request was not executed because of a limit.
func (c Classification) limited() bool { return c == RateLimited || c == ConcurrencyLimited }

// classify returns what the response of the last attempt means. Every success is final.
func (c *call) classify() Classification {
	status := c.response.StatusCode
	if status >= 200 && status <= 299 {
		return Permanent
	}
	class := ByStatus
	if c.transport.classify != nil {
		class = c.transport.classify(c.body)
	}
	if status == http.StatusTooManyRequests && (class == ByStatus || class == SafeToRetry) {
		return RateLimited
	}
	return class
}

// retryableStatus reports whether a later attempt may well get another response.
func retryableStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// shouldRetry decides whether the failure of the last attempt allows another one.
func (c *call) shouldRetry() bool {
	nonIdempotent := c.request.Operation.NonIdempotent
	switch {
	case c.context.Err() != nil:
		return false
	case c.err != nil:
		return !permanent(c.err) && (!nonIdempotent || c.neverSent())
	case c.class == ByStatus:
		// After a 5xx it is unknown whether the request was executed.
		return retryableStatus(c.response.StatusCode) && !nonIdempotent
	}
	return c.class != Permanent
}

// nextWait decides whether the call makes another attempt after the last one, and when.
func (c *call) nextWait() (wait time.Duration, willRetry bool) {
	policy := &c.transport.retry
	if !c.shouldRetry() || c.attempts >= policy.MaxAttempts {
		return 0, false
	}
	wait = policy.backoff(c.attempts, rand.Int64N)
	if c.response != nil {
		switch {
		case c.retryAfter > policy.MaxRetryAfter:
			return 0, false
		case c.class.limited() && !c.hasRetryAfter:
			wait = policy.limitBackoff(c.attempts, rand.Int64N)
		}
		wait = max(wait, c.retryAfter)
	}
	if deadline, ok := c.context.Deadline(); ok && time.Until(deadline) <= wait {
		return 0, false
	}
	return wait, true
}

// lastMayHaveExecuted reports whether the last attempt may have been executed although it failed.
func (c *call) lastMayHaveExecuted() bool {
	if c.err != nil {
		refused := c.brokenStatus >= 400 && c.brokenStatus <= 499
		return !refused && !c.neverSent()
	}
	return !c.class.limited() && c.response.StatusCode >= http.StatusInternalServerError
}

// checkRetry is called by go-retryablehttp after each attempt. The response is ignored, because roundTrip has recorded it.
// err is used only if the http.Client refused the request before roundTrip ran.
func (c *call) checkRetry(_ context.Context, _ *http.Response, err error) (bool, error) {
	if c.response == nil && c.err == nil {
		c.err = err // the http.Client refused the request before the first attempt
	}
	c.class, c.retryAfter, c.hasRetryAfter = ByStatus, 0, false
	if c.response != nil {
		c.class = c.classify()
		c.retryAfter, c.hasRetryAfter = retryAfter(c.response.Header, c.class == RateLimited)
	}
	wait, willRetry := c.nextWait()
	c.logAttempt(wait, willRetry)
	if willRetry {
		c.mayHaveExecuted = c.mayHaveExecuted || c.lastMayHaveExecuted()
	}
	c.retry.RetryWaitMin, c.decided = wait, !willRetry
	return willRetry, nil
}

// backoff returns the wait that checkRetry has stored in RetryWaitMin, which arrives here as the first parameter.
func backoff(wait, _ time.Duration, _ int, _ *http.Response) time.Duration { return wait }
