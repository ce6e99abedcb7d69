package transfer

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/effect"
)

// Noun and verbs of the commands.
const (
	Noun       = "all"
	ImportVerb = "import"
	ExportVerb = "export"
)

// mostBytes is the longest text that is read.
const mostBytes = 64 << 20

// Desk answers the commands that are about the whole inventory.
type Desk struct {
	conn    *bus.Conn
	state   *projection.State
	decider *change.Decider
	key     secret.Key
}

// NewDesk returns a desk.
func NewDesk(conn *bus.Conn, state *projection.State, decider *change.Decider, key secret.Key) *Desk {
	return &Desk{conn: conn, state: state, decider: decider, key: key}
}

// Endpoints returns the commands.
func (k *Desk) Endpoints() []bus.Endpoint {
	return []bus.Endpoint{bus.Handle(Noun, ImportVerb, k.load).Dry(), bus.Handle(Noun, ExportVerb, k.export)}
}

// load makes the inventory what a text says. The record has a digest in the
// place of the text, which may hold passwords.
func (k *Desk) load(ctx context.Context, call bus.Call, req *inventoryv1.ImportRequest) (*inventoryv1.ChangeReply, error) {
	text, err := k.text(ctx, req)
	if err != nil {
		return nil, err
	}
	b, err := blueprint.Decode(text)
	if err != nil {
		return nil, err
	}
	decide := func(d *change.Draft) error {
		return Decide(d, b, Options{Prune: req.Prune, Head: req.Head})
	}
	if call.DryRun {
		return k.decider.Try(ctx, call, decide, effect.Reply)
	}
	told := &inventoryv1.ImportRequest{Prune: req.Prune, Head: req.Head, Mark: hex.EncodeToString(k.key.Digest("import", string(text)))}
	return k.decider.Do(ctx, call, told, decide)
}

// text returns what is to be imported.
func (k *Desk) text(ctx context.Context, req *inventoryv1.ImportRequest) ([]byte, error) {
	switch {
	case req.Mark != "":
		return nil, fault.Invalidf("mark is made by the inventory: leave it out")
	case (req.Yaml == "") == (req.Object == ""):
		return nil, fault.Invalidf("say the text in yaml, or in object its name in bucket %s: one of them", subject.Inputs)
	case req.Object == "":
		return []byte(req.Yaml), nil
	}
	// A name becomes a subject, and one that is too long ends the connection.
	if err := inventoryv1.CheckName(req.Object); err != nil {
		return nil, fault.Invalidf("object: %w", err)
	}
	store, err := k.conn.JS.ObjectStore(ctx, subject.Inputs)
	if err != nil {
		return nil, fault.Unavailablef("bucket %s cannot be opened: %w", subject.Inputs, err)
	}
	o, err := store.Get(ctx, req.Object)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fault.NotFoundf("there is no object %q in bucket %s", req.Object, subject.Inputs)
	}
	if err != nil {
		return nil, fault.Unavailablef("object %s cannot be read: %w", req.Object, err)
	}
	defer o.Close()
	text, err := io.ReadAll(io.LimitReader(o, mostBytes+1))
	if err != nil {
		return nil, fault.Unavailablef("object %s cannot be read: %w", req.Object, err)
	}
	if len(text) > mostBytes {
		return nil, fault.Invalidf("the text is longer than %d MiB", mostBytes>>20)
	}
	return text, nil
}

// export returns the text of the inventory.
func (k *Desk) export(ctx context.Context, _ bus.Call, _ *inventoryv1.ExportRequest) (*inventoryv1.ExportReply, error) {
	rep := &inventoryv1.ExportReply{MayBeOld: k.decider.Refresh(ctx) != nil}
	var b *blueprint.Blueprint
	err := catalog.Read(k.state, func(v catalog.View) (err error) {
		rep.Revision, _ = k.state.Revision(subject.Inventory)
		b, err = Export(v)
		return err
	})
	if err != nil {
		return nil, err
	}
	text, err := b.Encode()
	if err != nil {
		return nil, err
	}
	if len(text) <= blueprint.MostInMessage {
		rep.Yaml = string(text)
		return rep, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	store, err := k.conn.JS.ObjectStore(ctx, subject.Inputs)
	if err != nil {
		return nil, fault.Unavailablef("bucket %s cannot be opened: %w", subject.Inputs, err)
	}
	info, err := store.Put(ctx, jetstream.ObjectMeta{Name: fmt.Sprintf("export-%s", bus.NewID())}, bytes.NewReader(text))
	if err != nil {
		return nil, fault.Unavailablef("the text cannot be stored in bucket %s: %w", subject.Inputs, err)
	}
	rep.Object = info.Name
	return rep, nil
}
