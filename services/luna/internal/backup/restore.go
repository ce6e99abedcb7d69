package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
)

// Marks of a stream: the id of the backup that it is being restored from, and
// of the one that it was restored from. They tell a restore that is run again
// what is done; luna-setup streams takes them away.
const (
	restoring = "luna-restoring"
	restored  = "luna-restored"
)

// Restore says what to bring back, and where to.
type Restore struct {
	Places
	// File is the backup.
	File string
	// Images brings payload segments back too.
	Images bool
	// Overwrite deletes streams that hold messages.
	Overwrite bool
	// Replicas is how many copies of each stream the bus keeps; 0 is as in the backup.
	Replicas int
	// Connect returns a connection of the user setup. The key of a head that
	// has none yet is the backup's, in staged.
	Connect func(ctx context.Context, staged Places) (*bus.Conn, error)
	// Note tells the user of something that is no error.
	Note func(string)
}

// Done says what a restore did.
type Done struct {
	*Manifest
	// Files and Restored count what was not there before.
	Files    int
	Restored int
}

// Run verifies the backup, then the head, and then restores: first files, then streams.
func (r *Restore) Run(ctx context.Context) (*Done, error) {
	staging, release, err := r.stage()
	if err != nil {
		return nil, err
	}
	defer release()
	m, err := read(r.File, staging, func(_ *Manifest, p Part) bool { return r.Images || !p.Images })
	if err != nil {
		return nil, err
	}
	if r.Images && !m.Images {
		return nil, fault.Invalidf("nothing was restored: %s was made without --images and holds no payload", r.File)
	}
	for _, s := range m.Streams {
		if _, err := streamConfig(staging, s.Name); err != nil {
			return nil, fault.Invalidf("%s cannot be restored, nothing was changed: %w", r.File, err)
		}
	}
	files, err := r.plan(m, staging)
	if err != nil {
		return nil, err
	}
	conn, err := r.Connect(ctx, Places{Data: filepath.Join(staging, "data"), Etc: filepath.Join(staging, "etc")})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	streams, err := r.target(ctx, conn, m)
	if err != nil {
		return nil, err
	}
	return &Done{Manifest: m, Files: len(files), Restored: len(streams)}, r.do(ctx, conn, staging, m, files, streams)
}

// stage makes the folder that the backup is unpacked in, for one restore at a time.
func (r *Restore) stage() (dir string, release func(), err error) {
	dir = filepath.Join(r.Data, ".restore")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("make a folder to unpack the backup: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return "", nil, errors.Join(fault.Conflictf("another restore works in %s: %w", dir, err), f.Close())
	}
	inner := filepath.Join(dir, "backup")
	if err := os.RemoveAll(inner); err != nil { // of a restore that was killed
		return "", nil, errors.Join(err, f.Close())
	}
	return inner, func() { os.RemoveAll(filepath.Dir(inner)); f.Close() }, nil
}

// target looks at the streams on the bus and returns those of the backup that
// must be restored, last copied first.
func (r *Restore) target(ctx context.Context, conn *bus.Conn, m *Manifest) ([]Stream, error) {
	var todo []Stream
	var full []string
	for _, s := range m.Streams {
		info, err := streamInfo(ctx, conn.JS, s.Name)
		if err != nil {
			return nil, err
		}
		switch {
		case info == nil || r.Overwrite:
			todo = append(todo, s)
		case info.Config.Metadata[restored] == m.ID:
			r.Note(fmt.Sprintf("stream %s was restored from this backup before", s.Name))
		case info.Config.Metadata[restoring] == m.ID || info.State.Msgs == 0:
			todo = append(todo, s)
		default:
			full = append(full, fmt.Sprintf("%s (%d)", s.Name, info.State.Msgs))
		}
	}
	if len(full) > 0 {
		return nil, fault.Conflictf("nothing was restored: these streams hold messages: %s; --overwrite deletes them first", strings.Join(full, ", "))
	}
	slices.Reverse(todo)
	return todo, nil
}

// streamInfo returns nil for a stream that is not there.
func streamInfo(ctx context.Context, js jetstream.JetStream, name string) (*jetstream.StreamInfo, error) {
	s, err := js.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, nil
	case err != nil:
		return nil, fault.Unavailablef("stream %s: %w", name, err)
	}
	return s.CachedInfo(), nil
}

