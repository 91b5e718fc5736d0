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
// and RateLimit-Reset, the first that is valid counts. RateLimit-Reset is in every response of a server
// with such a limit, so it counts only if that limit was exceeded: in a response that reports one, unless
// RateLimit-Remaining says that there is something left.
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

// parseWait reads a number of units, which may have a fraction. Anything else is invalid, a sign too.
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
