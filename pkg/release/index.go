package release

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"
)

// index remembers of which file states each segment of the last pack was made. It is a cache: when it is gone, or
// cannot be read, everything is packed again, with the same result.
type index struct {
	Version  int                `json:"version"`
	Segments map[string]*stored `json:"segments"`
}

// indexVersion changes with everything that makes other bytes of the same files.
const indexVersion = 1

// stored is a segment as it lies in the payload directory.
type stored struct {
	Segment
	// Raw is the size in bytes without the padding.
	Raw         int64  `json:"raw"`
	PieceLength int64  `json:"piece_length"`
	Pieces      []byte `json:"pieces"`
	// Made is what a segment of an image holds, of each entry.
	Made []imageFile `json:"made,omitempty"`
}

// settled is how long before a pack a file must have changed last: the clock of ctime ticks a few times in 10 ms,
// and a file can change twice in one tick.
const settled = time.Second

func readIndex(path string) *index {
	empty := &index{Version: indexVersion, Segments: make(map[string]*stored)}
	if path == "" {
		return empty
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return empty
	}
	x := new(index)
	if json.Unmarshal(data, x) != nil || x.Version != indexVersion || x.Segments == nil {
		return empty
	}
	for _, s := range x.Segments {
		if s == nil || s.PieceLength < MinPieceLength || s.Raw <= 0 || s.Raw > s.Size || s.Size%s.PieceLength != 0 ||
			int64(len(s.Pieces)) != s.Size/s.PieceLength*pieceHash {
			return empty
		}
	}
	return x
}

// tempIndex ends the name of an index that is being written.
const tempIndex = ".new"

func (x *index) write(path string) error {
	if path == "" {
		return nil
	}
	data, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("write pack index: %w", err)
	}
	// Not synced: a torn file is no JSON, and read as none.
	temp := path + tempIndex
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return fmt.Errorf("write pack index: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write pack index: %w", err)
	}
	return nil
}

// segmentKey names the states of the entries and how they are packed.
func segmentKey(entries []entry, kind Kind, level int) string {
	h := sha256.New()
	buf := fmt.Appendf(nil, "%d %s%d\n", indexVersion, kind, level)
	for i := range entries {
		h.Write(entries[i].appendTo(buf))
		buf = buf[:0]
	}
	return hex.EncodeToString(h.Sum(nil))
}

// appendTo appends all that says which state of which file the entry is.
func (e *entry) appendTo(b []byte) []byte {
	for _, s := range []string{e.name, e.target} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	st := &e.stat
	for _, n := range []uint64{uint64(st.Mode), uint64(st.UID), uint64(st.GID), uint64(st.Nlink), st.Ino, st.Dev, st.Rdev,
		uint64(st.Size), uint64(st.Mtime), uint64(st.Ctime)} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return strconv.AppendBool(b, e.blank)
}

// isSettled tells whether all entries last changed long enough before the pack to be known again.
func isSettled(entries []entry, packed time.Time) bool {
	limit := packed.Add(-settled).UnixNano()
	for i := range entries {
		if entries[i].stat.Ctime >= limit {
			return false
		}
	}
	return true
}
