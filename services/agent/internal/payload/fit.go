package payload

import (
	"runtime"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// fits decides how much of the payload is kept, or returns why the release cannot be installed here.
func (w *work) fits() error {
	held, err := w.Held(w.Dir)
	if err != nil {
		return err
	}
	space, err := w.space()
	if err != nil {
		return err
	}
	if w.request.Window, err = Fit(space, w.Root, w.Image, w.manifest, held); err != nil {
		return err
	}
	w.unpackers = unpackers(space.Beyond(needOf(w.Image, w.manifest, held)), runtime.GOMAXPROCS(0))
	if w.request.Window > 0 {
		w.Log.Warn("there is no memory for the whole payload beside the image: what is unpacked is dropped, and not passed on",
			"payload", sysroot.Size(w.manifest.Size()), "at_once", sysroot.Size(w.request.Window), "free", sysroot.Size(space.Memory))
	}
	return nil
}

const (
	// unpackerMemory is what unpacking a segment takes, in bytes: the window of zstd, and buffers.
	unpackerMemory = 16 << 20
	// mostUnpackers unpack more than links bring.
	mostUnpackers = 8
)

// unpackers returns how many segments are unpacked at a time: one, for which there is memory in any case, and more
// where that leaves some.
func unpackers(beyond int64, processors int) int {
	return min(1+int(max(0, beyond)/unpackerMemory), processors, mostUnpackers)
}

func (w *work) space() (sysroot.Space, error) {
	if w.manifest.Kind == release.Image {
		return w.Memory()
	}
	return w.Measure(w.Root)
}

// Fit returns how many bytes of a release's segments may be in memory at a time, when so many are held already: 0 for
// all of them, less where only that leaves room for the files. The error tells why not even that does.
func Fit(space sysroot.Space, root, image string, m *release.Manifest, held int64) (atOnce int64, err error) {
	need := needOf(image, m, held)
	if err := space.Check(root, need); err == nil || need.Compressed {
		return 0, err
	}
	space.Memory += held // is dropped first
	need = needOf(image, m, 0)
	need.AtOnce = twoLargest(m)
	return need.AtOnce, space.Check(root, need)
}

// needOf returns what a release still needs when so many bytes of its payload are in memory.
func needOf(image string, m *release.Manifest, held int64) sysroot.Need {
	n := sysroot.Need{Image: image, Payload: max(0, m.Size()-held), Compressed: m.Kind == release.Image}
	if !n.Compressed {
		n.Unpacked, n.Files = m.Unpacked, m.Files()
	}
	return n
}

// twoLargest returns the bytes of the two largest segments: while one is unpacked any other can arrive.
func twoLargest(m *release.Manifest) int64 {
	var first, second int64
	for _, s := range m.Segments {
		if s.Size > first {
			first, second = s.Size, first
		} else {
			second = max(second, s.Size)
		}
	}
	return first + second
}
