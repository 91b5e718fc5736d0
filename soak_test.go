package kombo_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

const soakers = 64

// soakTime returns how long a soak test runs: the value of KOMBO_SOAK ("20s", "10m").
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	value := os.Getenv("KOMBO_SOAK")
	if value == "" {
		t.Skip("set KOMBO_SOAK to how long it is to run")
	}
	duration, err := time.ParseDuration(value)
	if err != nil {
		t.Fatalf("KOMBO_SOAK: %v", err)
	}
	return duration
}

// footprint is what a process keeps: goroutines, heap and connections.
type footprint struct {
	goroutines, connections int
	heap                    uint64
}

func (f footprint) String() string {
	return fmt.Sprintf("%d goroutines, %d connections, %d KiB heap", f.goroutines, f.connections, f.heap>>10)
}

func (f footprint) within(bound footprint) bool {
	return f.goroutines <= bound.goroutines && f.connections <= bound.connections && f.heap <= bound.heap
}

func measure(open *atomic.Int64) footprint {
	runtime.GC()
	runtime.GC() // the second collection empties sync.Pools
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return footprint{goroutines: runtime.NumGoroutine(), connections: int(open.Load()), heap: memory.HeapAlloc}
}

// settle waits until the footprint is within the bound. Connections and goroutines need a moment to end, and longer on
// a busy machine.
func settle(t *testing.T, when string, open *atomic.Int64, bound footprint) footprint {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	tooLong := time.NewTimer(20 * time.Second)
	defer tooLong.Stop()
	for {
		now := measure(open)
		if now.within(bound) {
			t.Logf("%s: %v", when, now)
			return now
		}
		select {
		case <-again.C:
		case <-tooLong.C:
			t.Errorf("%s: %v, want at most %v", when, now, bound)
			return now
		}
	}
}

// countOpen counts the connections that a server has open.
func countOpen(open *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked: // the latter are closed at once here
			open.Add(-1)
		case http.StateActive, http.StateIdle:
		}
	}
}

// soak runs work in 64 goroutines. At half time and at the end they pause, and the footprint must not have grown
// between the two.
func soak(t *testing.T, duration time.Duration, open *atomic.Int64, work func()) {
	t.Helper()
	var rest sync.RWMutex // a worker holds the read lock
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for range soakers {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				rest.RLock()
				work()
				rest.RUnlock()
			}
		})
	}
	half := time.NewTimer(duration / 2)
	defer half.Stop()
	<-half.C
	rest.Lock()
	// One connection for each worker, and a few that a worker dialed and did not use. Each has one goroutine in the
	// server and two in the client.
	before := settle(t, "half time", open, footprint{
		goroutines: soakers + 3*2*soakers + 16, connections: 2 * soakers, heap: 64 << 20,
	})
	rest.Unlock()
	// A new deadline: the workers may have taken long to pause.
	half.Reset(duration / 2)
	<-half.C
	rest.Lock()
	settle(t, "end", open, footprint{
		goroutines: before.goroutines + 3*soakers, connections: 2 * soakers, heap: before.heap + before.heap/2 + 8<<20,
	})
	rest.Unlock()
	close(stop)
	wait.Wait()
}

// soakFault is a faulty response, and what a call returns if its last response is this one. Most are rows of the fault
// matrix.
type soakFault struct {
	name    string
	respond func(faultyCall) http.HandlerFunc
	status  int
	want    error // nil for success
}

