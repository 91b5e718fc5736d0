package kombo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

// pages serves a list of fields. responses has the pages by cursor; "" is the first.
type pages struct {
	responses map[string]string
	queries   []string
}

func (p *pages) client(t *testing.T) *kombo.Client {
	t.Helper()
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		p.queries = append(p.queries, r.URL.RawQuery)
		response, ok := p.responses[r.URL.Query().Get("cursor")]
		if !ok {
			return httpmock.NewStringResponse(404, notFoundResponse), nil
		}
		return httpmock.NewStringResponse(200, response), nil
	})
	return newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}), kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
}

// pageOf returns a response with fields or custom fields. next is the JSON after the results.
func pageOf(next string, ids ...string) string {
	var results []string
	for _, id := range ids {
		results = append(results, `{"id":"`+id+`","key":"k","type":"DEFAULT","label":null}`)
	}
	return `{"status":"success","data":{"results":[` + strings.Join(results, ",") + `]` + next + `}}`
}

// collect returns the IDs and the errors of a sequence.
func collect[T any](sequence iter.Seq2[T, error], id func(T) string) (ids []string, errs []error) {
	for value, err := range sequence {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ids = append(ids, id(value))
	}
	return ids, errs
}

func TestPagesInSequence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		responses   map[string]string
		paging      []kombo.ListOptions
		want        []string
		wantQueries []string
		wantErr     error
	}{
		{"one page, next null", map[string]string{"": pageOf(`,"next":null`, "a", "b")}, nil, []string{"a", "b"}, []string{""}, nil},
		{"next missing", map[string]string{"": pageOf(``, "a")}, nil, nil, []string{""}, kombo.ErrUnexpectedResponse},
		{
			"next missing in the second page",
			map[string]string{"": pageOf(`,"next":"1"`, "a"), "1": pageOf(``, "b")},
			nil,
			[]string{"a"},
			[]string{"", "cursor=1"},
			kombo.ErrUnexpectedResponse,
		},
		{"next_cursor only, null", map[string]string{"": pageOf(`,"next_cursor":null`, "a")}, nil, []string{"a"}, []string{""}, nil},
		{
			"next_cursor only",
			map[string]string{"": pageOf(`,"next_cursor":"1"`, "a"), "1": pageOf(`,"next_cursor":null`, "b")},
			nil,
			[]string{"a", "b"},
			[]string{"", "cursor=1"},
			nil,
		},
		{"next_cursor only, a number", map[string]string{"": pageOf(`,"next_cursor":1`, "a")}, nil, nil, []string{""}, kombo.ErrUnexpectedResponse},
		{"next a number", map[string]string{"": pageOf(`,"next":1,"next_cursor":"1"`, "a")}, nil, nil, []string{""}, kombo.ErrUnexpectedResponse},
		{
			"next and next_cursor differ",
			map[string]string{
				"": pageOf(`,"next_cursor":"x","next":"1"`, "a"), "1": pageOf(`,"next":"2","next_cursor":null`, "b"),
				"2": pageOf(`,"next":"3","next_cursor":7`, "c"), "3": pageOf(`,"next":null,"next_cursor":"x"`, "d"),
			},
			nil,
			[]string{"a", "b", "c", "d"},
			[]string{"", "cursor=1", "cursor=2", "cursor=3"},
			nil,
		},
		{"next empty", map[string]string{"": pageOf(`,"next":""`, "a")}, nil, []string{"a"}, []string{""}, nil},
		{"no results", map[string]string{"": pageOf(`,"next":null`)}, nil, nil, []string{""}, nil},
		{
			"several pages",
			map[string]string{"": pageOf(`,"next":"1"`, "a", "b"), "1": pageOf(`,"next":"2"`, "c"), "2": pageOf(`,"next":null`, "d")},
			[]kombo.ListOptions{{PageSize: 2}},
			[]string{"a", "b", "c", "d"},
			[]string{"page_size=2", "cursor=1&page_size=2", "cursor=2&page_size=2"},
			nil,
		},
		{
			"from a cursor; the last paging counts",
			map[string]string{"1": pageOf(`,"next":"2"`, "c"), "2": pageOf(`,"next":null`, "d")},
			[]kombo.ListOptions{{Cursor: "9"}, {Cursor: "1"}},
			[]string{"c", "d"},
			[]string{"cursor=1", "cursor=2"},
			nil,
		},
		{
			"empty page in between",
			map[string]string{"": pageOf(`,"next":"1"`), "1": pageOf(`,"next":"2"`), "2": pageOf(`,"next":null`, "d")},
			nil,
			[]string{"d"},
			[]string{"", "cursor=1", "cursor=2"},
			nil,
		},
		{
			"error in the second page",
			map[string]string{"": pageOf(`,"next":"1"`, "a", "b")},
			nil,
			[]string{"a", "b"},
			[]string{"", "cursor=1"},
			kombo.ErrIntegrationNotFound,
		},
		{
			"cursor comes again at once",
			map[string]string{"": pageOf(`,"next":"1"`, "a"), "1": pageOf(`,"next":"1"`, "b")},
			nil,
			[]string{"a", "b"},
			[]string{"", "cursor=1"},
			kombo.ErrUnexpectedResponse,
		},
		{
			"cursors in a circle",
			map[string]string{"": pageOf(`,"next":"1"`, "a"), "1": pageOf(`,"next":"2"`, "b"), "2": pageOf(`,"next":"1"`, "c")},
			nil,
			[]string{"a", "b", "c"},
			[]string{"", "cursor=1", "cursor=2"},
			kombo.ErrUnexpectedResponse,
		},
		{
			"cursors in a circle with the first",
			map[string]string{"1": pageOf(`,"next":"2"`, "b"), "2": pageOf(`,"next":"1"`, "c")},
			[]kombo.ListOptions{{Cursor: "1"}},
			[]string{"b", "c"},
			[]string{"cursor=1", "cursor=2"},
			kombo.ErrUnexpectedResponse,
		},
		{"null page", map[string]string{"": `{"status":"success","data":null}`}, nil, nil, []string{""}, kombo.ErrUnexpectedResponse},
		{"no results in the page", map[string]string{"": `{"status":"success","data":{"next":null}}`}, nil, nil, []string{""}, kombo.ErrUnexpectedResponse},
		{"page size below the range", nil, []kombo.ListOptions{{PageSize: -1}}, nil, nil, kombo.ErrInvalidInput},
		{"page size above the range", nil, []kombo.ListOptions{{PageSize: 2001}}, nil, nil, kombo.ErrInvalidInput},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			list := &pages{responses: test.responses}
			service := list.client(t).Integrations
			check := func(ids []string, errs []error) {
				t.Helper()
				if diff := cmp.Diff(test.want, ids); diff != "" {
					t.Errorf("results (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.wantQueries, list.queries); diff != "" {
					t.Errorf("queries (-want +got):\n%s", diff)
				}
				if test.wantErr == nil && len(errs) > 0 || test.wantErr != nil && (len(errs) != 1 || !errors.Is(errs[0], test.wantErr)) {
					t.Errorf("errors = %v, want %v, once", errs, test.wantErr)
				}
				list.queries = nil
			}
			fields := service.Fields(t.Context(), testIntegrationID, test.paging...)
			customs := service.CustomFields(t.Context(), testIntegrationID, test.paging...)
			for range 2 { // a sequence can be iterated again
				check(collect(fields, func(f kombo.IntegrationField) string { return f.ID }))
				check(collect(customs, func(f kombo.CustomField) string { return f.ID }))
			}
		})
	}
}

