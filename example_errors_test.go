package kombo_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// What a service does after a failed call that reads or writes data. Retries have been made by then.
func ExampleError_code() {
	advice := func(err error) string {
		kerr, ok := errors.AsType[*kombo.Error](err)
		if !ok {
			return "it is no error of this package"
		}
		switch kerr.Code {
		case kombo.CodeAuthenticationInvalid, kombo.CodeIPNotWhitelisted:
			return "alert: the API key does not work"
		case kombo.CodeIntegrationAuthenticationInvalid: // errors.Is(err, kombo.ErrReconnectRequired)
			return "send the customer a link of Relink"
		case kombo.CodeIntegrationPermissionMissing:
			return "ask the customer for the permission: " + kerr.Message
		case kombo.CodeIntegrationSetupIncomplete:
			return "send the customer a link of SetupLink"
		case kombo.CodeIntegrationSetupSyncPending, kombo.CodeIntegrationQAFailed:
			return "try again in an hour"
		case kombo.CodeIntegrationNotFound, kombo.CodeIntegrationInactive:
			return "stop using the integration"
		case kombo.CodeIntegrationModelDisabled, kombo.CodeIntegrationActionDisabled:
			return "allow it in the scope config"
		case kombo.CodeIntegrationModelNotAvailable, kombo.CodeIntegrationActionNotAvailable, kombo.CodeLMSCourseUpdateNotSupported:
			return "do not offer it for this tool"
		case kombo.CodeRateLimitExceeded, kombo.CodeConcurrencyLimitExceeded, kombo.CodeRemoteRateLimitExceeded:
			return "try again after " + kerr.RetryAfter.String()
		case kombo.CodeRemoteServiceUnavailable, kombo.CodeRemoteUnknownHTTPError, kombo.CodeTaskTimedOut, kombo.CodeUnknownError:
			return "try again later; if it persists, send Kombo " + kerr.LogURL
		case kombo.CodeATSApplicationAlreadyExists, kombo.CodeHRISEmployeeAlreadyExists, kombo.CodeAIApplyJobFeedImportAlreadyRunning:
			return "nothing to do"
		case kombo.CodeATSJobClosed, kombo.CodeHRISStaffingEntityClosed, kombo.CodeRemoteInputInvalid, kombo.CodeInputInvalid:
			return "show the user: " + kerr.Message
		case kombo.CodeAIApplyJobFeedImportTimedOut:
			return "import a smaller feed"
		default: // a network error, a proxy, or a code that Kombo has added since
			return "log it"
		}
	}

	srv, client, integrationID := exampleData()
	defer srv.Close()
	for _, code := range []kombo.ErrorCode{kombo.CodeIntegrationSetupSyncPending, kombo.CodeIntegrationAuthenticationInvalid, "NEW.CODE"} {
		srv.InjectFault(kombotest.Fault{Op: "GET /hris/employees", Code: code})
		_, err := kombo.ListPage[struct{}](context.Background(), client, kombo.ListRequest{Path: "/hris/employees", IntegrationID: integrationID})
		fmt.Println(code, "→", advice(err))
	}
	// Output:
	// INTEGRATION.SETUP_SYNC_PENDING → try again in an hour
	// INTEGRATION.AUTHENTICATION_INVALID → send the customer a link of Relink
	// NEW.CODE → log it
}

// A log record has the parts of an error as fields, and no secrets.
func ExampleError_LogValue() {
	client, done := exampleClient()
	defer done()
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "log_url" || a.Key == "message" {
				return slog.Attr{} // only to keep this output short
			}
			return a
		},
	}))
	err := client.Integrations.Delete(context.Background(), "personio:gone")
	logger.Error("cannot delete", "error", err)
	// Output: level=ERROR msg="cannot delete" error.op="DELETE /integrations/{integration_id}" error.attempts=1 error.status=404 error.code=PLATFORM.INTEGRATION_NOT_FOUND
}

