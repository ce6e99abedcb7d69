package backup

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/release"
)

// write makes the backup file, whole or not at all; root alone may read it.
func write(file, staging string, m *Manifest) (err error) {
	out, err := renameio.NewPendingFile(file, renameio.WithPermissions(0o600), renameio.WithTempDir(filepath.Dir(file)))
	if err != nil {
		return fmt.Errorf("make %s: %w", file, err)
	}
	defer out.Cleanup()
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	data, err := m.encode()
	if err != nil {
		return err
	}
	err = t.WriteHeader(&tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(data)), ModTime: m.Time})
	if err == nil {
		_, err = t.Write(data)
	}
	for _, p := range m.Parts {
		if err == nil {
			err = writePart(t, staging, p, m)
		}
	}
	if err = errors.Join(err, t.Close(), z.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return out.CloseAtomicallyReplace()
}

func writePart(t *tar.Writer, staging string, p Part, m *Manifest) error {
	from := p.source
	if from == "" {
		from = filepath.Join(staging, p.Name)
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.WriteHeader(&tar.Header{Name: p.Name, Mode: int64(p.Mode), Size: p.Size, ModTime: m.Time}); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(t, h), f); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if got := release.DigestSum(h); got != p.Digest {
		return fault.Conflictf("%s is damaged or changed meanwhile: it should be %s and is %s", from, p.Digest, got)
	}
	return nil
}

// read unpacks those parts that want names into a folder and checks all of them.
func read(file, into string, want func(*Manifest, Part) bool) (*Manifest, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fault.NotFoundf("%w", err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return nil, fault.Invalidf("%s is no backup: %w", file, err)
	}
	defer z.Close()
	t := tar.NewReader(z)
	m, err := readManifest(t)
	if err == nil {
		err = readParts(t, into, m, want)
	}
	if err == nil {
		err = readEnd(t, z)
	}
	if err != nil {
		return nil, fault.Invalidf("%s cannot be restored, nothing was changed: %w", file, err)
	}
	return m, nil
}

func readManifest(t *tar.Reader) (*Manifest, error) {
	h, err := t.Next()
	if err != nil {
		return nil, cut(err)
	}
	if h.Name != manifestName || h.Size > maxManifest {
		return nil, fmt.Errorf("it is no backup of luna: its first entry is %q with %d bytes", h.Name, h.Size)
	}
	data, err := io.ReadAll(t)
	if err != nil {
		return nil, cut(err)
	}
	return parseManifest(data)
}

func readParts(t *tar.Reader, into string, m *Manifest, want func(*Manifest, Part) bool) error {
	for _, p := range m.Parts {
		h, err := t.Next()
		if err != nil {
			return fmt.Errorf("part %s: %w", p.Name, cut(err))
		}
		if h.Name != p.Name || h.Size != p.Size {
			return fmt.Errorf("part %s of %d bytes should come, %s of %d does", p.Name, p.Size, h.Name, h.Size)
		}
		if err := readPart(t, into, p, want(m, p)); err != nil {
			return fmt.Errorf("part %s: %w", p.Name, err)
		}
	}
	return nil
}

func readPart(r io.Reader, into string, p Part, keep bool) (err error) {
	h := sha256.New()
	to := io.Writer(h)
	if keep {
		f, openErr := createBelow(into, p.Name)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		to = io.MultiWriter(h, f)
	}
	if _, err := io.Copy(to, r); err != nil {
		return cut(err)
	}
	if got := release.DigestSum(h); got != p.Digest {
		return fmt.Errorf("it is damaged: it should be %s and is %s", p.Digest, got)
	}
	return nil
}

// readEnd makes sure that nothing follows; the checksum of the compression is its last word.
func readEnd(t *tar.Reader, z io.Reader) error {
	if h, err := t.Next(); err == nil {
		return fmt.Errorf("%s is in it and not in its manifest", h.Name)
	} else if !errors.Is(err, io.EOF) {
		return cut(err)
	}
	if n, err := io.Copy(io.Discard, z); err != nil || n > 0 {
		return errors.Join(fmt.Errorf("%d bytes follow its end", n), cut(err))
	}
	return nil
}

// cut says what an early end means.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it is cut off: %w", err)
	}
	return err
}

// createBelow makes a new file with its folders, for root alone.
func createBelow(dir, name string) (*os.File, error) {
	full := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(full, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// digestFile returns the digest and size of a file.
func digestFile(name string) (release.Digest, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return release.DigestSum(h), n, err
}
