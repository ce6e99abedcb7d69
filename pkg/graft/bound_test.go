package graft

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// endless writes what do writes again and again, until nobody reads it.
func endless(do func(w io.Writer, n int) error) *io.PipeReader {
	r, w := io.Pipe()
	go func() {
		var err error
		for n := 0; err == nil; n++ {
			err = do(w, n)
		}
		w.CloseWithError(err)
	}()
	return r
}

// bombs returns a compressed tar of headers without end.
func bombs(header func(n int) *tar.Header) *io.PipeReader {
	r, w := io.Pipe()
	go func() {
		enc, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		tw := tar.NewWriter(enc)
		for n := 0; err == nil; n++ {
			err = tw.WriteHeader(header(n))
		}
		w.CloseWithError(err)
	}()
	return r
}

func wantLimit(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "the limit") {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestEndlessListingsAreCutOff(t *testing.T) {
	for name, header := range map[string]func(int) *tar.Header{
		"many names": func(n int) *tar.Header { return &tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint(n)} },
		"large records": func(n int) *tar.Header {
			return &tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint(n), Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.user.a": strings.Repeat("a", 100<<10)}}
		},
	} {
		r := bombs(header)
		facts, err := readListing(r, 1<<20)
		if wantLimit(t, err, "a listing of more than 1048576 bytes"); facts != nil {
			t.Errorf("%s: %d facts", name, len(facts))
		}
		r.Close()
	}
}

// TestEndlessEndOfAListing adds zeros to a listing without end.
func TestEndlessEndOfAListing(t *testing.T) {
	r := endless(func(w io.Writer, n int) error {
		if n == 0 {
			l, err := NewListing(w)
			return errors.Join(err, l.Close())
		}
		enc, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		_, err = enc.Write(make([]byte, 1<<20))
		return errors.Join(err, enc.Close())
	})
	defer r.Close()
	_, err := ReadListing(r)
	wantLimit(t, err, "a rest of more than 67108864 bytes")
}

// TestEndlessTextsAreCutOff sends a text, and a stream of which the rest is of no use, without end.
func TestEndlessTextsAreCutOff(t *testing.T) {
	frames := func(first string) *Line {
		r := endless(func(w io.Writer, n int) error {
			text := bytes.Repeat([]byte("a"), 32<<10)
			if n == 0 {
				text = []byte(first)
			}
			b := bufio.NewWriter(w)
			_, err := outgoing{b}.Write(text)
			return errors.Join(err, b.Flush())
		})
		t.Cleanup(func() { r.Close() })
		return NewLine(r, io.Discard)
	}
	var report Report
	wantLimit(t, frames(`{"lines":["`).receiveText(&report), "a text of more than 67108864 bytes")
	wantLimit(t, frames(`{"created":1}`).receiveText(&report), "a rest of more than 67108864 bytes")
}

// TestFilesThatNobodyWants sends others than those that were asked for, without end.
func TestFilesThatNobodyWants(t *testing.T) {
	r := bombs(func(n int) *tar.Header { return &tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("other%d", n)} })
	defer r.Close()
	g := newGraft(t.TempDir(), &Plan{Fetch: []string{"etc/motd"}}, nil)
	_, err := g.receiveContents(context.Background(), newBounded(r, 1<<20, "files"), func(int64) {})
	wantLimit(t, err, "files of more than 1048576 bytes")
}

// TestFilesThatComeAgainAndAgain sends a file that was asked for without end.
func TestFilesThatComeAgainAndAgain(t *testing.T) {
	r := bombs(func(int) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeReg, Name: "etc/motd", Format: tar.FormatPAX, PAXRecords: map[string]string{paxUnsteady: "1"}}
	})
	defer r.Close()
	g := newGraft(t.TempDir(), &Plan{Fetch: []string{"etc/motd"}}, nil)
	_, err := g.receiveContents(context.Background(), r, func(int64) {})
	wantLimit(t, err, "sends etc/motd more than 4 times")
}
