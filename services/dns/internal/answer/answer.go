// Package answer turns DNS queries into replies.
package answer

import (
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/services/dns/internal/zone"
)

// payload is the largest UDP message that is sent unfragmented nearly everywhere.
const payload = 1232

// Server answers from the zones of the moment.
type Server struct {
	zones   func() *zone.Set
	answers *prometheus.CounterVec
	byCode  map[int]prometheus.Counter
}

// New returns a server that answers from what zones returns; nil is SERVFAIL.
func New(zones func() *zone.Set, reg prometheus.Registerer) *Server {
	s := &Server{zones: zones, byCode: map[int]prometheus.Counter{}, answers: prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "luna_dns_answers_total", Help: "Answers by response code."}, []string{"rcode"})}
	reg.MustRegister(s.answers)
	for code, name := range dns.RcodeToString {
		if code <= dns.RcodeRefused || code == dns.RcodeBadVers {
			s.byCode[code] = s.answers.WithLabelValues(name)
		}
	}
	return s
}

// ServeDNS answers one query over TCP.
func (s *Server) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	_ = w.WriteMsg(s.counted(s.Reply(r))) // the asker went away: nobody to tell
}

// Datagram returns the answer to a query over UDP, as long as the asker can take.
func (s *Server) Datagram(r *dns.Msg) *dns.Msg {
	m := s.Reply(r)
	m.Truncate(room(r))
	return s.counted(m)
}

func (s *Server) counted(m *dns.Msg) *dns.Msg {
	s.byCode[m.Rcode].Inc()
	return m
}

// room is how many bytes a reply over UDP may have.
func room(r *dns.Msg) int {
	if o := r.IsEdns0(); o != nil {
		return min(max(int(o.UDPSize()), dns.MinMsgSize), payload)
	}
	return dns.MinMsgSize
}

// Reply returns the whole answer to a query (RFC 1034 section 4.3.2, EDNS of RFC 6891).
func (s *Server) Reply(r *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(r)
	m.Compress = true
	if o := r.IsEdns0(); o != nil {
		m.SetEdns0(payload, o.Do())
		if o.Version() != 0 {
			m.Rcode = dns.RcodeBadVers
			return m
		}
	}
	switch {
	case r.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
	case len(r.Question) != 1:
		m.Rcode = dns.RcodeFormatError
	case r.Question[0].Qclass != dns.ClassINET && r.Question[0].Qclass != dns.ClassANY:
		m.Rcode = dns.RcodeRefused
	default:
		s.look(m, r.Question[0])
	}
	return m
}

func (s *Server) look(m *dns.Msg, q dns.Question) {
	set := s.zones()
	if set == nil {
		m.Rcode = dns.RcodeServerFailure
		return
	}
	set.Lookup(m, dns.CanonicalName(q.Name), q.Qtype)
}
