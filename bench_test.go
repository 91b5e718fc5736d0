package kombo_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// The benchmarks compare this package ("by=kombo") with the least that a program could do ("by=floor"),
// and sometimes with a hand-written program ("by=hand"). Each is reported with its time and allocations. "ratio" runs
// all of them in random order in each round, so other load on the machine affects all alike. It reports the median of
// the times divided by that of the floor, and the range of eight rounds of ten. docs/performance.md has the results and
// the commands.

// benchCallers is the number of concurrent callers.
const benchCallers = 64

// A contestant is one way to do the same work.
type contestant struct {
	by string
	// begin returns the function that one caller calls repeatedly.
	begin func() (call func() error, end func(), err error)
	// connections, if not nil, counts the opened connections.
	connections *atomic.Int64
}

// always is for callers that share everything.
func always(call func() error) func() (func() error, func(), error) {
	return func() (func() error, func(), error) { return call, func() {}, nil }
}

// team is the callers of one contestant.
type team struct {
	calls []func() error
}

func newTeam(b *testing.B, callers int, c contestant) *team {
	b.Helper()
	t := &team{}
	for range callers {
		call, end, err := c.begin()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(end)
		t.calls = append(t.calls, call)
	}
	if err := t.calls[0](); err != nil { // now the first connection is there
		b.Fatal(err)
	}
	return t
}

// work makes so many calls altogether.
func (t *team) work(b *testing.B, calls int) {
	b.Helper()
	repeat := func(call func() error, times int) {
		for range times {
			if err := call(); err != nil {
				b.Error(err)
				return
			}
		}
	}
	if len(t.calls) == 1 {
		repeat(t.calls[0], calls)
		return
	}
	var wait sync.WaitGroup
	for i, call := range t.calls {
		wait.Go(func() { repeat(call, (calls+i)/len(t.calls)) })
	}
	wait.Wait()
}

// compare runs each contestant, the floor first, and then all in turns of so many calls.
func compare(b *testing.B, callers, turn int, contestants ...contestant) {
	b.Helper()
	for _, c := range contestants {
		b.Run("by="+c.by, func(b *testing.B) {
			t := newTeam(b, callers, c)
			b.ReportAllocs()
			b.ResetTimer()
			t.work(b, b.N)
			if c.connections != nil {
				b.ReportMetric(float64(c.connections.Load()), "conns")
			}
		})
	}
	b.Run("ratio", func(b *testing.B) {
		teams := make([]*team, len(contestants))
		ratios := make([][]float64, len(contestants))
		for i, c := range contestants {
			teams[i] = newTeam(b, callers, c)
		}
		took := make([]time.Duration, len(contestants))
		for range b.N {
			for _, i := range rand.Perm(len(teams)) { // nobody always follows the same
				begun := time.Now()
				teams[i].work(b, turn)
				took[i] = time.Since(begun)
			}
			for i := range took {
				ratios[i] = append(ratios[i], float64(took[i])/float64(took[0]))
			}
		}
		for i, c := range contestants[1:] {
			slices.Sort(ratios[i+1])
			b.ReportMetric(ratios[i+1][b.N/2], c.by+"/floor")
			b.ReportMetric(ratios[i+1][b.N/10], c.by+"/floor-low")
			b.ReportMetric(ratios[i+1][b.N-1-b.N/10], c.by+"/floor-high")
		}
		b.ReportMetric(0, "ns/op") // of a whole round, which says nothing
	})
}

// stateChanged is what a good engineer would write by hand for one known event.
type stateChanged struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data struct {
		IntegrationID       string        `json:"integration_id"`
		IntegrationTool     string        `json:"integration_tool"`
		IntegrationCategory string        `json:"integration_category"`
		EndUser             kombo.EndUser `json:"end_user"`
		State               string        `json:"state"`
		QAStatus            string        `json:"qa_status"`
		SetupStatus         string        `json:"setup_status"`
		UpdatedAt           time.Time     `json:"updated_at"`
	} `json:"data"`
}

