package kombo_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// A response or webhook may take at most mostPerByte times its size in memory, plus what every call takes.
const (
	mostPerByte = 10
	mostAnyway  = 4 << 20
)

// peak returns the largest growth of the heap while f runs, including garbage. Tests that call it do not run in
// parallel.
func peak(f func()) int {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() int {
		metrics.Read(heap)
		return int(heap[0].Value.Uint64())
	}
	// Because of the bodies and fixtures in memory, the collector would start at some 15 MB of garbage. In a program
	// without them it starts at 4 MB.
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	runtime.GC()
	before, most := read(), 0
	done := make(chan struct{})
	var sampling sync.WaitGroup
	sampling.Go(func() {
		for {
			most = max(most, read())
			select {
			case <-done:
				return
			case <-time.After(200 * time.Microsecond):
			}
		}
	})
	f()
	close(done)
	sampling.Wait()
	return max(most, read()) - before
}

// excess measures how much f adds to the heap. If that is too much, it returns the multiple of size, else 0. On a busy
// machine the collector runs late and garbage accumulates, so a value above the bound is measured again.
func excess(size int, f func()) (times float64) {
	for range 3 {
		took := peak(f)
		if took <= mostPerByte*size+mostAnyway {
			return 0
		}
		times = float64(took) / float64(size)
	}
	return times
}

// brief reports whether the tests must be short.
func brief() bool { return testing.Short() || raceDetector() }

// memorySize is the size of most bodies in the tests below.
func memorySize() int {
	if brief() {
		return 256 << 10
	}
	return kombo.MaxWebhookBody
}

// listOf returns a list of about size bytes with many copies of an element.
func listOf(element string, size int) string {
	return "[" + strings.Repeat(element+",", size/(len(element)+1)) + element + "]"
}

// objectOf returns an object of about size bytes with distinct keys.
func objectOf(value string, size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		b.WriteString(`,"` + strconv.FormatInt(int64(i), 36) + `":` + value)
	}
	return "{" + b.String()[1:] + "}"
}

// contents returns values that a member of a response can be filled with: all of them, or those that take the most
// memory.
func contents(size int, all bool) map[string]string {
	filled := map[string]string{
		"a string that is not UTF-8": `"` + strings.Repeat("\xff", size) + `"`,
		"object of lists":            objectOf(`["",""]`, size),
	}
	for _, element := range []string{`{}`, `null`, `{"id":""}`} {
		filled["list of "+element] = listOf(element, size)
	}
	if !all {
		return filled
	}
	filled["escapes"] = `"` + strings.Repeat(`\n`, size/2) + `"`
	filled["nested"] = listOf(strings.Repeat("[", 200)+strings.Repeat("]", 200), size)
	for _, element := range []string{
		`{}`, `null`, `""`, `[]`, `0`, `true`, `"a"`, `[{}]`, `[""]`, `{"id":""}`, `{"id":0}`, `{"ID":"a"}`, `{"\u0069d":"a"}`, `{"x":{}}`, `{"fields":[{},{},{}]}`,
		`{"coverage":{"read_models":[{},{}],"write_actions":[{"fields":[{},{}]}],"features":[{}]}}`, `{"integration_field":{}}`,
		`{"integration_field":{},"integration_field":null,"integration_field":{}}`, `{"hiring_team_roles":["","",""]}`, `{"message":""}`,
	} {
		filled["list of "+element] = listOf(element, size)
	}
	for _, value := range []string{`""`, `null`, `[]`, `["",""]`, `{}`, `0`} {
		filled["object of "+value] = objectOf(value, size)
	}
	filled["object with a list of many"] = `{"a":` + listOf(`""`, size) + `}`
	return filled
}