func (r *Restore) do(ctx context.Context, conn *bus.Conn, staging string, m *Manifest, files []placing, streams []Stream) error {
	again := func(err error) error {
		if err == nil {
			return nil
		}
		return fault.New(kind(err), "the restore is not complete, run it again: %w", err)
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return again(err)
		}
		if err := f.place(); err != nil {
			return again(err)
		}
	}
	man, err := manager(conn)
	if err != nil {
		return err
	}
	for _, s := range streams {
		if err := r.stream(ctx, man, conn, staging, m, s); err != nil {
			return again(fmt.Errorf("stream %s: %w", s.Name, err))
		}
	}
	return nil
}

func kind(err error) fault.Kind {
	if k := fault.KindOf(err); k != fault.Internal {
		return k
	}
	return fault.Unavailable
}

// stream restores one stream. The server keeps what it got of a stream whose
// restore was broken off; the mark tells.
func (r *Restore) stream(ctx context.Context, man *jsm.Manager, conn *bus.Conn, staging string, m *Manifest, s Stream) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := conn.JS.DeleteStream(ctx, s.Name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("delete what is there: %w", err)
	}
	cfg, err := streamConfig(staging, s.Name)
	if err != nil {
		return err
	}
	cfg.Metadata = marked(cfg.Metadata, restoring, m.ID)
	if r.Replicas > 0 {
		cfg.Replicas = r.Replicas
	}
	state, err := send(ctx, conn, staging, cfg)
	if err != nil {
		return err
	}
	if state.LastSeq < s.LastSeq {
		return fmt.Errorf("it ends at message %d, the backup's at %d", state.LastSeq, s.LastSeq)
	}
	stream, err := man.LoadStream(s.Name)
	if err != nil {
		return err
	}
	cfg.Metadata = marked(cfg.Metadata, restored, m.ID)
	return stream.UpdateConfiguration(cfg)
}

// marked returns metadata with one mark.
func marked(meta map[string]string, mark, id string) map[string]string {
	out := map[string]string{mark: id}
	for k, v := range meta {
		if k != restoring && k != restored {
			out[k] = v
		}
	}
	return out
}

// SetupKeyOr returns the head's key file of the user setup, or the backup's.
func (p Places) SetupKeyOr(staged Places) (string, error) {
	key, err := p.SetupKey()
	if err == nil {
		return key, nil
	}
	if k, stagedErr := staged.SetupKey(); stagedErr == nil {
		return k, nil
	}
	return "", err
}

// Offline starts a bus of this process on the streams of a head that is not
// running; stop ends it and brings all to the disk. Nobody else can reach it.
func (p Places) Offline() (conn *bus.Conn, stop func() error, err error) {
	store := filepath.Join(p.Data, "nats")
	srv, err := server.NewServer(&server.Options{ServerName: "luna", DontListen: true, NoSigs: true,
		MaxPayload: broker.MaxPayload, JetStream: true, StoreDir: store})
	if err != nil {
		return nil, nil, fmt.Errorf("start a bus in %s: %w", store, err)
	}
	srv.Start()
	if !srv.ReadyForConnections(20 * time.Second) {
		srv.Shutdown()
		return nil, nil, fmt.Errorf("a bus in %s does not start", store)
	}
	conn, err = bus.Connect(bus.Options{InProcess: srv, User: "setup", Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		srv.Shutdown()
		return nil, nil, err
	}
	return conn, func() error {
		conn.Close()
		srv.Shutdown()
		srv.WaitForShutdown()
		return syncAll(store)
	}, nil
}

// syncAll brings the file system of a folder to the disk.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// Free refuses when a server answers at one of the addresses of a bus.
func Free(urls string) error {
	for _, text := range strings.Split(urls, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil {
			return fault.Invalidf("URL of the bus: %w", err)
		}
		c, err := net.DialTimeout("tcp", u.Host, 2*time.Second)
		if err == nil {
			return errors.Join(fault.Conflictf("nothing was restored: a bus runs at %s; stop Luna, or restore without --offline", u.Host), c.Close())
		}
	}
	return nil
}
