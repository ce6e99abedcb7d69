package remote

import (
	"errors"
	"strings"
	"time"
)

const (
	// mostAnswer is how many bytes a command may say on standard output: each of them says a line.
	mostAnswer = 64 << 10
	// farewell is how long the agent may take to end when all was said.
	farewell = time.Minute
)

// answer keeps what a command says, up to mostAnswer bytes.
type answer struct {
	text strings.Builder
	// tooLong says that there was more; over is closed then.
	tooLong bool
	over    chan struct{}
}

// errTooLong ends the reading of an answer.
var errTooLong = errors.New("the answer is too long")

// Write keeps what comes, or says that it is too much.
func (a *answer) Write(p []byte) (int, error) {
	if a.text.Len()+len(p) <= mostAnswer {
		return a.text.Write(p)
	}
	if !a.tooLong {
		a.tooLong = true
		close(a.over)
	}
	return 0, errTooLong
}
