package transport

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func retryAfterHeader(value string) http.Header { return http.Header{"Retry-After": {value}} }

// headers returns a header with the given lines.
func headers(lines ...string) http.Header {
	header := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		header.Add(name, value)
	}
	return header
}

const longest = (1<<63 - 1) / time.Second * time.Second

// The wait that a response asks for. The clock starts at midnight, 1 January 2000.
func TestRequestedWait(t *testing.T) {
	t.Parallel()
	const s, ms = time.Second, time.Millisecond
	tests := []struct {
		name   string
		header http.Header
		want   time.Duration
		asks   bool
	}{
		{"none", headers(), 0, false},
		{"seconds", headers("Retry-After: 7"), 7 * s, true},
		{"spaces", headers("Retry-After:  7 "), 7 * s, true},
		{"zero", headers("Retry-After: 0"), 0, true},
		{"a day", headers("Retry-After: 86400"), 24 * time.Hour, true},
		{"more than the longest duration", headers("Retry-After: 9999999999999999999999"), longest, true},
		{"more than the largest float64", headers("Retry-After: " + strings.Repeat("9", 400)), longest, true},
		{"fraction", headers("Retry-After: 1.5"), 1500 * ms, true},
		{"negative", headers("Retry-After: -5"), 0, false},
		{"plus", headers("Retry-After: +5"), 0, false},
		{"exponent", headers("Retry-After: 1e3"), 0, false},
		{"hexadecimal", headers("Retry-After: 0x1p4"), 0, false},
		{"infinite", headers("Retry-After: inf"), 0, false},
		{"no number", headers("Retry-After: NaN"), 0, false},
		{"point", headers("Retry-After: ."), 0, false},
		{"two points", headers("Retry-After: 1.2.3"), 0, false},
		{"other digits", headers("Retry-After: ٧"), 0, false},
		{"garbage", headers("Retry-After: soon"), 0, false},
		{"empty", headers("Retry-After: "), 0, false},

		{"date", headers("Retry-After: Sat, 01 Jan 2000 00:00:09 GMT"), 9 * s, true},
		{"past date", headers("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"), 0, true},
		{"date, and that of the response", headers("Retry-After: Wed, 25 Nov 2026 00:00:09 GMT", "Date: Wed, 25 Nov 2026 00:00:02 GMT"), 7 * s, true},
		{"past date by the server's clock", headers("Retry-After: Wed, 25 Nov 2026 00:00:09 GMT", "Date: Wed, 25 Nov 2026 00:00:10 GMT"), 0, true},
		{"date, and a bad one of the response", headers("Retry-After: Sat, 01 Jan 2000 00:00:09 GMT", "Date: today"), 9 * s, true},
		{"seconds, and a date of the response", headers("Retry-After: 7", "Date: Wed, 25 Nov 2026 00:00:10 GMT"), 7 * s, true},
		{"date of RFC 850", headers("Retry-After: Saturday, 01-Jan-00 00:00:09 GMT"), 9 * s, true},

		{"milliseconds", headers("Retry-After-Ms: 1500"), 1500 * ms, true},
		{"fraction of milliseconds", headers("Retry-After-Ms: 0.5"), 500 * time.Microsecond, true},
		{"milliseconds first", headers("Retry-After: 7", "Retry-After-Ms: 20", "RateLimit-Reset: 9"), 20 * ms, true},
		{"bad milliseconds", headers("Retry-After: 7", "Retry-After-Ms: soon", "RateLimit-Reset: 9"), 7 * s, true},
		{"too many milliseconds", headers("Retry-After-Ms: 9999999999999999999999"), (1<<63 - 1) / ms * ms, true},
		{"milliseconds, no date", headers("Retry-After-Ms: Sat, 01 Jan 2000 00:00:09 GMT"), 0, false},

		{"reset", headers("RateLimit-Reset: 9"), 9 * s, true},
		{"reset in lower case", headers("ratelimit-reset: 57", "ratelimit-remaining: 0", "ratelimit-limit: 300"), 57 * s, true},
		{"bad Retry-After, and reset", headers("Retry-After: -1", "RateLimit-Reset: 9"), 9 * s, true},
		{"bad reset", headers("RateLimit-Reset: soon"), 0, false},
		{"reset of a limit that was not exceeded", headers("RateLimit-Reset: 9", "RateLimit-Remaining: 1"), 0, false},
		{"Retry-After, and a limit that was not exceeded", headers("Retry-After: 7", "RateLimit-Reset: 9", "RateLimit-Remaining: 1"), 7 * s, true},
		{"reset, and a bad number of remaining", headers("RateLimit-Reset: 9", "RateLimit-Remaining: none"), 9 * s, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if got, asks := retryAfter(test.header, true); got != test.want || asks != test.asks {
					t.Errorf("retryAfter = %v, %v, want %v, %v", got, asks, test.want, test.asks)
				}
				// Without a rate limit, RateLimit-Reset is informational.
				test.header.Del("RateLimit-Reset")
				want, asks := retryAfter(test.header, true)
				test.header.Set("RateLimit-Reset", "5")
				if got, gotAsks := retryAfter(test.header, false); got != want || asks != gotAsks {
					t.Errorf("retryAfter without a limit = %v, %v, want %v, %v", got, gotAsks, want, asks)
				}
			})
		})
	}
}

// A call waits as long as the response asks for, up to MaxRetryAfter, and reports the wait.
func TestWaitThatTheServerRequests(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		header         http.Header
		wantRetryAfter time.Duration
		attempts       int
		least, most    time.Duration
	}{
		{"at the limit", headers("Retry-After: 30"), 30 * time.Second, 2, 30 * time.Second, 30 * time.Second},
		{"over the limit", headers("Retry-After: 31"), 31 * time.Second, 1, 0, 0},
		{"over the limit, milliseconds", headers("Retry-After-Ms: 30001"), 30001 * time.Millisecond, 1, 0, 0},
		{"over any limit", headers("Retry-After: 9999999999999999999999"), longest, 1, 0, 0},
		{"date", headers("Retry-After: Sat, 01 Jan 2000 00:00:09 GMT"), 9 * time.Second, 2, 9 * time.Second, 9 * time.Second},
		{"date over the limit", headers("Retry-After: Sat, 01 Jan 2000 01:00:00 GMT"), time.Hour, 1, 0, 0},
		{"zero", headers("Retry-After: 0"), 0, 2, 0, 500 * time.Millisecond},
		{"past date", headers("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"), 0, 2, 0, 500 * time.Millisecond},
	}
	for _, test := range tests {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprintf("%s/%d", test.name, status), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := &script{steps: []step{{status: status, header: test.header}}}
					resp, err := newTest(s, func(c *Config) { c.Retry.MaxAttempts = 2 }).do(t.Context(), read)
					if err != nil {
						t.Fatal(err)
					}
					if s.attempts != test.attempts {
						t.Fatalf("attempts = %d, want %d", s.attempts, test.attempts)
					}
					if s.attempts == 2 {
						if wait := s.times[1].Sub(s.times[0]); wait < test.least || wait > test.most {
							t.Errorf("wait = %v, want %v to %v", wait, test.least, test.most)
						}
					}
					// Without a Date header, the wait until a date gets shorter with each attempt.
					if passed := time.Since(s.times[0]); resp.RetryAfter > test.wantRetryAfter || resp.RetryAfter < test.wantRetryAfter-passed {
						t.Errorf("RetryAfter = %v, want %v", resp.RetryAfter, test.wantRetryAfter)
					}
				})
			})
		}
	}
}
