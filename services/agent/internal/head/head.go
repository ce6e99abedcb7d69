// Package head asks the head node for what this node needs, over HTTP.
package head

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/luna-hpc/luna/pkg/release"
	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

const (
	maxScript  = 4 << 20
	maxTorrent = 64 << 20
	maxSecret  = 64 << 10
	maxText    = 500
)

// Head is the head node as one node sees it. Of several heads the one that
// answered last is asked, and when it does not answer the next.
type Head struct {
	// URL is the address of the boot service, as in http://10.30.255.254:7050/luna.
	URL *url.URL
	// Node is the name that this node has there.
	Node string
	// Token proves this boot; empty when the head gave none.
	Token string

	client, trusted *http.Client
	// hosts are those of all heads, the URL's first; now is the index of the one to ask.
	hosts []string
	now   atomic.Int32
}

// New returns a Head. A request that hears nothing for a while fails; only its
// context bounds its whole length. The others are heads that answer at the
// same port and path.
func New(u *url.URL, others []netip.Addr, node, token string) *Head {
	hosts := []string{u.Host}
	for _, a := range others {
		host := (&url.URL{Host: net.JoinHostPort(a.String(), u.Port())}).Host
		if u.Port() == "" {
			host = strings.TrimSuffix(host, ":")
		}
		hosts = append(hosts, host)
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return &Head{URL: u, Node: node, Token: token, hosts: hosts, client: client(dialer.DialContext), trusted: client(dialAsRoot)}
}

func client(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:           dial,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 20 * time.Second,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       30 * time.Second,
	}}
}

// Refused is an answer of the head that trying again does not change.
type Refused struct {
	Tried  string
	Status int
	Text   string
}

// Error returns what was asked and what the head said.
func (r *Refused) Error() string {
	return fmt.Sprintf("%s: the head says %d: %s", r.Tried, r.Status, r.Text)
}

// IsRefused tells whether the head answered and trying again is no use.
func IsRefused(err error) bool {
	var r *Refused
	return errors.As(err, &r)
}

// Script returns the node's install script and the URL that it came from.
func (h *Head) Script(ctx context.Context) (script []byte, from string, err error) {
	u := h.step("install")
	script, _, err = h.get(ctx, u, maxScript)
	if err == nil && !bytes.HasPrefix(script, []byte("#!")) {
		err = fmt.Errorf("GET %s: the answer is no script: it begins with %q", u, script[:min(len(script), 40)])
	}
	return script, u, err
}

// Manifest returns the release's manifest and its bytes, having checked their digest.
func (h *Head) Manifest(ctx context.Context, digest release.Digest) (*release.Manifest, []byte, error) {
	u := h.FileURL(digest)
	data, _, err := h.get(ctx, u, release.MaxManifest)
	if err != nil {
		return nil, nil, err
	}
	m, err := CheckManifest(data, digest)
	if err != nil {
		return nil, nil, fmt.Errorf("GET %s: %w", u, err)
	}
	return m, data, nil
}

// CheckManifest parses a manifest, having checked its digest.
func CheckManifest(data []byte, digest release.Digest) (*release.Manifest, error) {
	if got := release.DigestOf(data); got != digest {
		return nil, fmt.Errorf("the manifest is %s, not %s", got, digest)
	}
	return release.ParseManifest(data)
}

// FileURL returns the address of a released file.
func (h *Head) FileURL(digest release.Digest) string {
	return h.base().JoinPath("boot", digest.String()).String()
}

// TorrentURL returns the address of a torrent file.
func (h *Head) TorrentURL(digest release.Digest) string {
	return h.base().JoinPath("torrents", digest.Hex()+".torrent").String()
}

// Torrent returns the torrent file with the trackers' addresses in it, and the
// URLs below which the heads serve the segments' pieces: first the one that the
// torrent came from.
func (h *Head) Torrent(ctx context.Context, digest release.Digest) (torrent []byte, pieces []string, err error) {
	torrent, from, err := h.get(ctx, h.TorrentURL(digest), maxTorrent)
	if err != nil {
		return nil, nil, err
	}
	hosts := []string{from.Host}
	for _, other := range h.hosts {
		host := (&url.URL{Host: other}).Hostname()
		if from.Port() != "" {
			host = net.JoinHostPort(host, from.Port())
		}
		if host != from.Host {
			hosts = append(hosts, host)
		}
	}
	for _, host := range hosts {
		pieces = append(pieces, (&url.URL{Scheme: from.Scheme, Host: host, Path: "/payload/"}).String())
	}
	return torrent, pieces, nil
}

