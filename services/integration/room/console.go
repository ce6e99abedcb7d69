package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// console is a machine's first serial port: what it prints is kept in a file and can be waited for.
type console struct {
	mu    sync.Mutex
	file  *os.File
	text  []byte
	read  int           // how much of text has been waited for
	more  chan struct{} // closed when text grows
	alive bool
	keys  io.WriteCloser
}

func newConsole(path string) (*console, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make console file: %w", err)
	}
	return &console{file: f, more: make(chan struct{})}, nil
}

// Write takes what the machine prints.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	c.wake()
	return c.file.Write(p)
}

func (c *console) wake() {
	close(c.more)
	c.more = make(chan struct{})
}

func (c *console) attach(keys io.WriteCloser) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys, c.alive = keys, true
}

func (c *console) detach() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive = false
	c.wake()
}

// skip forgets what has not been waited for.
func (c *console) skip() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = len(c.text)
}

// find looks for want in what is unread and reads past it; otherwise it says when to look again.
func (c *console) find(want []byte) (found, alive bool, more <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := bytes.Index(c.text[c.read:], want)
	if i >= 0 {
		c.read += i + len(want)
	}
	return i >= 0, c.alive, c.more
}

// tail is the end of what was printed, for an error's text.
func (c *console) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text[max(0, len(c.text)-2000):])
}

// WaitConsole waits until the machine prints want on its first serial port. It reads on from where the last
// WaitConsole, Start or Reset ended, so that a second boot's login prompt is not taken for the first one's. It fails
// when ctx ends or the machine goes off, with the last lines in the error.
func (m *Machine) WaitConsole(ctx context.Context, want string) error {
	for {
		found, alive, more := m.console.find([]byte(want))
		if found {
			return nil
		}
		if !alive {
			return fmt.Errorf("wait for %q on the console of %s: the machine is off; it ended with:\n%s", want, m.Name, m.console.tail())
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("wait for %q on the console of %s: %w; it ended with:\n%s", want, m.Name, ctx.Err(), m.console.tail())
		}
	}
}

// Console is all that the machine has printed on its first serial port since it was added.
func (m *Machine) Console() string {
	m.console.mu.Lock()
	defer m.console.mu.Unlock()
	return string(m.console.text)
}

// Type enters text on the first serial port; a line ends with "\n".
func (m *Machine) Type(text string) error {
	m.console.mu.Lock()
	keys, alive := m.console.keys, m.console.alive
	m.console.mu.Unlock()
	if !alive {
		return fmt.Errorf("type on the console of %s: %w", m.Name, errors.New("the machine is off"))
	}
	if _, err := io.WriteString(keys, text); err != nil {
		return fmt.Errorf("type on the console of %s: %w", m.Name, err)
	}
	return nil
}
