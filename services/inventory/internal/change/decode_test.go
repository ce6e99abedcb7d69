package change

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// records are plain, odd and broken; the second value tells whether the list is read here.
var recordTexts = []struct {
	text  string
	plain bool
}{
	{`{"command_id":"C1","touched":[{"noun":"node","id":"N1","name":"node001"},{"noun":"rest","id":"R1","deleted":true}],"request":"{}"}`, true},
	{`{"command_id":"C1", "touched":[ {"noun":"node", "id":"N1", "name":"ü"} ] , "notes":["a","b"]}`, true},
	{`{"reason":"[{\"touched\":1","touched":[{"id":"N1"}]}`, true},
	{`{"reason":"\\","touched":[{"id":"N1"}]}`, true},
	{`{"commandId":"C1","later":{"a":[1]},"touched":[{"name":"a"}]}`, true},
	{`{"touched":[{"id":"N1"}],"touched":[{"id":"N2"}]}`, true},
	{`{"touched":[{"id":"N1"}],"touched":[]}`, true},
	{`{"touched":[{"id":"N1"}`, false},
	{`{"touched":[{"id":"N1"}]`, true},
	{`{"touched":[{"id":"N1"}]}}`, true},
	{`{"touched":[{"id":"N1","id":"N2"}]}`, false},
	{`{"touched":[{"id":"","id":"N2"}]}`, false},
	{`{"touched":[{"id":"\u0041"}]}`, true},
	{`{"touched":[{"id":null}]}`, false},
	{`{"touched":[{"deleted":false}]}`, false},
	{`{"touched":[{"later":1,"id":"N1"}]}`, false},
	{`{"touched":[{}]}`, true},
	{`{"touched":[]}`, true},
	{`{"touched":null}`, false},
	{`{"later":{"touched":[{"id":"N1"}]}}`, false},
	{`[{"touched":[{"id":"N1"}]}]`, false},
	{`{"request":"x\"touched":[{"id":"N1"}]}`, false},
	{"{\"touched\":[{\"id\":\"\xff\"}]}", false},
	{"{\"touched\":[{\"id\":\"a\nb\"}]}", false},
	{`{"touched":[{"id":"N1"},]}`, false},
	{`{"touched":[{"id":"N1",}]}`, false},
	{`{"command_id":"C1"}`, false},
	{``, false},
}

// TestRecordsAreReadAsAnyMessage compares with the decoder of all other messages.
func TestRecordsAreReadAsAnyMessage(t *testing.T) {
	for _, r := range recordTexts {
		if _, _, plain := cut([]byte(r.text)); plain != r.plain {
			t.Errorf("%s: plain is %v", r.text, plain)
		}
		compareDecoders(t, []byte(r.text))
	}
}

// FuzzRecords does so with whatever there may be in a stream.
func FuzzRecords(f *testing.F) {
	for _, r := range recordTexts {
		f.Add([]byte(r.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { compareDecoders(t, data) })
}

func compareDecoders(t *testing.T, data []byte) {
	t.Helper()
	before := string(data)
	got, err := decode(data)
	want := &inventoryv1.Change{}
	wrong := wire.Event(data, want)
	if (err == nil) != (wrong == nil) || err == nil && !proto.Equal(got, want) {
		t.Errorf("%s: %v, %v, want %v, %v", data, got, err, want, wrong)
	}
	if string(data) != before {
		t.Errorf("%s was changed to %s", before, data)
	}
}

// TestWrittenRecordsArePlain reads what this package writes, of whose form the encoder promises nothing.
func TestWrittenRecordsArePlain(t *testing.T) {
	data, err := wire.Marshal(&inventoryv1.Change{CommandId: "C1", Request: `{"touched":[]}`, Notes: []string{"a note"},
		Touched: []*inventoryv1.Touch{{Noun: "node", Id: "N1", Name: "node001"}, {Noun: "rest", Id: "R1", Name: "10.30.0.1", Deleted: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if touched, _, plain := cut(data); !plain || len(touched) != 2 {
		t.Errorf("%s: %v", data, touched)
	}
	compareDecoders(t, data)
}
