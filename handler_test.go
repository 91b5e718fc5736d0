package kombo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sdksource"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	body := webhook(t, "integration-state-changed")
	unknown := webhook(t, "new-thing")
	broken := []byte(`{"id":"e","type":"integration-created","data":null}`)
	large := bytes.Repeat([]byte("x"), kombo.MaxWebhookBody+1)
	boom := errors.New("database is down")
	tests := []struct {
		name       string
		method     string
		body       io.Reader
		signature  string
		handle     func(context.Context, *kombo.IntegrationStateChangedEvent) error
		wantStatus int
		wantBody   string
		wantError  error
	}{
		{"handled", "POST", bytes.NewReader(body), kombo.SignWebhook(testSecret, body), nil, 204, "", nil},
		{"unknown event", "POST", bytes.NewReader(unknown), kombo.SignWebhook(testSecret, unknown), nil, 204, "", nil},
		{"GET", "GET", nil, "", nil, 405, "use POST\n", nil},
		{"PUT", "PUT", bytes.NewReader(body), kombo.SignWebhook(testSecret, body), nil, 405, "use POST\n", nil},
		{"no signature", "POST", bytes.NewReader(body), "", nil, 401, "the signature is missing or wrong\n", kombo.ErrMissingSignature},
		{"wrong signature", "POST", bytes.NewReader(body), kombo.SignWebhook("other", body), nil, 401, "the signature is missing or wrong\n", kombo.ErrInvalidSignature},
		{"too large", "POST", bytes.NewReader(large), kombo.SignWebhook(testSecret, large), nil, 413, "the body is too large\n", kombo.ErrPayloadTooLarge},
		{"malformed", "POST", bytes.NewReader(broken), kombo.SignWebhook(testSecret, broken), nil, 400, "the body is not a webhook\n", kombo.ErrInvalidPayload},
		{"cut", "POST", iotest.ErrReader(io.ErrUnexpectedEOF), kombo.SignWebhook(testSecret, body), nil, 400, "the body is not a webhook\n", io.ErrUnexpectedEOF},
		{
			"function fails", "POST", bytes.NewReader(body), kombo.SignWebhook(testSecret, body),
			func(context.Context, *kombo.IntegrationStateChangedEvent) error { return boom },
			500, "the webhook could not be handled\n", boom,
		},
		{
			"function panics", "POST", bytes.NewReader(body), kombo.SignWebhook(testSecret, body),
			func(context.Context, *kombo.IntegrationStateChangedEvent) error { panic("oh no") },
			500, "the webhook could not be handled\n", boom,
		},
		{
			"function panics with an error", "POST", bytes.NewReader(body), kombo.SignWebhook(testSecret, body),
			func(context.Context, *kombo.IntegrationStateChangedEvent) error { panic(boom) },
			500, "the webhook could not be handled\n", boom,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var reported error
			fellBack := false
			handler := newVerifier(t, testSecret).Handler(kombo.EventHandlers{
				IntegrationStateChanged: test.handle,
				Fallback:                func(context.Context, kombo.Event) error { fellBack = true; return nil },
				OnError:                 func(_ context.Context, err error) { reported = err },
			})
			r := httptest.NewRequest(test.method, "/webhooks/kombo", test.body)
			if test.signature != "" {
				r.Header.Set(kombo.SignatureHeader, test.signature)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != test.wantStatus || w.Body.String() != test.wantBody {
				t.Errorf("response = %d %q, want %d %q", w.Code, w.Body, test.wantStatus, test.wantBody)
			}
			if fellBack != (test.wantStatus == 204) {
				t.Errorf("handed on: %v", fellBack)
			}
			if test.wantStatus == 405 && w.Header().Get("Allow") != "POST" {
				t.Errorf("Allow = %q", w.Header().Get("Allow"))
			}
			if (reported == nil) != (test.wantError == nil) || test.name != "function panics" && !errors.Is(reported, test.wantError) {
				t.Errorf("reported = %v, want %v", reported, test.wantError)
			}
		})
	}
}

func TestHandlerTellsWherePanicsCameFrom(t *testing.T) {
	t.Parallel()
	var reported error
	body := webhook(t, "integration-created")
	handler := newVerifier(t, testSecret).Handler(kombo.EventHandlers{
		Fallback: func(context.Context, kombo.Event) error { panic("oh no") },
		OnError:  func(_ context.Context, err error) { reported = err },
	})
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set(kombo.SignatureHeader, kombo.SignWebhook(testSecret, body))
	handler.ServeHTTP(httptest.NewRecorder(), r)
	want := "kombo: handling integration-created evtCreated000000000000001: panic: oh no\n"
	if reported == nil || !strings.HasPrefix(reported.Error(), want) || !strings.Contains(reported.Error(), "TestHandlerTellsWherePanicsCameFrom") {
		t.Errorf("reported = %v", reported)
	}
}

