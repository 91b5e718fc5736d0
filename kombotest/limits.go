package kombotest

import (
	"cmp"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Limits are how many requests the API accepts before it responds with 429.
type Limits struct {
	// Rate is the number of requests with the API key in each Per; 0 means any number. Kombo does not document
	// its own. Further requests get PLATFORM.RATE_LIMIT_EXCEEDED, with a Retry-After until the next Per begins. If Rate
	// is set, each response has the headers ratelimit-limit, ratelimit-remaining and ratelimit-reset (in seconds).
	// Requests to which a [Fault] responds do not count.
	Rate int
	// Per is the length of a window; 0 means a second.
	Per time.Duration
	// Concurrency is how many actions of one integration may be in flight; 0 means 30, as Kombo documents. Further ones
	// get PLATFORM.CONCURRENCY_LIMIT_EXCEEDED. Each response to an action has the headers Concurrency-Limit and
	// Concurrency-Remaining, which is how many more would have been accepted. Actions are a passthrough, whatever its method,
	// and the writes of [Server.HandleFunc].
	Concurrency int
}

func (l Limits) per() time.Duration { return cmp.Or(max(0, l.Per), time.Second) }

func (l Limits) concurrency() int {
	if l.Concurrency <= 0 {
		return 30
	}
	return l.Concurrency
}

// SetLimits changes the limits of the API.
func (s *Server) SetLimits(limits Limits) {
	s.set(func(st *state) { st.limiter.limits, st.limiter.window = limits, rateWindow{} })
}

// limiter counts what the limits are for.
type limiter struct {
	limits   Limits
	window   rateWindow
	inFlight map[string]int // actions, by integration
}

// rateWindow counts the requests since its begin.
type rateWindow struct {
	begin time.Time
	count int
}

// current returns the window that the time is in, and how long it lasts.
func (l *limiter) current(now time.Time) (window rateWindow, left time.Duration) {
	per := l.limits.per()
	if age := now.Sub(l.window.begin); age > -per && age < per { // a concurrent request may have read the clock later
		return l.window, min(per, per-age)
	}
	return rateWindow{begin: now}, per
}

// count counts a request, unless there were too many: then over is true, and wait is the rest of the window.
func (l *limiter) count(now time.Time) (over bool, wait time.Duration) {
	if l.limits.Rate <= 0 {
		return false, 0
	}
	l.window, wait = l.current(now)
	if l.window.count >= l.limits.Rate {
		return true, wait
	}
	l.window.count++
	return false, 0
}

// enter counts an action until leave, and returns how many more its integration takes; it is negative if there
// are too many.
func (l *limiter) enter(c *call) (free int) {
	if !isAction(c.op) {
		return 0
	}
	id := c.Header.Get("X-Integration-Id")
	l.inFlight[id]++
	return l.limits.concurrency() - l.inFlight[id]
}

func (l *limiter) leave(c *call) {
	id := c.Header.Get("X-Integration-Id")
	if !isAction(c.op) {
		return
	}
	l.inFlight[id]--
	if l.inFlight[id] == 0 {
		delete(l.inFlight, id)
	}
}

// addHeaders adds the headers about the limits, unless a fault has set them.
func (l *limiter) addHeaders(header http.Header, c *call, free int, now time.Time) {
	set := func(name string, value int) {
		if _, there := header[name]; !there {
			header[name] = []string{strconv.Itoa(max(0, value))}
		}
	}
	if isAction(c.op) {
		set("Concurrency-Limit", l.limits.concurrency())
		set("Concurrency-Remaining", free)
	}
	if l.limits.Rate > 0 {
		window, left := l.current(now)
		set("Ratelimit-Limit", l.limits.Rate)
		set("Ratelimit-Remaining", l.limits.Rate-window.count)
		set("Ratelimit-Reset", inSeconds(left))
	}
}

// inSeconds rounds up.
func inSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
