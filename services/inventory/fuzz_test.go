package inventory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// hostile are words that mean something to a shell, to iPXE, to a zone file, to
// a path, to JSON, or to whoever prints them.
var hostile = []string{
	"", " ", "-n", "--help", "..", "../../etc/passwd", "/", "a/b", "*", "~root", "a b", "a\tb", "a\nb", "a\r\nshell", "a\x00b", "\x1b[2J", "\u0085",
	"$(reboot)", "`reboot`", "${net0/mac}", "$IFS", "a;reboot", "a|reboot", "a||reboot", "a && reboot", "a || shell", "&", "#", "a #b", "!", "'", "\"", "\\",
	"a'\nreboot\n'", "LUNA_EOF_prescript", "EOF", "<<EOF", "'; reboot; '", "\n#!ipxe\nshell\n", "\nIN A 10.0.0.1", "@ IN NS evil.", "$INCLUDE /etc/shadow",
	"$GENERATE 1-9999999 a$ A 10.0.0.1", "a.b.c.", ".a", "a..b", "é", "\u202e", "\u2028", "%s%n", "%0a", "{{.Node}}", "</script>", "null", "0x10", "1e9", "-1",
	"node[001-999999]", "node[1-", "10.30.0.0/16", "::1%eth0", "0.0.0.0", "255.255.255.255", "52:54:00:00:00:01\n", "luna.evt.inventory.>", "a.b.>", "a.*",
	strings.Repeat("a", 64), strings.Repeat("a.", 200) + "a", strings.Repeat("x", 20000), strings.Repeat("a,", 5000),
}

// bodies are commands that are no good JSON, or none of ours.
var bodies = []string{
	"", "{", "}", "null", "[]", "0", `"name"`, "{}{}", "\x00", "\xff\xfe", `{"name":null}`, `{"name":1}`, `{"name":["a"]}`, `{"name":{"a":1}}`, `{"name":"a","name":"b"}`,
	`{"nosuch":1}`, `{"count":-1}`, `{"count":1e99}`, `{"count":4294967295}`, `{"prefix":18446744073709551616}`, `{"name":"\ud800"}`, `{"name":"\u0000"}`, `{"@type":"x"}`,
	`{"all":true}`, `{"all":true,"group":"compute"}`, `{"limit":4294967295}`, `{"revision":"18446744073709551615"}`, `{"if_revision":"9"}`,
	strings.Repeat("[", 20000), strings.Repeat(`{"name":`, 20000), `{"name":"` + strings.Repeat("a", 700000) + `"}`,
}

// usable are requests that are done as they are, by command; a hostile word then takes the place of one field.
var usable = map[string]string{
	"cluster.change":   `{}`,
	"cluster.makedhcp": `{"network":"cluster","start_ip":"10.30.129.1","end_ip":"10.30.129.9"}`,
	"network.add":      `{"name":"other","network":"10.77.0.0","prefix":16}`, "network.change": `{"name":"cluster"}`,
	"osimage.add": `{"name":"other","path":"/opt/other","head":"head"}`, "osimage.change": `{"name":"compute"}`,
	"bmcsetup.add": `{"name":"other"}`, "bmcsetup.change": `{"name":"base"}`,
	"switch.add": `{"name":"other","network":"cluster","ip":"10.30.7.9"}`, "switch.change": `{"name":"switch01"}`,
	"otherdev.add": `{"name":"other","network":"cluster"}`, "otherdev.change": `{"name":"pdu01","network":"cluster"}`,
	"group.add": `{"name":"other","osimage":"compute","network":"cluster"}`, "group.change": `{"name":"compute","interface":"eth1","interface_add":true}`,
	"group.clone": `{"name":"compute","to":"other"}`,
	"node.add":    `{"name":"other","group":"compute","switch":"switch01"}`, "node.change": `{"name":"node001"}`,
	"network.rename": `{"name":"cluster","newname":"b"}`, "osimage.rename": `{"name":"compute","newname":"b"}`, "bmcsetup.rename": `{"name":"base","newname":"b"}`,
	"switch.rename": `{"name":"switch01","newname":"b"}`, "otherdev.rename": `{"name":"pdu01","newname":"b"}`, "group.rename": `{"name":"compute","newname":"b"}`,
	"node.rename": `{"name":"node001","newname":"b"}`,
}

