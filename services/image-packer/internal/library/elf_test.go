package library

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// note makes an ELF note of the owner FDO.
func note(kind uint32, desc string) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 4)
	b = le.AppendUint32(b, uint32(len(desc)))
	b = le.AppendUint32(b, kind)
	b = append(append(b, "FDO\x00"...), desc...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func TestDlopenNotes(t *testing.T) {
	data := note(1, "something")
	data = append(data, note(noteDlopen, `[{"soname":["libkmod.so.2"],"priority":"recommended"}]`)...)
	data = append(data, note(noteDlopen, `[{"soname":["libtss2.so.0"],"priority":"suggested"},{"soname":["liba.so.1","liba.so.0"],"priority":"required"}]`+"\x00")...)
	got, err := appendDlopen(nil, data, binary.LittleEndian, 4)
	if diff := cmp.Diff([]string{"libkmod.so.2", "liba.so.1", "liba.so.0"}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := appendDlopen(nil, note(noteDlopen, "no json"), binary.LittleEndian, 4); err == nil {
		t.Error("took a malformed note")
	}
}

func FuzzDlopenNotes(f *testing.F) {
	f.Add(note(noteDlopen, `[{"soname":["a"]}]`), 4)
	f.Fuzz(func(t *testing.T, data []byte, align int) {
		if align > 1<<16 {
			return
		}
		libs, err := appendDlopen(nil, data, binary.LittleEndian, align)
		if err != nil && libs != nil {
			t.Errorf("both %q and %v", libs, err)
		}
	})
}
