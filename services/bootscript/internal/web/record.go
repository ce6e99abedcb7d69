package web

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what nodes ask.
type Metrics struct {
	requests *prometheus.CounterVec
	reports  *prometheus.CounterVec
}

// NewMetrics registers the counters.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "luna_bootscript_requests_total", Help: "HTTP requests by step and status code."}, []string{"step", "code"}),
		reports:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "luna_bootscript_reports_total", Help: "Reports of nodes by state."}, []string{"state"}),
	}
	reg.MustRegister(m.requests, m.reports)
	return m
}

// recorder notes an answer's status. It hands ReadFrom on, so that files still
// go out by sendfile.
type recorder struct {
	http.ResponseWriter
	code int
	sent int64
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.sent += int64(n)
	return n, err
}

// ReadFrom copies from a reader, by the kernel where the reader is a file.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	n, err := io.Copy(r.ResponseWriter, src)
	r.sent += n
	return n, err
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// record counts and logs the requests of a handler. step names what was asked
// by one of few words.
func record(step func(*http.Request) string, m *Metrics, log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		rec := &recorder{ResponseWriter: w}
		next.ServeHTTP(rec, r)
		if rec.code == 0 {
			rec.code = http.StatusOK
		}
		m.requests.WithLabelValues(step(r), strconv.Itoa(rec.code)).Inc()
		log.Debug("request", "from", r.RemoteAddr, "method", r.Method, "path", r.URL.Path, "query", r.URL.RawQuery,
			"status", rec.code, "bytes", rec.sent, "took", time.Since(begin))
	})
}
