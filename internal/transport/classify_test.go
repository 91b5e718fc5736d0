package transport

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// classes has the class of each body in these tests.
var classes = map[string]Classification{
	"permanent": Permanent, "safe": SafeToRetry, "rate": RateLimited, "concurrency": ConcurrencyLimited,
}

func classifying(c *Config) {
	c.Classify = func(body []byte) Classification { return classes[string(body)] }
}

// Each attempt gets the same response. The table has the number of attempts of an idempotent and of a non-idempotent
// operation, and whether the first attempt may have been executed.
func TestClassification(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status          int
		body            string
		read, once      int
		mayHaveExecuted bool
	}{
		{200, "", 1, 1, false},
		{200, "safe", 1, 1, false},
		{204, "rate", 1, 1, false},
		{302, "", 1, 1, false},
		{400, "", 1, 1, false},
		{400, "safe", 4, 4, false},
		{409, "rate", 4, 4, false},
		{409, "concurrency", 4, 4, false},
		{409, "permanent", 1, 1, false},
		{407, "", 1, 1, false},
		{429, "", 4, 4, false},
		{429, "permanent", 1, 1, false},
		{429, "safe", 4, 4, false},
		{500, "", 4, 1, true},
		{500, "permanent", 1, 1, true},
		{500, "safe", 4, 4, true},
		{500, "rate", 4, 4, false},
		{501, "safe", 4, 4, true},
		{501, "", 1, 1, true},
		{503, "concurrency", 4, 4, false},
		{503, "permanent", 1, 1, true},
		{503, "safe", 4, 4, true},
	}
	for _, test := range tests {
		for _, operation := range []Operation{read, once} {
			t.Run(fmt.Sprintf("%d %s/%s", test.status, test.body, operation.Method), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := &script{steps: []step{{status: test.status, body: test.body}}}
					resp, err := newTest(s, classifying).do(t.Context(), operation)
					if err != nil {
						t.Fatal(err)
					}
					want := test.read
					if operation.NonIdempotent {
						want = test.once
					}
					if s.attempts != want || resp.Attempts != want || resp.MayHaveExecuted != (test.mayHaveExecuted && want > 1) {
						t.Errorf("%d attempts, resp = %+v, want %d attempts, MayHaveExecuted %v", s.attempts, resp, want, test.mayHaveExecuted)
					}
				})
			})
		}
	}
}

// A rate limit takes time to reset.
func TestWaitsAfterLimits(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	tests := []struct {
		name  string
		step  step
		retry RetryPolicy
		want  [3][2]time.Duration
	}{
		{"429", step{status: 429}, defaultPolicy, [3][2]time.Duration{{750 * ms, 1250 * ms}, {1500 * ms, 2500 * ms}, {3000 * ms, 5000 * ms}}},
		{"rate limit", step{status: 500, body: "rate"}, defaultPolicy, [3][2]time.Duration{{750 * ms, 1250 * ms}, {1500 * ms, 2500 * ms}, {3000 * ms, 5000 * ms}}},
		{"concurrency limit", step{status: 409, body: "concurrency"}, defaultPolicy, [3][2]time.Duration{{750 * ms, 1250 * ms}, {1500 * ms, 2500 * ms}, {3000 * ms, 5000 * ms}}},
		{"other delays", step{status: 429}, RetryPolicy{MaxAttempts: 4, BaseDelay: 10 * ms, MaxDelay: 30 * ms}, [3][2]time.Duration{{15 * ms, 25 * ms}, {22 * ms, 30 * ms}, {22 * ms, 30 * ms}}},
		{"503", step{status: 503}, defaultPolicy, [3][2]time.Duration{{0, 500 * ms}, {0, 1000 * ms}, {0, 2000 * ms}}},
		{"503 that is safe to retry", step{status: 503, body: "safe"}, defaultPolicy, [3][2]time.Duration{{0, 500 * ms}, {0, 1000 * ms}, {0, 2000 * ms}}},
		{"429, Retry-After: 0", step{status: 429, header: headers("Retry-After: 0")}, defaultPolicy, [3][2]time.Duration{{0, 500 * ms}, {0, 1000 * ms}, {0, 2000 * ms}}},
		{"429, Retry-After: soon", step{status: 429, header: headers("Retry-After: soon")}, defaultPolicy, [3][2]time.Duration{{750 * ms, 1250 * ms}, {1500 * ms, 2500 * ms}, {3000 * ms, 5000 * ms}}},
		{"429, RateLimit-Reset", step{status: 429, header: headers("RateLimit-Reset: 9")}, defaultPolicy, [3][2]time.Duration{{9000 * ms, 9000 * ms}, {9000 * ms, 9000 * ms}, {9000 * ms, 9000 * ms}}},
		{"503, RateLimit-Reset", step{status: 503, header: headers("RateLimit-Reset: 9")}, defaultPolicy, [3][2]time.Duration{{0, 500 * ms}, {0, 1000 * ms}, {0, 2000 * ms}}},
		{"concurrency limit, RateLimit-Reset", step{status: 429, body: "concurrency", header: headers("RateLimit-Reset: 9")}, defaultPolicy, [3][2]time.Duration{{750 * ms, 1250 * ms}, {1500 * ms, 2500 * ms}, {3000 * ms, 5000 * ms}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: []step{test.step}}
				_, err := newTest(s, func(c *Config) {
					classifying(c)
					c.Retry = test.retry
					c.Retry.MaxRetryAfter = defaultPolicy.MaxRetryAfter
				}).do(t.Context(), read)
				if err != nil || len(s.times) != 4 {
					t.Fatalf("%d attempts, %v", len(s.times), err)
				}
				for i, want := range test.want {
					if wait := s.times[i+1].Sub(s.times[i]); wait < want[0] || wait > want[1] {
						t.Errorf("wait %d = %v, want %v to %v", i+1, wait, want[0], want[1])
					}
				}
			})
		})
	}
}

func TestLimitBackoff(t *testing.T) {
	t.Parallel()
	longest, shortest := func(n int64) int64 { return n - 1 }, func(int64) int64 { return 0 }
	policy := RetryPolicy{BaseDelay: 500 * time.Millisecond, MaxDelay: 3 * time.Second}
	var got [3][2]time.Duration
	for i := range got {
		got[i] = [2]time.Duration{policy.limitBackoff(i+1, shortest), policy.limitBackoff(i+1, longest)}
	}
	want := [3][2]time.Duration{
		{750 * time.Millisecond, 1250 * time.Millisecond}, {1500 * time.Millisecond, 2500 * time.Millisecond}, {2250 * time.Millisecond, 3 * time.Second},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	for _, policy := range []RetryPolicy{{}, {BaseDelay: 1}, {BaseDelay: 1, MaxDelay: 1}, {BaseDelay: 1 << 62, MaxDelay: 1<<63 - 1}} {
		for _, attempts := range []int{1, 2, 100} {
			for _, random := range []func(int64) int64{shortest, longest} {
				if wait := policy.limitBackoff(attempts, random); wait < 0 || wait > policy.MaxDelay {
					t.Errorf("%+v after %d attempts: %v", policy, attempts, wait)
				}
			}
		}
	}
}
