package ledger_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/services/integration/ledger"
)

// stream is a stream that is written by hand.
type stream struct {
	messages []ledger.Message
	batches  int
}

// object is what a batch writes: a subject below the inventory's, and a body or none.
type object struct{ subject, body string }

// batch adds the objects and the record of a command.
func (s *stream) batch(command string, objects ...object) {
	s.raw(append(objects, object{"change." + command, recordOf(command, objects...)})...)
}

func recordOf(command string, objects ...object) string {
	type touch struct {
		Noun    string `json:"noun"`
		ID      string `json:"id"`
		Deleted bool   `json:"deleted,omitempty"`
	}
	var touched []touch
	for _, o := range objects {
		noun, id, _ := strings.Cut(o.subject, ".")
		touched = append(touched, touch{noun, id, o.body == ""})
	}
	data, err := json.Marshal(map[string]any{"command_id": command, "touched": touched})
	if err != nil {
		panic(err)
	}
	return string(data)
}

// raw adds messages as one fenced batch.
func (s *stream) raw(objects ...object) {
	s.batches++
	first := len(s.messages)
	for i, o := range objects {
		h := nats.Header{}
		h.Set("Nats-Batch-Id", fmt.Sprint("B", s.batches))
		h.Set("Nats-Batch-Sequence", fmt.Sprint(i+1))
		if i == 0 {
			h.Set("Nats-Expected-Last-Sequence", fmt.Sprint(first))
		}
		if i == len(objects)-1 {
			h.Set("Nats-Batch-Commit", "1")
		}
		s.messages = append(s.messages, ledger.Message{Sequence: uint64(first + i + 1), Subject: "luna.evt.inventory." + o.subject, Header: h, Body: []byte(o.body)})
	}
}

func node(id, name, mac string, addresses ...string) object {
	var all []string
	for _, a := range addresses {
		all = append(all, fmt.Sprintf(`{"interface":"BOOTIF","network_id":"W","address":%q}`, a))
	}
	return object{"node." + id, fmt.Sprintf(`{"id":%q,"name":%q,"mac":%q,"addresses":[%s]}`, id, name, mac, strings.Join(all, ","))}
}

var (
	clusterC = object{"cluster.C", `{"id":"C","frontend_address":"10.0.0.250","cluster_ips":["10.0.0.251"]}`}
	networkW = object{"network.W", `{"id":"W","name":"cluster","cidr":"10.0.0.0/24","gateway":"10.0.0.254","nameservers":["10.0.0.253"],"ntp":["10.0.0.252"],"reserved":["10.0.0.249"],"dhcp_range":{"start":"10.0.0.100","end":"10.0.0.120"}}`}
	restOf1  = object{"rest.W-0a000001", `{"network_id":"W","address":"10.0.0.1","until":"2030-01-01T00:00:00Z"}`}
	node1    = node("N1", "node001", "52:54:00:00:00:01", "10.0.0.1")
	node2    = node("N2", "node002", "52:54:00:00:00:02", "10.0.0.2")
)

// groupG is a group, memberN a node of it.
var (
	groupG  = object{"group.G", `{"id":"G","name":"g","interfaces":[{"name":"BOOTIF","network_ids":["W"]}]}`}
	memberN = member("N8", "BOOTIF")
)

// member is a node of group G with addresses for some interfaces.
func member(id string, interfaces ...string) object {
	var all []string
	for i, name := range interfaces {
		all = append(all, fmt.Sprintf(`{"interface":%q,"network_id":"W","address":"10.0.0.%s%d"}`, name, id[1:], i))
	}
	return object{"node." + id, fmt.Sprintf(`{"id":%q,"name":%q,"group_id":"G","addresses":[%s]}`, id, "of-"+id, strings.Join(all, ","))}
}

func gone(o object) object { return object{o.subject, ""} }

// begun is a stream of a cluster with one node.
func begun() *stream {
	s := &stream{}
	s.batch("init", clusterC, networkW, groupG, memberN)
	s.batch("add1", node1)
	return s
}

