package kombo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

// flowTest is a service with an embedded flow. A header contains the signed-in customer.
type flowTest struct {
	*kombo.EmbeddedFlow

	config    kombo.EmbeddedFlowConfig
	links     []string // the requests to Kombo
	connected []string
	reported  []string
}

// newFlowTest returns a service whose requests to Kombo all get the same response.
func newFlowTest(t *testing.T, status int, response string, change func(*kombo.EmbeddedFlowConfig)) *flowTest {
	t.Helper()
	f := &flowTest{}
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		body := ""
		if r.Body != nil {
			content, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			body = string(content)
		}
		f.links = append(f.links, strings.TrimSpace(r.Method+" "+r.URL.EscapedPath()+" "+body))
		return httpmock.NewStringResponse(status, response), nil
	})
	client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}), kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	f.config = kombo.EmbeddedFlowConfig{
		SignedIn: func(r *http.Request) (string, error) {
			customer := r.Header.Get("Customer")
			if customer == "" {
				return "", fmt.Errorf("session: %w", kombo.ErrFlowNotSignedIn)
			}
			return customer, nil
		},
		Link: func(*http.Request, string) (kombo.CreateLinkRequest, error) {
			return kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc."}, nil
		},
		Relink: func(*http.Request, string) (string, kombo.RelinkRequest, error) {
			return testIntegrationID, kombo.RelinkRequest{Language: kombo.LanguageDE}, nil
		},
		Connected: func(_ context.Context, i *kombo.ConnectedIntegration) error {
			f.connected = append(f.connected, i.ID+" of "+i.EndUserOriginID)
			return nil
		},
		OnError: func(_ context.Context, status int, err error) {
			f.reported = append(f.reported, fmt.Sprintf("%d %v", status, err))
		},
	}
	if change != nil {
		change(&f.config)
	}
	flow, err := kombo.NewEmbeddedFlow(client, f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.EmbeddedFlow = flow
	return f
}

// post posts to a handler as a page does if customer 42 is signed in.
func post(t *testing.T, handler http.Handler, body string, header ...string) (status int, response string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://app.example/x", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Customer", "42")
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	if method := r.Header.Get("Method"); method != "" {
		r.Method = method
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json; charset=utf-8" ||
		w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("header = %v", w.Header())
	}
	return w.Code, strings.TrimSpace(w.Body.String())
}

const (
	linkResponse      = `{"status":"success","data":{"link":"` + testLink + `"}}`
	connectedResponse = `{"status":"success","data":{"id":"` + testIntegrationID + `","tool":"personio","end_user_origin_id":"42",` +
		`"end_user_organization_name":"Acme, Inc.","end_user_email":null,"setup_status":"INCOMPLETE"}}`
	tokenBody = `{"token":"` + testToken + `"}`
)

func TestEmbeddedFlowInit(t *testing.T) {
	t.Parallel()
	f := newFlowTest(t, 200, linkResponse, nil)
	status, response := post(t, f.InitHandler(), "")
	if status != http.StatusOK || response != `{"link":"`+testLink+`"}` {
		t.Errorf("%d %s", status, response)
	}
	want := []string{`POST /v1/connect/create-link {"end_user_email":"ada@acme.example","end_user_organization_name":"Acme, Inc.","end_user_origin_id":"42"}`}
	if diff := cmp.Diff(want, f.links); diff != "" || f.reported != nil {
		t.Errorf("requests to Kombo (-want +got):\n%s\nreported: %s", diff, f.reported)
	}
	// The response also has the IP addresses that the customer has to allow.
	f = newFlowTest(t, 200, `{"status":"success","data":{"link":"`+testLink+`","static_ips":["192.0.2.1"]}}`, nil)
	if _, response := post(t, f.InitHandler(), ""); response != `{"link":"`+testLink+`","static_ips":["192.0.2.1"]}` {
		t.Errorf("response = %s", response)
	}
}