func TestPageSizesDiffer(t *testing.T) {
	t.Parallel()
	client, got := mocked(t, "*", "", 200, "{}")
	_, err := client.Integrations.CustomFieldsPage(t.Context(), testIntegrationID, kombo.ListOptions{PageSize: 251})
	checkRefused(t, err, got, "kombo: GET /integrations/{integration_id}/custom-fields: "+
		"PageSize is not between 1 and 250, or 0 for the default (nothing was sent)")
	_, err = client.Integrations.FieldsPage(t.Context(), testIntegrationID, kombo.ListOptions{PageSize: 2001})
	checkRefused(t, err, got, "kombo: GET /integrations/{integration_id}/integration-fields: "+
		"PageSize is not between 1 and 2000, or 0 for the default (nothing was sent)")
}

// A page is fetched only when it is needed.
func TestPagesAreFetchedAsNeeded(t *testing.T) {
	t.Parallel()
	list := &pages{responses: map[string]string{"": pageOf(`,"next":"1"`, "a", "b"), "1": pageOf(`,"next":"2"`, "c", "d")}}
	service := list.client(t).Integrations
	sequence := service.Fields(t.Context(), testIntegrationID)
	if len(list.queries) != 0 {
		t.Errorf("%d requests before the sequence is gone through", len(list.queries))
	}
	for last, wantRequests := range map[string]int{"a": 1, "b": 1, "c": 2, "d": 2} {
		list.queries = nil
		for field, err := range sequence {
			if err != nil {
				t.Fatal(err)
			}
			if field.ID == last {
				break
			}
		}
		if len(list.queries) != wantRequests {
			t.Errorf("up to %s: %d requests, want %d", last, len(list.queries), wantRequests)
		}
	}
}