var (
	soakGood   = soakFault{"none", respondWell, 0, nil}
	soakFaults = []soakFault{
		{"drop by drop", drops, 0, nil},
		{"reset before the headers", reset(""), 0, kombo.ErrNetwork},
		{"reset after the headers", reset("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"), 0, kombo.ErrNetwork},
		{"closed before the headers", raw(""), 0, kombo.ErrNetwork},
		{"cut chunk", cutChunk, 0, kombo.ErrNetwork},
		{"length too long", withLength(1), 0, kombo.ErrNetwork},
		{"length too short", withLength(-1), 200, kombo.ErrUnexpectedResponse},
		{"length no number", raw("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"), 0, kombo.ErrNetwork},
		{"success that is HTML", withStatus(200, "text/html", "<html>hello</html>"), 200, kombo.ErrUnexpectedResponse},
		{"success that is cut", withStatus(200, "application/json", `{"status":"success","data":{"link":`), 200, kombo.ErrUnexpectedResponse},
		{"500, plain text", withStatus(500, "text/plain", "oops"), 500, kombo.ErrUnexpectedResponse},
		{"502, HTML", withStatus(502, "text/html", "<html>Bad Gateway</html>"), 502, kombo.ErrUnexpectedResponse},
		{"503, empty", withStatus(503, "", ""), 503, kombo.ErrUnexpectedResponse},
		{"redirect", redirect(307), 307, kombo.ErrUnexpectedResponse},
		{"429", rateLimited(nil), 429, kombo.ErrRateLimited},
		{"429, past date", rateLimited(dateIn(-time.Hour)), 429, kombo.ErrRateLimited},
		{"429, negative", rateLimited(fixedValue("-5")), 429, kombo.ErrRateLimited},
		{"429, garbage", rateLimited(fixedValue("soon")), 429, kombo.ErrRateLimited},
		{"429, huge", rateLimited(fixedValue("99999999999999999999")), 429, kombo.ErrRateLimited},
	}
	// Rare, because otherwise most callers would wait for them, or for ten megabytes to be transferred.
	seldomSoakFaults = []soakFault{
		{"slow headers", slowHeaders, 0, os.ErrDeadlineExceeded},
		{"slow body", slowBody, 0, os.ErrDeadlineExceeded},
		{"over the cap", overTheCap, 200, kombo.ErrUnexpectedResponse},
	}
)

func pickFault() *soakFault {
	switch {
	case rand.IntN(700) == 0:
		return &seldomSoakFaults[rand.IntN(len(seldomSoakFaults))]
	case rand.IntN(10) == 0:
		return &soakFaults[rand.IntN(len(soakFaults))]
	}
	return &soakGood
}

