package kombotest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// clock is a clock that a test advances.
type clock struct {
	mutex sync.Mutex
	now   time.Time
}

func newClock(begin string) *clock { return &clock{now: at(begin)()} }

func (c *clock) Now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.now = c.now.Add(d)
}

func put(t *testing.T, srv *kombotest.Server, id, path string, records ...string) {
	t.Helper()
	for _, record := range records {
		if err := srv.PutRecord(id, path, json.RawMessage(record)); err != nil {
			t.Fatal(err)
		}
	}
}

// get sends one request for data, without the SDK.
func get(t *testing.T, srv *kombotest.Server, integrationID, path string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.BaseURL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+srv.APIKey())
	if integrationID != "" {
		r.Header.Set("X-Integration-Id", integrationID)
	}
	status, _, body = exchange(t, r)
	return status, body
}

// ids returns the IDs of the records on a page, and the cursor of the next page.
func ids(t *testing.T, body string) (ids []string, next string) {
	t.Helper()
	var page struct {
		Data struct {
			Results []struct{ ID string }
			Next    *string
		}
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil || !strings.HasPrefix(body, `{"status":"success",`) && !strings.HasPrefix(body, `{"data":`) {
		t.Fatalf("%s (%v)", body, err)
	}
	for _, r := range page.Data.Results {
		ids = append(ids, r.ID)
	}
	if page.Data.Next != nil {
		next = *page.Data.Next
	}
	return ids, next
}

type employee struct {
	ID              string     `json:"id"`
	WorkEmail       string     `json:"work_email"`
	ChangedAt       time.Time  `json:"changed_at"`
	RemoteDeletedAt *time.Time `json:"remote_deleted_at"`
}

func list(t *testing.T, client *kombo.Client, request kombo.ListRequest) (employees []employee) {
	t.Helper()
	for e, err := range kombo.List[employee](t.Context(), client, request) {
		if err != nil {
			t.Fatal(err)
		}
		employees = append(employees, e)
	}
	return employees
}

// The bytes of a list: the members in the order of PutRecord, with the times of the server.
func TestRecordsOnTheWire(t *testing.T) {
	t.Parallel()
	clock := newClock("2026-05-04T03:02:01.0019Z")
	srv, _ := kombotest.Start(t, kombotest.Config{Now: clock.Now, Seed: 1})
	id := srv.Connect(t, request).ID
	if status, body := get(t, srv, id, "/hris/employees"); status != 200 || body != `{"data":{"next":null,"results":[]},"status":"success"}` {
		t.Errorf("empty list: %d %s", status, body)
	}
	put(t, srv, id, "/hris/employees",
		`{"id":"e1","remote_deleted_at":"2020-01-01T00:00:00.000Z","weekly_hours":38.50,"changed_at":null,"first_name":"Zoë <\u2028>","custom_fields":{"b":1,"a":12345678901234567890}}`)
	if err := srv.PutRecord(id, "/hris/employees", struct {
		RemoteID string `json:"remote_id"`
	}{"7"}); err != nil {
		t.Fatal(err)
	}
	_, body := get(t, srv, id, "/hris/employees")
	made, _ := ids(t, body)
	want := `{"data":{"next":null,"results":[` +
		`{"id":"e1","remote_deleted_at":null,"weekly_hours":38.50,"changed_at":"2026-05-04T03:02:01.002Z","first_name":"Zoë <` + "\u2028" + `>","custom_fields":{"b":1,"a":12345678901234567890}},` +
		`{"id":"` + made[1] + `","remote_id":"7","changed_at":"2026-05-04T03:02:01.002Z","remote_deleted_at":null}]},"status":"success"}`
	if body != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	if len(made[1]) != 24 {
		t.Errorf("id = %q", made[1])
	}
	if got := srv.Records(id, "/hris/employees"); len(got) != 2 || !strings.Contains(want, string(got[0])+","+string(got[1])) {
		t.Errorf("Records = %s", got)
	}
	// The ID depends only on the integration and the remote ID.
	put(t, srv, id, "/hris/employees", `{"remote_id":"7","first_name":"Ada"}`)
	put(t, srv, id, "/ats/jobs", `{"id":null,"remote_id":"7"}`)
	other := srv.Connect(t, request).ID
	put(t, srv, other, "/hris/employees", `{"remote_id":"7"}`)
	for integration, want := range map[string]bool{id: true, other: false} {
		path := "/hris/employees?remote_ids=7"
		_, body := get(t, srv, integration, path)
		if got, _ := ids(t, body); len(got) != 1 || (got[0] == made[1]) != want {
			t.Errorf("%s: ids = %q, first %q", integration, got, made[1])
		}
	}
	if _, body := get(t, srv, id, "/ats/jobs"); !strings.Contains(body, `"results":[{"id":"`+made[1]+`","remote_id":"7",`) {
		t.Errorf("job: %s", body)
	}
	// Teams and groups are two names for one list.
	put(t, srv, id, "/hris/teams", `{"id":"g1"}`)
	_, groups := get(t, srv, id, "/hris/groups")
	_, teams := get(t, srv, id, "/hris/teams")
	if got, _ := ids(t, groups); groups != teams || !slices.Equal(got, []string{"g1"}) {
		t.Errorf("groups %s\nteams  %s", groups, teams)
	}
	// Records of these lists have no times.
	put(t, srv, id, "/assessment/orders", `{"id":"o1"}`, `{"id":"o2"}`)
	if err := srv.DeleteRecord(id, "/assessment/orders", "o1"); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, srv, id, "/assessment/orders"); body != `{"data":{"next":null,"results":[{"id":"o2"}]},"status":"success"}` {
		t.Errorf("orders: %s", body)
	}
}

