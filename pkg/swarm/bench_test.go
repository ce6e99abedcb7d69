package swarm_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// BenchmarkSwarm lets nodes on loopback fetch 64 MB together. It reports the processor time of
// everybody, head included, per GB and node, and what the head sent over the payload's size.
func BenchmarkSwarm(b *testing.B) {
	for _, count := range []int{1, 4, 8} {
		b.Run(fmt.Sprintf("nodes=%d", count), func(b *testing.B) {
			dir := b.TempDir()
			p := newPayload(b, dir, 30, 512, 512)
			var fromHead int64
			before := processorSeconds(b)
			for b.Loop() {
				fromHead += fetchTogether(b, dir, p, count)
			}
			spent := processorSeconds(b) - before
			b.ReportMetric(spent/float64(b.N)/float64(count)/(float64(p.size)/1e9), "cpu-s/GB/node")
			b.ReportMetric(float64(fromHead)/float64(b.N)/float64(p.size), "head×size")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func fetchTogether(b *testing.B, dir string, p payload, count int) (fromHead int64) {
	h := newHead(b, dir, p)
	h.offers(b, p, p.size)
	var nodes []*node
	for i := range count {
		nodes = append(nodes, h.boot(b, fmt.Sprintf("127.0.0.%d", i+2), p, func(c *swarm.DownloadConfig) { c.Dir = b.TempDir() }))
	}
	for _, n := range nodes {
		fromHead += n.complete(b).FromHead
	}
	for _, n := range nodes {
		if err := n.stop(); err != nil {
			b.Error(err)
		}
	}
	h.stop()
	return fromHead
}

func processorSeconds(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