// drops sends a correct response, slowly.
func drops(call faultyCall) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		drop := time.NewTicker(5 * time.Millisecond)
		defer drop.Stop()
		for part := range slices.Chunk([]byte(call.response), len(call.response)/4) {
			<-drop.C
			_, _ = w.Write(part)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// impatient is the prefix of IDs in calls whose caller gives up before the response, or just after it.
const impatient = "-impatient"

// soakAPI responds to calls, and records its responses to each until the call has returned.
type soakAPI struct {
	mutex sync.Mutex
	calls map[string][]*soakFault
}

func (a *soakAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		ID string `json:"end_user_origin_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return // the caller has given up
	}
	_, _ = io.Copy(io.Discard, r.Body)
	fault := pickFault()
	if strings.HasPrefix(request.ID, impatient) {
		fault = &soakFault{respond: drops} // not recorded, because the call may have returned long ago
	} else {
		a.mutex.Lock()
		a.calls[request.ID] = append(a.calls[request.ID], fault)
		a.mutex.Unlock()
	}
	fault.respond(faultyCall{response: `{"status":"success","data":{"link":"` + testLink + request.ID + `"}}`})(w, r)
}

// take returns the recorded responses to a call.
func (a *soakAPI) take(id string) []*soakFault {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	faults := a.calls[id]
	delete(a.calls, id)
	return faults
}

// outcomeOf describes what is wrong with the result of a call with these responses, or returns "".
func outcomeOf(id string, faults []*soakFault, link *kombo.Link, err error) string {
	if len(faults) == 0 {
		return fmt.Sprintf("no response: %v, %v", link, err)
	}
	last := faults[len(faults)-1]
	kerr, _ := errors.AsType[*kombo.Error](err)
	switch {
	case last.want == nil && (err != nil || link.URL != testLink+id),
		last.want != nil && (link != nil || !errors.Is(err, last.want) || kerr.StatusCode != last.status || kerr.Attempts < len(faults)):
		return fmt.Sprintf("response %q to attempt %d: %v, %v, want %v with status %d", last.name, len(faults), link, err, last.want, last.status)
	}
	return ""
}

// Under load, one response in ten is faulty and one caller in a hundred gives up. Each call's result matches its last
// response, and the footprint does not grow.
func TestSoak(t *testing.T) {
	duration := soakTime(t)
	var open, calls, failed, attempts, canceled, busy atomic.Int64
	before := measure(&open)
	api := &soakAPI{calls: map[string][]*soakFault{}}
	server := httptest.NewUnstartedServer(api)
	server.Config.ConnState = countOpen(&open)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	client := newClient(t, kombo.WithBaseURL(server.URL), kombo.WithTimeout(time.Second),
		kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 2, BaseDelay: time.Millisecond}))
	soak(t, duration, &open, func() {
		id := fmt.Sprintf("-%d", calls.Add(1))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if rand.IntN(100) == 0 {
			id = impatient + id
			defer time.AfterFunc(rand.N(40*time.Millisecond), cancel).Stop()
		}
		request := linkRequest
		request.EndUserOriginID = id
		link, err := client.Connect.CreateLink(ctx, request)
		faults := api.take(id)
		if ctx.Err() == nil && strings.HasPrefix(id, impatient) {
			faults = []*soakFault{&soakGood}
		}
		attempts.Add(int64(len(faults)))
		if err != nil {
			failed.Add(1)
		}
		switch {
		case ctx.Err() != nil && (errors.Is(err, context.Canceled) && link == nil || err == nil && link.URL == testLink+id):
			canceled.Add(1)
		case errors.Is(err, os.ErrDeadlineExceeded) && errors.Is(err, kombo.ErrNetwork) &&
			(len(faults) == 0 || faults[len(faults)-1].want != os.ErrDeadlineExceeded): //nolint:errorlint // the table's own value
			busy.Add(1) // a busy machine, not a fault
		default:
			if problem := outcomeOf(id, faults, link, err); problem != "" {
				t.Error(problem)
			}
		}
	})
	t.Logf("%d calls by %d callers, %d responses, %d calls failed, %d of them by the time limit; %d times the caller gave up",
		calls.Load(), soakers, attempts.Load(), failed.Load(), busy.Load(), canceled.Load())
	if busy.Load() > calls.Load()/10 {
		t.Errorf("%d of %d calls took too long without a reason", busy.Load(), calls.Load())
	}
	server.Close()
	settle(t, "closed", &open, footprint{goroutines: before.goroutines + 8, connections: 0, heap: before.heap + 8<<20})
}

// soakHook sends valid and invalid webhooks to a server.
type soakHook struct {
	t        *testing.T
	address  string
	sender   *http.Client
	count    atomic.Int64
	pending  sync.Map // IDs of valid webhooks that are not handled yet
	statuses sync.Map // *atomic.Int64 by kind
}

func (h *soakHook) handle(_ context.Context, event kombo.Event) error {
	if _, ok := h.pending.LoadAndDelete(event.EventID()); !ok {
		h.t.Errorf("%s was handled, but is not genuine, or was handled before", event.EventID())
	}
	return nil
}

func (h *soakHook) send() {
	id := fmt.Sprintf("evt%d", h.count.Add(1))
	body := fmt.Sprintf(`{"id":%q,"type":"integration-created","data":{"id":"personio:1","tool":"personio"}}`, id)
	kind, want := "genuine", http.StatusNoContent
	if rand.IntN(10) == 0 {
		kinds := [...]string{"forged", "changed", "unsigned", "announced too large", "too large", "cut", "gone"}
		kind = kinds[rand.IntN(len(kinds))]
	}
	if rand.IntN(500) == 0 { // rare, because otherwise most senders would be slow
		kind = "slow"
	}
	signature := kombo.SignWebhook(testSecret, []byte(body))
	var (
		status int
		err    error
	)
	switch kind {
	case "genuine":
		h.pending.Store(id, nil)
		status, err = h.post(strings.NewReader(body), signature)
		if _, unhandled := h.pending.LoadAndDelete(id); unhandled {
			h.t.Errorf("%s was not handled: %d, %v", id, status, err)
		}
	case "forged":
		want = http.StatusUnauthorized
		status, err = h.post(strings.NewReader(body), kombo.SignWebhook("forged", []byte(body)))
	case "changed":
		want = http.StatusUnauthorized
		status, err = h.post(strings.NewReader(body+" "), signature)
	case "unsigned":
		want = http.StatusUnauthorized
		status, err = h.post(strings.NewReader(body), "")
	case "too large":
		want = http.StatusRequestEntityTooLarge
		body += strings.Repeat(" ", kombo.MaxWebhookBody+1-len(body))
		// The wrapper hides the length.
		status, err = h.post(io.MultiReader(strings.NewReader(body)), kombo.SignWebhook(testSecret, []byte(body)))
	case "announced too large":
		want = http.StatusRequestEntityTooLarge
		status, err = h.raw(kombo.MaxWebhookBody+1, signature, func(*net.TCPConn) error { return nil })
	case "cut":
		want = http.StatusBadRequest
		status, err = h.raw(len(body), signature, func(connection *net.TCPConn) error {
			_, err := io.WriteString(connection, body[:len(body)/2])
			return errors.Join(err, connection.CloseWrite())
		})
	case "slow":
		// Byte by byte, without an end. Only the ReadTimeout ends it.
		want = http.StatusBadRequest
		status, err = h.raw(len(body), signature, func(connection *net.TCPConn) error {
			drops := time.NewTicker(50 * time.Millisecond)
			defer drops.Stop()
			for i := range 10 {
				<-drops.C
				if _, err := io.WriteString(connection, body[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		})
	case "gone":
		// Do not wait for a response.
		gone := errors.New("gone")
		_, err = h.raw(len(body), signature, func(*net.TCPConn) error { return gone })
		if status = want; errors.Is(err, gone) {
			err = nil
		}
	}
	if err != nil || status != want {
		h.t.Errorf("%s: %d, %v, want %d", kind, status, err, want)
	}
	counter, _ := h.statuses.LoadOrStore(kind, new(atomic.Int64))
	counter.(*atomic.Int64).Add(1)
}

func (h *soakHook) post(body io.Reader, signature string) (status int, err error) {
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "http://"+h.address, body)
	if err != nil {
		return 0, err
	}
	request.Header.Set(kombo.SignatureHeader, signature)
	response, err := h.sender.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, errors.Join(err, response.Body.Close())
}

// raw sends the headers, calls write to send the body, and reads the status of the response.
func (h *soakHook) raw(length int, signature string, write func(*net.TCPConn) error) (status int, err error) {
	connection, err := net.Dial("tcp", h.address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = connection.Close() }()
	_ = connection.SetDeadline(time.Now().Add(30 * time.Second))
	_, err = fmt.Fprintf(connection, "POST / HTTP/1.1\r\nHost: kombo\r\nContent-Length: %d\r\n%s: %s\r\n\r\n", length, kombo.SignatureHeader, signature)
	if err = errors.Join(err, write(connection.(*net.TCPConn))); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// Under load, one delivery in ten is forged, too large, truncated or slow. The handler sends the right status to each,
// handles each valid one once, and the footprint does not grow.
func TestSoakWebhooks(t *testing.T) {
	duration := soakTime(t)
	var open atomic.Int64
	before := measure(&open)
	pool := &http.Transport{MaxIdleConnsPerHost: soakers}
	hook := &soakHook{t: t, sender: &http.Client{Transport: pool}}
	server := httptest.NewUnstartedServer(newVerifier(t, testSecret).Handler(kombo.EventHandlers{Fallback: hook.handle}))
	server.Config.ConnState = countOpen(&open)
	server.Config.ReadTimeout = 2 * time.Second // long enough for valid webhooks on a busy machine
	server.Config.IdleTimeout = time.Minute     // otherwise ReadTimeout counts, and connections close during the pause
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	hook.address = server.Listener.Addr().String()
	soak(t, duration, &open, hook.send)
	hook.statuses.Range(func(kind, counter any) bool {
		t.Logf("%s: %d", kind, counter.(*atomic.Int64).Load())
		return true
	})
	pool.CloseIdleConnections()
	server.Close()
	settle(t, "closed", &open, footprint{goroutines: before.goroutines + 8, connections: 0, heap: before.heap + 8<<20})
}
