package stage

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// file is one file of the image, whatever its names.
type file struct{ device, inode uint64 }

// put copies a file, or links it to the copy under another of its names.
func (s *Stage) put(real string, info fs.FileInfo) error {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok || sys.Nlink < 2 {
		return s.copy(real, info.Mode().Perm())
	}
	f := file{uint64(sys.Dev), sys.Ino}
	if name, ok := s.names[f]; ok {
		host := s.Root.Host(real)
		if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
			return err
		}
		return os.Link(s.Root.Host(name), host)
	}
	s.names[f] = real
	return s.copy(real, info.Mode().Perm())
}

func (s *Stage) copy(real string, mode fs.FileMode) (err error) {
	from, err := os.Open(s.image.Host(real))
	if err != nil {
		return err
	}
	defer from.Close()
	host := s.Root.Host(real)
	if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
		return err
	}
	to, err := os.OpenFile(host, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	// Everybody may start what somebody may: there is only root, and who tries the programs.
	if mode&0o111 != 0 {
		mode |= 0o555
	}
	return to.Chmod(mode)
}

// shebang returns the interpreter of a script, "" for everything else.
func shebang(host string) (string, error) {
	f, err := os.Open(host)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 256)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	rest, ok := bytes.CutPrefix(line, []byte("#!"))
	words := strings.Fields(string(rest))
	if !ok || len(words) == 0 {
		return "", nil
	}
	return words[0], nil
}
