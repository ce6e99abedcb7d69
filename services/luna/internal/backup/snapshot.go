package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	archive "github.com/nats-io/jsm.go/backup"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
)

// idle is how long a snapshot may bring nothing.
const idle = 30 * time.Second

// filesStream holds the objects of the bucket of released files.
const filesStream = "OBJ_" + subject.Files

// left are the streams that no backup holds: work that is over, and inputs kept for a day.
var left = []string{subject.Jobs, "OBJ_" + subject.Inputs}

// order is that of the snapshots: what names comes before what is named, since
// services store the named first. Restores go the other way.
var order = []string{subject.Inventory, subject.Secrets, subject.Images, filesStream, subject.Seen, subject.Boots, subject.Hardware}

// manager returns the means to copy and restore streams.
func manager(c *bus.Conn) (*jsm.Manager, error) {
	return jsm.New(c.NATS, jsm.WithTimeout(idle))
}

// streamNames lists what must be copied, in order; each of Luna's streams must be there.
func streamNames(ctx context.Context, js jetstream.JetStream) ([]string, error) {
	var found []string
	list := js.StreamNames(ctx)
	for name := range list.Name() {
		found = append(found, name)
	}
	if err := list.Err(); err != nil {
		return nil, fault.Unavailablef("list the streams: %w", err)
	}
	names := slices.Clone(order)
	for _, name := range order {
		if !slices.Contains(found, name) {
			return nil, fault.Unavailablef("the bus has no stream %s: luna-setup streams makes it, luna-head does at its start", name)
		}
	}
	for _, name := range found {
		if !slices.Contains(names, name) && !slices.Contains(left, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// snapshot copies a stream into its two parts in a folder.
func snapshot(ctx context.Context, m *jsm.Manager, dir, name string) error {
	s, err := m.LoadStream(name)
	if err != nil {
		return fault.Unavailablef("stream %s: %w", name, err)
	}
	for _, part := range []string{snapshotPart(name), configPart(name)} {
		if err := os.Remove(filepath.Join(dir, part)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	data, err := createBelow(dir, snapshotPart(name))
	if err != nil {
		return err
	}
	config, err := createBelow(dir, configPart(name))
	if err != nil {
		return errors.Join(err, data.Close())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &watched{WriteCloser: data, timer: time.AfterFunc(idle, func() { cancel(fmt.Errorf("the bus sent nothing for %s", idle)) })}
	defer w.timer.Stop()
	if _, err := s.SnapshotToBuffer(ctx, w, config); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fault.Unavailablef("copy stream %s: %w", name, err)
	}
	return nil
}

// watched puts a timer off with each write.
type watched struct {
	io.WriteCloser
	timer *time.Timer
}

func (w *watched) Write(p []byte) (int, error) {
	w.timer.Reset(idle)
	return w.WriteCloser.Write(p)
}

// message is one message of a snapshot, without its data unless it was asked for.
type message struct {
	subject string
	time    time.Time
	header  nats.Header
	data    []byte
}

// Headers of atomic batches, as the server sets them.
const (
	batchID     = "Nats-Batch-Id"
	batchCommit = "Nats-Batch-Commit"
)

// scanned is what a snapshot holds.
type scanned struct {
	api.StreamState
	// cut says that it ends inside an atomic batch.
	cut bool
}

// scan reads a snapshot to its end, which proves that it is whole, and calls
// do for the messages whose subjects are wanted.
func scan(dir, name string, wanted func(subject string) bool, do func(message)) (scanned, error) {
	var found scanned
	f, err := os.Open(filepath.Join(dir, snapshotPart(name)))
	if err != nil {
		return found, err
	}
	defer f.Close()
	dec := archive.NewDecoder(f)
	for {
		item, err := dec.Next()
		if err != nil {
			return found, fault.Unavailablef("the copy of stream %s is not whole: %w", name, err)
		}
		switch it := item.(type) {
		case *archive.State:
			found.StreamState = it.State
		case *archive.Message:
			want := wanted(it.Subject)
			m, err := decode(it, want)
			if err != nil {
				return found, fmt.Errorf("message %d of the copy of stream %s: %w", it.Seq, name, err)
			}
			// A batch whose end was taken away later is no cut: the stream's end is behind it.
			found.cut = it.Seq == found.LastSeq && m.header.Get(batchID) != "" && m.header.Get(batchCommit) == ""
			if want {
				do(m)
			}
		case archive.End:
			return found, nil
		}
	}
}

func decode(it *archive.Message, data bool) (message, error) {
	m := message{subject: it.Subject, time: time.Unix(0, it.Ts)}
	if it.HdrSize > 0 {
		header := make([]byte, it.HdrSize)
		if _, err := io.ReadFull(it.Body, header); err != nil {
			return m, err
		}
		var err error
		if m.header, err = nats.DecodeHeadersMsg(header); err != nil {
			return m, err
		}
	}
	if !data {
		return m, nil
	}
	var err error
	m.data, err = io.ReadAll(it.Body)
	return m, err
}

// streamConfig reads the configuration of a stream.
func streamConfig(dir, name string) (api.StreamConfig, error) {
	var part struct {
		Config api.StreamConfig `json:"config"`
	}
	data, err := os.ReadFile(filepath.Join(dir, configPart(name)))
	if err == nil {
		err = json.Unmarshal(data, &part)
	}
	if err == nil && part.Config.Name != name {
		err = fmt.Errorf("it is that of stream %q", part.Config.Name)
	}
	if err != nil {
		return part.Config, fmt.Errorf("configuration of stream %s: %w", name, err)
	}
	return part.Config, nil
}
