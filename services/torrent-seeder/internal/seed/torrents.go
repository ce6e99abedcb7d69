// Package seed makes a head's seeder and tracker have the torrents of all kept releases.
package seed

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/services/torrent-seeder/internal/kept"
)

// Torrent is the torrent of a kept release.
type Torrent struct {
	Release  kept.Release
	InfoHash swarm.InfoHash
	// File is the torrent file as it is stored, without trackers.
	File []byte
}

// load reads the torrents of releases. Those that cannot be had are in the error.
func load(ctx context.Context, files *kept.Files, releases []kept.Release) (map[release.Digest]Torrent, error) {
	all := map[release.Digest]Torrent{}
	var errs []error
	for _, r := range releases {
		if old, ok := all[r.Torrent]; ok {
			old.Release.Current = old.Release.Current || r.Current
			all[r.Torrent] = old
			continue
		}
		t, err := loadOne(ctx, files, r)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r, err))
			continue
		}
		all[r.Torrent] = t
	}
	return all, errors.Join(errs...)
}

// loadOne reads one torrent and compares it with the manifest, which is what nodes trust.
func loadOne(ctx context.Context, files *kept.Files, r kept.Release) (Torrent, error) {
	file, err := files.Read(ctx, r.Torrent)
	if err != nil {
		return Torrent{}, err
	}
	hash, segments, err := swarm.Segments(file)
	if err != nil {
		return Torrent{}, err
	}
	data, err := files.Read(ctx, r.Manifest)
	if err != nil {
		return Torrent{}, err
	}
	m, err := release.ParseManifest(data)
	if err != nil {
		return Torrent{}, err
	}
	same := slices.EqualFunc(m.Segments, segments, func(s release.Segment, name string) bool { return s.Digest.Hex() == name })
	if !same {
		return Torrent{}, errors.New("its torrent has other segments than its manifest")
	}
	return Torrent{Release: r, InfoHash: hash, File: file}, nil
}

// Site is where the cluster's heads are, and how often nodes announce.
type Site struct {
	// Heads are the frontend address and those of all heads, the frontend first.
	Heads []netip.Addr
	// Port of the trackers.
	Port uint16
	Pace swarm.Pace
	// Networks are those of nodes: most of what they have goes to others of their own.
	Networks []netip.Prefix
}

// Trackers returns the announce URL of every head.
func (s Site) Trackers() []string { return s.urls(s.Heads) }

func (s Site) urls(heads []netip.Addr) []string {
	urls := make([]string, 0, len(heads))
	for _, h := range heads {
		urls = append(urls, fmt.Sprintf("http://%s/announce", netip.AddrPortFrom(h, s.Port)))
	}
	return urls
}

// others returns the announce URLs of the heads that are not this one.
func (s Site) others(local []netip.Addr) []string {
	var others []netip.Addr
	for _, h := range s.Heads {
		if !slices.Contains(local, h) {
			others = append(others, h)
		}
	}
	return s.urls(others)
}
