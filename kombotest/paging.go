package kombotest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
)

const (
	// maxRecordsPage is the longest page of records.
	maxRecordsPage = 250
	// cursorLifetime is how long a cursor of records is valid.
	cursorLifetime = time.Hour
)

// checkReady returns the error of an integration that has no data yet.
func (i *integration) checkReady() error {
	switch i.SetupStatus {
	case kombo.SetupStatusIncomplete:
		return &apiError{code: kombo.CodeIntegrationSetupIncomplete, message: "The setup of the integration is not complete."}
	case kombo.SetupStatusFinalSyncPending:
		return &apiError{code: kombo.CodeIntegrationSetupSyncPending, message: "The first sync of the integration has not finished."}
	case kombo.SetupStatusCompleted:
	}
	return nil
}

// listRecords makes the endpoint of a list.
func listRecords(l list) endpoint {
	return integrationEndpoint(func(st *state, c *call, i *integration) (any, error) {
		if err := i.checkReady(); err != nil {
			return nil, err
		}
		query, err := readQuery(l, i.ID, c.URL.RawQuery, st.now())
		if err != nil {
			return nil, err
		}
		i.data.read = later(st.now(), i.data.newest)
		page, next := query.page(i.data.table(l))
		return object{{"next", orNull(next)}, {"results", page}}, nil
	})
}

// listQuery is what a request of a list selects.
type listQuery struct {
	list          list
	integrationID string
	now           time.Time
	size          int // records per page
	after         int // the number of the last record of the page before, or 0
	selection     string

	ids, remoteIDs    map[string]bool // nil means all
	updatedAfter      time.Time
	withDeleted       bool
	ignoreUnsupported bool
	tests             map[string]func(any) bool // by parameter
}

func readQuery(l list, integrationID, rawQuery string, now time.Time) (*listQuery, error) {
	q := &listQuery{list: l, integrationID: integrationID, now: now, size: defaultPage, tests: map[string]func(any) bool{}}
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, invalid("The query is not valid.")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		given := values[name]
		if len(given) > 1 {
			return nil, invalid(name + ": given more than once; separate values by commas")
		}
		if err := q.read(name, given[0]); err != nil {
			return nil, invalid(name + ": " + err.Error())
		}
	}
	cursor, hasCursor := values.Get("cursor"), values.Has("cursor")
	delete(values, "cursor")
	delete(values, "page_size")
	q.selection = values.Encode()
	if hasCursor {
		if q.after, err = q.readCursor(cursor); err != nil {
			return nil, invalid("cursor: " + err.Error())
		}
	}
	return q, nil
}

// read reads a parameter.
func (q *listQuery) read(name, value string) (err error) {
	switch name {
	case "cursor":
		return nil // depends on the others
	case "page_size":
		if q.size, err = strconv.Atoi(value); err != nil || q.size < 1 || q.size > maxRecordsPage {
			return fmt.Errorf("not a number from 1 to %d", maxRecordsPage)
		}
		return nil
	case "ids":
		if value != "" {
			q.ids = split(value)
		}
		return nil
	}
	if !q.list.untracked {
		switch name {
		case "updated_after":
			q.updatedAfter, err = readTime(value)
			return err
		case "include_deleted":
			q.withDeleted, err = readFlag(value)
			return err
		}
	}
	if !strings.HasPrefix(q.list.path, "/assessment/") {
		switch name {
		case "remote_ids":
			if value != "" {
				q.remoteIDs = split(value)
			}
			return nil
		case "ignore_unsupported_filters":
			q.ignoreUnsupported, err = readFlag(value)
			return err
		}
	}
	f, ok := q.list.filters[name]
	switch {
	case !ok:
		return errors.New("the list has no such parameter")
	case value != "": // a blank one selects everything
		q.tests[name], err = f.test(value)
	}
	return err
}

func readFlag(value string) (bool, error) {
	if value != "true" && value != "false" {
		return false, errors.New("not true or false")
	}
	return value == "true", nil
}

func (q *listQuery) newCursor(after int) string { return q.signed(after, q.now.Add(cursorLifetime)) }

// signed returns a cursor: base64url of the number of the last record, the time at which the cursor expires, and a hash of
// these, the list, the integration and the filters.
func (q *listQuery) signed(after int, expires time.Time) string {
	content := fmt.Sprintf("%d.%d", after, expires.UnixMilli())
	hash := sha256.Sum256([]byte(strings.Join([]string{q.list.path, q.integrationID, q.selection, content}, "\n")))
	return base64.RawURLEncoding.EncodeToString([]byte(content + "." + hex.EncodeToString(hash[:8])))
}

func (q *listQuery) readCursor(cursor string) (after int, err error) {
	content, _ := base64.RawURLEncoding.DecodeString(cursor) // what cannot be decoded is of no page
	var expires int64
	if _, err := fmt.Sscanf(string(content), "%d.%d.", &after, &expires); err != nil || q.signed(after, time.UnixMilli(expires)) != cursor {
		return 0, errors.New("it is of no page of this list with these filters")
	}
	if !q.now.Before(time.UnixMilli(expires)) {
		return 0, errors.New("it has expired; begin again with the first page")
	}
	return after, nil
}

// page returns the records of a page, and the cursor of the next one.
func (q *listQuery) page(t *table) (page []json.RawMessage, next string) {
	if q.ignoreUnsupported {
		q.dropUnsupported(t)
	}
	page = []json.RawMessage{}
	begin, _ := slices.BinarySearchFunc(t.records, q.after+1, func(r *dataRecord, number int) int { return r.number - number })
	last := 0
	for _, r := range t.records[begin:] {
		if !q.selects(r) {
			continue
		}
		if len(page) == q.size {
			return page, q.newCursor(last)
		}
		page, last = append(page, r.body), r.number
	}
	return page, ""
}

func (q *listQuery) selects(r *dataRecord) bool {
	switch {
	case r.deleted && !q.withDeleted,
		q.ids != nil && !q.ids[r.id],
		q.remoteIDs != nil && (r.remoteID == "" || !q.remoteIDs[r.remoteID]),
		!q.updatedAfter.IsZero() && !r.changedAt.After(q.updatedAfter):
		return false
	case len(q.tests) == 0:
		return true
	}
	decoded := r.decoded()
	for name, test := range q.tests {
		if !q.list.filters[name].matches(decoded, test) {
			return false
		}
	}
	return true
}

func (r *dataRecord) decoded() map[string]any {
	var decoded map[string]any
	_ = json.Unmarshal(r.body, &decoded) // it was encoded here
	if decoded != nil {
		decoded[firstPut] = timeText(r.firstPut)
	}
	return decoded
}

// dropUnsupported drops the filters for fields that no record has: the integration does not support them.
func (q *listQuery) dropUnsupported(t *table) {
	for name := range q.tests {
		filter := q.list.filters[name]
		if !slices.ContainsFunc(t.records, func(r *dataRecord) bool {
			return filter.matches(r.decoded(), func(value any) bool { return value != nil })
		}) {
			delete(q.tests, name)
		}
	}
}
