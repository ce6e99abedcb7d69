package listen

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// header is how long the header of a message is, in bytes (RFC 1035 section 4.1.1).
const header = 12

// datagrams answers what comes over UDP to one socket. Each of its few
// goroutines reads, answers and writes by itself: one for each question, as the
// library has it, costs as much as the answer.
type datagrams struct {
	conn   *net.UDPConn
	answer func(r *dns.Msg) *dns.Msg
}

// serve answers until stop was called or the socket fails.
func (d *datagrams) serve() error {
	errs := make([]error, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = d.work() })
	}
	all.Wait()
	return errors.Join(append(errs, d.conn.Close())...)
}

// stop lets serve end once what was read is answered.
func (d *datagrams) stop() error { return d.conn.SetReadDeadline(time.Unix(1, 0)) }

func (d *datagrams) work() error {
	in, out := make([]byte, payload), make([]byte, dns.MaxMsgSize)
	for {
		n, from, err := d.conn.ReadFromUDPAddrPort(in)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		d.reply(in[:n], out, from)
	}
}

// reply answers one question; what is none gets no answer.
func (d *datagrams) reply(in, out []byte, to netip.AddrPort) {
	m := d.judge(in)
	if m == nil {
		return
	}
	data, err := m.PackBuffer(out)
	if err == nil {
		_, _ = d.conn.WriteToUDPAddrPort(data, to) // the asker went away: nobody to tell
	}
}

// judge returns the answer to a message; nil when it deserves none. What the
// library refuses over TCP is refused here as well.
func (d *datagrams) judge(in []byte) *dns.Msg {
	if len(in) < header {
		return nil
	}
	word := func(i int) uint16 { return binary.BigEndian.Uint16(in[2*i:]) }
	action := dns.DefaultMsgAcceptFunc(dns.Header{Id: word(0), Bits: word(1), Qdcount: word(2), Ancount: word(3), Nscount: word(4), Arcount: word(5)})
	if action == dns.MsgIgnore {
		return nil
	}
	r := new(dns.Msg)
	if err := r.Unpack(in); err == nil && action == dns.MsgAccept {
		return d.answer(r)
	}
	m := new(dns.Msg)
	m.SetRcodeFormatError(r)
	if action == dns.MsgRejectNotImplemented {
		m.Opcode, m.Rcode = r.Opcode, dns.RcodeNotImplemented
	}
	return m
}
