package loader_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/pin/tftp/v3"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/services/bootscript/internal/loader"
)

// dirs makes two directories of loaders beside a file that nobody may have.
func dirs(t *testing.T) loader.Dirs {
	t.Helper()
	base := t.TempDir()
	for path, text := range map[string]string{
		"secret": "secret", "own/snponly.efi": "own", "distro/snponly.efi": "distro", "distro/undionly.kpxe": string(big), "distro/.hidden": "x", "own/sub/x": "x",
	} {
		path = filepath.Join(base, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return loader.Dirs{filepath.Join(base, "missing"), filepath.Join(base, "own"), filepath.Join(base, "distro")}
}

var big = bytes.Repeat([]byte("0123456789abcde\n"), 10000)

func TestFirstDirectoryWins(t *testing.T) {
	for _, name := range []string{"snponly.efi", "/snponly.efi"} {
		f, err := dirs(t).Open(name)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(f)
		f.Close()
		if string(got) != "own" {
			t.Fatalf("%q", got)
		}
	}
}

var outside = []string{"", "/", ".", "..", "../secret", "/../secret", "sub/x", "sub/../../secret", `..\secret`, ".hidden", "sub", "snponly.efi/", "//etc/passwd", "/etc/passwd", "a\x00b", "nothing"}

func TestNothingElseIsOpened(t *testing.T) {
	d := dirs(t)
	for _, name := range outside {
		if f, err := d.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v, %v", name, f, err)
		}
	}
}

func serve(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := loader.NewTFTP("", dirs(t), slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return conn.LocalAddr().String()
}

func TestTFTPWithOptions(t *testing.T) {
	addr := serve(t)
	for _, blksize := range []int{0, 512, 1428, 1468} {
		c, err := tftp.NewClient(addr)
		if err != nil {
			t.Fatal(err)
		}
		if blksize > 0 {
			c.SetBlockSize(blksize)
		}
		c.RequestTSize(true)
		from, err := c.Receive("undionly.kpxe", "octet")
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := from.(tftp.IncomingTransfer).Size(); !ok || n != int64(len(big)) {
			t.Errorf("tsize %d, %v", n, ok)
		}
		var got bytes.Buffer
		if _, err := from.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), big) {
			t.Errorf("blksize %d: %d bytes, %v", blksize, got.Len(), err)
		}
	}
}

func TestTFTPRefuses(t *testing.T) {
	addr := serve(t)
	c, err := tftp.NewClient(addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range outside {
		if from, err := c.Receive(name, "octet"); err == nil {
			var got bytes.Buffer
			if _, err = from.WriteTo(&got); err == nil {
				t.Errorf("%q gives %q", name, got.String())
			}
		}
	}
	to, err := c.Send("new.efi", "octet")
	if err == nil {
		if _, err = to.ReadFrom(bytes.NewReader(big)); err == nil {
			t.Error("a file was written")
		}
	}
}

// TestAnswerComesFromTheAskedAddress asks a wildcard socket at one of several addresses.
func TestAnswerComesFromTheAskedAddress(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	s := loader.NewTFTP("", dirs(t), slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, conn) }()
	defer func() { cancel(); <-done }()
	ask, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ask.Close()
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 77), Port: conn.LocalAddr().(*net.UDPAddr).Port}
	if _, err := ask.WriteTo([]byte("\x00\x01snponly.efi\x00octet\x00"), to); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1024)
	n, from, err := ask.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if !from.(*net.UDPAddr).IP.Equal(to.IP) || string(buf[4:n]) != "own" {
		t.Fatalf("%q from %s", buf[:n], from)
	}
	if _, err := ask.WriteTo([]byte{0, 4, 0, 1}, from); err != nil {
		t.Fatal(err)
	}
}