// The status for each error of a webhook that is refused. WebhookVerifier.Handler responds with the same.
func ExampleWebhookVerifier_ParseRequest() {
	verifier, err := kombo.NewWebhookVerifier("the webhook secret")
	if err != nil {
		log.Fatal(err)
	}
	receive := func(w http.ResponseWriter, r *http.Request) {
		event, err := verifier.ParseRequest(r)
		switch {
		case errors.Is(err, kombo.ErrMissingSignature), errors.Is(err, kombo.ErrInvalidSignature):
			w.WriteHeader(http.StatusUnauthorized)
		case errors.Is(err, kombo.ErrPayloadTooLarge):
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case errors.Is(err, kombo.ErrInvalidPayload):
			w.WriteHeader(http.StatusBadRequest) // signed, but not an event: an alert
		case err != nil: // the body could not be read
			w.WriteHeader(http.StatusBadRequest)
		default:
			fmt.Println("store", event.EventType())
			w.WriteHeader(http.StatusNoContent)
		}
	}
	srv := kombotest.NewServer(kombotest.Config{WebhookSecret: "the webhook secret"})
	defer srv.Close()
	app := httptest.NewServer(http.HandlerFunc(receive))
	defer app.Close()
	srv.SetWebhookURL(app.URL)
	ctx := context.Background()
	if err := srv.Deliver(ctx, kombotest.Sample(kombo.EventSyncFinished, kombotest.Integration{})); err != nil {
		log.Fatal(err)
	}
	if err := srv.DeliverForged(ctx, kombotest.Sample(kombo.EventSyncFinished, kombotest.Integration{})); err != nil {
		log.Fatal(err)
	}
	for _, delivery := range srv.Deliveries() {
		fmt.Println(delivery.StatusCode)
	}
	// Output:
	// store sync-finished
	// 204
	// 401
}

// A gateway in front of Kombo fails with a page of its own, which Error.Body keeps: useful at night, but not in every log.
func ExampleError_body() {
	srv, client, integrationID := exampleData()
	defer srv.Close()
	srv.InjectFault(kombotest.Fault{Times: -1, Status: http.StatusBadGateway, Body: "<html>" + strings.Repeat("<p>Bad gateway</p>", 10_000)})
	_, err := client.Integrations.Get(context.Background(), integrationID)
	if kerr, ok := errors.AsType[*kombo.Error](err); ok {
		fmt.Println(kerr.StatusCode, len(kerr.Body) == kombo.MaxErrorBody, strings.HasPrefix(string(kerr.Body), "<html><p>Bad gateway"))
	}
	srv.ClearFaults()
	_, err = client.Integrations.Get(context.Background(), integrationID)
	fmt.Println(err)
	// Output:
	// 502 true true
	// <nil>
}

// A transport that counts requests by route: one without values, such as integration IDs.
func ExampleOperationFromContext() {
	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	transport := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		fmt.Println(kombo.OperationFromContext(r.Context()))
		return http.DefaultTransport.RoundTrip(r)
	})
	client, err := srv.Client(kombo.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		log.Fatal(err)
	}
	_, _ = client.Integrations.Get(context.Background(), "personio:CBNMt7dSNCzBdnRTx87dev4E")
	// Output: GET /integrations/{integration_id}
}

// The defaults, written out.
func ExampleWithTimeout() {
	client, err := kombo.NewClient("ks_prod_your-api-key", kombo.WithMaxResponseSize(kombo.DefaultMaxResponseSize))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client, "waits", kombo.DefaultTimeout, "and", kombo.DefaultLinkTimeout, "for POST")

	// Half a minute for everything suits a service whose own requests end after a minute.
	_, err = kombo.NewClient("ks_prod_your-api-key", kombo.WithTimeout(kombo.DefaultTimeout/2))
	if err != nil {
		log.Fatal(err)
	}
	// Output: kombo.Client(https://api.kombo.dev/v1) waits 1m0s and 5m0s for POST
}
