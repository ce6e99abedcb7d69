package loader

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/pin/tftp/v3"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/run"
)

const (
	// roundTrip is how long an acknowledgement may take, retries how often a block is sent.
	roundTrip = 2 * time.Second
	retries   = 5
	// maxTransfers go on at once; who comes later asks again by itself.
	maxTransfers = 512
	// relisten is how long a taken port is left alone.
	relisten = 2 * time.Second
)

var errBusy = errors.New("too many transfers, try again")

// TFTP serves loaders by RFC 1350 with the options blksize and tsize (RFC 2347 to 2349).
type TFTP struct {
	addr  string
	dirs  Dirs
	log   *slog.Logger
	count *prometheus.CounterVec
	slots chan struct{}

	mu  sync.Mutex
	why error
}

// NewTFTP returns a server for an IPv4 address and port, as in :69.
func NewTFTP(addr string, dirs Dirs, log *slog.Logger, reg prometheus.Registerer) *TFTP {
	t := &TFTP{addr: addr, dirs: dirs, log: log, slots: make(chan struct{}, maxTransfers), why: errors.New("does not listen yet"),
		count: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "luna_bootscript_tftp_transfers_total", Help: "TFTP transfers by outcome."}, []string{"outcome"})}
	reg.MustRegister(t.count)
	return t
}

// Run serves until ctx ends. While the port is taken it tries again and Ready
// tells who has it.
func (t *TFTP) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		// udp4: only then does the library learn the address that a request
		// came to, which is the one that its answer must come from.
		conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", t.addr)
		if err == nil {
			t.note(nil)
			return t.Serve(ctx, conn)
		}
		t.note(run.TakenPort(err, t.addr))
		select {
		case <-ctx.Done():
		case <-time.After(relisten):
		}
	}
	return nil
}

// note keeps why the server does not listen and logs it once.
func (t *TFTP) note(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil && (t.why == nil || t.why.Error() != err.Error()) {
		t.log.Error("TFTP does not listen", "err", err)
	}
	t.why = err
}

// Serve serves on a socket until ctx ends, then waits for open transfers, which it cuts.
func (t *TFTP) Serve(ctx context.Context, conn net.PacketConn) error {
	srv := tftp.NewServer(func(name string, to io.ReaderFrom) error { return t.send(ctx, name, to) }, nil)
	srv.SetTimeout(roundTrip)
	srv.SetRetries(retries)
	srv.SetBackoff(func(int) time.Duration { return 0 })
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(conn) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	srv.Shutdown()
	return <-ended
}

// send answers one read request.
func (t *TFTP) send(ctx context.Context, name string, to io.ReaderFrom) error {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	default:
		t.count.WithLabelValues("busy").Inc()
		return errBusy
	}
	f, err := t.dirs.Open(name)
	if err != nil {
		t.count.WithLabelValues("refused").Inc()
		t.log.Info("loader is not there", "name", name, "from", peer(to), "err", err)
		return os.ErrNotExist
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil {
		to.(tftp.OutgoingTransfer).SetSize(st.Size())
	}
	n, err := to.ReadFrom(&untilDone{ctx, f})
	if err != nil {
		t.count.WithLabelValues("broken").Inc()
		t.log.Debug("loader was not sent whole", "name", name, "to", peer(to), "bytes", n, "err", err)
		return err
	}
	t.count.WithLabelValues("sent").Inc()
	t.log.Debug("loader sent", "name", name, "to", peer(to), "bytes", n)
	return nil
}

func peer(to io.ReaderFrom) string {
	if t, ok := to.(tftp.OutgoingTransfer); ok {
		a := t.RemoteAddr()
		return a.String()
	}
	return ""
}

// untilDone reads until a context ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// Ready says whether the server listens.
func (t *TFTP) Ready() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.why
}

// String returns "tftp".
func (t *TFTP) String() string { return "tftp" }
