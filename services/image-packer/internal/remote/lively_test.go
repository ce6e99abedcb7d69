package remote

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// A machine that says something now and then is listened to for longer than it may be silent; then it is given up.
func TestMuteMachinesAreGivenUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	const words = 5
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for range words {
			time.Sleep(200 * time.Millisecond)
			if _, err := c.Write([]byte("word")); err != nil {
				return
			}
		}
		<-t.Context().Done()
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := &lively{Conn: c}
	if err := l.watch(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	for i := range words {
		if i == words-1 {
			err = l.watch(time.Second)
		}
		if _, failed := l.Read(b); failed != nil || err != nil {
			t.Fatalf("word %d: %v, %v", i, failed, err)
		}
	}
	if _, err := l.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a mute machine: %v", err)
	}
}
