package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/bus"
)

const (
	// step is how much of a snapshot is restored at a time, in bytes. The server
	// gives a restore up when it takes nothing for 5 seconds, and it takes nothing
	// while it writes a block of the snapshot, message by message, to the disk: a
	// megabyte of small messages is too much for a slow one.
	step = 32 << 10
	// known is how long it may take until all servers know where a restore is taken.
	known = 10 * time.Second
	// writing is how long the server may write what it got.
	writing = time.Hour
)

// send restores a stream from its parts in a folder. It is jsm's restore but
// for two things: it ends with ctx, and it waits until the server that it is
// connected with knows of the restore, which another one may be doing.
func send(ctx context.Context, conn *bus.Conn, dir string, cfg api.StreamConfig) (api.StreamState, error) {
	f, err := os.Open(filepath.Join(dir, snapshotPart(cfg.Name)))
	if err != nil {
		return api.StreamState{}, err
	}
	data := inSteps(f)
	defer data.Close()
	var begun api.JSApiStreamRestoreResponse
	var req api.JSApiStreamRestoreRequest
	part, err := os.ReadFile(filepath.Join(dir, configPart(cfg.Name)))
	if err == nil {
		err = json.Unmarshal(part, &req)
	}
	if err != nil {
		return api.StreamState{}, err
	}
	req.Config = cfg
	if err := call(ctx, conn, fmt.Sprintf(api.JSApiStreamRestoreT, cfg.Name), req, &begun); err != nil {
		return api.StreamState{}, err
	}
	if begun.IsError() {
		return api.StreamState{}, begun.ToError()
	}
	if err := sendChunks(ctx, conn, begun.DeliverSubject, data); err != nil {
		return api.StreamState{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, writing)
	defer cancel()
	msg, err := conn.NATS.RequestWithContext(ctx, begun.DeliverSubject, nil)
	if err != nil {
		return api.StreamState{}, fmt.Errorf("end of the restore: %w", err)
	}
	return created(msg.Data)
}

// created reads what the server says of a restored stream.
func created(data []byte) (api.StreamState, error) {
	var done api.JSApiStreamCreateResponse
	if err := json.Unmarshal(data, &done); err != nil {
		return api.StreamState{}, fmt.Errorf("answer of the server: %w", err)
	}
	if done.IsError() {
		return api.StreamState{}, done.ToError()
	}
	if done.StreamInfo == nil {
		return api.StreamState{}, errors.New("the server restored no stream")
	}
	return done.State, nil
}

// sendChunks sends a snapshot; an empty answer asks for more.
func sendChunks(ctx context.Context, conn *bus.Conn, to string, data io.Reader) error {
	chunk := make([]byte, 2*step)
	until := time.Now().Add(known)
	for {
		n, err := data.Read(chunk)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		msg, err := sendChunk(ctx, conn, to, chunk[:n], until)
		if err != nil {
			return err
		}
		if len(msg.Data) > 0 {
			_, err := created(msg.Data)
			return errors.Join(errors.New("the server gave the restore up"), err)
		}
	}
}

// sendChunk tries again while nobody is known to take it, which is not for long.
func sendChunk(ctx context.Context, conn *bus.Conn, to string, chunk []byte, until time.Time) (*nats.Msg, error) {
	for {
		one, cancel := context.WithTimeout(ctx, idle)
		msg, err := conn.NATS.RequestWithContext(one, to, chunk)
		cancel()
		if !errors.Is(err, nats.ErrNoResponders) || time.Now().After(until) {
			return msg, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// call asks the server for something.
func call(ctx context.Context, conn *bus.Conn, subj string, req, rep any) error {
	data, err := json.Marshal(req)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, idle)
	defer cancel()
	msg, err := conn.NATS.RequestWithContext(ctx, subj, data)
	if err != nil {
		return err
	}
	return json.Unmarshal(msg.Data, rep)
}

// inSteps returns a snapshot with smaller blocks. Closing it closes the file.
func inSteps(f io.ReadCloser) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		z := s2.NewWriter(w, s2.WriterBlockSize(step), s2.WriterConcurrency(1))
		_, err := io.Copy(z, s2.NewReader(f))
		err = errors.Join(err, z.Close(), f.Close())
		_ = w.CloseWithError(err) // always nil
	}()
	return r
}
