// Package redfish speaks Redfish (DMTF DSP0266) with controllers.
package redfish

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/power/internal/controller"
)

const (
	// farewell is how long the end of a session may take.
	farewell = 2 * time.Second
	// longest is how many bytes an answer may have.
	longest = 4 << 20
)

// Speaker does actions over Redfish. Any certificate is accepted: controllers
// make their own.
type Speaker struct {
	// Port is 443 but for controllers behind a forwarded port.
	Port int
	// Plain lets a controller that does not speak TLS be asked over HTTP at
	// PlainPort; user and password can then be read by who listens.
	Plain     bool
	PlainPort int
}

// Do opens a session, does the action and closes the session.
func (s Speaker) Do(ctx context.Context, c controller.Controller, a controller.Action) (string, error) {
	api, err := s.login(ctx, c)
	if err != nil {
		return "", err
	}
	defer leave(ctx, api)
	m, err := machineOf(api)
	if err != nil {
		return "", answer(c, err)
	}
	text, err := m.do(ctx, a)
	if err != nil {
		return "", m.sent(c, a, err)
	}
	return text, nil
}

// login opens a session over HTTPS, or over HTTP when that is allowed and
// HTTPS is not spoken.
func (s Speaker) login(ctx context.Context, c controller.Controller) (*gofish.APIClient, error) {
	api, err := connect(ctx, "https", s.Port, c)
	if err != nil && s.Plain && (notTLS(err) || nobody(err)) {
		api, err = connect(ctx, "http", s.PlainPort, c)
	}
	if err != nil {
		return nil, answer(c, err)
	}
	return api, nil
}

func connect(ctx context.Context, scheme string, port int, c controller.Controller) (*gofish.APIClient, error) {
	// No proxy: controllers are on a network of their own.
	hc := &http.Client{CheckRedirect: sameHost, Transport: bounded{&http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, MaxResponseHeaderBytes: 64 << 10,
	}}}
	api, err := gofish.ConnectContext(ctx, gofish.ClientConfig{
		Endpoint: scheme + "://" + net.JoinHostPort(c.Address.String(), strconv.Itoa(port)),
		Username: c.User, Password: c.Password.Reveal(), HTTPClient: hc, NoModifyTransport: true, ReuseConnections: true,
	})
	if err != nil {
		hc.CloseIdleConnections()
	}
	return api, err
}

// bounded is a transport that reads no more of an answer than longest bytes.
type bounded struct{ *http.Transport }

// RoundTrip sends a request.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(req)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, longest), resp.Body}
	}
	return resp, err
}

// sameHost refuses to carry user and password elsewhere.
func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme || len(via) > 3 {
		return errors.New("the controller sends elsewhere")
	}
	return nil
}

// notTLS says whether something listens that speaks no TLS.
func notTLS(err error) bool {
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, new(tls.RecordHeaderError))
}

// nobody says whether nothing listens.
func nobody(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && !op.Timeout()
}

// leave closes the session; one that cannot be closed ends by itself.
func leave(ctx context.Context, api *gofish.APIClient) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	api.WithContext(ctx).Logout()
}

// answer turns an error from before the controller was told to act into a fault.
func answer(c controller.Controller, err error) error {
	var f *fault.Error
	var reply *schemas.Error
	switch {
	case errors.As(err, &f):
		return err
	case errors.As(err, &reply) && (reply.HTTPReturnedStatusCode == http.StatusUnauthorized || reply.HTTPReturnedStatusCode == http.StatusForbidden):
		return c.Refused()
	case errors.As(err, &reply):
		return fault.Unavailablef("not done: the controller answers %s", words(reply))
	case notTLS(err):
		return fault.Unavailablef("not done: the controller does not speak TLS (redfish_http in power.yaml allows HTTP)")
	case silent(err):
		return controller.Silent(err)
	case nobody(err):
		return fault.Unavailablef("not done: nothing listens for Redfish at the controller's address")
	}
	return fault.Unavailablef("not done: the controller does not speak Redfish: %w", err)
}

// silent says whether an answer did not come in time.
func silent(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.As(err, &n) && n.Timeout()
}

// words are the sentences of a controller's error, or its HTTP status.
func words(e *schemas.Error) string {
	text := e.Message
	for _, m := range e.ExtendedInfos {
		if m.Message != "" {
			text = m.Message
			break
		}
	}
	status := strconv.Itoa(e.HTTPReturnedStatusCode) + " " + http.StatusText(e.HTTPReturnedStatusCode)
	if text == "" {
		return status
	}
	return status + ": " + text
}