func TestContextEndsBetweenPages(t *testing.T) {
	t.Parallel()
	list := &pages{responses: map[string]string{"": pageOf(`,"next":"1"`, "a", "b"), "1": pageOf(`,"next":null`, "c")}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ids []string
	var errs []error
	for field, err := range list.client(t).Integrations.Fields(ctx, testIntegrationID) {
		cancel()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ids = append(ids, field.ID)
	}
	if diff := cmp.Diff([]string{"a", "b"}, ids); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if len(errs) != 1 || !errors.Is(errs[0], context.Canceled) || len(list.queries) != 1 {
		t.Errorf("errors = %v after %d requests, want context.Canceled after 1", errs, len(list.queries))
	}
}

// A page is encoded as Kombo encodes it, so a stored page can be decoded again.
func TestPageRoundTrip(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		`{"results":[{"id":"f1","key":"tax_id","model":"hris_employees","type":"DEFAULT","label":null,"is_passthrough_enabled":true,"is_writable":false}],"next_cursor":"c2","next":"c2"}`,
		`{"results":[],"next_cursor":null,"next":null}`,
	} {
		var page kombo.Page[kombo.IntegrationField]
		if err := json.Unmarshal([]byte(document), &page); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(page)
		if err != nil || string(again) != document {
			t.Errorf("%s, %v, want %s", again, err, document)
		}
	}
	if empty, err := json.Marshal(kombo.Page[kombo.CustomField]{}); err != nil || string(empty) != `{"results":[],"next_cursor":null,"next":null}` {
		t.Errorf("%s, %v", empty, err)
	}
}

// A server that sends cursors without results does not keep a caller forever. Without a result, the caller has no
// chance to break.
func TestEndlessEmptyPages(t *testing.T) {
	t.Parallel()
	var pages atomic.Int64
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"results":[],"next":"cursor%d"}}`, pages.Add(1))
	})
	ended := 0
	for _, err := range client.Integrations.Fields(t.Context(), testIntegrationID) {
		if ended++; !errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), "100 pages in a row are empty (attempts: 100)") {
			t.Errorf("err = %v", err)
		}
	}
	if ended != 1 || pages.Load() != 100 {
		t.Errorf("%d errors after %d pages, want 1 after 100", ended, pages.Load())
	}
}
