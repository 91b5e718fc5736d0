package kombo

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo/internal/transport"
)

// The error codes as Kombo documents them.
func TestClassify(t *testing.T) {
	t.Parallel()
	codes := map[transport.Classification][]string{
		transport.RateLimited:        {"PLATFORM.RATE_LIMIT_EXCEEDED", "REMOTE.RATE_LIMIT_EXCEEDED"},
		transport.ConcurrencyLimited: {"PLATFORM.CONCURRENCY_LIMIT_EXCEEDED"},
		transport.SafeToRetry:        {"REMOTE.SERVICE_UNAVAILABLE"},
		transport.Permanent: {
			"PLATFORM.INTEGRATION_NOT_FOUND", "PLATFORM.INPUT_INVALID", "PLATFORM.IP_NOT_WHITELISTED", "PLATFORM.AUTHENTICATION_INVALID",
			"INTEGRATION.PERMISSION_MISSING", "INTEGRATION.AUTHENTICATION_INVALID", "INTEGRATION.QA_FAILED",
			"INTEGRATION.SETUP_SYNC_PENDING", "INTEGRATION.SETUP_INCOMPLETE", "INTEGRATION.INACTIVE",
			"INTEGRATION.MODEL_NOT_AVAILABLE", "INTEGRATION.MODEL_DISABLED",
			"INTEGRATION.ACTION_NOT_AVAILABLE", "INTEGRATION.ACTION_DISABLED",
			"REMOTE.INPUT_INVALID",
			"ATS.JOB_CLOSED", "ATS.APPLICATION_ALREADY_EXISTS", "HRIS.EMPLOYEE_ALREADY_EXISTS",
			"HRIS.STAFFING_ENTITY_CLOSED", "LMS.COURSE_UPDATE_NOT_SUPPORTED", "ATS.NEW", "HRIS.NEW", "LMS.NEW",
			"AI_APPLY.JOB_FEED_IMPORT_ALREADY_RUNNING",
		},
		transport.ByStatus: {
			"PLATFORM.UNKNOWN_ERROR", "PLATFORM.TASK_TIMED_OUT", "REMOTE.UNKNOWN_HTTP_ERROR",
			"AI_APPLY.JOB_FEED_IMPORT_TIMED_OUT",
			"", "PLATFORM.NEW", "INTEGRATION.NEW", "REMOTE.NEW", "AI_APPLY.NEW", "ATS", "platform.rate_limit_exceeded",
		},
	}
	for want, codes := range codes {
		for _, code := range codes {
			for _, before := range []string{"", "\ufeff"} {
				body := before + `{"status":"error","error":{"code":"` + code + `","title":null,"message":"Message.","log_url":null}}`
				if got := classify([]byte(body)); got != want {
					t.Errorf("%q: %v, want %v", code, got, want)
				}
			}
		}
	}
	for _, body := range []string{
		"", "null", "{}", "[]", "PLATFORM.RATE_LIMIT_EXCEEDED", `{"code":"PLATFORM.RATE_LIMIT_EXCEEDED"}`,
		`{"error":"PLATFORM.RATE_LIMIT_EXCEEDED"}`, `{"error":{"code":{"PLATFORM.RATE_LIMIT_EXCEEDED":1}}}`,
		`{"error":{"code":null}}`, `{"error":{"code":"PLATFORM.RATE_LIMIT_EXCEEDED"`, "<html>429</html>",
	} {
		if got := classify([]byte(body)); got != transport.ByStatus {
			t.Errorf("%s: %v, want ByStatus", body, got)
		}
	}
}

// Retries are decided by the code that the caller gets.
func TestClassifiedCodeIsTheCodeOfTheError(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]ErrorCode{
		`{"error":{"code":"A"},"error":null}`:                         "A",
		`{"error":{"code":"A"},"error":{"message":"m"}}`:              "A",
		`{"error":{"code":"A"},"error":{"code":"B"}}`:                 "B",
		`{"error":{"code":"A"},"Error":{"CODE":"B"}}`:                 "B",
		`{"error":{"code":"A","code":5}}`:                             "A",
		`{"error":{"code":"A"},"error":[]}`:                           "A",
		`{"error":[{"code":"A"}]}`:                                    "",
		`[{"error":{"code":"A"}}]`:                                    "",
		`{"error":{"code":"A","message":{},"title":[],"log_url":{}}}`: "A",
		`{"error":{"code":"A"},"status":[],"data":5}`:                 "A",
		`{"error":{"code":"A"}} {}`:                                   "",
		" \n\ufeff{}":                                                 "",
		"\ufeff\n{\"error\":{\"code\":\"A\"}}":                        "A",
	} {
		resp := &transport.Response{StatusCode: 503, Body: []byte(body)}
		if got, reported := errorCode(resp.Body), errorFromResponse(transport.Operation{}, resp).Code; got != want || reported != want {
			t.Errorf("%s: classified as %q, reported as %q, want %q", body, got, reported, want)
		}
	}
}

// The documented zero value.
func TestRetryPolicyDefaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		policy RetryPolicy
		want   transport.RetryPolicy
	}{
		{"zero", RetryPolicy{}, transport.RetryPolicy{
			MaxAttempts: 4, BaseDelay: 500 * time.Millisecond, MaxDelay: 8 * time.Second, MaxRetryAfter: 30 * time.Second,
		}},
		{"all set", RetryPolicy{MaxAttempts: 1, BaseDelay: 2, MaxDelay: 3, MaxRetryAfter: 4}, transport.RetryPolicy{
			MaxAttempts: 1, BaseDelay: 2, MaxDelay: 3, MaxRetryAfter: 4,
		}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, test.policy.withDefaults()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