func parseByHand(body []byte) error {
	var event stateChanged
	if err := json.Unmarshal(body, &event); err != nil {
		return err
	}
	if event.Type != "integration-state-changed" || event.Data.IntegrationID == "" {
		return errors.New("wrong event")
	}
	return nil
}

func verifyByHand(body []byte, signature string) error {
	mac := hmac.New(sha256.New, []byte(testSecret))
	mac.Write(body)
	given, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(mac.Sum(nil), given) {
		return errors.New("wrong signature")
	}
	return nil
}

func checkEvent(event kombo.Event, err error) error {
	if err != nil {
		return err
	}
	if e, ok := event.(*kombo.IntegrationStateChangedEvent); !ok || e.Data.IntegrationID == "" {
		return errors.New("wrong event")
	}
	return nil
}

// The floor is one decoding into the struct of a type that is known beforehand.
func BenchmarkParseEvent(b *testing.B) {
	body := webhook(b, "integration-state-changed")
	compare(b, 1, 1000,
		contestant{by: "floor", begin: always(func() error { return parseByHand(body) })},
		contestant{by: "kombo", begin: always(func() error { return checkEvent(kombo.ParseEvent(body)) })},
	)
}

// The floor is a fresh HMAC, and the same decoding.
func BenchmarkParse(b *testing.B) {
	body := webhook(b, "integration-state-changed")
	signature := kombo.SignWebhook(testSecret, body)
	verifier := newVerifier(b, testSecret)
	compare(b, 1, 1000,
		contestant{by: "floor", begin: always(func() error {
			if err := verifyByHand(body, signature); err != nil {
				return err
			}
			return parseByHand(body)
		})},
		contestant{by: "kombo", begin: always(func() error { return checkEvent(verifier.Parse(body, signature)) })},
	)
}

// webhookForms have %s in place of data.
var webhookForms = map[string]string{
	"kombo":      `{"id":"e","type":"integration-state-changed","data":%s}`,
	"data-first": `{"data":%s,"type":"integration-state-changed","id":"e"}`,
	"more-after": `{"id":"e","type":"integration-state-changed","data":%s,"attempt":{"number":1}}`,
	"more-first": `{"sent_at":"2026-03-04","id":"e","type":"integration-state-changed","data":%s}`,
}

// Webhooks of all sizes, with the members in Kombo's order, with the data first, and with one more
// member. What fills the data is known to neither struct.
func BenchmarkParseBySize(b *testing.B) {
	for _, filling := range []string{"text", "objects", "braces"} {
		for _, size := range []int{300, 1 << 10, 4 << 10, 16 << 10, 21 << 10, 128 << 10, kombo.MaxWebhookBody} {
			for _, form := range slices.Sorted(maps.Keys(webhookForms)) {
				body := filledWebhook(webhookForms[form], filling, size)
				signature := kombo.SignWebhook(testSecret, body)
				verifier := newVerifier(b, testSecret)
				b.Run(fmt.Sprintf("filling=%s/size=%d/form=%s", filling, size, form), func(b *testing.B) {
					compare(b, 1, max(1, 500_000/size),
						contestant{by: "floor", begin: always(func() error {
							if err := verifyByHand(body, signature); err != nil {
								return err
							}
							return parseByHand(body)
						})},
						contestant{by: "kombo", begin: always(func() error { return checkEvent(verifier.Parse(body, signature)) })},
					)
				})
			}
		}
	}
}

