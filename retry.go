package kombo

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/kombo-go/kombo/internal/transport"
)

// RetryPolicy sets how often and after which waits a call is retried. The zero value of each field means
// its default.
//
// The error code decides first. Codes that report a limit ([CodeRateLimitExceeded],
// [CodeConcurrencyLimitExceeded], [CodeRemoteRateLimitExceeded]) and [CodeRemoteServiceUnavailable] are
// retried, as Kombo advises. Codes that will not change within a call are not, such as
// [CodeIntegrationNotFound], [CodeInputInvalid] and [CodeIntegrationSetupSyncPending]. After any other code,
// and without one, the status decides: 429, 500, 502, 503 and 504 are retried.
//
// An attempt without a response is retried, too (connection refused or reset, timeout). Errors that would
// recur are not, such as an untrusted certificate, a proxy that asks for a password, or a TLS alert about the
// client certificate.
//
// [IntegrationsService.Sync], [IntegrationsService.Passthrough], and [Call] with POST or PATCH unless
// [Request.Idempotent] is set, are not idempotent. They are retried only if the request was not executed (no
// connection was made, a proxy refused to connect, a 429, or a limit) and after [CodeRemoteServiceUnavailable].
//
// The waits grow exponentially and are random: up to BaseDelay at first ("full jitter"). After a limit the
// first wait is twice BaseDelay, give or take a quarter. If the response asks for a longer wait, in
// Retry-After-Ms, Retry-After, or RateLimit-Reset (after a rate limit only), the wait is as long as that. If
// it asks for more than MaxRetryAfter, or the wait would pass the deadline of the call's context, the call
// returns the error of the last attempt at once.
type RetryPolicy struct {
	// MaxAttempts is the maximum number of attempts, including the first. The default is 4; 1 switches
	// retries off.
	MaxAttempts int
	// BaseDelay bounds the first wait; each further bound is twice the one before. The default is
	// 500 ms.
	BaseDelay time.Duration
	// MaxDelay caps the backoff. The default is 8 s.
	MaxDelay time.Duration
	// MaxRetryAfter is the longest wait that a response may ask for. A longer one ends the call; see
	// [Error.RetryAfter]. The default is 30 s.
	MaxRetryAfter time.Duration
}

func (p RetryPolicy) validate() error {
	switch {
	case p.MaxAttempts < 0:
		return errors.New("RetryPolicy.MaxAttempts is negative")
	case p.BaseDelay < 0:
		return errors.New("RetryPolicy.BaseDelay is negative")
	case p.MaxDelay < 0:
		return errors.New("RetryPolicy.MaxDelay is negative")
	case p.MaxRetryAfter < 0:
		return errors.New("RetryPolicy.MaxRetryAfter is negative")
	}
	return nil
}

func (p RetryPolicy) withDefaults() transport.RetryPolicy {
	orDefault := func(value, fallback time.Duration) time.Duration {
		if value == 0 {
			return fallback
		}
		return value
	}
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 4
	}
	return transport.RetryPolicy{
		MaxAttempts:   p.MaxAttempts,
		BaseDelay:     orDefault(p.BaseDelay, 500*time.Millisecond),
		MaxDelay:      orDefault(p.MaxDelay, 8*time.Second),
		MaxRetryAfter: orDefault(p.MaxRetryAfter, 30*time.Second),
	}
}

// classify returns what the error code in a response means for retries.
func classify(body []byte) transport.Classification {
	code := errorCode(body)
	switch code {
	case CodeRateLimitExceeded, CodeRemoteRateLimitExceeded:
		return transport.RateLimited
	case CodeConcurrencyLimitExceeded:
		return transport.ConcurrencyLimited
	case CodeRemoteServiceUnavailable:
		return transport.SafeToRetry
	case CodeIntegrationNotFound, CodeInputInvalid, CodeIPNotWhitelisted, CodeAuthenticationInvalid,
		CodeIntegrationPermissionMissing, CodeIntegrationAuthenticationInvalid, CodeIntegrationQAFailed,
		CodeIntegrationSetupSyncPending, CodeIntegrationSetupIncomplete, CodeIntegrationInactive,
		CodeIntegrationModelNotAvailable, CodeIntegrationModelDisabled, CodeIntegrationActionNotAvailable,
		CodeIntegrationActionDisabled, CodeRemoteInputInvalid, CodeAIApplyJobFeedImportAlreadyRunning,
		CodeATSJobClosed, CodeATSApplicationAlreadyExists, CodeHRISEmployeeAlreadyExists,
		CodeHRISStaffingEntityClosed, CodeLMSCourseUpdateNotSupported:
		return transport.Permanent
	case CodeUnknownError, CodeTaskTimedOut, CodeRemoteUnknownHTTPError, CodeAIApplyJobFeedImportTimedOut:
		return transport.ByStatus
	}
	// New codes of these categories are about one record, too.
	for _, category := range [...]string{"ATS.", "HRIS.", "LMS."} {
		if strings.HasPrefix(string(code), category) {
			return transport.Permanent
		}
	}
	return transport.ByStatus
}

// errorCode returns the code in a response, or "": the same that errorFromResponse puts into the Error of the last one. It
// decodes nothing else, because it runs after every failed attempt and most results are not used.
func errorCode(body []byte) ErrorCode {
	var response struct {
		Error struct {
			Code ErrorCode `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(withoutBOM(body), &response)
	return response.Error.Code
}