func TestRecordsThatCannotBePut(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, request).ID
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"integration": {srv.PutRecord("personio:none", "/hris/employees", map[string]any{"id": "1"}), `kombotest: no integration "personio:none"`},
		"list":        {srv.PutRecord(id, "/hris/employee", map[string]any{"id": "1"}), `kombotest: there is no list "/hris/employee"; it is one of /hris/employees, `},
		"with /v1":    {srv.PutRecord(id, "/v1/hris/employees", map[string]any{"id": "1"}), `kombotest: there is no list "/v1/hris/employees"`},
		"no object":   {srv.PutRecord(id, "/hris/employees", []string{"id"}), "kombotest: the record is not a JSON object"},
		"nil":         {srv.PutRecord(id, "/hris/employees", nil), "kombotest: the record is not a JSON object"},
		"no JSON":     {srv.PutRecord(id, "/hris/employees", json.RawMessage(`{"id"`)), "kombotest: the record: "},
		"no encoding": {srv.PutRecord(id, "/hris/employees", map[string]any{"id": func() {}}), "kombotest: the record: json: unsupported type"},
		"not UTF-8":   {srv.PutRecord(id, "/hris/employees", json.RawMessage("{\"id\":\"1\",\"n\":\"\xff\"}")), "kombotest: the record is not valid UTF-8"},
		"no id":       {srv.PutRecord(id, "/hris/employees", map[string]any{"name": "Ada"}), "kombotest: the record has no id and no remote_id"},
		"empty id":    {srv.PutRecord(id, "/hris/employees", map[string]any{"id": ""}), "kombotest: the id of the record is empty or contains a comma"},
		"number":      {srv.PutRecord(id, "/hris/employees", map[string]any{"id": 7}), "kombotest: the id or remote_id of the record is not a string"},
		"SDK's":       {srv.PutRecord(id, "/hris/employees", kombo.EndUser{}), "kombotest: the record: kombo.EndUser is encoded by its own tags"},

		"delete from none": {srv.DeleteRecord("personio:none", "/hris/employees", "1"), `kombotest: no integration "personio:none"`},
		"delete in none":   {srv.DeleteRecord(id, "/hris", "1"), `kombotest: there is no list "/hris"`},
		"delete none":      {srv.DeleteRecord(id, "/hris/employees", "1"), `kombotest: the integration has no record "1" in /hris/employees`},
		"delete no id":     {srv.DeleteRecord(id, "/hris/employees", ""), `kombotest: the integration has no record "" in /hris/employees`},
	} {
		if got := errorText(test.err); !strings.HasPrefix(got, test.want) || got == "" {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	for _, path := range kombotest.Lists() {
		if got := srv.Records(id, path); len(got) != 0 {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// Each list needs an existing integration with data.
func TestRecordsNeedAnIntegration(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	ready, incomplete, pending := srv.Connect(t, request).ID, srv.Connect(t, request).ID, srv.Connect(t, request).ID
	for id, status := range map[string]kombo.SetupStatus{
		incomplete: kombo.SetupStatusIncomplete, pending: kombo.SetupStatusFinalSyncPending, ready: kombo.SetupStatusCompleted,
	} {
		if err := srv.SetSetupStatus(t.Context(), id, status); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range kombotest.Lists() {
		for id, want := range map[string]string{
			"":              "400 PLATFORM.INPUT_INVALID",
			"personio:none": "404 PLATFORM.INTEGRATION_NOT_FOUND",
			incomplete:      "409 INTEGRATION.SETUP_INCOMPLETE",
			pending:         "409 INTEGRATION.SETUP_SYNC_PENDING",
			ready:           "200 ",
		} {
			status, body := get(t, srv, id, path)
			if got := fmt.Sprintf("%d %s", status, codeOf(t, body)); got != want {
				t.Errorf("%s of %q: %s, want %s", path, id, got, want)
			}
		}
	}
	for _, r := range srv.Requests() {
		if r.Op != "GET "+r.Path {
			t.Errorf("Op = %q of %s", r.Op, r.Path)
		}
	}
}

func codeOf(t *testing.T, body string) string {
	t.Helper()
	var envelope struct{ Error struct{ Code string } }
	if err := json.Unmarshal([]byte(body), &envelope); err != nil {
		t.Fatal(err)
	}
	return envelope.Error.Code
}

func TestRecordQueries(t *testing.T) {
	t.Parallel()
	clock := newClock("2026-05-04T03:02:01Z")
	srv, _ := kombotest.Start(t, kombotest.Config{Now: clock.Now})
	id := srv.Connect(t, request).ID
	put(t, srv, id, "/hris/employees",
		`{"id":"1","remote_id":"r1","work_email":"Ada@acme.example","employment_status":"ACTIVE","groups":[{"id":"g1"},{"id":"g2"}],"custom_fields":{"size":3}}`,
		`{"id":"2","remote_id":"r2","work_email":"grace@acme.example","employment_status":null,"groups":[{"id":"g2"}],"custom_fields":{"size":"3"}}`,
		`{"id":"3","remote_id":null,"work_email":null,"employment_status":"LEAVE","groups":[],"custom_fields":null}`)
	put(t, srv, id, "/hris/absences",
		`{"id":"1","start_date":"2026-05-01","end_date":"2026-05-10","type_id":"t1"}`,
		`{"id":"2","start_date":"2026-05-10","end_date":null,"type_id":"t2"}`,
		`{"id":"3","start_date":"2026-06-01T00:00:00.000Z","end_date":"2026-06-01T00:00:00.000Z","type_id":null}`)
	put(t, srv, id, "/hris/timesheets", `{"id":"1","started_at":"2026-05-04T08:00:00.000Z","ended_at":"2026-05-04T12:00:00.000Z"}`)
	put(t, srv, id, "/hris/groups", `{"id":"1","name":"Sales & Ops","type":"TEAM"}`, `{"id":"2","name":null,"type":null}`)
	put(t, srv, id, "/ats/candidates", `{"id":"1","first_name":"Ada","email_addresses":[{"email_address":"a@x.example"},{"email_address":"ADA@x.example"}],"applications":[{"job":{"id":"j1"}},{"job":null}]}`)
	put(t, srv, id, "/ats/jobs", `{"id":"1","post_url":"https://x.example/1?a,b","remote_created_at":"2026-05-04T00:00:00.000Z"}`)
	put(t, srv, id, "/assessment/orders", `{"id":"1","status":"OPEN"}`)
	clock.advance(time.Hour)
	put(t, srv, id, "/assessment/orders", `{"id":"2","status":"COMPLETED"}`)
	if err := srv.DeleteRecord(id, "/hris/employees", "r2"); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		list, query string
		want        string // ids, or the message of an INPUT_INVALID
	}{
		{"/hris/employees", "", "1,3"},
		{"/hris/employees", "include_deleted=false", "1,3"},
		{"/hris/employees", "include_deleted=true", "1,2,3"},
		{"/hris/employees", "updated_after=2026-05-04T03:02:00.999Z", "1,3"},
		{"/hris/employees", "updated_after=2026-05-04T03:02:01.000Z", ""},
		{"/hris/employees", "updated_after=2026-05-04T03:02:01.000Z&include_deleted=true", "2"},
		{"/hris/employees", "updated_after=2026-05-04", "1,3"},
		{"/hris/employees", "ids=3,1,none", "1,3"},
		{"/hris/employees", "ids=", "1,3"},
		{"/hris/employees", "ids=2", ""},
		{"/hris/employees", "remote_ids=r1,r2&include_deleted=true", "1,2"},
		{"/hris/employees", "remote_ids=r1&ids=3", ""},
		{"/hris/employees", "employment_status=ACTIVE", "1"},
		{"/hris/employees", "employment_statuses=ACTIVE,LEAVE", "1,3"},
		{"/hris/employees", "employment_statuses=", "1,3"},
		{"/hris/employees", "employment_statuses=null&include_deleted=true", "2"},
		{"/hris/employees", "group_ids=g2,g3&include_deleted=true", "1,2"},
		{"/hris/employees", "work_emails=ADA@ACME.example,x", "1"},
		{"/hris/employees", "custom_fields=" + url.QueryEscape(`{"size":3}`), "1"},
		{"/hris/employees", "legal_entity_ids=l1", ""},
		{"/hris/employees", "legal_entity_ids=l1&ignore_unsupported_filters=true", "1,3"},
		{"/hris/employees", "employment_status=PENDING&ignore_unsupported_filters=true", ""},
		{"/hris/absences", "date_from=2026-05-10", "1,2,3"},
		{"/hris/absences", "date_from=2026-05-11", "2,3"},
		{"/hris/absences", "date_until=2026-05-10", "1,2"},
		{"/hris/absences", "date_from=2026-05-11&date_until=2026-05-31T00:00:00Z", "2"},
		{"/hris/absences", "type_ids=t1,t2", "1,2"},
		{"/hris/timesheets", "started_before=2026-05-04T08:00:00.000Z", ""},
		{"/hris/timesheets", "started_after=2026-05-04T08:00:00.000Z&ended_before=2026-05-04T12:00:00Z", "1"},
		{"/hris/groups", "types=TEAM", "1"},
		{"/hris/teams", "", "1,2"},
		{"/hris/groups", "types=null,DEPARTMENT", "2"},
		{"/hris/groups", "name_contains=OPS", "1"},
		{"/ats/candidates", "email=ada@X.example&first_name=ADA", "1"},
		{"/ats/candidates", "job_ids=j1", "1"},
		{"/ats/candidates", "job_ids=j2", ""},
		{"/ats/jobs", "post_url=" + url.QueryEscape("https://x.example/1?a,b"), "1"},
		{"/ats/jobs", "remote_created_after=2026-05-04", "1"},
		{"/assessment/orders", "statuses=OPEN", "1"},
		{"/assessment/orders", "created_after=2026-05-04T04:02:01.000Z", "2"},

		{"/hris/employees", "page_size=0", "page_size: not a number from 1 to 250"},
		{"/hris/employees", "page_size=251", "page_size: not a number from 1 to 250"},
		{"/hris/employees", "page_size=", "page_size: not a number from 1 to 250"},
		{"/hris/employees", "page_size=ten", "page_size: not a number from 1 to 250"},
		{"/hris/employees", "cursor=", "cursor: it is of no page of this list with these filters"},
		{"/hris/employees", "cursor=x", "cursor: it is of no page of this list with these filters"},
		{"/hris/employees", "include_deleted=1", "include_deleted: not true or false"},
		{"/hris/employees", "ignore_unsupported_filters=yes", "ignore_unsupported_filters: not true or false"},
		{"/hris/employees", "updated_after=yesterday", "updated_after: not a time such as 2026-05-04T03:02:01.000Z"},
		{"/hris/employees", "updated_after=2026-05-04T03:02:01%2B02:00", "updated_after: not a time such as 2026-05-04T03:02:01.000Z"},
		{"/hris/employees", "updated_after=", "updated_after: not a time such as 2026-05-04T03:02:01.000Z"},
		{"/hris/employees", "custom_fields=3", "custom_fields: not a JSON object with one member"},
		{"/hris/employees", "ids=1&ids=2", "ids: given more than once; separate values by commas"},
		{"/hris/employees", "job_ids=1", "job_ids: the list has no such parameter"},
		{"/hris/employees", "upated_after=2026-05-04", "upated_after: the list has no such parameter"},
		{"/hris/employees", "ids=%zz", "The query is not valid."},
		{"/hris/absences", "date_from=tomorrow", "date_from: not a time such as 2026-05-04T03:02:01.000Z"},
		{"/assessment/orders", "updated_after=2026-05-04", "updated_after: the list has no such parameter"},
		{"/assessment/orders", "remote_ids=1", "remote_ids: the list has no such parameter"},
	}
	for _, test := range tests {
		status, body := get(t, srv, id, test.list+"?"+test.query)
		var got string
		if status == http.StatusOK {
			found, _ := ids(t, body)
			got = strings.Join(found, ",")
		} else {
			var envelope struct {
				Error struct{ Code, Message string }
			}
			if err := json.Unmarshal([]byte(body), &envelope); err != nil || status != 400 || envelope.Error.Code != "PLATFORM.INPUT_INVALID" {
				t.Errorf("%s?%s: %d %s", test.list, test.query, status, body)
			}
			got = envelope.Error.Message
		}
		if got != test.want {
			t.Errorf("%s?%s: %q, want %q", test.list, test.query, got, test.want)
		}
	}
}

func TestRecordPages(t *testing.T) {
	t.Parallel()
	clock := newClock("2026-05-04T03:02:01Z")
	srv, client := kombotest.Start(t, kombotest.Config{Now: clock.Now})
	id := srv.Connect(t, request).ID
	for n := range 251 {
		put(t, srv, id, "/hris/employees", fmt.Sprintf(`{"id":"e%d","work_email":"e%d@acme.example"}`, n, n))
	}
	for query, want := range map[string]int{"": 100, "page_size=1": 1, "page_size=250": 250} {
		_, body := get(t, srv, id, "/hris/employees?"+query)
		if got, next := ids(t, body); len(got) != want || next == "" {
			t.Errorf("%q: %d records, next %q", query, len(got), next)
		}
	}
	got := list(t, client, kombo.ListRequest{Path: "/hris/employees", IntegrationID: id, ListOptions: kombo.ListOptions{PageSize: 50}})
	if len(got) != 251 || got[0].ID != "e0" || got[250].ID != "e250" {
		t.Errorf("%d records", len(got))
	}
	if n := len(srv.Requests()); n != 3+6 {
		t.Errorf("%d requests", n)
	}
	// The last page is full: there is no empty one after it.
	_, body := get(t, srv, id, "/hris/employees?page_size=250&ids=e0,e1&include_deleted=true")
	if _, next := ids(t, body); next != "" {
		t.Errorf("next = %q", next)
	}

	first := func(query string) string {
		_, body := get(t, srv, id, "/hris/employees?page_size=2&"+query)
		_, next := ids(t, body)
		return next
	}
	next := first("updated_after=2026-05-01T00:00:00.000Z&include_deleted=true")
	other := srv.Connect(t, request).ID
	put(t, srv, other, "/hris/employees", `{"id":"e0"}`, `{"id":"e1"}`, `{"id":"e2"}`)
	const good = "updated_after=2026-05-01T00:00:00.000Z&include_deleted=true"
	for _, test := range []struct{ id, list, query, want string }{
		{id, "/hris/employees", good + "&cursor=" + next, "e2,e3"},
		{id, "/hris/employees", good + "&cursor=" + next, "e2,e3"}, // it can be used again
		{id, "/hris/employees", "include_deleted=true&cursor=" + next, ""},
		{id, "/hris/employees", "cursor=" + next, ""},
		{id, "/hris/employees", good + "&ids=e1&cursor=" + next, ""},
		{id, "/hris/employees", strings.Replace(good, "05-01", "05-02", 1) + "&cursor=" + next, ""},
		{other, "/hris/employees", good + "&cursor=" + next, ""},
		{id, "/hris/groups", good + "&cursor=" + next, ""},
		{id, "/hris/employees", good + "&cursor=" + next + "x", ""},
	} {
		status, body := get(t, srv, test.id, test.list+"?page_size=2&"+test.query)
		if test.want == "" {
			if status != 400 || !strings.Contains(body, "cursor: it is of no page of this list with these filters") {
				t.Errorf("%s %s: %d %s", test.list, test.query, status, body)
			}
			continue
		}
		if got, _ := ids(t, body); strings.Join(got, ",") != test.want {
			t.Errorf("%s: %q, want %s", test.query, got, test.want)
		}
	}
	// The page size may change.
	if _, body := get(t, srv, id, "/hris/employees?page_size=3&"+good+"&cursor="+next); !strings.Contains(body, `"e4"`) {
		t.Errorf("%s", body)
	}
	// Cursors expire.
	clock.advance(time.Hour - time.Millisecond)
	if status, _ := get(t, srv, id, "/hris/employees?page_size=2&"+good+"&cursor="+next); status != 200 {
		t.Errorf("after almost an hour: %d", status)
	}
	clock.advance(time.Millisecond)
	if status, body := get(t, srv, id, "/hris/employees?page_size=2&"+good+"&cursor="+next); status != 400 || !strings.Contains(body, "cursor: it has expired") {
		t.Errorf("after an hour: %d %s", status, body)
	}
	_, err := kombo.ListPage[employee](t.Context(), client, kombo.ListRequest{
		Path: "/hris/employees", IntegrationID: id, ListOptions: kombo.ListOptions{Cursor: next},
	})
	if !errors.Is(err, kombo.ErrInvalidInput) {
		t.Errorf("error = %v, want ErrInvalidInput", err)
	}
}

// Records that are changed, added or deleted during a read do not shift its pages.
func TestRecordsChangeBetweenPages(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, request).ID
	for n := range 6 {
		put(t, srv, id, "/hris/employees", fmt.Sprintf(`{"id":"e%d"}`, n))
	}
	var got []string
	for e, err := range kombo.List[employee](t.Context(), client, kombo.ListRequest{
		Path: "/hris/employees", IntegrationID: id, ListOptions: kombo.ListOptions{PageSize: 2},
	}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.ID)
		if e.ID == "e1" {
			for _, gone := range []string{"e0", "e1", "e3"} {
				if err := srv.DeleteRecord(id, "/hris/employees", gone); err != nil {
					t.Fatal(err)
				}
			}
			put(t, srv, id, "/hris/employees", `{"id":"e5","work_email":"new@acme.example"}`, `{"id":"e6"}`)
		}
	}
	if diff := cmp.Diff([]string{"e0", "e1", "e2", "e4", "e5", "e6"}, got); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

// A client that passes the start time of its previous read misses no change, even if the clock stands still or everything
// happens within a millisecond.
func TestRecordsThatChanged(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]kombotest.Config{"real": {}, "still": {Now: at("2026-05-04T03:02:01Z")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, client := kombotest.Start(t, config)
			id := srv.Connect(t, request).ID
			now := time.Now
			if config.Now != nil {
				now = config.Now
			}
			began := now()
			read := func() string {
				request := kombo.ListRequest{Path: "/hris/employees", IntegrationID: id, UpdatedAfter: began, IncludeDeleted: true}
				began = now()
				var found []string
				for _, e := range list(t, client, request) {
					found = append(found, e.ID)
				}
				return strings.Join(found, ",")
			}
			began = time.Time{}
			put(t, srv, id, "/hris/employees", `{"id":"1"}`, `{"id":"2"}`, `{"id":"3"}`)
			before := srv.Records(id, "/hris/employees")
			if got := read(); got != "1,2,3" {
				t.Errorf("first: %s", got)
			}
			if got := read(); got != "" {
				t.Errorf("unchanged: %s", got)
			}
			put(t, srv, id, "/hris/employees", `{"id":"2", "remote_deleted_at": null}`) // unchanged
			if got := read(); got != "" {
				t.Errorf("put again: %s", got)
			}
			put(t, srv, id, "/hris/employees", `{"id":"2","work_email":"new@acme.example"}`)
			if got := read(); got != "2" {
				t.Errorf("changed: %s", got)
			}
			if err := srv.DeleteRecord(id, "/hris/employees", "3"); err != nil {
				t.Fatal(err)
			}
			if got := read(); got != "3" && got != "2,3" { // also 2 if everything happens within a millisecond
				t.Errorf("deleted: %s", got)
			}
			if err := srv.DeleteRecord(id, "/hris/employees", "3"); err != nil {
				t.Fatal(err)
			}
			deleted := srv.Records(id, "/hris/employees")
			var e employee
			if err := json.Unmarshal(deleted[2], &e); err != nil || e.RemoteDeletedAt == nil || !e.RemoteDeletedAt.Equal(e.ChangedAt) {
				t.Errorf("deleted: %s (%v)", deleted[2], err)
			}
			put(t, srv, id, "/hris/employees", `{"id":"3"}`)
			if got := read(); !strings.HasSuffix(got, "3") {
				t.Errorf("put after the deletion: %s", got)
			}
			if after := srv.Records(id, "/hris/employees"); string(after[0]) != string(before[0]) || !strings.Contains(string(after[2]), `"remote_deleted_at":null`) {
				t.Errorf("records = %s", after)
			}
		})
	}
}

// Faults and limits apply as to every operation.
func TestRecordFaults(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, request).ID
	for n := range 3 {
		put(t, srv, id, "/hris/employees", fmt.Sprintf(`{"id":"e%d"}`, n))
	}
	srv.InjectFault(kombotest.Fault{Op: "GET /hris/employees", Times: 2, Status: 503})
	if got := list(t, client, kombo.ListRequest{Path: "/hris/employees", IntegrationID: id, ListOptions: kombo.ListOptions{PageSize: 2}}); len(got) != 3 {
		t.Errorf("records = %+v", got)
	}
	var statuses []int
	for _, r := range srv.Requests() {
		statuses = append(statuses, r.StatusCode)
	}
	if diff := cmp.Diff([]int{503, 503, 200, 200}, statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if left := srv.Faults(); len(left) > 0 {
		t.Errorf("faults = %+v", left)
	}
}