// filledWebhook returns a webhook of so many bytes, nearly, in a form that has %s in place of the data.
func filledWebhook(form, filling string, size int) []byte {
	const data = `{"integration_id":"a:1","state":"ACTIVE","qa_status":"PASSED","setup_status":"COMPLETED","updated_at":"2026-03-04T05:06:07.089Z","details":%s}`
	size -= len(form) + len(data) + len("[]")
	if filling == "text" {
		return fmt.Appendf(nil, form, fmt.Sprintf(data, `"`+strings.Repeat("x", max(0, size))+`"`))
	}
	object := `{"id":"8zcnUSoXmDzGEdYd2Hzr8aHF","name":"an \"unknown\" member","number":4.25,"deleted":false,"tags":["a","b"],"parent":null}`
	if filling == "braces" {
		object = `{"number":[1]}`
	}
	details := strings.Repeat(object+",", max(0, size/(len(object)+1)))
	return fmt.Appendf(nil, form, fmt.Sprintf(data, "["+strings.TrimSuffix(details, ",")+"]"))
}

// The floor is a fresh HMAC.
func BenchmarkVerify(b *testing.B) {
	body := webhook(b, "integration-state-changed")
	signature := kombo.SignWebhook(testSecret, body)
	verifier := newVerifier(b, testSecret)
	compare(b, 1, 5000,
		contestant{by: "floor", begin: always(func() error { return verifyByHand(body, signature) })},
		contestant{by: "kombo", begin: always(func() error { return verifier.Verify(body, signature) })},
	)
}

// 64 connections over loopback, each with one webhook after the other. The floor only reads the body.
func BenchmarkHandler(b *testing.B) {
	body := webhook(b, "integration-state-changed")
	signature := kombo.SignWebhook(testSecret, body)
	request := fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: kombo\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s: %s\r\n\r\n%s",
		len(body), kombo.SignatureHeader, signature, body)
	byHand := func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, kombo.MaxWebhookBody))
		if err != nil || verifyByHand(content, r.Header.Get(kombo.SignatureHeader)) != nil || parseByHand(content) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
	reading := func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err != nil || n != int64(len(body)) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
	compare(b, benchCallers, 20*benchCallers,
		contestant{by: "floor", begin: sendTo(b, http.HandlerFunc(reading), request)},
		contestant{by: "hand", begin: sendTo(b, http.HandlerFunc(byHand), request)},
		contestant{by: "kombo", begin: sendTo(b, newVerifier(b, testSecret).Handler(kombo.EventHandlers{
			IntegrationStateChanged: func(_ context.Context, event *kombo.IntegrationStateChangedEvent) error {
				return checkEvent(event, nil)
			},
		}), request)},
	)
}

// sendTo serves, and sends a request that is written beforehand. It does as little as it can, for it takes
// its time from the same processors.
func sendTo(b *testing.B, handler http.Handler, request []byte) func() (func() error, func(), error) {
	b.Helper()
	server := httptest.NewServer(handler)
	b.Cleanup(server.Close)
	return func() (func() error, func(), error) {
		connection, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			return nil, nil, err
		}
		response := bufio.NewReader(connection)
		call := func() error {
			if _, err := connection.Write(request); err != nil {
				return err
			}
			return readNoContent(response)
		}
		return call, func() { _ = connection.Close() }, nil
	}
}

// readNoContent reads the head of a response with status 204, which has no body.
func readNoContent(response *bufio.Reader) error {
	for first := true; ; first = false {
		line, err := response.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 204 ")):
			return fmt.Errorf("response = %s", line)
		case len(line) == len("\r\n"):
			return nil
		}
	}
}

// One call over loopback. The floor is the same by net/http and encoding/json alone, on a transport with
// the same settings. "conns" is how many connections were opened.
func BenchmarkCreateLink(b *testing.B) {
	for _, protocol := range []string{"http1", "http2"} {
		for _, callers := range []int{1, benchCallers} {
			b.Run(fmt.Sprintf("protocol=%s/callers=%d", protocol, callers), func(b *testing.B) {
				compare(b, callers, max(100, 10*callers), byNetHTTP(b, protocol), byClient(b, protocol))
			})
		}
	}
}

func byNetHTTP(b *testing.B, protocol string) contestant {
	b.Helper()
	url, transport, connections := serveLinks(b, protocol)
	client := &http.Client{Transport: transport}
	return contestant{by: "floor", connections: connections, begin: always(func() error {
		link, err := createLinkByHand(b.Context(), client, url+"/connect/create-link")
		return checkLink(&kombo.Link{URL: link}, err)
	})}
}