// command is one command of the inventory.
type command struct {
	name    string // noun.verb
	request protoreflect.MessageDescriptor
}

// commands asks the service what commands it has.
func (r *room) commands() []command {
	r.t.Helper()
	msg, err := r.conn.NATS.RequestWithContext(r.ctx(), "$SRV.INFO.luna-inventory", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	var info micro.Info
	if err := json.Unmarshal(msg.Data, &info); err != nil {
		r.t.Fatal(err)
	}
	var all []command
	for _, e := range info.Endpoints {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(e.Metadata["request"]))
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, command{strings.TrimPrefix(subject.Words(e.Subject), "inventory."), d.(protoreflect.MessageDescriptor)})
	}
	slices.SortFunc(all, func(a, b command) int { return strings.Compare(a.name, b.name) })
	if len(all) < 50 {
		r.t.Fatalf("only %d commands", len(all))
	}
	return all
}

// populate makes an object of each noun.
func (r *room) populate() {
	r.describe()
	r.do("bmcsetup", "add", &inventoryv1.BmcsetupAddRequest{Name: "base"})
	r.do("switch", "add", &inventoryv1.SwitchAddRequest{Name: "switch01", Network: "cluster", Ip: "10.30.7.1"})
	r.do("otherdev", "add", &inventoryv1.OtherdevAddRequest{Name: "pdu01", Network: "cluster"})
	r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"})
}

// send sends a command as somebody types it, and returns the objects that it
// wrote, or would write. An answer that is neither done nor refused ends the test.
func (r *room) send(t testing.TB, command string, body []byte, dry bool) []*inventoryv1.Object {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	msg := &nats.Msg{Subject: subject.Commands("inventory"), Data: body, Header: nats.Header{}}
	msg.Subject = strings.TrimSuffix(msg.Subject, ">") + command
	if dry {
		msg.Header.Set(bus.HeaderDryRun, "true")
	}
	rep, err := r.conn.NATS.RequestMsgWithContext(ctx, msg)
	if err != nil {
		t.Fatalf("%s %.200q: %v", command, body, err)
	}
	switch code := rep.Header.Get(micro.ErrorCodeHeader); code {
	case "":
	case "400", "404", "409":
		return nil
	default:
		t.Errorf("%s %.200q: %s: %s", command, body, code, rep.Header.Get(micro.ErrorHeader))
		return nil
	}
	change := &inventoryv1.ChangeReply{}
	if wire.Event(rep.Data, change) != nil {
		return nil // a reply to a question
	}
	return change.Objects
}

