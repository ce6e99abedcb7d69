package exchange

import (
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count what was asked and answered.
type Metrics struct{ asked, answered, refused *prometheus.CounterVec }

// NewMetrics registers the counters, and a gauge of the leases in use.
func NewMetrics(reg prometheus.Registerer, leases func() int) *Metrics {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &Metrics{
		asked:    vec("luna_dhcp_exchanges_total", "Packets of clients by type.", "type"),
		answered: vec("luna_dhcp_answers_total", "Answers by type.", "type"),
		refused:  vec("luna_dhcp_refused_total", "Packets that were not answered in full, by reason.", "reason"),
	}
	reg.MustRegister(m.asked, m.answered, m.refused, prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "luna_dhcp_leases", Help: "Leases of strangers in use."}, func() float64 { return float64(leases()) }))
	return m
}

// Asked counts a client's packet.
func (m *Metrics) Asked(t dhcpv4.MessageType) {
	m.asked.WithLabelValues(strings.ToLower(t.String())).Inc()
}

// Answered counts an answer.
func (m *Metrics) Answered(t dhcpv4.MessageType) {
	m.answered.WithLabelValues(strings.ToLower(t.String())).Inc()
}

// Refused counts a packet that got no or not its whole answer.
func (m *Metrics) Refused(why string) { m.refused.WithLabelValues(why).Inc() }