func TestNoResponseTakesFarMoreMemoryThanItsSize(t *testing.T) {
	type call struct {
		// where has %s at the position of the content.
		where []string
		call  func(context.Context, *kombo.Client) error
	}
	calls := map[string]call{
		"Tools": {[]string{
			`{"status":"success","data":{"tools":%s}}`, `{"status":"success","data":{"TOOLS":%s}}`, `{"status":"success","data":{"tools":null,"tools":%s}}`,
			`{"status":"success","data":{"tools":[{"id":"a","label":%s}]}}`, `{"status":"success","data":{"tools":[{"id":"a","coverage":{"read_models":%s}}]}}`,
			`{"status":"success","data":{"tools":[{"id":"a","coverage":{"write_actions":%s}}]}}`,
			`{"status":"success","data":{"tools":[{"id":"a","coverage":{"features":%s}}]}}`,
			`{"status":"success","data":{"tools":[{"id":"a","coverage":{"read_models":[{"id":"a","fields":%s}]}}]}}`,
			`{"status":"success","data":{"tools":[]},"warnings":%s}`, `{"status":"success","data":{"tools":[]},"unknown":%s}`, `{"status":"success","data":{"tools":[]},"error":%s}`,
			`{"status":"error","error":%s}`, `{"status":"error","error":{"code":"A","message":%s}}`, `{"data":{"tools":%s}}`, `{"status":%s}`, `%s`,
		}, func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Connect.Tools(ctx, kombo.CategoryHRIS)
			return err
		}},
		"CreateLink": {[]string{
			`{"status":"success","data":{"link":"https://a","static_ips":%s}}`, `{"status":"success","data":{"link":%s}}`,
		}, func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Connect.CreateLink(ctx, linkRequest)
			return err
		}},
		"Get": {[]string{
			`{"status":"success","data":{"id":"a","read_models":%s}}`, `{"status":"success","data":{"id":"a","read_models":[{"fields":%s}]}}`,
			`{"status":"success","data":{"id":"a","write_actions":%s}}`, `{"status":"success","data":{"id":"a","write_actions":[{"fields":%s}]}}`,
			`{"status":"success","data":{"id":"a","data_expired_at":%s}}`,
		}, func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.Get(ctx, "a")
			return err
		}},
		"Passthrough": {[]string{
			`{"status":"success","data":{"status":200,"headers":%s}}`, `{"status":"success","data":{"status":200,"headers":{"a":%s}}}`, `{"status":"success","data":{"status":200,"data":%s}}`,
			`{"status":"success","data":{"status":200},"warnings":%s}`, `{"status":"success","data":{"status":200},"warnings":[{"message":%s}]}`,
		}, func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.Passthrough(ctx, "a", "b", "c", kombo.PassthroughRequest{Method: "GET", Path: "/"})
			return err
		}},
	}
	check := func(name string, call func(context.Context, *kombo.Client) error, status int, where, content, document string) {
		body := strings.Replace(where, "%s", document, 1)
		client := serveGzip(t, status, body)
		var err error
		if times := excess(len(body), func() { err = call(t.Context(), client) }); times > 0 {
			t.Errorf("%s, status %d, %s with %s: %.1f times its size; error = %.200v", name, status, where, content, times, err)
		}
	}
	most, all := contents(memorySize(), false), contents(memorySize(), true)
	for name, call := range calls {
		for i, where := range call.where {
			filled := most
			if i == 0 && name == "Tools" {
				filled = all
			}
			for content, document := range filled {
				check(name, call.call, http.StatusOK, where, content, document)
			}
			if brief() || i > 0 {
				continue
			}
			for _, element := range []string{`{}`, `{"id":"abc"}`} {
				check(name, call.call, http.StatusOK, where, "10 MiB of "+element, listOf(element, 10<<20-100))
			}
		}
	}
	for op, call := range allCalls {
		for _, where := range []string{`{"status":"success","data":%s}`, `{"status":"success","data":{"next":null,"results":%s}}`} {
			for content, document := range most {
				check(op, call, http.StatusOK, where, content, document)
			}
		}
	}
	for content, document := range most {
		for _, where := range []string{`{"status":"error","error":%s}`, `{"status":"error","error":{"code":"A","message":%s}}`, `%s`} {
			check("Tools", calls["Tools"].call, http.StatusNotFound, where, content, document)
		}
	}
}

