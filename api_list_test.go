package kombo_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

// pagesOf serves pages for the cursors "", "c1", "c2"…, and records the queries.
func pagesOf(t *testing.T, pages ...string) (*kombo.Client, *[]url.Values) {
	t.Helper()
	queries := &[]url.Values{}
	client := newClient(t, kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}), kombo.WithHTTPClient(&http.Client{
		Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
			*queries = append(*queries, r.URL.Query())
			i := 0
			_, _ = fmt.Sscanf(r.URL.Query().Get("cursor"), "c%d", &i)
			next := "null"
			if i+1 < len(pages) {
				next = fmt.Sprintf(`"c%d"`, i+1)
			}
			body := fmt.Sprintf(`{"status":"success","data":{"results":[%s],"next":%s}}`, pages[i], next)
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
		}),
	}))
	return client, queries
}

// Before the first read there is no time. Minutes that are subtracted from it do not make one.
func TestListWithoutATimeReadsEverything(t *testing.T) {
	t.Parallel()
	for _, updatedAfter := range []time.Time{{}, time.Time{}.Add(-5 * time.Minute), time.Time{}.Add(time.Minute), time.Unix(0, 0).Add(-time.Minute)} {
		client, queries := pagesOf(t, `{"id":"a"}`)
		request := kombo.ListRequest{Path: "/hris/employees", IntegrationID: testIntegrationID, UpdatedAfter: updatedAfter}
		if _, err := kombo.ListPage[employee](t.Context(), client, request); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]url.Values{{}}, *queries); diff != "" {
			t.Errorf("%v: queries (-want +got):\n%s", updatedAfter, diff)
		}
	}
}

func TestListSendsItsFiltersWithEveryPage(t *testing.T) {
	t.Parallel()
	client, queries := pagesOf(t, `{"id":"a"}`, ``, `{"id":"b"},{"id":"c"}`)
	berlin := time.FixedZone("", 3600)
	request := kombo.ListRequest{
		Path: "/hris/employees", IntegrationID: testIntegrationID,
		UpdatedAfter: time.Date(2026, 11, 26, 1, 2, 3, 4_999_999, berlin), IncludeDeleted: true,
		IDs: []string{"a", "b"}, RemoteIDs: []string{"r"}, Filters: url.Values{"groups": {"x,y"}, "job_ids": {"j1", "j2"}, "name_contains": {"Doe, J"}},
		ListOptions: kombo.ListOptions{PageSize: 250},
	}
	list := kombo.List[employee](t.Context(), client, request)
	for range 2 { // a sequence can be iterated again
		*queries = nil
		var ids []string
		for item, err := range list {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, item.ID)
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, ids); diff != "" {
			t.Errorf("items (-want +got):\n%s", diff)
		}
		var want []url.Values
		for _, cursor := range []string{"", "c1", "c2"} {
			query := url.Values{
				"updated_after": {"2026-11-26T00:02:03.004Z"}, "include_deleted": {"true"}, "ids": {"a,b"}, "remote_ids": {"r"},
				"groups": {"x,y"}, "job_ids": {"j1,j2"}, "name_contains": {"Doe, J"}, "page_size": {"250"},
			}
			if cursor != "" {
				query.Set("cursor", cursor)
			}
			want = append(want, query)
		}
		if diff := cmp.Diff(want, *queries); diff != "" {
			t.Errorf("queries (-want +got):\n%s", diff)
		}
	}
}

func TestListStopsWhenTheCallerDoes(t *testing.T) {
	t.Parallel()
	client, queries := pagesOf(t, `{"id":"a"},{"id":"b"}`, `{"id":"c"}`)
	for _, err := range kombo.List[employee](t.Context(), client, kombo.ListRequest{Path: "/x"}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if len(*queries) != 1 {
		t.Errorf("%d pages were fetched", len(*queries))
	}
}

func TestListPage(t *testing.T) {
	t.Parallel()
	client, queries := pagesOf(t, `{"id":"a"}`, `{"id":"b"}`, `{"id":"c"}`)
	page, err := kombo.ListPage[employee](t.Context(), client, kombo.ListRequest{Path: "/x", ListOptions: kombo.ListOptions{Cursor: "c1"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&kombo.Page[employee]{Results: []employee{{ID: "b"}}, Next: "c2"}, page); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]url.Values{{"cursor": {"c1"}}}, *queries); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
}

// One item that cannot be decoded is an error; those before and after it, on its page and on others, are not lost.
func TestListYieldsTheItemsAroundABadOne(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100<<10) // longer than the part of an item that is searched for its error
	for bad, want := range map[string]string{
		`{"id":1}`:                        "the type of data.results[1].id is wrong",
		`"text"`:                          "the type of data.results[1] is wrong",
		`[]`:                              "the type of data.results[1] is wrong",
		`{"changed_at":"soon"}`:           "data.results[1].changed_at is not a time",
		`{"work_email":["` + long + `"]}`: "the type of data.results[1].work_email is wrong",
	} {
		client, _ := pagesOf(t, `{"id":"a"},`+bad+`,{"id":"c","work_email":"`+long+`"}`, `{"id":"d"}`)
		var got []string
		for item, err := range kombo.List[employee](t.Context(), client, kombo.ListRequest{Path: "/x"}) {
			switch {
			case err == nil:
				got = append(got, item.ID)
			case errors.Is(err, kombo.ErrUnexpectedResponse) && strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "soon"):
				got = append(got, "error")
			default:
				t.Errorf("%.40s: error = %v, want %s", bad, err, want)
			}
		}
		if diff := cmp.Diff([]string{"a", "error", "c", "d"}, got); diff != "" {
			t.Errorf("%.40s (-want +got):\n%s", bad, diff)
		}
		if _, err := kombo.ListPage[employee](t.Context(), client, kombo.ListRequest{Path: "/x"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ListPage: %.40s: error = %v, want %s", bad, err, want)
		}
	}
}

func TestListThatWouldNotEnd(t *testing.T) {
	t.Parallel()
	client, got := mocked(t, "*", "", 200, `{"status":"success","data":{"results":[{"id":"a"}],"next":"again"}}`)
	var items int
	var last error
	for _, err := range kombo.List[employee](t.Context(), client, kombo.ListRequest{Path: "/x"}) {
		if items++; err != nil {
			last = err
		}
	}
	if items != 3 || !errors.Is(last, kombo.ErrUnexpectedResponse) || !strings.Contains(last.Error(), "a cursor is repeated (attempts: 2)") || got.Method != "GET" {
		t.Errorf("%d items, error = %v", items, last)
	}
}

// An error in the middle of a list ends the list. The caller has received everything before it.
func TestListEndsWithAnError(t *testing.T) {
	t.Parallel()
	pages := 0
	client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
		status, body := 200, `{"status":"success","data":{"results":[{"id":"a"},{"id":"b"}],"next":"c"}}`
		if pages++; pages > 1 {
			status, body = 409, envelope(`"INTEGRATION.SETUP_SYNC_PENDING"`, "null", `"m"`, "null")
		}
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
	})}))
	got := maps.Collect(kombo.List[string2](t.Context(), client, kombo.ListRequest{Path: "/x"}))
	if len(got) != 3 || pages != 2 || !slices.ContainsFunc(slices.Collect(maps.Values(got)), func(err error) bool { return errors.Is(err, kombo.ErrIntegrationNotReady) }) {
		t.Errorf("%v after %d pages", got, pages)
	}
}