func TestEmbeddedFlowRelink(t *testing.T) {
	t.Parallel()
	f := newFlowTest(t, 200, linkResponse, nil)
	status, response := post(t, f.RelinkHandler(), "")
	if status != http.StatusOK || response != `{"link":"`+testLink+`"}` {
		t.Errorf("%d %s", status, response)
	}
	want := []string{`POST /v1/integrations/personio%3AFx7TqWm3kPz9LdRvN2sYbH5c/relink {"language":"de"}`}
	if diff := cmp.Diff(want, f.links); diff != "" {
		t.Errorf("requests to Kombo (-want +got):\n%s", diff)
	}
}

func TestEmbeddedFlowActivate(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"application/json", "Application/JSON; charset=utf-8"} {
		f := newFlowTest(t, 200, connectedResponse, nil)
		status, response := post(t, f.ActivateHandler(), tokenBody, "Content-Type", contentType)
		if status != http.StatusOK || response != `{"tool":"personio","setup_status":"INCOMPLETE"}` {
			t.Errorf("%d %s", status, response)
		}
		if diff := cmp.Diff([]string{testIntegrationID + " of 42"}, f.connected); diff != "" || f.reported != nil {
			t.Errorf("connected (-want +got):\n%s\nreported: %s", diff, f.reported)
		}
		if diff := cmp.Diff([]string{"GET /v1/connect/integration-by-token/" + testToken}, f.links); diff != "" {
			t.Errorf("requests to Kombo (-want +got):\n%s", diff)
		}
	}
}

// Each function of the config can read the whole body, even if another one has read it, and gets the signed-in customer.
func TestEmbeddedFlowFunctionsReadTheBody(t *testing.T) {
	t.Parallel()
	var read []string
	reads := func(r *http.Request, who string) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		read = append(read, who+" reads "+string(body))
	}
	change := func(config *kombo.EmbeddedFlowConfig) {
		signedIn, link, relink := config.SignedIn, config.Link, config.Relink
		config.SignedIn = func(r *http.Request) (string, error) {
			reads(r, "SignedIn")
			return signedIn(r)
		}
		config.Link = func(r *http.Request, originID string) (kombo.CreateLinkRequest, error) {
			reads(r, "Link for "+originID)
			return link(r, originID)
		}
		config.Relink = func(r *http.Request, originID string) (string, kombo.RelinkRequest, error) {
			reads(r, "Relink for "+originID)
			return relink(r, originID)
		}
	}
	f := newFlowTest(t, 200, linkResponse, change)
	post(t, f.InitHandler(), `{"category":"ATS"}`)
	post(t, f.RelinkHandler(), `{"connection":"1"}`)
	f2 := newFlowTest(t, 200, connectedResponse, change)
	post(t, f2.ActivateHandler(), tokenBody)
	want := []string{
		`SignedIn reads {"category":"ATS"}`, `Link for 42 reads {"category":"ATS"}`,
		`SignedIn reads {"connection":"1"}`, `Relink for 42 reads {"connection":"1"}`,
		`SignedIn reads ` + tokenBody,
	}
	if diff := cmp.Diff(want, read); diff != "" || f.reported != nil || f2.reported != nil {
		t.Errorf("read (-want +got):\n%s\nreported: %s %s", diff, f.reported, f2.reported)
	}
}

// refusing returns a function of the config that fails.
func refusing(err error) func(*kombo.EmbeddedFlowConfig) {
	return func(config *kombo.EmbeddedFlowConfig) {
		config.Link = func(*http.Request, string) (kombo.CreateLinkRequest, error) { return kombo.CreateLinkRequest{}, err }
		config.Relink = func(*http.Request, string) (string, kombo.RelinkRequest, error) {
			return "", kombo.RelinkRequest{}, err
		}
	}
}

// linking returns a Link function that returns the given request.
func linking(request kombo.CreateLinkRequest) func(*kombo.EmbeddedFlowConfig) {
	return func(config *kombo.EmbeddedFlowConfig) {
		config.Link = func(*http.Request, string) (kombo.CreateLinkRequest, error) { return request, nil }
	}
}

// signedInAs returns a SignedIn function that returns the given origin ID.
func signedInAs(originID string) func(*kombo.EmbeddedFlowConfig) {
	return func(config *kombo.EmbeddedFlowConfig) {
		config.SignedIn = func(*http.Request) (string, error) { return originID, nil }
	}
}

