package graft

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// greeting is what the other side says first; a shell may have said something before.
const greeting = "luna-graft-1\n"

const (
	maxFrame = 64 << 10
	maxNoise = 64 << 10
)

// Line is a connection to the other side, over which streams follow one another in both directions.
type Line struct {
	in  *bufio.Reader
	out *bufio.Writer
}

// NewLine returns a Line over the two directions of a connection.
func NewLine(in io.Reader, out io.Writer) *Line {
	return &Line{bufio.NewReaderSize(in, maxFrame), bufio.NewWriterSize(out, maxFrame)}
}

// greet says that this side is there.
func (l *Line) greet() error {
	_, err := l.out.WriteString(greeting)
	return errors.Join(err, l.out.Flush())
}

// greeted waits for the other side's greeting.
func (l *Line) greeted() error {
	seen := 0
	for said := 0; said < maxNoise; said++ {
		c, err := l.in.ReadByte()
		if err != nil {
			return fmt.Errorf("the other side did not begin: %w", err)
		}
		if c != greeting[seen] {
			seen = 0
		}
		if c == greeting[seen] {
			seen++
		}
		if seen == len(greeting) {
			return nil
		}
	}
	return errors.New("the other side does not speak as luna-agent does")
}

// outgoing is a stream that is sent: frames of bytes with their length before them, an empty one, and the error of the
// sender, empty when all is well.
type outgoing struct{ to *bufio.Writer }

// Write sends bytes.
func (o outgoing) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		frame := p[:min(len(p), maxFrame)]
		if err := binary.Write(o.to, binary.BigEndian, uint32(len(frame))); err != nil {
			return n, err
		}
		m, err := o.to.Write(frame)
		if n += m; err != nil {
			return n, err
		}
		p = p[m:]
	}
	return n, nil
}

// end ends the stream with what went wrong.
func (o outgoing) end(cause error) error {
	text := ""
	if cause != nil {
		text = cause.Error()
		text = text[:min(len(text), 4096)]
	}
	head := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(len(text)))
	_, err := o.to.Write(append(head, text...))
	return errors.Join(err, o.to.Flush())
}

// send sends a stream that write writes.
func (l *Line) send(write func(w io.Writer) error) error {
	o := outgoing{l.out}
	cause := write(o)
	return errors.Join(cause, o.end(cause))
}

// incoming is a stream that arrives.
type incoming struct {
	from *bufio.Reader
	left int
	err  error
}

// errTold is an error that the other side told.
type errTold struct{ text string }

// Error returns what the other side said.
func (e errTold) Error() string { return e.text }

// Read returns what arrives; io.EOF is an end without an error.
func (i *incoming) Read(p []byte) (int, error) {
	if i.err == nil && i.left == 0 {
		i.err = i.frame()
	}
	if i.err != nil {
		return 0, i.err
	}
	n, err := i.from.Read(p[:min(len(p), i.left)])
	i.left -= n
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	i.err = err
	return n, err
}

func (i *incoming) frame() error {
	n, err := i.number(maxFrame)
	if err != nil || n > 0 {
		i.left = n
		return err
	}
	if n, err = i.number(4096); err != nil {
		return err
	}
	if n == 0 {
		return io.EOF
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(i.from, text); err != nil {
		return err
	}
	return errTold{string(text)}
}

func (i *incoming) number(most uint32) (int, error) {
	var head [4]byte
	if _, err := io.ReadFull(i.from, head[:]); err != nil {
		return 0, fmt.Errorf("the connection ended: %w", io.ErrUnexpectedEOF)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > most {
		return 0, fmt.Errorf("a frame of %d bytes", n)
	}
	return int(n), nil
}

// receive has read read a stream to its end; what it leaves is skipped, which must not be much.
func (l *Line) receive(read func(r io.Reader) error) error {
	i := &incoming{from: l.in}
	err := read(i)
	var told errTold
	if rest := skip(i); rest != nil && (err == nil || errors.As(rest, &told)) {
		err = rest // it says why what was read is wrong
	}
	return err
}
