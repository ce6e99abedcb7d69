package graft

import (
	"archive/tar"
	"bytes"
	"testing"
)

// A header that was read may name a form that has no records; a fact of it can be told all the same.
func TestFactsOfAnyForm(t *testing.T) {
	for _, form := range []tar.Format{tar.FormatUnknown, tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		var b bytes.Buffer
		l, err := NewListing(&b)
		if err != nil {
			t.Fatal(err)
		}
		hdr := &tar.Header{Format: form, Typeflag: tar.TypeReg, Name: "etc/hosts", Mode: 0o644, Size: 12}
		if err := l.Add(&Fact{Header: hdr, Sum: []byte{1, 2}}); err != nil {
			t.Errorf("%s: %v", form, err)
		}
		if hdr.Format != form || hdr.Size != 12 {
			t.Errorf("%s: the header was changed: %+v", form, hdr)
		}
	}
}
