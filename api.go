package kombo

import (
	"cmp"
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kombo-go/kombo/internal/boundedjson"
	"github.com/kombo-go/kombo/internal/transport"
)

// Request is the request of a [Call].
type Request struct {
	// Method is GET, POST, PUT, PATCH or DELETE; "" means GET.
	Method string
	// Path is the route below the base URL, with a placeholder in braces for each value, such as
	// "/ats/jobs/{job_id}/applications". Errors, logs, observers and spans show the route, so IDs belong in
	// PathValues. Required.
	Path string
	// PathValues fill the placeholders of Path, in order. Each is escaped as one segment of the path.
	PathValues []string
	// Query is the query of the URL.
	Query url.Values
	// IntegrationID selects the integration. All endpoints of HRIS, ATS, LMS, Assessment and Custom require
	// it, those of AI Apply do not.
	IntegrationID string
	// Body is sent as JSON; nil means {} for POST and PATCH, whose endpoints all take an object, and no body for
	// other methods.
	Body any
	// ContentType is the media type of a Body that is a []byte and is sent as it is. It is for the one endpoint
	// that does not take JSON: the bulk import of AI Apply takes "application/x-ndjson".
	ContentType string
	// Timeout limits one attempt, in place of [WithTimeout] and of the default: [DefaultTimeout], or
	// [DefaultLinkTimeout] for POST, as in Kombo's own SDKs. Zero means that it is not set here.
	Timeout time.Duration
	// Idempotent means that executing the request twice does no harm. POST and PATCH are retried only if they
	// were not executed, or after [CodeRemoteServiceUnavailable], unless Idempotent is set; the other methods are
	// idempotent.
	Idempotent bool
}

// Response is the response to a [Call].
type Response[T any] struct {
	Data T
	// Warnings are hints from Kombo to developers: log them. At most 100 are kept.
	Warnings []Warning
	// Header is the header of the response: actions have Concurrency-Limit and Concurrency-Remaining.
	Header http.Header
}

// Call calls any endpoint of Kombo's API, with the retries, time limits, errors and observers of client. The
// data of the response is decoded into a T: a struct with the fields that the caller reads, or any other
// type that encoding/json decodes into, apart from pointers. Fields that T does not have are ignored. If the
// caller reads nothing, T is struct{}. Prefer structs to any and map[string]any: a struct takes at most about
// ten times the size of the response in memory, an any up to some forty times.
//
//	type Application struct {
//		ID string `json:"id"`
//	}
//	created, err := kombo.Call[Application](ctx, client, kombo.Request{
//		Method: http.MethodPost, Path: "/ats/jobs/{job_id}/applications", PathValues: []string{jobID},
//		IntegrationID: id, Body: application,
//	})
//
// Input that cannot be sent fails with [ErrInvalidInput] before anything is sent. A response without data,
// or with data that cannot be decoded into a T, fails with [ErrUnexpectedResponse]; an action was executed
// then. For the other errors see [Error]: [ErrIntegrationNotReady] and [ErrReconnectRequired] matter most here.
//
// Kombo's documentation: https://docs.kombo.dev
func Call[T any](ctx context.Context, client *Client, request Request) (*Response[T], error) {
	operation, in := request.resolve()
	target := reflect.TypeFor[T]()
	in.err = cmp.Or(in.err, checkTarget(target))
	decoded := response[T]{needsData: needsData(target)}
	var into anyResponse = &decoded
	if target.Kind() == reflect.Struct && target.NumField() == 0 { // the caller reads nothing, so any data is fine
		into = &response[noData]{}
	}
	resp, err := client.shared().do(ctx, operation, in, into)
	if err != nil {
		return nil, err
	}
	result := &Response[T]{Warnings: into.outer().warnings(), Header: resp.Header}
	if decoded.Data != nil {
		result.Data = *decoded.Data
	}
	return result, nil
}

// shared returns nil for a client that was not made by NewClient.
func (c *Client) shared() *service {
	if c == nil {
		return nil
	}
	return c.service
}

// resolve returns the operation of a request, with its defaults, and what it sends.
func (r Request) resolve() (transport.Operation, input) {
	operation := transport.Operation{
		Method: r.Method, Path: r.Path,
		Secret: strings.Contains(r.Path, "token"), // of "/connect/integration-by-token/{token}"
	}
	in := input{
		body: r.Body, contentType: r.ContentType, pathValues: r.PathValues, query: r.Query, integrationID: r.IntegrationID,
		timeout: r.Timeout, err: cmp.Or(r.validate(), checkPath(r.Path)),
	}
	if r.Method == "" {
		operation.Method = http.MethodGet
	}
	if operation.Method == http.MethodPost || operation.Method == http.MethodPatch {
		operation.NonIdempotent = !r.Idempotent
		if in.body == nil {
			// Over HTTP/2, net/http resends a request without a body by itself, also if it may have been executed.
			in.body = emptyRequest{}
		}
	}
	if in.err != nil { // the route may be anything, so it is not printed
		operation = transport.Operation{Method: "invalid", Path: "request"}
	}
	return operation, in
}

func (r Request) validate() error {
	switch {
	case r.Method != "" && !slices.Contains(passthroughMethods, r.Method):
		return inputError("Method is not one of " + strings.Join(passthroughMethods, ", "))
	case r.Timeout < 0:
		return inputError("Timeout is negative")
	case r.Body != nil && (r.Method == "" || r.Method == http.MethodGet):
		return inputError("Body: a GET has none; use Query")
	case r.ContentType != "":
		return checkRawBody(r.ContentType, r.Body)
	case becomesOther(reflect.ValueOf(r.Body)):
		return inputError("Body would not be sent as it is: for bytes or a reader, give a json.RawMessage")
	}
	return nil
}

func checkRawBody(contentType string, body any) error {
	raw, ok := body.([]byte)
	switch {
	case !printableASCII(contentType, true):
		return inputError("ContentType contains characters that are not allowed in a header")
	case !ok || len(raw) == 0:
		return inputError("ContentType is set, so Body must be a []byte that is not empty")
	case !utf8.Valid(raw):
		return inputError("Body" + notUTF8)
	}
	return nil
}

// checkPath refuses what is not a route. It is strict, because a route is printed, and because a colon, an escape or a
// capital letter shows that an ID or a token is in the place of a placeholder.
func checkPath(path string) error {
	switch {
	case path == "":
		return inputError("Path is required")
	case strings.Contains(path, "://"):
		return inputError("Path is a URL; give the part after /v1, such as \"/hris/employees\"")
	case path[0] != '/':
		return inputError("Path does not start with a slash")
	case strings.HasPrefix(path, "/v1/"):
		return inputError("Path starts with /v1, which is in the base URL")
	case strings.ContainsAny(path, "?#"):
		return inputError("Path contains a query or a fragment; use Query")
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		literal, isPlaceholder := segment, false
		if strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") {
			literal, isPlaceholder = segment[1:len(segment)-1], true
		}
		other := func(r rune) bool {
			isCapital := r >= 'A' && r <= 'Z'
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.' && (!isCapital || !isPlaceholder)
		}
		switch {
		case literal == "" || literal == "." || literal == "..":
			return inputError("Path has an empty segment, or the segment . or ..")
		case strings.ContainsFunc(literal, other):
			return inputError("Path contains characters that a route has not; put values into PathValues, and a {placeholder} into Path")
		}
	}
	return nil
}

// checkTarget refuses types that no data can be decoded into: after an action it would be too late.
func checkTarget(t reflect.Type) error {
	if t.Kind() == reflect.Pointer {
		return inputError("the type of the data is a pointer; use the type that it points to")
	}
	for range maxTargetDepth {
		if p := reflect.PointerTo(t); p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
			return nil
		}
		switch t.Kind() { // all others can be decoded into
		case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
			return inputError("the type of the data cannot be decoded into")
		case reflect.Interface:
			if t.NumMethod() > 0 {
				return inputError("the type of the data is an interface with methods, which cannot be decoded into")
			}
			return nil
		case reflect.Struct:
			exported := func(f reflect.StructField) bool { return f.IsExported() }
			if t.NumField() > 0 && !slices.ContainsFunc(reflect.VisibleFields(t), exported) {
				return inputError("the type of the data has no exported fields, so nothing would be decoded")
			}
			return nil
		case reflect.Map:
			if !isMapKey(t.Key()) {
				return inputError("the type of the data is a map whose keys cannot be decoded into")
			}
			t = t.Elem()
		case reflect.Array, reflect.Slice, reflect.Pointer:
			t = t.Elem()
		default:
			return nil
		}
	}
	return nil
}