// The lists that took the most memory without a bound.
func TestListsOfNothingAreRefused(t *testing.T) {
	t.Parallel()
	nothing := listOf("{}", 1<<20)
	client := serveGzip(t, http.StatusOK, `{"status":"success","data":{"id":"a","tools":`+nothing+`,"results":`+nothing+`,"read_models":`+nothing+`}}`)
	_, err := client.Connect.Tools(t.Context(), kombo.CategoryHRIS)
	checkTooMuch(t, "Tools", err)
	_, err = client.Integrations.Get(t.Context(), "a")
	checkTooMuch(t, "Get", err)
	_, err = client.Integrations.FieldsPage(t.Context(), "a", kombo.ListOptions{})
	checkTooMuch(t, "FieldsPage", err)
	_, err = client.Integrations.CustomFieldsPage(t.Context(), "a", kombo.ListOptions{})
	checkTooMuch(t, "CustomFieldsPage", err)
	_, err = newVerifier(t, testSecret).Parse(signed(`{"id":"a","type":"assessment:order-received","data":{"job":{"hiring_team":` + listOf("{}", 1<<19) + `}}}`))
	if !errors.Is(err, kombo.ErrInvalidPayload) || !strings.Contains(err.Error(), "too much memory") {
		t.Errorf("Parse: error = %v", err)
	}
}

func checkTooMuch(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), "too much memory") {
		t.Errorf("%s: error = %v", what, err)
	}
}

func signed(body string) (content []byte, signature string) {
	return []byte(body), kombo.SignWebhook(testSecret, []byte(body))
}

func TestNoWebhookTakesFarMoreMemoryThanItsSize(t *testing.T) {
	verifier := newVerifier(t, testSecret)
	for i, where := range []string{
		`{"id":"a","type":"assessment:order-received","data":{"id":"a","job":{"hiring_team":%s}}}`, `{"id":"a","type":"assessment:order-received","data":{"job":{"HIRING_TEAM":%s}}}`,
		`{"id":"a","type":"inline-assessment:order-received","data":{"id":"a","job":{"hiring_team":[{"hiring_team_roles":%s}]}}}`,
		`{"data":{"id":"a","job":{"hiring_team":%s}},"type":"assessment:order-received","id":"a"}`,
		`{"id":"a","type":"data-changed","data":{"integration_id":"a","changed_models":%s}}`, `{"id":"a","type":"data-changed","data":{"changed_models":null,"changed_models":%s}}`,
		`{"id":"a","type":"integration-created","data":{"id":"a","unknown":%s}}`, `{"id":"a","type":"integration-created","data":{"id":"a","end_user":%s}}`,
		`{"id":"a","type":"sync-finished","data":{"sync_started_at":%s}}`, `{"id":"a","type":"ai-apply-job-posting-status-updated","data":{"archived_at":%s}}`,
		`{"id":"a","type":"issue-status-changed","data":%s}`, `{"id":"a","type":"new-thing","data":%s}`, `{"id":%s,"type":"a","data":{}}`, `{"id":"a","type":%s,"data":{}}`, `%s`,
	} {
		for content, document := range contents(memorySize()-1000, i == 0) {
			body, signature := signed(strings.Replace(where, "%s", document, 1))
			if len(body) > kombo.MaxWebhookBody {
				t.Fatalf("%s with %s: %d bytes", where, content, len(body))
			}
			var err error
			times := excess(len(body), func() {
				request := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
				request.Header.Set(kombo.SignatureHeader, signature)
				_, err = verifier.ParseRequest(request)
			})
			if times > 0 {
				t.Errorf("%s with %s: %.1f times its size; error = %.200v", where, content, times, err)
			}
		}
	}
}

