package web

import (
	"context"
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// portion is how much is sent at once where there is a limit; its burst is larger.
const portion = 32 << 10

// counted counts what is sent. It leaves the kernel to copy files, unless there is a limit.
type counted struct {
	http.ResponseWriter
	ctx    context.Context // of the request
	upload *rate.Limiter
	sent   prometheus.Counter
}

// Write sends p.
func (c *counted) Write(p []byte) (n int, err error) {
	defer func() { c.sent.Add(float64(n)) }()
	for part := p; err == nil && len(part) > 0; {
		now := part
		if c.upload != nil {
			now = part[:min(len(part), portion)]
			if err := c.upload.WaitN(c.ctx, len(now)); err != nil {
				return n, err
			}
		}
		var m int
		m, err = c.ResponseWriter.Write(now)
		n += m
		part = part[m:]
	}
	return n, err
}

// ReadFrom sends all of r.
func (c *counted) ReadFrom(r io.Reader) (int64, error) {
	if c.upload != nil {
		return io.CopyBuffer(onlyWriter{c}, r, make([]byte, portion))
	}
	n, err := io.Copy(c.ResponseWriter, r)
	c.sent.Add(float64(n))
	return n, err
}

// onlyWriter hides ReadFrom.
type onlyWriter struct{ io.Writer }

// Unwrap gives http.ResponseController the connection.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }
