package kombotest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestRequests(t *testing.T) {
	t.Parallel()
	var seen []string
	srv, client := kombotest.Start(t, kombotest.Config{OnRequest: func(r kombotest.Request) { seen = append(seen, r.Op) }})
	if _, err := client.Connect.CreateLink(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	send(t, srv, "POST", "/integrations/a%3A1/relink?x=1", "{}")
	send(t, srv, "GET", "/nowhere", "")
	got := srv.Requests()
	for i := range got {
		if got[i].Time.IsZero() || got[i].Duration <= 0 || got[i].Header.Get("Authorization") != "Bearer "+srv.APIKey() {
			t.Errorf("request %d = %+v", i, got[i])
		}
		got[i].Time, got[i].Duration, got[i].Header = time.Time{}, 0, nil
	}
	want := []kombotest.Request{
		{
			Number: 1, Op: "POST /connect/create-link", Method: "POST", Path: "/connect/create-link", StatusCode: 200,
			Body: []byte(`{"end_user_email":"ada@acme.example","end_user_organization_name":"Müller \u0026 Söhne \u003cHR\u003e","end_user_origin_id":"42"}`),
		},
		{
			Number: 2, Op: "POST /integrations/{integration_id}/relink", Method: "POST", Path: "/integrations/a%3A1/relink?x=1",
			Body: []byte("{}"), StatusCode: 404, ErrorCode: kombo.CodeIntegrationNotFound,
		},
		{Number: 3, Method: "GET", Path: "/nowhere", Body: []byte{}, StatusCode: 404},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"POST /connect/create-link", "POST /integrations/{integration_id}/relink", ""}, seen); diff != "" {
		t.Errorf("OnRequest (-want +got):\n%s", diff)
	}
}

// Only the beginning of a long body is recorded.
func TestLongBodiesAreRecordedInPart(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	long := `{"end_user_email":"a@b.example","end_user_organization_name":"` + strings.Repeat("x", 100<<10) + `"}`
	if status, _, response := send(t, srv, "POST", "/connect/create-link", long); status != http.StatusOK {
		t.Errorf("%d %s", status, response)
	}
	if got := string(srv.Requests()[0].Body); len(got) != 64<<10 || !strings.HasPrefix(long, got) {
		t.Errorf("%d bytes are recorded", len(got))
	}
}

// Arguments and results are copies: the caller may change them.
func TestCopies(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: newReceiver(t, 204).URL})
	srv.InjectFault(kombotest.Fault{Times: -1, Header: http.Header{"A": {"1"}}})
	srv.Faults()[0].Header.Set("A", "2")
	srv.Tools()[0].Categories[0] = "BROKEN"
	srv.Connect(t, request)
	srv.Deliveries()[0].Body[0] = 'X'
	srv.AwaitDelivery(t, kombo.EventIntegrationCreated).Body[0] = 'X'
	send(t, srv, "POST", "/connect/create-link", "{}")
	sent := srv.Requests()[0]
	sent.Body[0] = 'X'
	sent.Header.Set("Authorization", "X")
	sent.Header["Accept-Encoding"][0] = "X"
	if srv.Faults()[0].Header.Get("A") != "1" || srv.Tools()[0].Categories[0] != kombo.CategoryHRIS || srv.Deliveries()[0].Body[0] != '{' {
		t.Error("the server's own was changed")
	}
	again := srv.Requests()[0]
	if string(again.Body) != "{}" || again.Header.Get("Authorization") != "Bearer "+srv.APIKey() || again.Header.Get("Accept-Encoding") != "gzip" {
		t.Errorf("the record of the request was changed: %+v", again)
	}
}

// If a callback changes a request or delivery, neither the record nor later deliveries change.
func TestCopiesInCallbacks(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, 500, 204)
	srv, _ := kombotest.Start(t, kombotest.Config{
		WebhookURL: app.URL,
		OnRequest: func(r kombotest.Request) {
			r.Body[0] = 'X'
			r.Header.Set("Authorization", "X")
		},
		OnDelivery: func(d kombotest.Delivery) { d.Body[0] = 'X' },
	})
	srv.Connect(t, request)
	send(t, srv, "POST", "/connect/create-link", "{}")
	if got := srv.Requests()[0]; string(got.Body) != "{}" || got.Header.Get("Authorization") == "X" {
		t.Errorf("request = %+v", got)
	}
	if bodies, _ := app.seen(); len(bodies) != 2 || bodies[1][0] != '{' {
		t.Errorf("bodies = %s", bodies)
	}
}