// Real responses of any length are accepted. The test sends the elements of the documented responses many times.
func TestLongOrdinaryResponsesPass(t *testing.T) {
	t.Parallel()
	size := 10<<20 - 10_000
	if testing.Short() {
		size = 1 << 20
	}
	for file, list := range map[string]string{"tools": "tools", "integration-fields": "results", "custom-fields": "results", "integration": "read_models"} {
		var body bytes.Buffer
		if err := json.Compact(&body, apiFile(t, file)); err != nil {
			t.Fatal(err)
		}
		begin, rest, _ := bytes.Cut(body.Bytes(), []byte(`"`+list+`":[`))
		var elements []json.RawMessage
		decoder := json.NewDecoder(bytes.NewReader(append([]byte("["), rest...)))
		if err := decoder.Decode(&elements); err != nil {
			t.Fatal(err)
		}
		all := bytes.Join(slices.Collect(func(yield func([]byte) bool) {
			for length, i := 0, 0; length < size; i++ {
				element := elements[i%len(elements)]
				length += len(element) + 1
				if !yield(element) {
					return
				}
			}
		}), []byte(","))
		client := serveGzip(t, http.StatusOK, string(begin)+`"`+list+`":[`+string(all)+string(rest[decoder.InputOffset()-2:]))
		var err error
		switch file {
		case "tools":
			_, err = client.Connect.Tools(t.Context(), kombo.CategoryHRIS)
		case "integration":
			_, err = client.Integrations.Get(t.Context(), "a")
		case "custom-fields":
			_, err = client.Integrations.CustomFieldsPage(t.Context(), "a", kombo.ListOptions{})
		default:
			_, err = client.Integrations.FieldsPage(t.Context(), "a", kombo.ListOptions{})
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func apiFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile("testdata/api/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// serveGzip serves a body that compresses to almost nothing.
func serveGzip(t *testing.T, status int, body string) *kombo.Client {
	t.Helper()
	var compressed bytes.Buffer
	writer, _ := gzip.NewWriterLevel(&compressed, gzip.BestSpeed)
	_, _ = writer.Write([]byte(body))
	_ = writer.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		_, _ = w.Write(compressed.Bytes())
	}))
	t.Cleanup(server.Close)
	return newClient(t, kombo.WithBaseURL(server.URL+"/v1"))
}

// Of a list of 100,000 items, only one page is in memory, after a few pages as after many.
func TestListHoldsOnePage(t *testing.T) {
	pages, pageSize := 400, 250
	if brief() {
		pages = 40
	}
	client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		recorded := httptest.NewRecorder()
		servePages(pages, pageSize)(recorded, r)
		return recorded.Result(), nil
	})}))
	pageBytes := pageSize * len(employeeJSON)
	var heap runtime.MemStats
	held := func() int {
		runtime.GC()
		runtime.ReadMemStats(&heap)
		return int(heap.HeapAlloc)
	}
	before, most, items := held(), 0, 0
	// The data of each item takes as much memory as in the page.
	for item, err := range kombo.List[json.RawMessage](t.Context(), client, kombo.ListRequest{Path: "/hris/employees", IntegrationID: testIntegrationID}) {
		if err != nil || len(item) != len(employeeJSON) {
			t.Fatalf("item %d has %d bytes: %v", items, len(item), err)
		}
		if items++; items%(20*pageSize) == pageSize/2 { // in the middle of a page
			most = max(most, held()-before)
		}
	}
	if items != pages*pageSize {
		t.Errorf("%d items, want %d", items, pages*pageSize)
	}
	// The body of the page may be in memory, too.
	if limit := 2*pageBytes + 512<<10; most > limit {
		t.Errorf("the list keeps %d bytes, want at most %d: a page has %d", most, limit, pageBytes)
	}
	t.Logf("%d items, %d bytes in memory, a page has %d", items, most, pageBytes)
}