// insisting has functions that return both a result and an error. The result must not be used.
func insisting(config *kombo.EmbeddedFlowConfig) {
	config.Link = func(*http.Request, string) (kombo.CreateLinkRequest, error) {
		return kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "A"}, kombo.ErrFlowForbidden
	}
	config.Relink = func(*http.Request, string) (string, kombo.RelinkRequest, error) {
		return testIntegrationID, kombo.RelinkRequest{}, kombo.ErrFlowForbidden
	}
}

func TestEmbeddedFlowRefusals(t *testing.T) {
	t.Parallel()
	komboError := func(code string) string {
		return `{"status":"error","error":{"code":"` + code + `","title":null,"message":"No: ` + testToken + ` ` + testLink + `","log_url":null}}`
	}
	of := func(originID string) string { return strings.Replace(connectedResponse, `"42"`, `"`+originID+`"`, 1) }
	otherCustomerResponse := of("43")
	ownerlessResponse := strings.Replace(connectedResponse, `"42"`, `null`, 1)
	errDatabase := errors.New("the database is down")
	tests := []struct {
		name          string
		handler       string
		komboStatus   int
		komboResponse string
		change        func(*kombo.EmbeddedFlowConfig)
		body          string
		header        []string
		wantStatus    int
		wantResponse  string
		wantReported  string // a part of the error
		wantRequests  int    // to Kombo
	}{
		{name: "GET", handler: "init", header: []string{"Method", "GET"}, wantStatus: 405, wantResponse: "use POST"},
		{name: "PUT", handler: "init", header: []string{"Method", "PUT"}, wantStatus: 405, wantResponse: "use POST"},
		{name: "OPTIONS", handler: "activate", header: []string{"Method", "OPTIONS"}, wantStatus: 405, wantResponse: "use POST"},
		{name: "not signed in", handler: "init", header: []string{"Customer", ""}, wantStatus: 401, wantResponse: "sign in first", wantReported: "not signed in"},
		{name: "not allowed", handler: "init", change: refusing(fmt.Errorf("a guest: %w", kombo.ErrFlowForbidden)), wantStatus: 403, wantResponse: "this is not allowed", wantReported: "a guest"},
		{name: "an unknown choice", handler: "init", change: refusing(kombo.ErrFlowBadRequest), wantStatus: 400, wantResponse: "this cannot be done", wantReported: "bad request"},
		{name: "a failure", handler: "init", change: refusing(errDatabase), wantStatus: 500, wantResponse: "something went wrong", wantReported: "the database is down"},
		{
			name: "a panic", handler: "init", change: func(config *kombo.EmbeddedFlowConfig) {
				config.Link = func(*http.Request, string) (kombo.CreateLinkRequest, error) { panic("oh") }
			},
			wantStatus: 500, wantResponse: "something went wrong", wantReported: "panic: oh",
		},
		{
			name: "a panic with a status", handler: "init", change: func(config *kombo.EmbeddedFlowConfig) {
				config.Link = func(*http.Request, string) (kombo.CreateLinkRequest, error) { panic(kombo.ErrFlowForbidden) }
			},
			wantStatus: 500, wantResponse: "something went wrong", wantReported: "panic: kombo: forbidden",
		},
		{name: "another site", handler: "init", header: []string{"Sec-Fetch-Site", "cross-site"}, wantStatus: 403, wantResponse: "this origin is not allowed; see TrustedOrigins", wantReported: "TrustedOrigins"},
		{name: "another site in an old browser", handler: "activate", body: tokenBody, header: []string{"Origin", "https://evil.example"}, wantStatus: 403, wantResponse: "this origin is not allowed; see TrustedOrigins", wantReported: "TrustedOrigins"},
		{name: "another site reconnects", handler: "relink", header: []string{"Sec-Fetch-Site", "cross-site"}, wantStatus: 403, wantResponse: "this origin is not allowed; see TrustedOrigins", wantReported: "TrustedOrigins"},
		{name: "another site ends a flow", handler: "activate", body: tokenBody, header: []string{"Sec-Fetch-Site", "same-site"}, wantStatus: 403, wantResponse: "this origin is not allowed; see TrustedOrigins", wantReported: "TrustedOrigins"},
		{name: "refused with a link", handler: "init", change: insisting, wantStatus: 403, wantResponse: "this is not allowed", wantReported: "forbidden"},
		{name: "refused with an integration", handler: "relink", change: insisting, wantStatus: 403, wantResponse: "this is not allowed", wantReported: "forbidden"},
		{
			name: "refused with a customer", handler: "activate", body: tokenBody, wantStatus: 403, wantResponse: "this is not allowed", wantReported: "forbidden",
			change: func(config *kombo.EmbeddedFlowConfig) {
				config.SignedIn = func(*http.Request) (string, error) { return "42", kombo.ErrFlowForbidden }
			},
		},
		{name: "a customer without an id, at the beginning", handler: "init", change: signedInAs(""), wantStatus: 403, wantResponse: "this is not allowed", wantReported: "has no origin ID"},
		{name: "a customer without an id, who reconnects", handler: "relink", change: signedInAs(""), wantStatus: 403, wantResponse: "this is not allowed", wantReported: "has no origin ID"},
		{
			name: "another customer's link", handler: "init", wantStatus: 500, wantResponse: "something went wrong", wantReported: "an EndUserOriginID that differs",
			change: linking(kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "A", EndUserOriginID: "43"}),
		},
		{
			name: "a magic link", handler: "init", wantStatus: 500, wantResponse: "something went wrong", wantReported: "a magic link gives no token",
			change: linking(kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "A", LinkType: kombo.LinkTypeMagicLink}),
		},
		{name: "a customer whose id is not valid UTF-8", handler: "init", change: signedInAs("M\xfcller"), wantStatus: 500, wantResponse: "something went wrong", wantReported: "EndUserOriginID is not valid UTF-8"},
		{
			name: "a link that is not valid UTF-8", handler: "init", wantStatus: 500, wantResponse: "something went wrong", wantReported: "EndUserOrganizationName is not valid UTF-8",
			change: linking(kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "M\xfcller"}),
		},
		{
			name: "a relink that is not valid UTF-8", handler: "relink", wantStatus: 500, wantResponse: "something went wrong", wantReported: "ScopeConfigID is not valid UTF-8",
			change: func(config *kombo.EmbeddedFlowConfig) {
				config.Relink = func(*http.Request, string) (string, kombo.RelinkRequest, error) {
					return testIntegrationID, kombo.RelinkRequest{ScopeConfigID: "\xff"}, nil
				}
			},
		},
		{name: "an incomplete link", handler: "init", change: linking(kombo.CreateLinkRequest{}), wantStatus: 500, wantResponse: "something went wrong", wantReported: "EndUserEmail is required"},
		{name: "Kombo is down", handler: "init", komboStatus: 503, komboResponse: "<html>", wantStatus: 502, wantResponse: "the connection service is not available; try again", wantReported: "503", wantRequests: 1},
		{name: "Kombo refuses the link", handler: "init", komboStatus: 400, komboResponse: komboError("PLATFORM.INPUT_INVALID"), wantStatus: 502, wantResponse: "the connection service is not available; try again", wantReported: "PLATFORM.INPUT_INVALID", wantRequests: 1},

		{name: "relink, not signed in", handler: "relink", header: []string{"Customer", ""}, wantStatus: 401, wantResponse: "sign in first", wantReported: "session: kombo: not signed in"},
		{name: "relink of what is gone", handler: "relink", komboStatus: 404, komboResponse: komboError("PLATFORM.INTEGRATION_NOT_FOUND"), wantStatus: 404, wantResponse: "the integration does not exist any more", wantReported: "INTEGRATION_NOT_FOUND", wantRequests: 1},
		{
			name: "relink of nothing", handler: "relink", wantStatus: 500, wantResponse: "something went wrong", wantReported: "Relink returned no integration ID",
			change: func(config *kombo.EmbeddedFlowConfig) {
				config.Relink = func(*http.Request, string) (string, kombo.RelinkRequest, error) {
					return "", kombo.RelinkRequest{}, nil
				}
			},
		},
		{
			name: "relink by magic link", handler: "relink", wantStatus: 500, wantResponse: "something went wrong", wantReported: "a magic link gives no token",
			change: func(config *kombo.EmbeddedFlowConfig) {
				config.Relink = func(*http.Request, string) (string, kombo.RelinkRequest, error) {
					return testIntegrationID, kombo.RelinkRequest{LinkType: kombo.LinkTypeMagicLink}, nil
				}
			},
		},

		{name: "a form", handler: "activate", body: "token=x", header: []string{"Content-Type", "application/x-www-form-urlencoded"}, wantStatus: 415, wantResponse: "use application/json", wantReported: "content type"},
		{name: "text", handler: "activate", body: tokenBody, header: []string{"Content-Type", "text/plain"}, wantStatus: 415, wantResponse: "use application/json", wantReported: "content type"},
		{name: "text that names JSON", handler: "activate", body: tokenBody, header: []string{"Content-Type", "text/plain; type=application/json"}, wantStatus: 415, wantResponse: "use application/json", wantReported: "content type"},
		{name: "a form with files", handler: "activate", body: tokenBody, header: []string{"Content-Type", "multipart/form-data; boundary=x"}, wantStatus: 415, wantResponse: "use application/json", wantReported: "content type"},
		{name: "no content type", handler: "activate", body: tokenBody, header: []string{"Content-Type", ""}, wantStatus: 415, wantResponse: "use application/json", wantReported: "content type"},
		{name: "no body", handler: "activate", wantStatus: 400, wantResponse: `the body is not {"token": "…"}`, wantReported: "contains no token"},
		{name: "no token", handler: "activate", body: `{"token":""}`, wantStatus: 400, wantResponse: `the body is not {"token": "…"}`, wantReported: "contains no token"},
		{name: "no JSON", handler: "activate", body: `{"token"`, wantStatus: 400, wantResponse: `the body is not {"token": "…"}`, wantReported: "contains no token"},
		{name: "a token that is a number", handler: "activate", body: `{"token":1}`, wantStatus: 400, wantResponse: `the body is not {"token": "…"}`, wantReported: "contains no token"},
		{name: "a token, then a number", handler: "activate", body: `{"token":"` + testToken + `","token":1}`, wantStatus: 400, wantResponse: `the body is not {"token": "…"}`, wantReported: "contains no token"},
		{name: "a long body", handler: "activate", body: `{"token":"` + strings.Repeat("x", 64<<10) + `"}`, wantStatus: 413, wantResponse: "the body is too large", wantReported: "too large"},
		{name: "a long body that is not read", handler: "init", body: strings.Repeat("x", 64<<10+1), wantStatus: 413, wantResponse: "the body is too large", wantReported: "too large"},
		{name: "activate, not signed in", handler: "activate", body: tokenBody, header: []string{"Customer", ""}, wantStatus: 401, wantResponse: "sign in first", wantReported: "not signed in"},
		{name: "a customer without an id", handler: "activate", body: tokenBody, change: signedInAs(""), wantStatus: 403, wantResponse: "this is not allowed", wantReported: "has no origin ID"},
		{name: "another customer's token", handler: "activate", body: tokenBody, komboResponse: otherCustomerResponse, wantStatus: 403, wantResponse: "the integration belongs to another customer", wantReported: "another customer's", wantRequests: 1},
		{name: "a customer whose id is longer", handler: "activate", body: tokenBody, komboResponse: of("420"), wantStatus: 403, wantResponse: "the integration belongs to another customer", wantReported: "another customer's", wantRequests: 1},
		{name: "a customer whose id is shorter", handler: "activate", body: tokenBody, komboResponse: of("4"), wantStatus: 403, wantResponse: "the integration belongs to another customer", wantReported: "another customer's", wantRequests: 1},
		{name: "a customer whose id ends alike", handler: "activate", body: tokenBody, komboResponse: of("142"), wantStatus: 403, wantResponse: "the integration belongs to another customer", wantReported: "another customer's", wantRequests: 1},
		{name: "a customer whose id has a space", handler: "activate", body: tokenBody, komboResponse: of("42 "), wantStatus: 403, wantResponse: "the integration belongs to another customer", wantReported: "another customer's", wantRequests: 1},
		{name: "a customer whose id is in capitals", handler: "activate", body: tokenBody, komboResponse: of("ADA"), header: []string{"Customer", "ada"}, wantStatus: 403, wantResponse: "the integration belongs to another customer", wantReported: "another customer's", wantRequests: 1},
		{name: "a token without an owner", handler: "activate", body: tokenBody, komboResponse: ownerlessResponse, wantStatus: 403, wantResponse: "the integration belongs to another customer", wantReported: "another customer's", wantRequests: 1},
		{name: "a token that Kombo does not know", handler: "activate", body: tokenBody, komboStatus: 400, komboResponse: komboError("PLATFORM.INPUT_INVALID"), wantStatus: 400, wantResponse: "the token is not valid", wantReported: "PLATFORM.INPUT_INVALID", wantRequests: 1},
		{name: "a token that is none", handler: "activate", body: `{"token":".."}`, wantStatus: 400, wantResponse: "the token is not valid", wantReported: "token"},
		{name: "Kombo is down at the end", handler: "activate", body: tokenBody, komboStatus: 500, komboResponse: "oh " + testToken, wantStatus: 502, wantResponse: "the connection service is not available; try again", wantReported: "500", wantRequests: 1},
		{name: "a wrong key", handler: "activate", body: tokenBody, komboStatus: 401, komboResponse: komboError("PLATFORM.AUTHENTICATION_INVALID"), wantStatus: 502, wantResponse: "the connection service is not available; try again", wantReported: "AUTHENTICATION_INVALID", wantRequests: 1},
		{
			name: "storing fails", handler: "activate", body: tokenBody, komboResponse: connectedResponse, wantStatus: 500, wantResponse: "something went wrong", wantReported: "the database is down", wantRequests: 1,
			change: func(config *kombo.EmbeddedFlowConfig) {
				config.Connected = func(context.Context, *kombo.ConnectedIntegration) error { return errDatabase }
			},
		},
		{
			name: "storing is not allowed", handler: "activate", body: tokenBody, komboResponse: connectedResponse, wantStatus: 403, wantResponse: "this is not allowed", wantReported: "forbidden", wantRequests: 1,
			change: func(config *kombo.EmbeddedFlowConfig) {
				config.Connected = func(context.Context, *kombo.ConnectedIntegration) error { return kombo.ErrFlowForbidden }
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.komboStatus == 0 {
				test.komboStatus = 200
			}
			f := newFlowTest(t, test.komboStatus, test.komboResponse, test.change)
			handler := map[string]func() http.Handler{"init": f.InitHandler, "relink": f.RelinkHandler, "activate": f.ActivateHandler}[test.handler]()
			status, response := post(t, handler, test.body, test.header...)
			want := strings.ReplaceAll(`{"error":"`+strings.ReplaceAll(test.wantResponse, `"`, `\"`)+`"}`, "&", `\u0026`)
			if status != test.wantStatus || response != want {
				t.Errorf("%d %s, want %d %s", status, response, test.wantStatus, want)
			}
			if len(f.links) != test.wantRequests {
				t.Errorf("asked of Kombo: %s, want %d", f.links, test.wantRequests)
			}
			if len(f.connected) > 0 {
				t.Errorf("stored %s", f.connected)
			}
			reported := strings.Join(f.reported, "\n")
			wantPrefix := fmt.Sprintf("%d kombo: EmbeddedFlow: %s: ", test.wantStatus, test.handler)
			if test.wantReported == "" && reported != "" || test.wantReported != "" && (!strings.HasPrefix(reported, wantPrefix) || !strings.Contains(reported, test.wantReported)) {
				t.Errorf("reported %s, want %s…%s", reported, wantPrefix, test.wantReported)
			}
			for _, secret := range []string{testToken, testLink, testAPIKey} {
				if strings.Contains(reported, secret) || strings.Contains(response, secret) {
					t.Errorf("%s is revealed: %s %s", secret, reported, response)
				}
			}
		})
	}
}

