package swarm_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// BenchmarkSwarm lets nodes, each a process in a namespace with a shaped link, fetch a payload
// together. It reports the time of the last node over size ÷ link, what the head's interface has
// sent over the size, and processor seconds of all processes per GB and node. It needs root and
// iproute2:
//
//	go test -run '^$' -bench Swarm -benchtime 1x ./pkg/swarm
func BenchmarkSwarm(b *testing.B) {
	for _, c := range []struct{ nodes, mbit, length, pieces int }{
		{1, 100, 64 << 10, 1536},
		{8, 20, 64 << 10, 1536},
		{24, 8, 64 << 10, 896},
		{72, 3, 16 << 10, 1280},
	} {
		b.Run(fmt.Sprintf("nodes=%d/mbit=%d", c.nodes, c.mbit), func(b *testing.B) {
			for b.Loop() {
				together(b, c.nodes, c.mbit, c.length, c.pieces)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func together(b *testing.B, nodes, mbit, length, pieces int) {
	r := newSwitchroom(b, fmt.Sprintf("%dmbit", mbit), length, pieces/3, pieces/3, pieces-2*(pieces/3))
	head := r.head()
	list := r.nodes(nodes)
	before := head.sent()
	start := time.Now()
	begin(list)
	allComplete(list, 10*time.Minute)
	var last time.Duration
	for _, m := range list {
		last = max(last, m.done.get().Sub(start))
	}
	sent := head.sent() - before
	var spent float64
	for _, m := range append(list, head) {
		m.end()
		u := m.cmd.ProcessState.SysUsage().(*syscall.Rusage)
		spent += float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	size := float64(r.payload.size)
	bound := size * 8 / (float64(mbit) * 1e6)
	b.ReportMetric(last.Seconds()/bound, "×bound")
	b.ReportMetric(float64(sent)/size, "head×size")
	b.ReportMetric(spent/float64(nodes)/(size/1e9), "cpu-s/GB/node")
}