// An error of 10 MB takes little more than reading it: its body is not copied, and of its message the beginning is decoded.
func TestLongErrorsAreNotCopied(t *testing.T) {
	if raceDetector() {
		t.Skip("the race detector makes pools forget, so there is more garbage")
	}
	size := 10_000_000
	if testing.Short() {
		size = 2_000_000
	}
	const decoding = 6 << 20 // takes the beginning of a message, whatever its length
	for name, body := range map[string]string{
		"message":      `{"error":{"code":"PLATFORM.INPUT_INVALID","message":"` + strings.Repeat("x", size-100) + `"}}`,
		"escapes":      `{"error":{"code":"PLATFORM.INPUT_INVALID","message":"` + strings.Repeat(`\u00e4 \"line\"\n`, size/17-10) + `"}}`,
		"unknown data": `{"error":{"code":"PLATFORM.INPUT_INVALID","message":"x"},"data":"` + strings.Repeat("x", size-100) + `"}`,
		"HTML":         string(htmlPage(size)),
	} {
		for announced, most := range map[bool]uint64{true: uint64(size)*6/5 + decoding, false: uint64(size)*23/10 + decoding} {
			client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				response, err := staticTransport(http.StatusBadRequest, []byte(body)).RoundTrip(r)
				if !announced {
					response.ContentLength = -1
				}
				return response, err
			})}))
			var err error
			// The transport above copies the body.
			took := allocated(func() { _, err = client.Connect.Tools(t.Context(), kombo.CategoryHRIS) }) - uint64(len(body))
			e, ok := errors.AsType[*kombo.Error](err)
			if !ok || len(e.Body) != kombo.MaxErrorBody || (e.Code == kombo.CodeInputInvalid) == (name == "HTML") {
				t.Errorf("%s: error = %.200v", name, err)
			}
			if size == 10_000_000 && name != "escapes" {
				most = min(most, 25<<20)
			}
			if took > most {
				t.Errorf("%s, announced %v: %d bytes were allocated, want at most %d", name, announced, took, most)
			}
		}
	}
}

// The message of an error does not depend on how much of it is decoded.
func TestLongMessageIsThatOfAShortOne(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"plain": "0123456789", "escapes": `\u00e4\\\"`, "backslashes": `\\`, "key": testAPIKey + " ", "key escaped": strings.ReplaceAll(testAPIKey, "_", `\u005f`) + `\n`,
		"pairs": `\ud83d\ude00`,
	} {
		messages := map[int]string{}
		for _, size := range []int{1 << 20, 5 << 20} {
			body := `{"error":{"code":"A","message":"` + strings.Repeat(text, size/len(text)) + `","title":"` + strings.Repeat(text, size/len(text)) + `"}}`
			client := newClient(t, kombo.WithMaxResponseSize(20<<20), kombo.WithHTTPClient(&http.Client{Transport: staticTransport(http.StatusBadRequest, []byte(body))}))
			_, err := client.Connect.Tools(t.Context(), kombo.CategoryHRIS)
			e, ok := errors.AsType[*kombo.Error](err)
			if !ok || e.Message == "" || e.Title == "" || strings.Contains(e.Message, testAPIKey) || len(e.Message) > 8<<10 {
				t.Fatalf("%s: error = %.200v", name, err)
			}
			messages[size] = e.Message
		}
		var want string
		if err := json.Unmarshal([]byte(`"`+strings.Repeat(text, 1<<20/len(text))+`"`), &want); err != nil {
			t.Fatal(err)
		}
		if want = strings.ReplaceAll(want, testAPIKey, "[redacted]"); messages[1<<20] != messages[5<<20] || !strings.HasPrefix(want, messages[1<<20]) {
			t.Errorf("%s: the message depends on its length:\n%.200s\n%.200s\nwant the beginning of %.200s", name, messages[1<<20], messages[5<<20], want)
		}
	}
}

// A passthrough is decoded once: it takes the body and its data.
func TestPassthroughIsDecodedOnce(t *testing.T) {
	body := passthroughBody(9 << 20)
	client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: staticTransport(http.StatusOK, body)}))
	took := allocated(func() {
		response, err := client.Integrations.Passthrough(t.Context(), testIntegrationID, "tool", "api", kombo.PassthroughRequest{Method: http.MethodGet, Path: "/files/1"})
		if err != nil || !bytes.HasSuffix(body, append(response.Data, `},"warnings":[]}`...)) {
			t.Errorf("response = %.200v, %v", response, err)
		}
	})
	if most := uint64(len(body)) * 9 / 4; took > most {
		t.Errorf("%d bytes were allocated, want at most %d", took, most)
	}
}

// If the member data occurs twice, the last one counts. Unknown members of data are skipped and take no memory,
// also after a null.
func TestDataAfterNull(t *testing.T) {
	unknown := `"unknown":{"deeper":[` + strings.Repeat("[],", 1<<20) + `[]]}`
	response := `{"status":"success","data":null,"data":{"link":"` + testLink + `",` + unknown + `}}`
	client, _ := mocked(t, "*", "", 200, response)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	link, err := client.Connect.CreateLink(t.Context(), linkRequest)
	runtime.ReadMemStats(&after)
	if err != nil || link.URL != testLink {
		t.Fatalf("%v, %v", link, err)
	}
	// The response is copied a few times while it is read; a decoded "[]" takes eight times its own bytes.
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(6*len(response)) {
		t.Errorf("%d bytes were allocated for a response of %d", got, len(response))
	}
}

