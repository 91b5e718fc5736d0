package transport

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// retryAfter returns how long a response asks to wait, and whether it does. Of Retry-After-Ms, Retry-After
// and RateLimit-Reset, the first that is valid counts. Servers with a rate limit send
// RateLimit-Reset in every response, so it counts only in a response that reports an exceeded limit, unless
// RateLimit-Remaining is above zero.
func retryAfter(header http.Header, rateLimited bool) (wait time.Duration, ok bool) {
	if wait, ok = parseWait(header.Get("Retry-After-Ms"), time.Millisecond); ok {
		return wait, true
	}
	retryAfter := header.Get("Retry-After")
	if wait, ok = parseWait(retryAfter, time.Second); ok {
		return wait, true
	}
	if date, ok := parseDate(retryAfter); ok {
		// By the server's clock if it is known: ours may be wrong.
		now, ok := parseDate(header.Get("Date"))
		if !ok {
			now = time.Now()
		}
		return max(date.Sub(now), 0), true
	}
	if !rateLimited {
		return 0, false
	}
	if remaining, ok := parseWait(header.Get("RateLimit-Remaining"), time.Second); ok && remaining > 0 {
		return 0, false
	}
	return parseWait(header.Get("RateLimit-Reset"), time.Second)
}

func parseDate(value string) (date time.Time, ok bool) {
	if value == "" {
		return time.Time{}, false // without the cost of an error of http.ParseTime
	}
	date, err := http.ParseTime(strings.TrimSpace(value))
	return date, err == nil
}

// parseWait parses a number of units, which may have a fraction but no sign.
func parseWait(value string, unit time.Duration) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return (r < '0' || r > '9') && r != '.' }) {
		return 0, false
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	if most := math.MaxInt64 / int64(unit); number >= float64(most) {
		return time.Duration(most) * unit, true
	}
	return time.Duration(number * float64(unit)), true
}
