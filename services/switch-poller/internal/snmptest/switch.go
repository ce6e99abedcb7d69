// Package snmptest is a switch that answers SNMP inside a test, well or badly.
package snmptest

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gosnmp/gosnmp"
)

// Switch answers on a UDP socket until its test ends.
type Switch struct {
	// Community is the only one that is answered.
	Community string
	// Change, if it is set, makes the datagrams that are sent from the right one; none are silence.
	Change func(request *gosnmp.SnmpPacket, answer []byte) [][]byte
	// Heard, if it is set, is called for each request that is answered.
	Heard func(request *gosnmp.SnmpPacket, from *net.UDPAddr)

	conn *net.UDPConn
	mu   sync.Mutex
	rows []row
	// asked counts the requests for each OID.
	asked map[string]int
}

type row struct {
	oid   []int
	name  string
	kind  gosnmp.Asn1BER
	value any
}

// Listen opens a socket at an address of the loopback, as 127.0.1.1:16100, or port 0 for any.
func Listen(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	addr, err := net.ResolveUDPAddr("udp4", address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Serve lets a switch answer on a socket until the test ends. Its fields are set before.
func (s *Switch) Serve(t testing.TB, conn *net.UDPConn) {
	s.conn, s.asked = conn, map[string]int{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 65536)
		for {
			n, from, err := conn.ReadFromUDP(buf)
			if err != nil {
				return
			}
			s.answer(buf[:n], from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
}

// Set puts a value under an OID; nil takes it away.
func (s *Switch) Set(oid string, kind gosnmp.Asn1BER, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := row{oid: numbers(oid), name: oid, kind: kind, value: value}
	i, found := slices.BinarySearchFunc(s.rows, r.oid, func(r row, oid []int) int { return slices.Compare(r.oid, oid) })
	switch {
	case found && value == nil:
		s.rows = slices.Delete(s.rows, i, i+1)
	case found:
		s.rows[i] = r
	case value != nil:
		s.rows = slices.Insert(s.rows, i, r)
	}
}

// Asked returns how many requests began at an OID.
func (s *Switch) Asked(oid string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[oid]
}

func (s *Switch) answer(data []byte, from *net.UDPAddr) {
	request, err := (&gosnmp.GoSNMP{}).SnmpDecodePacket(data)
	if err != nil || request.Community != s.Community || len(request.Variables) == 0 {
		return
	}
	if s.Heard != nil {
		s.Heard(request, from)
	}
	answer := &gosnmp.SnmpPacket{Version: request.Version, Community: request.Community, PDUType: gosnmp.GetResponse,
		RequestID: request.RequestID, Variables: s.next(request)}
	out, err := answer.MarshalMsg()
	if err != nil {
		panic(fmt.Sprintf("a row cannot be encoded: %v", err))
	}
	all := [][]byte{out}
	if s.Change != nil {
		all = s.Change(request, out)
	}
	for _, one := range all {
		_, _ = s.conn.WriteToUDP(one, from) // the asker may be gone
	}
}

// next returns the rows behind what a request begins at.
func (s *Switch) next(request *gosnmp.SnmpPacket) []gosnmp.SnmpPDU {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := request.Variables[0].Name
	s.asked[at]++
	i, found := slices.BinarySearchFunc(s.rows, numbers(at), func(r row, oid []int) int { return slices.Compare(r.oid, oid) })
	if found {
		i++
	}
	var all []gosnmp.SnmpPDU
	for ; i < len(s.rows) && len(all) < int(request.MaxRepetitions); i++ {
		all = append(all, gosnmp.SnmpPDU{Name: s.rows[i].name, Type: s.rows[i].kind, Value: s.rows[i].value})
	}
	if i == len(s.rows) && len(all) < int(request.MaxRepetitions) {
		all = append(all, gosnmp.SnmpPDU{Name: at, Type: gosnmp.EndOfMibView})
	}
	return all
}

func numbers(oid string) []int {
	var all []int
	for _, p := range strings.Split(strings.TrimPrefix(oid, "."), ".") {
		n, err := strconv.Atoi(p)
		if err != nil {
			panic(fmt.Sprintf("%q is no OID", oid))
		}
		all = append(all, n)
	}
	return all
}
