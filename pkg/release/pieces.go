package release

const (
	// MinPieceLength is the smallest piece length in bytes.
	MinPieceLength = 16 << 10
	// MaxPieceLength is the largest piece length in bytes.
	MaxPieceLength = 256 << 20

	minPieces = 800
	maxPieces = 3200
)

// ChoosePieceLength returns the piece length in bytes for total stored bytes: a power of two, MinPieceLength or
// more, that gives 800 to 3200 pieces where the total is large enough for that. The length that the image had
// before is kept while its count is in range; previous is 0 when there was none.
func ChoosePieceLength(total, previous int64) int64 {
	if previous >= MinPieceLength && previous <= MaxPieceLength && previous&(previous-1) == 0 {
		if n := pieceCount(total, previous); n >= minPieces && n <= maxPieces {
			return previous
		}
	}
	length := int64(MinPieceLength)
	for length < MaxPieceLength && pieceCount(total, length) > maxPieces {
		length *= 2
	}
	return length
}

func pieceCount(total, length int64) int64 { return (total + length - 1) / length }