func byClient(b *testing.B, protocol string) contestant {
	b.Helper()
	url, transport, connections := serveLinks(b, protocol)
	options := []kombo.Option{kombo.WithBaseURL(url)}
	if protocol == "http2" { // else the pool that a client has by default, which trusts no test server
		options = append(options, kombo.WithHTTPClient(&http.Client{Transport: transport}))
	}
	client := newClient(b, options...)
	return contestant{by: "kombo", connections: connections, begin: always(func() error {
		return checkLink(client.Connect.CreateLink(b.Context(), linkRequest))
	})}
}

func checkLink(link *kombo.Link, err error) error {
	if err == nil && link.URL != testLink {
		err = errors.New("wrong link")
	}
	return err
}

// serveLinks returns the base URL of a server that speaks one version of HTTP, a transport for it, and
// the number of connections.
func serveLinks(b *testing.B, protocol string) (baseURL string, transport *http.Transport, connections *atomic.Int64) {
	b.Helper()
	version := map[string]string{"http1": "HTTP/1.1", "http2": "HTTP/2.0"}[protocol]
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Proto != version {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
			return
		}
		respondWithLink(w, r)
	}))
	connections = new(atomic.Int64)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	transport = poolLike()
	if protocol == "http2" {
		server.EnableHTTP2 = true
		server.StartTLS()
		transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	} else {
		server.Start()
	}
	b.Cleanup(server.Close)
	b.Cleanup(transport.CloseIdleConnections)
	return server.URL + "/v1", transport, connections
}

// poolLike has the settings of the pool that clients have by default.
func poolLike() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          1024,
		MaxIdleConnsPerHost:   1024,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// The SDK alone: one call without a network. The floor is the same by net/http and encoding/json alone.
func BenchmarkCreateLinkLayer(b *testing.B) {
	transport := staticTransport(http.StatusOK, []byte(`{"status":"success","data":{"link":"`+testLink+`"}}`))
	client := newClient(b, kombo.WithHTTPClient(&http.Client{Transport: transport}))
	byHand := &http.Client{Transport: transport}
	compare(b, 1, 100,
		contestant{by: "floor", begin: always(func() error {
			_, err := createLinkByHand(b.Context(), byHand, "https://api.kombo.dev/v1/connect/create-link")
			return err
		})},
		contestant{by: "kombo", begin: always(func() error {
			_, err := client.Connect.CreateLink(b.Context(), linkRequest)
			return err
		})},
	)
}

// createLinkByHand does what one attempt needs: a time limit, the headers, and a limited read of the response.
func createLinkByHand(ctx context.Context, client *http.Client, url string) (string, error) {
	body, err := json.Marshal(linkRequest)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+testAPIKey)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "by-hand/1.0")
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, 10<<20))
	if err != nil {
		return "", err
	}
	var decoded struct {
		Status string `json:"status"`
		Data   struct {
			Link string `json:"link"`
		} `json:"data"`
	}
	err = json.Unmarshal(content, &decoded)
	if err == nil && (response.StatusCode != http.StatusOK || decoded.Status != "success") {
		err = errors.New(response.Status)
	}
	return decoded.Data.Link, err
}

// A list of 1,000 employees in ten pages. The floor is the same loop by net/http and encoding/json alone.
func BenchmarkList(b *testing.B) {
	const pages, pageSize = 10, 100
	server := httptest.NewServer(servePages(pages, pageSize))
	b.Cleanup(server.Close)
	transport := poolLike()
	b.Cleanup(transport.CloseIdleConnections)
	byHand := &http.Client{Transport: transport}
	client := newClient(b, kombo.WithBaseURL(server.URL+"/v1"))
	compare(b, 1, 2,
		contestant{by: "floor", begin: always(func() error {
			return checkCount(pages*pageSize, func(count func()) error {
				return listByHand(b.Context(), byHand, server.URL+"/v1/hris/employees", func(employee) { count() })
			})
		})},
		contestant{by: "kombo", begin: always(func() error {
			return checkCount(pages*pageSize, func(count func()) error {
				for _, err := range kombo.List[employee](b.Context(), client, kombo.ListRequest{
					Path: "/hris/employees", IntegrationID: testIntegrationID, UpdatedAfter: time.Unix(1764118923, 0), IncludeDeleted: true,
				}) {
					if err != nil {
						return err
					}
					count()
				}
				return nil
			})
		})},
	)
}