// A body without Content-Length is not read beyond the limit either.
func TestEmbeddedFlowBodyWithoutLength(t *testing.T) {
	t.Parallel()
	f := newFlowTest(t, 200, linkResponse, nil)
	for name, handler := range map[string]http.Handler{"init": f.InitHandler(), "activate": f.ActivateHandler()} {
		body := &strings.Builder{}
		long := strings.NewReader(`{"token":"` + strings.Repeat("x", 1<<20) + `"}`)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://app.example/x", io.TeeReader(long, body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || body.Len() > 128<<10 || len(f.links) > 0 {
			t.Errorf("%s: %d %s after %d bytes; asked of Kombo: %s", name, w.Code, w.Body, body.Len(), f.links)
		}
	}
}

// A malformed token is not sent to Kombo: the browser gets a 400, not a 502.
func TestEmbeddedFlowTokens(t *testing.T) {
	t.Parallel()
	for _, token := range []string{
		`/`, `//`, `\\`, `.`, `..`, `../..`, `a/b`, `/token`, `token/`, `a\\b`, `..%2f/`, ` `, ` token`, `token `, `a b`,
		`\u0000`, `token\u0000`, `token\n`, `\r\ntoken`, `\t`, `\u001b[31m`, `\u007f`, `\u0085`, `\u2028`, `tök€n`, `\ud800`, "\xff", "token\xc3", `\ufffd`, `\ufeff`, strings.Repeat("x", 8<<10+1),
	} {
		f := newFlowTest(t, 200, connectedResponse, nil)
		status, response := post(t, f.ActivateHandler(), `{"token":"`+token+`"}`)
		if status != http.StatusBadRequest || response != `{"error":"the token is not valid"}` || len(f.links) > 0 || len(f.reported) != 1 || strings.Count(f.reported[0], "\n") != 0 {
			t.Errorf("%q: %d %s, sent %q, reported %q", token, status, response, f.links, f.reported)
		}
	}
	for _, token := range []string{testToken, "a", "...", "-_~=+", "a:b|c", "%2e%2e", "?a=b#c", strings.Repeat("x", 8<<10)} {
		f := newFlowTest(t, 200, connectedResponse, nil)
		if status, response := post(t, f.ActivateHandler(), `{"token":"`+token+`"}`); status != http.StatusOK || len(f.links) != 1 {
			t.Errorf("%q: %d %s, sent %q", token, status, response, f.links)
		}
	}
}

