package kombotest

import "slices"

// recordLimit is how many requests, and how many deliveries, a server remembers. When they are too many
// it forgets half.
const recordLimit = 10_000

// record keeps the newest entries.
type record[T any] struct {
	entries []T
	total   int
}

// next returns the number of the entry that is added next; they count from 1.
func (r *record[T]) next() int { return r.total + 1 }

func (r *record[T]) add(entry T) {
	if len(r.entries) >= recordLimit {
		// Half at once, so that the cost of moving is shared by many.
		r.entries = slices.Delete(r.entries, 0, recordLimit/2)
	}
	r.entries = append(r.entries, entry)
	r.total++
}

// strikes is a fault that counts down how often it strikes: -1 means for ever.
type strikes[F any] interface {
	*F
	times() *int
}

// take returns the first fault that fits, if any, and counts it down. The caller holds the mutex.
func take[F any, P strikes[F]](faults *[]P, fits func(P) bool) (taken F, ok bool) {
	i := slices.IndexFunc(*faults, fits)
	if i < 0 {
		return taken, false
	}
	fault := (*faults)[i]
	taken = *fault
	if times := fault.times(); *times > 0 {
		*times--
		if *times == 0 {
			*faults = slices.Delete(*faults, i, i+1)
		}
	}
	return taken, true
}

// remaining returns copies of the faults. The caller holds the mutex.
func remaining[F any](faults []*F) []F {
	copies := make([]F, len(faults))
	for i, fault := range faults {
		copies[i] = *fault
	}
	return copies
}