func TestAGoodStreamHasNoFault(t *testing.T) {
	s := begun()
	s.batch("add2", node2, node("N3", "node003", "", "10.0.0.3"))
	s.batch("del1", restOf1, gone(node1))
	s.batch("add4", gone(restOf1), node("N4", "node001", "52:54:00:00:00:01", "10.0.0.1")) // all of it is free again
	s.batch("swap", node("N4", "node002", "", "10.0.0.2"), node("N2", "node001", "", "10.0.0.1"))
	for _, last := range []int{5, 6} { // one machine, twice: both its addresses rest
		n := node(fmt.Sprint("N", last), "node005", "52:54:00:00:00:05", fmt.Sprint("10.0.0.", last))
		rest := object{fmt.Sprintf("rest.W-0a0000%02x", last), fmt.Sprintf(`{"network_id":"W","address":"10.0.0.%d","until":"2030-01-01T00:00:00Z","mac":"52:54:00:00:00:05"}`, last)}
		s.batch(fmt.Sprint("come", last), n)
		s.batch(fmt.Sprint("go", last), rest, gone(n))
	}
	answers := []ledger.Answer{
		{CommandID: "add1", Done: true, Objects: []ledger.Object{{Noun: "node", Name: "node001", Addresses: []string{"10.0.0.1"}}}},
		{CommandID: "add2", Done: true, Objects: []ledger.Object{{Noun: "node", Name: "node003", Addresses: []string{"10.0.0.3"}}, {Noun: "node", Name: "node002", Addresses: []string{"10.0.0.2"}}}},
		{CommandID: "del1", Done: true, Deleted: []ledger.Object{{Noun: "node", Name: "node001"}}},
		{CommandID: "refused"},
	}
	for _, f := range ledger.Check(s.messages, answers) {
		t.Error(f)
	}
}

