package agent

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/services/agent/internal/boot"
	"github.com/luna-hpc/luna/services/agent/internal/control"
	"github.com/luna-hpc/luna/services/agent/internal/download"
	"github.com/luna-hpc/luna/services/agent/internal/payload"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

type eventFunc = func(json.RawMessage) error

// payload installs a release.
func (t *tool) payload(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("payload", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var manifest, torrent release.Digest
	for name, d := range map[string]*release.Digest{"manifest": &manifest, "torrent": &torrent} {
		flags.Func(name, "digest of a released file", func(text string) error { return d.UnmarshalText([]byte(text)) })
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := none(flags.Args()); err != nil {
		return err
	}
	if manifest == "" || torrent == "" {
		return errors.New("payload needs --manifest and --torrent")
	}
	p := &payload.Payload{
		Head: t.head, Follow: t.follow, Image: t.image(), Dir: boot.PayloadDir(t.run), Root: t.root, Allowed: t.line.Allowed(),
		Unpacker: func(root string, m *release.Manifest) payload.Unpacker { return release.NewUnpacker(root, m) },
		Overlay:  t.overlay,
		Drop:     func(ctx context.Context, segment string) error { return t.call(ctx, "drop", segment, nil) },
		Measure:  sysroot.Measure, Memory: sysroot.MeasureMemory, Held: download.Held, Report: t.report, Log: t.log, Pause: 5 * time.Second,
	}
	return t.failed("payload", p.Install(ctx, manifest, torrent))
}

// follow has the boot process fetch a payload, which goes on passing it to
// other nodes when this command has ended.
func (t *tool) follow(ctx context.Context, r download.Request, each func(download.Event) error) error {
	err := t.call(ctx, "payload", r, func(data json.RawMessage) error {
		var e download.Event
		if err := json.Unmarshal(data, &e); err != nil {
			return fmt.Errorf("read what the boot process says: %w", err)
		}
		return each(e)
	})
	if errors.Is(err, control.ErrAway) {
		return fmt.Errorf("the payload cannot be fetched: %w", err)
	}
	return err
}

// held returns how much of a payload is in memory.
func (t *tool) held() int64 {
	held, err := download.Held(boot.PayloadDir(t.run))
	if err != nil {
		t.log.Warn("measure the payload", "err", err)
	}
	return held
}

// image returns the name of the image that the install script is about.
func (t *tool) image() string { return os.Getenv("LUNA_OSIMAGE") }