// Secret returns the node's secrets in JSON. The head gives them once a boot.
func (h *Head) Secret(ctx context.Context) ([]byte, error) {
	data, _, err := h.get(ctx, h.step("secret"), maxSecret)
	return data, err
}

// Report tells the head of one step.
func (h *Head) Report(ctx context.Context, r *bootscript.Report) error {
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode report of %s: %w", r.GetName(), err)
	}
	return h.post(ctx, h.client, "report", body)
}

// Hardware tells the head what the machine is made of, from a port that only
// root may use: the head believes it also when the token is over.
func (h *Head) Hardware(ctx context.Context, found *bootscript.Hardware) error {
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(found)
	if err != nil {
		return fmt.Errorf("encode hardware: %w", err)
	}
	return h.post(ctx, h.trusted, "hardware", body)
}

func (h *Head) post(ctx context.Context, by *http.Client, step string, body []byte) error {
	req, err := h.request(ctx, http.MethodPost, h.step(step), body)
	if err != nil {
		return err
	}
	_, _, err = h.do(by, req, maxText)
	return err
}

// base is the address of the head's web server.
func (h *Head) base() *url.URL { return &url.URL{Scheme: h.URL.Scheme, Host: h.URL.Host} }

func (h *Head) step(name string) string {
	u := *h.URL
	// The step stands first, as people type it.
	u.RawQuery = "step=" + url.QueryEscape(name) + "&node=" + url.QueryEscape(h.Node)
	return u.String()
}

func (h *Head) get(ctx context.Context, u string, limit int64) ([]byte, *url.URL, error) {
	req, err := h.request(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, nil, err
	}
	return h.do(h.client, req, limit)
}

func (h *Head) request(ctx context.Context, method, u string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, u, err)
	}
	if h.Token != "" {
		req.Header.Set("Authorization", "Bearer "+h.Token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// do asks the heads in turn until one answers; it returns the answer's body and
// where it came from, and an error for every status but 200. A refusal is an answer.
func (h *Head) do(by *http.Client, req *http.Request, limit int64) (body []byte, from *url.URL, err error) {
	first := int(h.now.Load())
	var errs []error
	for i := range h.hosts {
		n := (first + i) % len(h.hosts)
		body, from, err = h.ask(by, req, h.hosts[n], limit)
		if err == nil || IsRefused(err) {
			h.now.Store(int32(n))
			return body, from, err
		}
		errs = append(errs, err)
		if req.Context().Err() != nil {
			break
		}
	}
	return nil, nil, errors.Join(errs...)
}

// ask sends a request to one head.
func (h *Head) ask(by *http.Client, req *http.Request, host string, limit int64) ([]byte, *url.URL, error) {
	req = req.Clone(req.Context())
	if req.URL.Host == h.URL.Host {
		req.URL.Host, req.Host = host, host
	}
	if req.GetBody != nil {
		req.Body, _ = req.GetBody() // of bytes in memory: it does not fail
	}
	tried := req.Method + " " + req.URL.String()
	resp, err := by.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, nil, fmt.Errorf("%s: %w", tried, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, nil, failure(tried, resp.StatusCode, data)
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", tried, err)
	case int64(len(data)) > limit:
		return nil, nil, fmt.Errorf("%s: the answer has more than %d bytes", tried, limit)
	}
	return data, resp.Request.URL, nil
}

func failure(tried string, status int, body []byte) error {
	text := strings.ToValidUTF8(strings.TrimSpace(string(body[:min(len(body), maxText)])), "?")
	if text == "" {
		text = http.StatusText(status)
	}
	if status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests {
		return &Refused{Tried: tried, Status: status, Text: text}
	}
	return fmt.Errorf("%s: the head says %d: %s", tried, status, text)
}
