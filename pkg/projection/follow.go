package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	bolt "go.etcd.io/bbolt"
)

const (
	// flushAt is how many events are put into one transaction at most.
	flushAt = 256
	// heartbeat is how often the server shows that the consumer lives.
	heartbeat = 5 * time.Second
	// idle is how long a batch whose end was trimmed away may stay open.
	idle = 300 * time.Millisecond
	// away is how old a fold may be: a stream keeps the news of a deletion for 90 days.
	away = 80 * 24 * time.Hour
)

var errAgain = errors.New("the subscription must be made again")

// followStream keeps one fold up to date; trouble is noted and tried again.
func (s *State) followStream(ctx context.Context, f Fold) {
	for ctx.Err() == nil {
		connected := s.conn.Connected()
		err := s.subscribe(ctx, f, connected)
		if ctx.Err() != nil {
			break
		}
		s.note(f.Stream, func(p *progress) { p.halted, p.age.Live, p.age.Trouble = nil, false, errText(err) })
		select {
		case <-ctx.Done():
		case <-connected:
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func errText(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return "the stream does not exist yet"
	}
	return err.Error()
}

// subscribe checks whether the kept fold belongs to the stream, then reads on
// from it, or builds it anew from the last message of each subject. It ends
// when connected is closed: a server that was away has forgotten the consumer.
func (s *State) subscribe(ctx context.Context, f Fold, connected <-chan struct{}) error {
	infoCtx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	stream, err := s.conn.JS.Stream(infoCtx, f.Stream)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	cur, err := s.kept(infoCtx, f, stream, info)
	if err != nil {
		return err
	}
	cfg := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, FilterSubject: ">",
		InactiveThreshold: 30 * time.Second, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	}
	if cur != nil {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, cur.Seq+1
	}
	consumer, err := stream.CreateConsumer(infoCtx, cfg)
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	r := &reader{state: s, fold: f, stream: stream, rebuild: cur == nil}
	if cur != nil {
		r.cur = *cur
	} else {
		r.cur = cursor{Version: f.Version, Keeps: f.Keeps, Created: info.Created, Seq: info.State.LastSeq}
	}
	return r.read(ctx, consumer, connected)
}

// kept returns the cursor of the fold if it is of this very stream.
func (s *State) kept(ctx context.Context, f Fold, stream jetstream.Stream, info *jetstream.StreamInfo) (*cursor, error) {
	var cur *cursor
	err := s.update(func(tx *Tx, _ *bolt.Tx) (err error) {
		cur, err = readCursor(tx, f.Stream)
		return err
	})
	if err != nil || cur == nil {
		return nil, err
	}
	why, err := foreign(ctx, *cur, stream, info)
	if err != nil {
		return nil, err
	}
	if why != "" {
		s.log.Info("fold is built anew", "stream", f.Stream, "why", why)
		return nil, nil
	}
	return cur, nil
}

// foreign says why a cursor is not one of the stream as it is now; "" when it is.
func foreign(ctx context.Context, cur cursor, stream jetstream.Stream, info *jetstream.StreamInfo) (string, error) {
	switch {
	case !info.Created.Equal(cur.Created):
		return "the stream was made anew", nil
	case info.State.LastSeq < cur.Seq:
		return "the stream ends before what was folded", nil
	case cur.Seq+1 < info.State.FirstSeq:
		return "messages after what was folded are gone", nil
	case cur.Time.IsZero():
		return "", nil
	case time.Since(cur.Time) > away:
		return "what was deleted since may be forgotten", nil
	}
	msg, err := stream.GetMsg(ctx, cur.Seq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("compare message %d: %w", cur.Seq, err)
	case !msg.Time.Equal(cur.Time):
		return "the last folded message is another one now", nil
	}
	return "", nil
}
