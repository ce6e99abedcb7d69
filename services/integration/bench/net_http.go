package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
)

// scriptsGoal is how many boot scripts a second a head is to give.
const scriptsGoal = 5000

// http lets wrk ask for the boot scripts of all nodes; nginx answers each with the same file, one of these scripts.
func (n *network) http() *match {
	return &match{what: "HTTP", goal: scriptsGoal, contenders: [2]contender{n.ours("bootscript"), n.rival("nginx", n.nginx)}, check: n.checkHTTP, run: n.scripts}
}

func (n *network) path(i int) string {
	return "/luna?step=discovery&hwdata=" + url.QueryEscape("PC|"+macOf(i).String())
}

// checkHTTP asks once for every node's script, so that each boot is begun and what is measured is asked again.
func (n *network) checkHTTP(ctx context.Context) error {
	p, err := n.newProbes(macOf(0))
	if err != nil {
		return err
	}
	defer p.close()
	for i := range n.nodes {
		err := until(ctx, breath, func() error {
			text, err := p.get(ctx, n.path(i))
			if err == nil && n.script == "" {
				n.script = text // ours is first
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", n.names[i], err)
		}
	}
	return nil
}

// get fetches what is at a path of the head.
func (p *probes) get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+headAddress+":7050"+path, nil)
	if err != nil {
		return "", err
	}
	rep, err := p.web.Do(req)
	if err != nil {
		return "", err
	}
	defer rep.Body.Close()
	text, err := io.ReadAll(rep.Body)
	if err == nil && rep.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", rep.Status, text)
	}
	return string(text), err
}

var (
	requestsRate = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)`)
	refusals     = regexp.MustCompile(`(?m)^\s*(Non-2xx or 3xx responses: .*|Socket errors: .*)$`)
)

// scripts asks over 64 connections as fast as answers come.
func (n *network) scripts(ctx context.Context, _ float64, group int) (score, error) {
	file := filepath.Join(n.dir, "wrk.lua")
	lua := "local paths = {\n" + n.lines(func(i int) string { return fmt.Sprintf("%q,", n.path(i)) }) +
		"}\nlocal at = 0\nrequest = function()\n\tat = at % #paths + 1\n\treturn wrk.format(nil, paths[at])\nend\n"
	if err := os.WriteFile(file, []byte(lua), 0o644); err != nil {
		return score{}, err
	}
	c := startClock(group)
	out, err := n.client(ctx, "wrk", "-t1", "-c64", fmt.Sprintf("-d%ds", int(n.opt.Trial.Seconds())), "-s", file, "http://"+headAddress+":7050")
	busy := c.busy()
	if err != nil {
		return score{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	if bad := refusals.FindString(out); bad != "" {
		return score{}, fmt.Errorf("some answers are wrong: %s", bad)
	}
	rate := numbers(requestsRate, out)
	if len(rate) != 1 {
		return score{}, fmt.Errorf("wrk says nothing of its requests: %s", out)
	}
	return score{rate: rate[0], busy: busy}, nil
}

// nginx configures nginx with one script as a file.
func (n *network) nginx(dir string) ([]string, error) {
	conf := fmt.Sprintf(`daemon off; user root; worker_processes auto; pid %[1]s/pid; error_log stderr;
events { }
http {
	access_log off; default_type text/plain; sendfile on; keepalive_requests 1000000000; client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server { listen %[2]s:7050; root %[1]s/root; }
}
`, dir, headAddress)
	if err := os.MkdirAll(filepath.Join(dir, "root"), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "root", "luna"), []byte(n.script), 0o644); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "nginx.conf")
	return []string{"-p", dir, "-e", "stderr", "-c", file}, os.WriteFile(file, []byte(conf), 0o644)
}