// A text that Kombo has signed may still contain line breaks.
func TestHandlerReportsInOneLine(t *testing.T) {
	t.Parallel()
	var reported error
	body := []byte(`{"id":"e\n1","type":"new\r\nthing\u2028","data":{}}`)
	handler := newVerifier(t, testSecret).Handler(kombo.EventHandlers{
		Fallback: func(context.Context, kombo.Event) error { return errors.New("database is down") },
		OnError:  func(_ context.Context, err error) { reported = err },
	})
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set(kombo.SignatureHeader, kombo.SignWebhook(testSecret, body))
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if want := "kombo: handling new  thing  e 1: database is down"; reported == nil || reported.Error() != want {
		t.Errorf("reported = %v, want %s", reported, want)
	}
}

// Each event goes to the function for its type, or to the fallback if that is nil.
func TestEventHandlers(t *testing.T) {
	t.Parallel()
	var own, fallback []string
	handlers := allHandlers(&own)
	handlers.Fallback = record[kombo.Event](&fallback)
	onlyFallback := kombo.EventHandlers{Fallback: handlers.Fallback}
	for name, event := range wantEvents() {
		own, fallback = nil, nil
		if err := handlers.Handle(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		got := own
		if name == "new-thing.json" {
			got = fallback
		}
		if diff := cmp.Diff([]string{string(event.EventType())}, got); diff != "" || len(own)+len(fallback) != 1 {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		fallback = nil
		if err := onlyFallback.Handle(t.Context(), event); err != nil || len(fallback) != 1 {
			t.Errorf("%s: the fallback got %v, %v", name, fallback, err)
		}
		if err := (kombo.EventHandlers{}).Handle(t.Context(), event); err != nil {
			t.Errorf("%s without functions: %v", name, err)
		}
	}
}

// Every declared event type has a struct, a body in testdata, and a field of EventHandlers; and every body has a declared type.
func TestEventTypesAreComplete(t *testing.T) {
	t.Parallel()
	samples := map[string]kombo.Event{}
	for name, body := range webhooks(t) {
		event, err := kombo.ParseEvent(body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		samples[string(event.EventType())] = event
	}
	types := sdksource.Values(t, ".", "EventType")
	for eventType := range samples {
		if !slices.Contains(types, eventType) && eventType != "new-thing" {
			t.Errorf("testdata/webhooks has a body of %s, which is not declared", eventType)
		}
	}
	for _, eventType := range types {
		switch samples[eventType].(type) {
		case nil:
			t.Errorf("%s has no body in testdata/webhooks", eventType)
		case *kombo.UnknownEvent:
			t.Errorf("%s has no struct", eventType)
		}
		if requiredFields[kombo.EventType(eventType)] == nil {
			t.Errorf("requiredFields lacks %s", eventType)
		}
	}
	functions := 0
	for field := range reflect.TypeFor[kombo.EventHandlers]().Fields() {
		if !isForAll(field) {
			functions++
		}
	}
	if functions != len(types) {
		t.Errorf("%d functions for %d event types", functions, len(types))
	}
}

// No function is called with a nil event or a nil pointer.
func TestHandleOfNothingIsAnError(t *testing.T) {
	t.Parallel()
	nothing := []kombo.Event{nil}
	for _, event := range wantEvents() {
		nothing = append(nothing, reflect.Zero(reflect.TypeOf(event)).Interface().(kombo.Event))
	}
	var reached []string
	for _, handlers := range []kombo.EventHandlers{{}, {Fallback: record[kombo.Event](&reached)}, allHandlers(&reached)} {
		for _, event := range nothing {
			if err := handlers.Handle(t.Context(), event); err == nil || err.Error() != "kombo: EventHandlers.Handle: the event is nil" {
				t.Errorf("Handle of a nil %T = %v", event, err)
			}
		}
	}
	if len(reached) > 0 {
		t.Errorf("functions were called: %v", reached)
	}
}

// allHandlers has a function for every event type.
func allHandlers(to *[]string) kombo.EventHandlers {
	var handlers kombo.EventHandlers
	for field, function := range reflect.ValueOf(&handlers).Elem().Fields() {
		if isForAll(field) {
			continue
		}
		function.Set(reflect.MakeFunc(field.Type, func(arguments []reflect.Value) []reflect.Value {
			*to = append(*to, string(arguments[1].Interface().(kombo.Event).EventType()))
			return []reflect.Value{reflect.Zero(field.Type.Out(0))}
		}))
	}
	return handlers
}

// isForAll reports whether a field of EventHandlers is not for one event type.
func isForAll(field reflect.StructField) bool {
	return field.Name == "Fallback" || field.Name == "OnError" || field.Name == "OnDelivery"
}

func record[E kombo.Event](to *[]string) func(context.Context, E) error {
	return func(_ context.Context, event E) error {
		*to = append(*to, string(event.EventType()))
		return nil
	}
}

// receive serves a handler of webhooks on a real connection and returns its address and what the server logs.
func receive(t *testing.T, handler http.Handler) (address string, serverLog *syncBuffer) {
	t.Helper()
	serverLog = &syncBuffer{}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(serverLog, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, serverLog
}

// postWebhook sends a webhook and returns the status of the response. It sends a Content-Length if body is a
// [bytes.Reader], else chunks.
func postWebhook(t *testing.T, address string, body io.Reader, signature string) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(kombo.SignatureHeader, signature)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// A panic with http.ErrAbortHandler closes the connection: no response, nothing logged, nothing reported.
func TestHandlerAborts(t *testing.T) {
	t.Parallel()
	created, unknown := webhook(t, "integration-created"), webhook(t, "new-thing")
	abort := func(context.Context, kombo.Event) error { panic(http.ErrAbortHandler) }
	wrapped := fmt.Errorf("giving up: %w", http.ErrAbortHandler)
	tests := []struct {
		name       string
		body       []byte
		signature  string
		handlers   kombo.EventHandlers
		wantStatus int // 0 for none
	}{
		{"function", created, "", kombo.EventHandlers{IntegrationCreated: func(context.Context, *kombo.IntegrationCreatedEvent) error { panic(http.ErrAbortHandler) }}, 0},
		{"Fallback of a known type", created, "", kombo.EventHandlers{Fallback: abort}, 0},
		{"Fallback of an unknown type", unknown, "", kombo.EventHandlers{Fallback: abort}, 0},
		{"OnError of a refused webhook", created, "wrong", kombo.EventHandlers{OnError: func(context.Context, error) { panic(http.ErrAbortHandler) }}, 0},
		{
			"OnError of a function that fails", created, "",
			kombo.EventHandlers{
				Fallback: func(context.Context, kombo.Event) error { return errors.New("database is down") },
				OnError:  func(context.Context, error) { panic(http.ErrAbortHandler) },
			},
			0,
		},
		{"returned, not a panic", created, "", kombo.EventHandlers{Fallback: func(context.Context, kombo.Event) error { return http.ErrAbortHandler }}, 500},
		{"wrapped, which net/http does not honor", created, "", kombo.EventHandlers{Fallback: func(context.Context, kombo.Event) error { panic(wrapped) }}, 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var mutex sync.Mutex
			var reported []error
			var deliveries []kombo.DeliveryInfo
			if test.handlers.OnError == nil {
				test.handlers.OnError = func(_ context.Context, err error) {
					mutex.Lock()
					defer mutex.Unlock()
					reported = append(reported, err)
				}
			}
			done := make(chan struct{})
			test.handlers.OnDelivery = func(_ context.Context, info kombo.DeliveryInfo) {
				deliveries = append(deliveries, info)
				close(done)
			}
			if test.signature == "" {
				test.signature = kombo.SignWebhook(testSecret, test.body)
			}
			address, serverLog := receive(t, newVerifier(t, testSecret).Handler(test.handlers))
			status, err := postWebhook(t, address, bytes.NewReader(test.body), test.signature)
			if status != test.wantStatus || (test.wantStatus == 0) != errors.Is(err, io.EOF) {
				t.Errorf("response = %d, %v, want %d", status, err, test.wantStatus)
			}
			<-done
			if len(deliveries) != 1 || deliveries[0].StatusCode != test.wantStatus || !errors.Is(deliveries[0].Err, http.ErrAbortHandler) {
				t.Errorf("deliveries = %+v", deliveries)
			}
			mutex.Lock()
			defer mutex.Unlock()
			if (len(reported) == 0) != (test.wantStatus == 0) || serverLog.String() != "" {
				t.Errorf("reported = %v, logged = %q", reported, serverLog)
			}
		})
	}
}

// OnDelivery is called once for each POST, with the same error as OnError.
func TestOnDelivery(t *testing.T) {
	t.Parallel()
	body, unknown := webhook(t, "integration-created"), webhook(t, "new-thing")
	broken := []byte(`{"id":"e","type":"integration-created","data":null}`)
	large := bytes.Repeat([]byte("x"), kombo.MaxWebhookBody+1)
	boom := errors.New("database is down")
	created := func(status int) kombo.DeliveryInfo {
		return kombo.DeliveryInfo{EventType: kombo.EventIntegrationCreated, EventID: "evtCreated000000000000001", StatusCode: status}
	}
	tests := []struct {
		name      string
		body      io.Reader
		signature string
		handle    func(context.Context, kombo.Event) error
		want      kombo.DeliveryInfo
		wantErr   error
	}{
		{"handled", bytes.NewReader(body), kombo.SignWebhook(testSecret, body), func(context.Context, kombo.Event) error { return nil }, created(204), nil},
		{"no function", bytes.NewReader(body), kombo.SignWebhook(testSecret, body), nil, created(204), nil},
		{"unknown type", bytes.NewReader(unknown), kombo.SignWebhook(testSecret, unknown), nil, kombo.DeliveryInfo{EventType: "new-thing", EventID: "evtNew0000000000000000001", StatusCode: 204}, nil},
		{"no signature", bytes.NewReader(body), "", nil, kombo.DeliveryInfo{StatusCode: 401}, kombo.ErrMissingSignature},
		{"wrong signature", bytes.NewReader(body), "wrong", nil, kombo.DeliveryInfo{StatusCode: 401}, kombo.ErrInvalidSignature},
		{"too large", bytes.NewReader(large), kombo.SignWebhook(testSecret, large), nil, kombo.DeliveryInfo{StatusCode: 413}, kombo.ErrPayloadTooLarge},
		{"not an event", bytes.NewReader(broken), kombo.SignWebhook(testSecret, broken), nil, kombo.DeliveryInfo{StatusCode: 400}, kombo.ErrInvalidPayload},
		{"fails", bytes.NewReader(body), kombo.SignWebhook(testSecret, body), func(context.Context, kombo.Event) error { return boom }, created(500), boom},
		{"panics", bytes.NewReader(body), kombo.SignWebhook(testSecret, body), func(context.Context, kombo.Event) error { panic(boom) }, created(500), boom},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			deliveries := make(chan kombo.DeliveryInfo, 2)
			reported := make(chan error, 2)
			address, _ := receive(t, newVerifier(t, testSecret).Handler(kombo.EventHandlers{
				Fallback:   test.handle,
				OnError:    func(_ context.Context, err error) { reported <- err },
				OnDelivery: func(_ context.Context, info kombo.DeliveryInfo) { deliveries <- info },
			}))
			if response, err := http.Get(address); err != nil || response.StatusCode != 405 || len(deliveries) > 0 {
				t.Errorf("GET = %v, %v; it is not a delivery", response, err)
			}
			if status, err := postWebhook(t, address, test.body, test.signature); status != test.want.StatusCode || err != nil {
				t.Errorf("response = %d, %v", status, err)
			}
			got := <-deliveries
			if !errors.Is(got.Err, test.wantErr) {
				t.Errorf("err = %v, want %v", got.Err, test.wantErr)
			}
			if got.Err != nil {
				if err := <-reported; !errors.Is(err, got.Err) {
					t.Errorf("err = %v, but OnError got %v", got.Err, err)
				}
			}
			if refused := got.EventID == ""; refused != (got.Event == nil) || !refused && got.Event.EventID() != got.EventID {
				t.Errorf("event = %+v", got.Event)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(kombo.DeliveryInfo{}, "Duration", "Err", "Event")); diff != "" {
				t.Errorf("delivery (-want +got):\n%s", diff)
			}
			if got.Duration <= 0 || got.Duration > time.Minute || len(deliveries)+len(reported) > 0 {
				t.Errorf("%v; %d more deliveries, %d more errors", got.Duration, len(deliveries), len(reported))
			}
		})
	}
}

func TestOnDeliveryHasTheWholeDuration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var durations []time.Duration
		body := webhook(t, "integration-created")
		handler := newVerifier(t, testSecret).Handler(kombo.EventHandlers{
			Fallback: func(ctx context.Context, _ kombo.Event) error {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				<-ctx.Done()
				return nil
			},
			OnDelivery: func(_ context.Context, info kombo.DeliveryInfo) { durations = append(durations, info.Duration) },
		})
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set(kombo.SignatureHeader, kombo.SignWebhook(testSecret, body))
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if diff := cmp.Diff([]time.Duration{time.Minute}, durations); diff != "" {
			t.Errorf("durations (-want +got):\n%s", diff)
		}
	})
}

// Without OnError, failures are logged to the default logger, and refusals are not logged. The test replaces the
// default logger, so it runs alone.
func TestHandlerLogsFailuresByDefault(t *testing.T) { //nolint:paralleltest // changes slog's default logger
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)

	body := webhook(t, "integration-created")
	handler := newVerifier(t, testSecret).Handler(kombo.EventHandlers{
		Fallback: func(context.Context, kombo.Event) error { return errors.New("database is down") },
	})
	for _, signature := range []string{"", "wrong", kombo.SignWebhook(testSecret, body)} {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set(kombo.SignatureHeader, signature)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "database is down") {
		t.Errorf("log = %q", got)
	}
}