// isMapKey reports whether encoding/json can decode the name of a member into a t.
func isMapKey(t reflect.Type) bool {
	return t.Kind() == reflect.String || reflect.Int <= t.Kind() && t.Kind() <= reflect.Uintptr ||
		reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// maxTargetDepth ends the check of types that contain themselves, such as a map of the same maps.
const maxTargetDepth = 32

// needsData reports whether a null cannot be the data of type t: a struct with fields, or a plain value.
func needsData(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface, reflect.Map, reflect.Slice:
		return false
	case reflect.Struct:
		return t.NumField() > 0
	default:
		return true
	}
}

// ListRequest selects what a [List] reads. The filters are sent again with every page.
type ListRequest struct {
	// Path and PathValues are those of a [Request].
	Path       string
	PathValues []string
	// IntegrationID selects the integration; see [Request.IntegrationID].
	IntegrationID string
	// UpdatedAfter selects what has changed since; the zero time, and every time before 1970, selects everything.
	// It is sent in UTC, in milliseconds, rounded down. See [List] for the time to pass.
	UpdatedAfter time.Time
	// IncludeDeleted also selects what was deleted; such items have remote_deleted_at.
	IncludeDeleted bool
	// IDs and RemoteIDs select items by Kombo's IDs, or by those of the tool. nil selects all; an empty list
	// is refused, because Kombo would return everything.
	IDs, RemoteIDs []string
	// Filters are further parameters of the endpoint, such as "job_ids". Several values are sent as Kombo
	// expects them: in one parameter, with commas between them.
	Filters url.Values
	// ListOptions select the first page and the size of pages: up to 250 for most lists, 5 for those of AI Apply
	// jobs.
	ListOptions
}

// maxPageSize is the largest page that Kombo documents for the lists that [List] is for.
const maxPageSize = 250

// List iterates over the items of a list: employees, jobs, applications and so on. Pages are fetched as they
// are needed, and one is in memory at a time. T is a struct with the fields that the caller reads.
//
//	type Employee struct {
//		ID        string    `json:"id"`
//		WorkEmail string    `json:"work_email"`
//		ChangedAt time.Time `json:"changed_at"`
//	}
//	for employee, err := range kombo.List[Employee](ctx, client, kombo.ListRequest{
//		Path: "/hris/employees", IntegrationID: id,
//	}) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// # Incremental reads
//
// After a first read of everything, read what has changed: when a [DataChangedEvent] names the model, and from time
// to time, since webhooks can get lost. Pass as UpdatedAfter the time at which the previous read began:
//
//	began := time.Now().Add(-5 * time.Minute) // in case that this clock is ahead of Kombo's
//	for employee, err := range kombo.List[Employee](ctx, client, kombo.ListRequest{
//		Path: "/hris/employees", IntegrationID: id, UpdatedAfter: lastBegan, IncludeDeleted: true,
//	}) {
//		if err != nil {
//			return err // lastBegan stays
//		}
//		… // delete the employee if remote_deleted_at is set, or else insert or replace it by its ID
//	}
//	lastBegan = began // once the read is complete
//
// Items are read more than once this way, and none is missed. Do not compare changed_at with UpdatedAfter: Kombo also
// returns items of which only nested data has changed. Kombo advises to read everything from time to time, such as
// once a week: with the zero time and without IncludeDeleted. Then delete what it does not return. While the first
// sync is pending, a list fails with [ErrIntegrationNotReady].
//
// # Errors
//
// An item that cannot be decoded into a T is an error that names its index in the page and the field
// ([ErrUnexpectedResponse]); the next iteration continues with the item after it, so that one item need not keep
// the caller from the others: log it, or declare a doubtful field as [json.RawMessage]. Any other error ends the
// sequence, as do cursors that would never end (one is repeated, or 100 pages in a row are empty). The
// errors are those of [Call]. A list without pages, which has no next in its data, is for Call.
func List[T any](ctx context.Context, client *Client, request ListRequest) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) { // the sequence can be iterated again, also concurrently
		operation, in := resolveList[T](request)
		paginate(operation, request.ListOptions, func(options ListOptions) (iter.Seq2[T, error], string, error) {
			if options.Cursor != request.Cursor {
				in.query.Set("cursor", options.Cursor)
			}
			page, bad, err := fetchList[T](ctx, client, operation, &in)
			if bad != nil {
				return bad.all, bad.next, nil
			}
			return resultsOf(page, err)
		})(yield)
	}
}