// The error of an item takes many times the memory of the item, so a list must not keep all errors of a page.
func TestBadItemsTakeLittleMemory(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(20)) // errors that are created and dropped do not count
	for _, item := range []string{`"aaaaaaaaaaaaaaaaaaaa"`, `{"id":123456789012345678901234567890}`, `{"id":"aaaaaaaaaaaaaaaaaaaa"},["aaaaaaaaaaaaaaaaaa"]`} {
		body := `{"status":"success","data":{"results":` + listOf(item, 2<<20) + `,"next":null}}`
		client, _ := mocked(t, "*", "", 200, body)
		bad := 0
		calls := map[string]func(){
			"List": func() {
				for _, err := range kombo.List[string2](t.Context(), client, kombo.ListRequest{Path: "/x"}) {
					if err != nil {
						bad++
					}
				}
			},
			"ListPage": func() {
				if _, err := kombo.ListPage[string2](t.Context(), client, kombo.ListRequest{Path: "/x"}); err == nil {
					t.Error("no error")
				}
			},
		}
		for name, call := range calls {
			if times := excess(len(body), call); times > 0 {
				t.Errorf("%s of %s: %.1f times its size", name, item, times)
			}
		}
		if bad < 10_000 {
			t.Errorf("%s: only %d items were bad", item, bad)
		}
	}
}

// About one page of a list is in memory, for any length of the list.
func TestLongListTakesLittleMemory(t *testing.T) {
	const fields, size = 10_000, 100
	label := strings.Repeat("x", 4<<10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		_, _ = fmt.Fprint(w, `{"status":"success","data":{"results":[`)
		for i := range size {
			if i > 0 {
				_, _ = fmt.Fprint(w, ",")
			}
			_, _ = fmt.Fprintf(w, `{"id":"f%d","key":"k","label":"%s"}`, begin+i, label)
		}
		next := "null"
		if begin+size < fields {
			next = strconv.Quote(strconv.Itoa(begin + size))
		}
		_, _ = fmt.Fprintf(w, `],"next":%s}}`, next)
	}))
	defer server.Close()
	client := newClient(t, kombo.WithBaseURL(server.URL))
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before, most, n := heap(), uint64(0), 0
	goroutines := 0
	for field, err := range client.Integrations.Fields(t.Context(), testIntegrationID, kombo.ListOptions{PageSize: size}) {
		if err != nil {
			t.Fatal(err)
		}
		if want := "f" + strconv.Itoa(n); field.ID != want {
			t.Fatalf("field %s, want %s", field.ID, want)
		}
		if n == size {
			goroutines = runtime.NumGoroutine()
		}
		if n%(10*size) == size/2 {
			most = max(most, heap())
		}
		n++
	}
	if n != fields {
		t.Errorf("%d fields, want %d", n, fields)
	}
	if now := runtime.NumGoroutine(); now > goroutines+2 {
		t.Errorf("%d goroutines, %d after the first page", now, goroutines)
	}
	// The list is 40 MiB. A page is 0.4 MiB, once as a body and once as fields.
	if most > before+8<<20 {
		t.Errorf("the heap grew by %d bytes", most-before)
	}
}

// A Content-Length is only a claim, so it must not reserve memory for bytes that never arrive.
func TestAnnouncedLengthReservesLittle(t *testing.T) {
	verifier := newVerifier(t, testSecret)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x"))
	r.ContentLength = kombo.MaxWebhookBody
	r.Header.Set(kombo.SignatureHeader, "any")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := verifier.ParseRequest(r); !errors.Is(err, kombo.ErrInvalidSignature) {
		t.Errorf("error = %v, want ErrInvalidSignature", err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > kombo.MaxWebhookBody/4 {
		t.Errorf("%d bytes were allocated for a body of one", got)
	}
}
