package kombo_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

func TestRetryAfterIsReported(t *testing.T) {
	t.Parallel()
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewStringResponder(429, "").HeaderSet(http.Header{"Retry-After": {"3600"}}))
	_, err := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock})).CheckAPIKey(t.Context())
	var kerr *kombo.Error
	if !errors.As(err, &kerr) || kerr.RetryAfter != time.Hour || kerr.Attempts != 1 {
		t.Errorf("error = %v, want the wait of an hour in the error, at once", err)
	}
}
