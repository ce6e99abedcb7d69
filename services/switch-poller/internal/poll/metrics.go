package poll

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tell of each switch by its name.
type metrics struct {
	rounds                *prometheus.CounterVec
	seconds, macs, silent *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "luna_switch_poller_" + name, Help: help}, []string{"switch"})
	}
	m := &metrics{
		rounds: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "luna_switch_poller_polls_total",
			Help: "Rounds of asking a switch by outcome: ok, failed."}, []string{"switch", "outcome"}),
		seconds: gauge("poll_seconds", "How long the last round took."),
		macs:    gauge("macs", "MACs that have a port, in the last good round."),
		silent:  gauge("not_polled", "1 for a switch that is not asked: it has no community, or no user."),
	}
	reg.MustRegister(m.rounds, m.seconds, m.macs, m.silent)
	return m
}

func (m *metrics) round(name string, macs int, took time.Duration, err error) {
	if errors.Is(err, errNoLogin) {
		m.forget(name)
		m.silent.WithLabelValues(name).Set(1)
		return
	}
	m.silent.WithLabelValues(name).Set(0)
	m.seconds.WithLabelValues(name).Set(took.Seconds())
	good, bad := m.rounds.WithLabelValues(name, "ok"), m.rounds.WithLabelValues(name, "failed")
	if err != nil {
		bad.Inc()
		return
	}
	good.Inc()
	m.macs.WithLabelValues(name).Set(float64(macs))
}

// forget drops what is told of a switch.
func (m *metrics) forget(name string) {
	of := prometheus.Labels{"switch": name}
	m.rounds.DeletePartialMatch(of)
	for _, g := range []*prometheus.GaugeVec{m.seconds, m.macs, m.silent} {
		g.DeletePartialMatch(of)
	}
}