// What fields may hold beside words: one line, or text of lines. They are told to
// nodes as data only, never as a part of a command.
var (
	lines = map[string]bool{"kernopts": true, "port": true, "path": true, "uplinks": true, "user": true, "kernmodules": true, "dracutmodules": true, "grab_filesystems": true}
	texts = map[string]bool{"comment": true, "options": true, "include": true, "rev_include": true, "prescript": true, "partscript": true, "postscript": true, "grab_exclude_list": true}
	plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/+~-]{0,254}$|^\.[0-9.]+$|^$`)
)

// harmless looks at all fields of a message.
func harmless(t testing.TB, m protoreflect.Message) {
	t.Helper()
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !f.IsList() {
			harmlessValue(t, f, v)
			return true
		}
		for i := range v.List().Len() {
			harmlessValue(t, f, v.List().Get(i))
		}
		return true
	})
}

func harmlessValue(t testing.TB, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	t.Helper()
	name := string(f.Name())
	switch s := v.String(); {
	case f.Kind() == protoreflect.MessageKind:
		harmless(t, v.Message())
	case f.Kind() != protoreflect.StringKind:
	case texts[name]:
		if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
			t.Errorf("%s holds control characters: %.200q", f.FullName(), s)
		}
	case lines[name]:
		if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || name == "kernopts" && strings.Contains(s, "${") {
			t.Errorf("%s is no harmless line: %.200q", f.FullName(), s)
		}
	case !plain.MatchString(s):
		t.Errorf("%s is no word: %.200q", f.FullName(), s)
	}
}

func check(t testing.TB, objects []*inventoryv1.Object) {
	t.Helper()
	for _, o := range objects {
		harmless(t, o.ProtoReflect())
	}
}

// TestHostileWords puts each hostile word into each field of each command, and
// looks at what would be kept.
func TestHostileWords(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.populate()
	taken := 0
	for _, c := range r.commands() {
		for _, body := range bodies {
			check(t, r.send(t, c.name, []byte(body), changes(c)))
		}
		for i := range c.request.Fields().Len() {
			f := c.request.Fields().Get(i)
			for _, word := range hostile {
				objects := r.send(t, c.name, with(t, c, f, word), changes(c))
				check(t, objects)
				if len(objects) > 0 {
					taken++
				}
			}
		}
		if t.Failed() {
			t.Fatalf("after %s", c.name)
		}
	}
	if taken < 500 {
		t.Errorf("only %d commands were taken: what is refused proves little", taken)
	}
	r.node("node001") // it still answers
}

// changes tells whether a command can be tried without being done.
func changes(c command) bool {
	_, verb, _ := strings.Cut(c.name, ".")
	return !slices.Contains([]string{"show", "list", "explain", "diff", "export"}, verb)
}

// with returns a request in which one field is a word.
func with(t testing.TB, c command, f protoreflect.FieldDescriptor, word string) []byte {
	t.Helper()
	all := map[string]any{}
	if text := usable[c.name]; text != "" {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatal(err)
		}
	}
	all[string(f.Name())] = word
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestUsableRequestsAreUsable tries what hostile words are put into.
func TestUsableRequestsAreUsable(t *testing.T) {
	r := newRoom(t)
	r.populate()
	for name, body := range usable {
		objects := r.send(t, name, []byte(body), true)
		if len(objects) == 0 {
			t.Errorf("%s %s is refused, or changes nothing", name, body)
		}
		check(t, objects)
	}
}

// FuzzCommands sends any bytes as any command, for real.
func FuzzCommands(f *testing.F) {
	r := newRoom(f)
	r.populate()
	all := r.commands()
	for i, c := range all {
		f.Add(uint8(i), []byte(usable[c.name]))
		f.Add(uint8(i), []byte(bodies[i%len(bodies)]))
		for k := range min(3, c.request.Fields().Len()) {
			field := c.request.Fields().Get((i + k) % c.request.Fields().Len())
			f.Add(uint8(i), with(f, c, field, hostile[(3*i+k)%len(hostile)]))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		c := all[int(which)%len(all)]
		check(t, r.send(t, c.name, body, false))
		everything(t, r)
	})
}

// everything looks at all that is kept.
func everything(t testing.TB, r *room) {
	for _, noun := range []string{"network", "osimage", "bmcsetup", "switch", "otherdev", "group", "node"} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		list, err := bus.Request(ctx, r.conn, subject.Command("inventory", noun, "list"), &inventoryv1.ListRequest{Limit: 50}, &inventoryv1.ListReply{})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		check(t, list.Objects)
		if _, err := protojson.Marshal(list); err != nil {
			t.Fatal(fmt.Errorf("%s list cannot be written: %w", noun, err))
		}
	}
}

// TestLongScriptsAreAnswered keeps more scripts than a message holds.
func TestLongScriptsAreAnswered(t *testing.T) {
	r := newRoom(t)
	r.describe()
	const nodes = 8
	r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Count: nodes})
	script := strings.Repeat("echo\n", 60000)
	req := &inventoryv1.NodeChangeRequest{All: true, Postscript: &script}
	for _, ctx := range []context.Context{bus.WithCall(r.ctx(), bus.Call{ID: "dry", DryRun: true}), r.ctx()} {
		if rep, err := bus.Request(ctx, r.conn, subject.Command("inventory", "node", "change"), req, &inventoryv1.ChangeReply{}); err != nil || len(rep.Objects) == 0 {
			t.Fatalf("%d objects, %v, revision %d, dry run %v", len(rep.GetObjects()), err, rep.GetRevision(), rep.GetDryRun())
		}
	}
	listed := 0
	for after := ""; ; {
		list, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", "node", "list"), &inventoryv1.ListRequest{After: after}, &inventoryv1.ListReply{})
		if err != nil {
			t.Fatal(err)
		}
		listed += len(list.Objects)
		if after = list.Next; after == "" {
			break
		}
	}
	if listed != nodes {
		t.Errorf("%d of %d nodes are listed", listed, nodes)
	}
}