// ListPage returns one page of a [List], for callers who store the cursor. If an item cannot be decoded into
// a T, it returns the error of that item.
func ListPage[T any](ctx context.Context, client *Client, request ListRequest) (*Page[T], error) {
	operation, in := resolveList[T](request)
	page, bad, err := fetchList[T](ctx, client, operation, &in)
	if bad != nil {
		for _, err := range bad.all {
			if err != nil {
				return nil, err
			}
		}
	}
	return page, err
}

// badPage is a page with items that cannot be decoded. They must not take the others with them.
type badPage[T any] struct {
	operation transport.Operation
	resp      *transport.Response
	items     []json.RawMessage
	next      string
}

// all yields each item, or the error of one that cannot be decoded. It keeps none of them: errors take many times the
// memory of their items.
func (p *badPage[T]) all(yield func(T, error) bool) {
	for i, document := range p.items {
		var item T
		err := boundedjson.Unmarshal(document, &item)
		if err != nil {
			wrong := findMisfit(document, &item, fmt.Sprintf("data.results[%d]", i), err, func(string) bool { return true })
			err = unexpectedResponse(p.operation, p.resp, wrong.describe())
		}
		if !yield(item, err) {
			return
		}
	}
}

// fetchList fetches one page, or a bad one and the error that names its first bad item. It stores the size of the page
// in in, for the next.
func fetchList[T any](ctx context.Context, client *Client, operation transport.Operation, in *input) (*Page[T], *badPage[T], error) {
	var decoded response[pageResponse[T]]
	resp, err := client.shared().do(ctx, operation, *in, &decoded)
	if resp != nil {
		in.expectedSize = int64(len(resp.Body))
	}
	if err == nil {
		return decoded.Data.page(), nil, nil
	}
	var raw response[pageResponse[json.RawMessage]]
	if kerr, ok := errors.AsType[*Error](err); resp == nil || ok && kerr.tooMuch || decode(operation, resp, &raw) != nil {
		return nil, nil, err
	}
	return nil, &badPage[T]{operation, resp, *raw.Data.Results, raw.Data.Next.value}, err
}

// resolveList returns the operation and the input of the first page.
func resolveList[T any](r ListRequest) (transport.Operation, input) {
	operation, in := Request{Path: r.Path, PathValues: r.PathValues, IntegrationID: r.IntegrationID}.resolve()
	query, err := r.query()
	in.query, in.err = query, cmp.Or(in.err, err, checkTarget(reflect.TypeFor[T]()))
	return operation, in
}

func (r ListRequest) query() (url.Values, error) {
	query, err := r.ListOptions.query(maxPageSize)
	if err != nil {
		return nil, err
	}
	// A time before 1970 is the zero time from which somebody has subtracted some minutes.
	if after := r.UpdatedAfter.UTC(); after.Year() >= 1970 {
		if after.Year() > 9999 {
			return nil, inputError("UpdatedAfter is after the year 9999; are its seconds milliseconds?")
		}
		query.Set("updated_after", after.Format("2006-01-02T15:04:05.000Z"))
	}
	if r.IncludeDeleted {
		query.Set("include_deleted", "true")
	}
	for _, list := range [...]struct {
		field, name string
		values      []string
	}{{"IDs", "ids", r.IDs}, {"RemoteIDs", "remote_ids", r.RemoteIDs}} {
		if list.values == nil {
			continue
		}
		value, err := commaSeparated(list.field, list.values)
		if err != nil {
			return nil, err
		}
		query.Set(list.name, value)
	}
	for name, values := range r.Filters {
		switch {
		case query.Has(name):
			return nil, inputError("Filters contains " + name + ", which another field sets")
		case name == "cursor" || name == "page_size":
			return nil, inputError("Filters contains " + name + "; use ListOptions")
		case len(values) == 1 && values[0] != "": // which may be a list already, or a text with commas
			query.Set(name, values[0])
			continue
		}
		value, err := commaSeparated("Filters: "+name, values)
		if err != nil {
			return nil, err
		}
		query.Set(name, value)
	}
	return query, nil
}

// commaSeparated returns a list as Kombo's filters have it. It refuses an empty one, because Kombo takes an
// empty filter for none and would return everything.
func commaSeparated(field string, values []string) (string, error) {
	if len(values) == 0 {
		return "", inputError(field + " is an empty list, which would select everything")
	}
	for _, value := range values {
		if value == "" || strings.Contains(value, ",") {
			return "", inputError(field + " contains an empty value, or one with a comma")
		}
	}
	return strings.Join(values, ","), nil
}
