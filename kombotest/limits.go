package kombotest

import (
	"cmp"
	"math"
	"strconv"
	"time"
)

// Limits are how much the API takes before it answers 429.
type Limits struct {
	// Rate is how many requests with the API key are answered in each Per; 0 means any number. Kombo does not document
	// its own. Beyond it comes PLATFORM.RATE_LIMIT_EXCEEDED, with a Retry-After that says when the next Per begins. If it
	// is set, each response has the headers ratelimit-limit, ratelimit-remaining and ratelimit-reset (in seconds). A
	// request that a [Fault] answers does not count.
	Rate int
	// Per is the length of a window; 0 means a second.
	Per time.Duration
	// Concurrency is how many actions of one integration may be in flight; 0 means 30, as Kombo documents it. Beyond it
	// comes PLATFORM.CONCURRENCY_LIMIT_EXCEEDED. Each response to an action has the headers Concurrency-Limit and
	// Concurrency-Remaining, which is how many more it would have taken. A passthrough is taken for an action,
	// whatever its method; no other operation of this server is one.
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
	s.mutex.Lock()
	s.limits, s.window = limits, rateWindow{}
	s.mutex.Unlock()
	s.change()
}

// rateWindow counts the requests since its begin.
type rateWindow struct {
	begin time.Time
	count int
}

// rate returns the window that the time is in, and how long it lasts. The caller holds the mutex.
func (s *Server) rate() (window rateWindow, left time.Duration) {
	now, per := s.config.Now(), s.limits.per()
	if age := now.Sub(s.window.begin); age >= 0 && age < per {
		return s.window, per - age
	}
	return rateWindow{begin: now}, per
}

// overRate counts a request, unless there were too many. The caller holds the mutex.
func (s *Server) overRate() bool {
	if s.limits.Rate <= 0 {
		return false
	}
	s.window, _ = s.rate()
	if s.window.count >= s.limits.Rate {
		return true
	}
	s.window.count++
	return false
}

// isAction reports whether an operation acts on the system behind an integration, which the concurrency limit is for.
func isAction(op string) bool { return op == "POST /passthrough/{tool}/{api}" }

// arrive counts an action until leave is called, and returns how many more its integration takes; it is negative if there
// are too many.
func (s *Server) arrive(c call) (leave func(), free int) {
	if !isAction(c.op) {
		return func() {}, 0
	}
	id := c.Header.Get("X-Integration-Id")
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.inFlight[id]++
	return func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.inFlight[id]--
		if s.inFlight[id] == 0 {
			delete(s.inFlight, id)
		}
	}, s.limits.concurrency() - s.inFlight[id]
}

// addLimits adds the headers that tell of the limits, unless a fault has set them.
func (s *Server) addLimits(a answer, c call, free int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	set := func(name string, value int) {
		if _, there := a.header[name]; !there {
			a.header[name] = []string{strconv.Itoa(max(0, value))}
		}
	}
	if isAction(c.op) {
		set("Concurrency-Limit", s.limits.concurrency())
		set("Concurrency-Remaining", free)
	}
	if s.limits.Rate > 0 {
		window, left := s.rate()
		set("Ratelimit-Limit", s.limits.Rate)
		set("Ratelimit-Remaining", s.limits.Rate-window.count)
		set("Ratelimit-Reset", inSeconds(left))
	}
}

// inSeconds rounds up.
func inSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
