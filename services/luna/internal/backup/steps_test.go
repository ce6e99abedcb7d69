package backup

import (
	"bytes"
	"io"
	"testing"

	"github.com/klauspost/compress/s2"
)

func TestASnapshotIsRestoredInSteps(t *testing.T) {
	want := bytes.Repeat([]byte("a small message, and one more of them. "), 100_000)
	var whole bytes.Buffer
	z := s2.NewWriter(&whole)
	if _, err := z.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	r := inSteps(io.NopCloser(&whole))
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s2.NewReader(bytes.NewReader(data), s2.ReaderMaxBlockSize(step))) // refuses larger blocks
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	if _, err := io.ReadAll(inSteps(io.NopCloser(bytes.NewReader(data[:len(data)/2])))); err == nil {
		t.Error("half a snapshot was taken for a whole one")
	}
}
