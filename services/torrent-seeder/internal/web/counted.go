package web

import (
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// counted counts what is sent; it leaves the kernel to copy files.
type counted struct {
	http.ResponseWriter
	sent prometheus.Counter
}

// Write sends p.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent.Add(float64(n))
	return n, err
}

// ReadFrom sends all of r.
func (c *counted) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.sent.Add(float64(n))
	return n, err
}

// Unwrap gives http.ResponseController the connection.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }
