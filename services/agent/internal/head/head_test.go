package head

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/luna-hpc/luna/pkg/release"
	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// serve returns the Head of a server that answers with h.
func serve(t *testing.T, h http.HandlerFunc) *Head {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/luna")
	if err != nil {
		t.Fatal(err)
	}
	return New(u, nil, "node001", "secret")
}

func TestScript(t *testing.T) {
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "#!/bin/bash\n# %s %s %s\n", r.Method, r.URL, r.Header.Get("Authorization"))
	})
	script, from, err := h.Script(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := "#!/bin/bash\n# GET /luna?step=install&node=node001 Bearer secret\n"; string(script) != want {
		t.Errorf("script %q, want %q", script, want)
	}
	if from != h.URL.String()+"?step=install&node=node001" {
		t.Errorf("from %s", from)
	}
}

func TestAnErrorPageIsNoScript(t *testing.T) {
	for _, c := range []struct {
		status  int
		body    string
		refused bool
		want    string
	}{
		{200, "<html>", false, `it begins with "<html>"`},
		{404, "there is no node node001\n", true, "the head says 404: there is no node node001"},
		{409, "", true, "the head says 409: Conflict"},
		{503, "wait", false, "the head says 503: wait"},
		{429, "slow", false, "the head says 429: slow"},
		{204, "", false, "the head says 204"},
	} {
		h := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		})
		_, _, err := h.Script(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || IsRefused(err) != c.refused {
			t.Errorf("%d %q: %v, refused %t", c.status, c.body, err, IsRefused(err))
		}
	}
}

func TestManifestMustHaveItsDigest(t *testing.T) {
	m := &release.Manifest{Format: release.Format, PieceLength: 1 << 14, KernelVersion: "6.1"}
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := release.DigestOf(data)
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/boot/sha256:") {
			t.Errorf("asked for %s", r.URL)
		}
		w.Write(data)
	})
	got, raw, err := h.Manifest(t.Context(), good)
	if err != nil || got.KernelVersion != "6.1" || string(raw) != string(data) {
		t.Errorf("got %+v, error %v", got, err)
	}
	bad := release.DigestOf([]byte("other"))
	if _, _, err := h.Manifest(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "not "+bad.String()) {
		t.Errorf("got error %v", err)
	}
}

func TestTorrentFollowsTheRedirect(t *testing.T) {
	digest := release.DigestOf([]byte("torrent"))
	seeder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "d8:announce"+r.URL.Path)
	}))
	defer seeder.Close()
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, seeder.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	torrent, pieces, err := h.Torrent(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	if want := "d8:announce/torrents/" + digest.Hex() + ".torrent"; string(torrent) != want {
		t.Errorf("torrent %q, want %q", torrent, want)
	}
	// The head itself has the same server at the seeder's port.
	if len(pieces) != 1 || pieces[0] != seeder.URL+"/payload/" {
		t.Errorf("pieces at %s", pieces)
	}
}

// TestAnotherHeadAnswers asks three heads of which one is gone and one is in trouble.
func TestAnotherHeadAnswers(t *testing.T) {
	asked := map[string]int{}
	head := func(address string, code int) string {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		server := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			asked[r.Host+string(body)]++
			w.WriteHeader(code)
			io.WriteString(w, "#!/bin/bash\n")
		})}}
		server.Start()
		t.Cleanup(server.Close)
		return ln.Addr().String()
	}
	troubled := head("127.0.0.2:0", http.StatusServiceUnavailable)
	port := netip.MustParseAddrPort(troubled).Port()
	good := head(fmt.Sprintf("127.0.0.3:%d", port), http.StatusOK)
	gone := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/luna"}
	h := New(gone, []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}, "node001", "")
	for range 2 {
		if _, _, err := h.Script(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Report(t.Context(), &bootscript.Report{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	if asked[troubled] != 1 || asked[good] != 2 || len(asked) != 3 {
		t.Errorf("asked %v; the one that answered is asked first, with the whole body", asked)
	}
}

func TestReport(t *testing.T) {
	var got bootscript.Report
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !json.Valid(body) || r.Method != "POST" || r.URL.RawQuery != "step=report&node=node001" ||
			r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%s %s %q", r.Method, r.URL, body)
		}
		if err := protojson.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		io.WriteString(w, "ok")
	})
	r := &bootscript.Report{BootId: "b", Name: "install.request", State: bootscript.State_STATE_OK}
	if err := h.Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got.GetName() != "install.request" || got.GetState() != bootscript.State_STATE_OK {
		t.Errorf("got %v", &got)
	}
}

func TestNoHead(t *testing.T) {
	u, _ := url.Parse("http://127.0.0.1:1/luna")
	_, _, err := New(u, nil, "node 1", "").Script(t.Context())
	if err == nil || IsRefused(err) || !strings.Contains(err.Error(), "GET http://127.0.0.1:1/luna?step=install&node=node+1: dial tcp") {
		t.Errorf("got %v", err)
	}
}
