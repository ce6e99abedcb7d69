package graft

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// mostText is how many bytes what is told as JSON may have: an order, a report with the names of a dry run.
	mostText = 64 << 20
	// mostListing is how many bytes of memory a listing may take, which is kept whole: about four million names.
	mostListing = 2 << 30
	// perName is what a fact takes beside its texts.
	perName = 512
	// mostGrown is by how many bytes files may grow between the listing and their coming.
	mostGrown = 4 << 30
	// mostSkipped is how many bytes are skipped of a stream of which the rest is of no use.
	mostSkipped = 64 << 20
)

// bounded reads at most left bytes, and says what limit there was when there are more.
type bounded struct {
	from       io.Reader
	left, most int64
	what       string
}

func newBounded(from io.Reader, most int64, what string) *bounded {
	return &bounded{from, most, most, what}
}

// Read reads what is there, within the limit.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left > 0 {
		n, err := b.from.Read(p[:min(int64(len(p)), b.left)])
		b.left -= int64(n)
		return n, err
	}
	var one [1]byte
	n, err := b.from.Read(one[:])
	if n > 0 {
		err = tooMuch(b.what, b.most)
	}
	return 0, err
}

// tooMuch is the error of a side that sends more than is taken.
func tooMuch(what string, most int64) error {
	return fmt.Errorf("the other side sends %s of more than %d bytes, the limit", what, most)
}

// receiveText receives what is told as JSON.
func (l *Line) receiveText(v any) error {
	return l.receive(func(r io.Reader) error { return json.NewDecoder(newBounded(r, mostText, "a text")).Decode(v) })
}

// mostContents is how many bytes the files of a plan may come in, each as often as it is read, with its header.
func mostContents(p *Plan) int64 {
	return (p.Bytes+int64(len(p.Fetch))*(8<<10))*(attempts+1) + mostGrown
}

// weight is how much memory a header takes.
func weight(h *tar.Header) (n int64) {
	n = perName + int64(len(h.Name)+len(h.Linkname)+len(h.Uname)+len(h.Gname))
	for k, v := range h.PAXRecords {
		n += int64(len(k) + len(v))
	}
	return n
}

// skip reads a stream to its end, which must be near, and returns why it ended.
func skip(r io.Reader) error {
	_, err := io.CopyN(io.Discard, r, mostSkipped)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		err = tooMuch("a rest", mostSkipped)
	}
	return err
}