func TestEveryFaultIsFound(t *testing.T) {
	for _, c := range []struct {
		name string
		rule ledger.Rule
		make func(s *stream)
		told []ledger.Answer
	}{
		{"a message is missing", ledger.NoGap, func(s *stream) {
			s.batch("add2", node2)
			for i := len(s.messages) - 2; i < len(s.messages); i++ {
				s.messages[i].Sequence++
			}
			s.messages[len(s.messages)-2].Header.Set("Nats-Expected-Last-Sequence", fmt.Sprint(len(s.messages)-1))
		}, nil},
		{"the stream begins later", ledger.NoGap, func(s *stream) { s.messages = s.messages[3:] }, nil},
		{"a batch without its commit", ledger.Whole, func(s *stream) {
			s.messages[len(s.messages)-1].Header.Del("Nats-Batch-Commit")
		}, nil},
		{"a batch cut short by another", ledger.Whole, func(s *stream) {
			s.messages[len(s.messages)-1].Header.Del("Nats-Batch-Commit")
			s.batch("add2", node2)
		}, nil},
		{"a batch that lacks its second message", ledger.Whole, func(s *stream) {
			s.batch("add2", node2)
			s.messages[len(s.messages)-1].Header.Set("Nats-Batch-Sequence", "3")
		}, nil},
		{"a batch that comes again", ledger.Whole, func(s *stream) {
			s.batches--
			s.batch("add2", node2)
		}, nil},
		{"a message outside a batch", ledger.Whole, func(s *stream) {
			s.raw(object{"change.alone", recordOf("alone")})
			s.messages[len(s.messages)-1].Header.Del("Nats-Batch-Id")
		}, nil},
		{"decided on an older state", ledger.Fenced, func(s *stream) {
			s.batch("add2", node2)
			s.messages[len(s.messages)-2].Header.Set("Nats-Expected-Last-Sequence", "3")
		}, nil},
		{"not fenced", ledger.Fenced, func(s *stream) {
			s.batch("add2", node2)
			s.messages[len(s.messages)-2].Header.Del("Nats-Expected-Last-Sequence")
		}, nil},
		{"no record", ledger.Recorded, func(s *stream) { s.raw(node2) }, nil},
		{"the record in the middle", ledger.Recorded, func(s *stream) {
			s.raw(object{"change.add2", recordOf("add2", node2)}, node2)
		}, nil},
		{"a second record in a batch", ledger.Recorded, func(s *stream) {
			s.raw(object{"change.other", recordOf("other")}, node2, object{"change.add2", recordOf("add2", node2)})
		}, nil},
		{"the record names less", ledger.Recorded, func(s *stream) {
			s.raw(node2, object{"change.add2", recordOf("add2")})
		}, nil},
		{"the record names more", ledger.Recorded, func(s *stream) {
			s.raw(node2, object{"change.add2", recordOf("add2", node2, node("N3", "", ""))})
		}, nil},
		{"the record says deleted", ledger.Recorded, func(s *stream) {
			s.raw(node2, object{"change.add2", recordOf("add2", gone(node2))})
		}, nil},
		{"a subject twice in a batch", ledger.Recorded, func(s *stream) { s.batch("add2", node2, node2) }, nil},
		{"a command with two records", ledger.OneRecord, func(s *stream) { s.batch("add1", node2) }, nil},
		{"the record of another command", ledger.Readable, func(s *stream) {
			s.raw(node2, object{"change.add2", recordOf("add3", node2)})
		}, nil},
		{"no JSON", ledger.Readable, func(s *stream) { s.batch("add2", object{"node.N2", "{"}) }, nil},
		{"another id than the subject's", ledger.Readable, func(s *stream) {
			s.batch("add2", object{"node.N3", node2.body})
		}, nil},
		{"no address", ledger.Readable, func(s *stream) { s.batch("add2", node("N2", "node002", "", "10.0.0.x")) }, nil},
		{"an address of two nodes", ledger.OneHolder, func(s *stream) { s.batch("add2", node("N2", "node002", "", "10.0.0.1")) }, nil},
		{"an address of two nodes, written otherwise", ledger.OneHolder, func(s *stream) {
			s.batch("v6", object{"network.W", `{"id":"W","cidr":"fd00::/64"}`}, node("N1", "node001", "", "fd00::1"))
			s.batch("add2", node("N2", "node002", "", "fd00:0::0001"))
		}, nil},
		{"an address of two nodes for one revision", ledger.OneHolder, func(s *stream) {
			s.batch("add2", node("N2", "node002", "", "10.0.0.1"))
			s.batch("change2", node2)
		}, nil},
		{"an address twice on a node", ledger.OneHolder, func(s *stream) {
			s.batch("add2", node("N2", "node002", "", "10.0.0.2", "10.0.0.2"))
		}, nil},
		{"the head's address", ledger.FreeToHold, func(s *stream) { s.batch("add2", node("N2", "node002", "", "10.0.0.250")) }, nil},
		{"another head's address", ledger.FreeToHold, func(s *stream) { s.batch("add2", node("N2", "node002", "", "10.0.0.251")) }, nil},
		{"the head takes a node's address", ledger.FreeToHold, func(s *stream) {
			s.batch("change", object{"cluster.C", `{"id":"C","frontend_address":"10.0.0.1"}`})
		}, nil},
		{"the gateway's address", ledger.FreeToHold, func(s *stream) { s.batch("add2", node("N2", "node002", "", "10.0.0.254")) }, nil},
		{"a name server's address", ledger.FreeToHold, func(s *stream) { s.batch("add2", node("N2", "node002", "", "10.0.0.253")) }, nil},
		{"a time server's address", ledger.FreeToHold, func(s *stream) { s.batch("add2", node("N2", "node002", "", "10.0.0.252")) }, nil},
		{"a reserved address", ledger.FreeToHold, func(s *stream) { s.batch("add2", node("N2", "node002", "", "10.0.0.249")) }, nil},
		{"the first of the DHCP range", ledger.FreeToHold, func(s *stream) { s.batch("add2", node("N2", "node002", "", "10.0.0.100")) }, nil},
		{"the last of the DHCP range", ledger.FreeToHold, func(s *stream) { s.batch("add2", node("N2", "node002", "", "10.0.0.120")) }, nil},
		{"a resting address", ledger.FreeToHold, func(s *stream) {
			s.batch("del1", restOf1, gone(node1))
			s.batch("add2", node("N2", "node002", "", "10.0.0.1"))
		}, nil},
		{"an address outside its network", ledger.FreeToHold, func(s *stream) { s.batch("add2", node("N2", "node002", "", "10.0.1.1")) }, nil},
		{"an address in no network", ledger.FreeToHold, func(s *stream) { s.batch("gone", gone(networkW)) }, nil},
		{"a name of two", ledger.OneName, func(s *stream) { s.batch("add2", node("N2", "node001", "")) }, nil},
		{"a name of two groups", ledger.OneName, func(s *stream) {
			s.batch("g", object{"group.I", `{"id":"I","name":"i"}`}, object{"group.H", `{"id":"H","name":"i"}`})
		}, nil},
		{"a node of no group", ledger.Referred, func(s *stream) { s.batch("del", gone(groupG)) }, nil},
		{"a group of no image", ledger.Referred, func(s *stream) {
			s.batch("g", object{"group.H", `{"id":"H","name":"h","osimage_id":"gone"}`})
		}, nil},
		{"a group in no network", ledger.Referred, func(s *stream) {
			s.batch("g", object{"group.H", `{"id":"H","name":"h","interfaces":[{"name":"BOOTIF","network_ids":["gone"]}]}`})
		}, nil},
		{"a node without an address of its group", ledger.Complete, func(s *stream) { s.batch("n", member("N9")) }, nil},
		{"a node with an address of another group", ledger.Complete, func(s *stream) {
			s.batch("n", member("N9", "BOOTIF", "eth1"))
		}, nil},
		{"a group that gets an interface and its nodes do not", ledger.Complete, func(s *stream) {
			s.batch("g", object{"group.G", `{"id":"G","name":"g","interfaces":[{"name":"BOOTIF","network_ids":["W"]},{"name":"eth1","network_ids":["W"]}]}`})
		}, nil},
		{"another group was told", ledger.Told, func(s *stream) { s.batch("g", object{"group.H", `{"id":"H","name":"h"}`}) },
			[]ledger.Answer{{CommandID: "g", Done: true, Objects: []ledger.Object{{Noun: "group", Name: "other"}}}}},
		{"a MAC of two", ledger.OneMAC, func(s *stream) { s.batch("add2", node("N2", "node002", "52:54:00:00:00:01")) }, nil},
		{"no record of what was done", ledger.Kept, nil, []ledger.Answer{{CommandID: "lost", Done: true}}},
		{"another address was told", ledger.Told, nil, []ledger.Answer{{CommandID: "add1", Done: true,
			Objects: []ledger.Object{{Noun: "node", Name: "node001", Addresses: []string{"10.0.0.9"}}}}}},
		{"another name was told", ledger.Told, nil, []ledger.Answer{{CommandID: "add1", Done: true,
			Objects: []ledger.Object{{Noun: "node", Name: "node009", Addresses: []string{"10.0.0.1"}}}}}},
		{"nothing was told", ledger.Told, nil, []ledger.Answer{{CommandID: "add1", Done: true}}},
		{"told of a deletion that was none", ledger.Told, func(s *stream) { s.batch("add2", node2) },
			[]ledger.Answer{{CommandID: "add2", Done: true, Objects: []ledger.Object{{Noun: "node", Name: "node002", Addresses: []string{"10.0.0.2"}}}, Deleted: []ledger.Object{{Noun: "node", Name: "node001"}}}}},
		{"done and told otherwise", ledger.Undone, nil, []ledger.Answer{{CommandID: "add1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begun()
			if c.make != nil {
				c.make(s)
			}
			faults := ledger.Check(s.messages, c.told)
			if !slices.ContainsFunc(faults, func(f ledger.Fault) bool { return f.Rule == c.rule }) {
				t.Errorf("found %v, want %q", faults, c.rule)
			}
		})
	}
}
