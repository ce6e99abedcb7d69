package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/pkg/subject"
)

const day = 24 * time.Hour

// Streams returns every stream of the bus with what it keeps. None has a limit
// of its size but what an administrator sets. At that limit a stream of facts
// takes no more, so that none is lost; one of history lets its oldest go.
func Streams(replicas int) []jetstream.StreamConfig {
	all := []jetstream.StreamConfig{
		{Name: subject.Inventory, Subjects: []string{subject.AllInventory}, MaxMsgsPerSubject: 64,
			Discard: jetstream.DiscardNew, AllowAtomicPublish: true},
		{Name: subject.Images, Subjects: []string{subject.AllReleases}, MaxMsgsPerSubject: 16, Discard: jetstream.DiscardNew},
		{Name: subject.Seen, Subjects: []string{subject.AllLeases, subject.AllSwitch, subject.AllUnknown}, MaxMsgsPerSubject: 1,
			Discard: jetstream.DiscardNew, AllowMsgTTL: true, SubjectDeleteMarkerTTL: day},
		{Name: subject.Boots, Subjects: []string{subject.AllSteps}, MaxMsgsPerSubject: 1, MaxAge: 90 * day},
		{Name: subject.Hardware, Subjects: []string{subject.AllHardware}, MaxMsgsPerSubject: 16},
		{Name: subject.Secrets, Subjects: []string{subject.AllSecrets}, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew},
		{Name: subject.Jobs, Subjects: []string{subject.AllJobs}, MaxMsgsPerSubject: 1, MaxAge: day},
	}
	for i := range all {
		all[i].Storage = jetstream.FileStorage
		all[i].Replicas = replicas
		all[i].AllowDirect = true
		all[i].Duplicates = 2 * time.Hour
		if all[i].MaxAge > 0 && all[i].Duplicates > all[i].MaxAge {
			all[i].Duplicates = all[i].MaxAge
		}
	}
	return all
}

// Buckets returns every object-store bucket.
func Buckets(replicas int) []jetstream.ObjectStoreConfig {
	return []jetstream.ObjectStoreConfig{
		{Bucket: subject.Files, Storage: jetstream.FileStorage, Replicas: replicas},
		{Bucket: subject.Inputs, Storage: jetstream.FileStorage, Replicas: replicas, TTL: day},
	}
}

// Setup makes or updates all streams and buckets. It may run any number of times.
func Setup(ctx context.Context, js jetstream.JetStream, replicas int) error {
	for _, s := range Streams(replicas) {
		if _, err := js.CreateOrUpdateStream(ctx, s); err != nil {
			return fmt.Errorf("make stream %s: %w", s.Name, err)
		}
	}
	for _, b := range Buckets(replicas) {
		if _, err := js.CreateOrUpdateObjectStore(ctx, b); err != nil {
			return fmt.Errorf("make bucket %s: %w", b.Bucket, err)
		}
	}
	return nil
}

// SetupWhenUp runs Setup as soon as a server answers, again every second until
// it succeeds or ctx ends.
func SetupWhenUp(ctx context.Context, c *Conn, replicas int) error {
	for {
		err := tryWithin(ctx, 10*time.Second, func(ctx context.Context) error { return Setup(ctx, c.JS, replicas) })
		if err == nil {
			return nil
		}
		c.log.Info("streams are not made yet", "err", err)
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(time.Second):
		}
	}
}

func tryWithin(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return do(ctx)
}