// Only the media type counts. Its parameters are ignored, even if they are malformed.
func TestEmbeddedFlowContentTypes(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]int{
		"application/json":                         200,
		"APPLICATION/JSON":                         200,
		" application/json ":                       200,
		"application/json;":                        200,
		"application/json;;":                       200,
		"application/json ; ;":                     200,
		"application/json; charset":                200,
		"application/json; charset=":               200,
		"application/json; charset=\"utf-8":        200,
		"application/json;charset=utf-8;charset=x": 200,
		"application/json; =x; \x7f":               200,
		"application/json; boundary=text/plain":    200,
		"application/jsonp":                        415,
		"application/json/x":                       415,
		"application/json, text/plain":             415,
		"application / json":                       415,
		"application/vnd.api+json":                 415,
		"text/json":                                415,
		"json":                                     415,
		";application/json":                        415,
		"text/plain;application/json":              415,
		"*/*":                                      415,
	} {
		f := newFlowTest(t, 200, connectedResponse, nil)
		if status, response := post(t, f.ActivateHandler(), tokenBody, "Content-Type", contentType); status != want {
			t.Errorf("%s: %d %s, want %d", contentType, status, response, want)
		}
	}
}

func TestNewEmbeddedFlow(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	signedIn := func(*http.Request) (string, error) { return "42", nil }
	link := func(*http.Request, string) (kombo.CreateLinkRequest, error) { return kombo.CreateLinkRequest{}, nil }
	connected := func(context.Context, *kombo.ConnectedIntegration) error { return nil }
	tests := []struct {
		client *kombo.Client
		config kombo.EmbeddedFlowConfig
		want   string
	}{
		{nil, kombo.EmbeddedFlowConfig{SignedIn: signedIn, Link: link, Connected: connected}, "kombo: NewEmbeddedFlow: the client is nil, or was not made by NewClient"},
		{&kombo.Client{}, kombo.EmbeddedFlowConfig{SignedIn: signedIn, Link: link, Connected: connected}, "kombo: NewEmbeddedFlow: the client is nil, or was not made by NewClient"},
		{client, kombo.EmbeddedFlowConfig{Link: link, Connected: connected}, "kombo: NewEmbeddedFlow: SignedIn is required"},
		{client, kombo.EmbeddedFlowConfig{SignedIn: signedIn, Connected: connected}, "kombo: NewEmbeddedFlow: Link is required"},
		{client, kombo.EmbeddedFlowConfig{SignedIn: signedIn, Link: link}, "kombo: NewEmbeddedFlow: Connected is required"},
	}
	for _, test := range tests {
		if flow, err := kombo.NewEmbeddedFlow(test.client, test.config); flow != nil || err == nil || err.Error() != test.want {
			t.Errorf("NewEmbeddedFlow = %v, %v, want %s", flow, err, test.want)
		}
	}
	flow, err := kombo.NewEmbeddedFlow(client, kombo.EmbeddedFlowConfig{SignedIn: signedIn, Link: link, Connected: connected})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got := recover(); got != "kombo: EmbeddedFlow.RelinkHandler: the config has no Relink" {
			t.Errorf("RelinkHandler panics with %v", got)
		}
	}()
	flow.RelinkHandler()
}

