package seed

import (
	"github.com/prometheus/client_golang/prometheus"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("luna_torrent_seeder_"+name, help, append([]string{"info_hash"}, labels...), nil)
}

var (
	sentBytes    = desc("sent_bytes_total", "Bytes of pieces sent over BitTorrent.")
	peersNow     = desc("peers", "Peers that are connected.")
	sizeBytes    = desc("size_bytes", "Bytes of the torrent.")
	offeredBytes = desc("offered_bytes", "Bytes of the pieces that were found right.")
	swarmPeers   = desc("swarm_peers", "Peers that announce, by state.", "state")
	downloads    = desc("downloads_total", "Peers that became complete.")
)

// Describe tells which figures Collect gives.
func (s *Seed) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sentBytes, peersNow, sizeBytes, offeredBytes, swarmPeers, downloads} {
		ch <- d
	}
}

// Collect gives the figures of every torrent.
func (s *Seed) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	if seeder := s.Seeder(); seeder != nil {
		for _, t := range seeder.Torrents() {
			hash := t.InfoHash.HexString()
			counter(sentBytes, t.Sent, hash)
			gauge(peersNow, int64(t.Peers), hash)
			gauge(sizeBytes, t.Size, hash)
			gauge(offeredBytes, t.Offered, hash)
		}
	}
	for _, w := range s.tracker.Swarms() {
		hash := w.InfoHash.HexString()
		gauge(swarmPeers, int64(w.Complete), hash, "complete")
		gauge(swarmPeers, int64(w.Incomplete), hash, "incomplete")
		counter(downloads, w.Downloaded, hash)
	}
}
