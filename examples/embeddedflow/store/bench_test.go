package store_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/kombo-go/kombo"
)

// Measures new state changes of 100 customers.
func BenchmarkApply(b *testing.B) {
	databases := map[string]func(testing.TB) database{"sqlite": sqliteDatabase, "postgres": postgresDatabase}
	for name, database := range databases {
		b.Run(name, func(b *testing.B) {
			s := database(b).open(b)
			var n atomic.Int64
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(n.Add(1))
					l := life{fmt.Sprint("personio:", i%100), fmt.Sprint("customer", i%100)}
					if _, err := s.Apply(context.Background(), l.changed(fmt.Sprint("event", i), kombo.StateActive, kombo.SetupStatusCompleted, minutes(i))); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