// OnError gets what the function of the config has returned, and what Kombo has.
func TestEmbeddedFlowOnErrorGetsTheCause(t *testing.T) {
	t.Parallel()
	errDatabase := errors.New("the database is down")
	for _, test := range []struct {
		handler  string
		response string
		returned error // by Link
		want     error
	}{
		{"init", linkResponse, fmt.Errorf("a guest: %w", kombo.ErrFlowForbidden), kombo.ErrFlowForbidden},
		{"init", linkResponse, errDatabase, errDatabase},
		{"init", komboError("PLATFORM.AUTHENTICATION_INVALID"), nil, kombo.ErrAuthentication},
		{"activate", komboError("PLATFORM.INPUT_INVALID"), nil, kombo.ErrInvalidInput},
	} {
		var got error
		f := newFlowTest(t, 200, test.response, func(config *kombo.EmbeddedFlowConfig) {
			link := config.Link
			config.Link = func(r *http.Request, originID string) (kombo.CreateLinkRequest, error) {
				request, _ := link(r, originID)
				return request, test.returned
			}
			config.OnError = func(_ context.Context, _ int, err error) { got = err }
		})
		post(t, map[string]http.Handler{"init": f.InitHandler(), "activate": f.ActivateHandler()}[test.handler], tokenBody)
		if !errors.Is(got, test.want) {
			t.Errorf("%s: OnError gets %v, want %v", test.handler, got, test.want)
		}
	}
}

// Without OnError, failures are logged, expected refusals are not, and no log record contains a secret.
func TestEmbeddedFlowLogs(t *testing.T) { //nolint:paralleltest // changes slog's default
	logged := logs(t)
	f := newFlowTest(t, 500, testToken, func(config *kombo.EmbeddedFlowConfig) { config.OnError = nil })
	post(t, f.ActivateHandler(), `{}`)
	post(t, f.ActivateHandler(), tokenBody, "Content-Type", "text/plain")
	post(t, f.InitHandler(), "", "Customer", "")
	post(t, f.InitHandler(), "", "Method", "GET")
	post(t, f.InitHandler(), strings.Repeat("x", 64<<10+1))
	if logged.Len() > 0 {
		t.Errorf("refusals are logged: %s", logged)
	}
	post(t, f.ActivateHandler(), tokenBody)
	if line := logged.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, `level=ERROR msg="kombo: embedded flow failed" status=502 error="kombo: EmbeddedFlow: activate: kombo: GET /connect/integration-by-token/{token}: 500`) ||
		strings.Contains(line, testToken) {
		t.Errorf("log = %s", line)
	}
}
