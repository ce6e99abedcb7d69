package web

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/release"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

// What stands between osimage and kernel version in a file's name.
const (
	kernelFile = "-vmlinuz-"
	initrdFile = "-initrd-"
)

// errNoFile says that a name is not one of a released file.
var errNoFile = errors.New("no released file has such a name")

// fileTime is how long one file may take.
const fileTime = time.Hour

// defaultServerPort is where torrents are served while the cluster says no other.
const defaultServerPort = 7051

// file answers /boot/…: a released file by digest or by the names that people
// type, or a loader for UEFI HTTP boot.
func (h *Handler) file(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	hex, err := h.digestOf(name, r.URL.Query().Get("digest"))
	if errors.Is(err, errNoFile) {
		h.loader(w, r, name)
		return
	}
	if err != nil {
		h.say(w, r, answer{}, err)
		return
	}
	f, err := h.Shelf.File(hex)
	if errors.Is(err, fs.ErrNotExist) {
		err = fault.NotFoundf("this head has no released file %.80q", name)
	}
	if err != nil {
		h.say(w, r, answer{}, err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+hex+`"`)
	if strings.HasPrefix(name, "sha256:") || r.URL.Query().Has("digest") {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	send(w, r, time.Time{}, f)
}

// send sends a file, or the part of it that was asked for, with more time than
// a script has.
func send(w http.ResponseWriter, r *http.Request, modified time.Time, f *os.File) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(fileTime)) // a test's recorder has none
	http.ServeContent(w, r, "", modified, f)
}

// digestOf returns the hex of the digest that a request means.
func (h *Handler) digestOf(name, digest string) (string, error) {
	if digest != "" {
		return digest, nil
	}
	if d, err := release.ParseDigest(name); err == nil {
		return d.Hex(), nil
	}
	missing := errNoFile
	for _, kind := range []string{kernelFile, initrdFile} {
		for at := range name {
			if !strings.HasPrefix(name[at:], kind) {
				continue
			}
			rel, err := h.releaseOf(name[:at], name[at+len(kind):])
			if fault.KindOf(err) == fault.NotFound {
				missing = err // the words may stand in an osimage's name as well
				continue
			}
			return fileOf(rel, kind).Hex(), err
		}
	}
	return "", missing
}

func fileOf(r *imagepackerv1.Release, kind string) release.Digest {
	if kind == initrdFile {
		return release.Digest(r.GetInitrd())
	}
	return release.Digest(r.GetKernel())
}

// releaseOf finds the release of an osimage's name and a kernel version.
func (h *Handler) releaseOf(osimage, kernver string) (rel *imagepackerv1.Release, err error) {
	err = h.State.View(func(tx *projection.Tx) error {
		o, err := catalog.Of(tx).Find(catalog.Osimage, osimage)
		if err != nil {
			return err
		}
		if o == nil {
			return fault.NotFoundf("there is no osimage %.80q", osimage)
		}
		rel, err = h.Shelf.WithKernel(tx, o.GetOsimage().GetId(), kernver)
		if err != nil || rel != nil {
			return err
		}
		_, reason, err := h.Shelf.Current(tx, o.GetOsimage().GetId(), false)
		switch {
		case err != nil:
			return err
		case reason != "":
			return fault.Unavailablef("osimage %s: %s", osimage, reason)
		}
		return fault.NotFoundf("osimage %s has no kernel %.80q", osimage, kernver)
	})
	return rel, err
}

func (h *Handler) loader(w http.ResponseWriter, r *http.Request, name string) {
	f, err := h.Loaders.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fault.NotFoundf("this head has neither a released file nor a loader %.80q", name)
	}
	var st os.FileInfo
	if err == nil {
		defer f.Close()
		st, err = f.Stat()
	}
	if err != nil {
		h.say(w, r, answer{}, err)
		return
	}
	kind := "application/octet-stream"
	if strings.HasSuffix(name, ".efi") {
		kind = "application/efi" // UEFI HTTP boot goes by it
	}
	w.Header().Set("Content-Type", kind)
	send(w, r, st.ModTime(), f)
}

// redirect sends a BitTorrent client to the torrent seeder, by the name that
// it used for this head.
func (h *Handler) redirect(w http.ResponseWriter, r *http.Request) {
	port := uint32(defaultServerPort)
	host := hostOf(r.Host)
	err := catalog.Read(h.State, func(v catalog.View) error {
		c, err := v.Cluster()
		if p := c.GetServerPort(); p > 0 {
			port = p
		}
		if host == "" {
			host = c.GetFrontendAddress()
		}
		return err
	})
	if err != nil {
		h.say(w, r, answer{}, err)
		return
	}
	u := *r.URL
	u.Scheme, u.Host = "http", host+":"+strconv.Itoa(int(port))
	w.Header().Set("Location", u.String())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusTemporaryRedirect)
	fmt.Fprintln(w, u.String())
}

// hostOf returns the host of a Host header without its port, in brackets when
// it is IPv6; "" when it is not a plain host.
func hostOf(s string) string {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return bracket(ap.Addr())
	}
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return bracket(a)
	}
	host, _, _ := strings.Cut(s, ":")
	if strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	}) {
		return ""
	}
	return host
}

func bracket(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}