func checkCount(want int, list func(count func()) error) error {
	got := 0
	err := list(func() { got++ })
	if err == nil && got != want {
		err = fmt.Errorf("%d items, want %d", got, want)
	}
	return err
}

// employeeJSON is an employee with the fields that most tools have.
const employeeJSON = `{"id":"26vafvWSRmbhNcxJYqjCzuJg","remote_id":"32","employee_number":"3243422","first_name":"Ada","last_name":"Acme",` +
	`"nationality":"FR","display_full_name":"Ada Acme","job_title":"Team Lead","work_email":"ada@acme.example","personal_email":null,` +
	`"mobile_phone_number":"+49 30 123456","ssn":null,"tax_id":"12 345 678 901","gender":"FEMALE","ethnicity":null,"marital_status":"MARRIED",` +
	`"employment_status":"ACTIVE","employment_type":"FULL_TIME","weekly_hours":40,"avatar":null,"work_location_id":"7E2gyuv6TmvtByzBxW9Sxt53",` +
	`"legal_entity_id":"xB32bied320csBSsl3XWdlw3","manager_id":"9pf2pxBB8VX8EQMC9aipW2Bo","home_address":{"city":"Berlin","country":"DE",` +
	`"raw":"Sonnenallee 63\n12045 Berlin","state":"Berlin","street_1":"Sonnenallee 63","street_2":null,"zip_code":"12045"},"bank_accounts":[],` +
	`"date_of_birth":"1986-01-01T00:00:00.000Z","start_date":"2020-04-07T00:00:00.000Z","termination_date":null,"remote_created_at":null,` +
	`"changed_at":"2026-11-26T01:02:03.004Z","remote_deleted_at":null,"custom_fields":{},"integration_fields":[]}`

// servePages serves a list of employees in pages. The cursor is the number of the page.
func servePages(pages, pageSize int) http.HandlerFunc {
	results := strings.TrimSuffix(strings.Repeat(employeeJSON+",", pageSize), ",")
	return func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		next := "null"
		if page+1 < pages {
			next = strconv.Quote(strconv.Itoa(page + 1))
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"success","data":{"next":`+next+`,"results":[`+results+`]}}`)
	}
}

// listByHand is the loop that programs without this package have.
func listByHand(ctx context.Context, client *http.Client, address string, yield func(employee)) error {
	query := url.Values{"updated_after": {"2025-11-26T01:02:03.000Z"}, "include_deleted": {"true"}}
	for {
		page, err := pageByHand(ctx, client, address+"?"+query.Encode())
		if err != nil {
			return err
		}
		for _, e := range page.Results {
			yield(e)
		}
		if page.Next == nil {
			return nil
		}
		query.Set("cursor", *page.Next)
	}
}

type handPage struct {
	Results []employee `json:"results"`
	Next    *string    `json:"next"`
}

func pageByHand(ctx context.Context, client *http.Client, address string) (*handPage, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+testAPIKey)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "by-hand/1.0")
	request.Header.Set("X-Integration-Id", testIntegrationID)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, 10<<20))
	if err != nil {
		return nil, err
	}
	var decoded struct {
		Status string   `json:"status"`
		Data   handPage `json:"data"`
	}
	err = json.Unmarshal(content, &decoded)
	if err == nil && (response.StatusCode != http.StatusOK || decoded.Status != "success") {
		err = errors.New(response.Status)
	}
	return &decoded.Data, err
}
