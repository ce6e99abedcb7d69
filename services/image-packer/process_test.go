package imagepacker_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/subject"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	imagepacker "github.com/luna-hpc/luna/services/image-packer"
)

// asPacker has what a process that is a packer needs, with a line between them.
const asPacker = "LUNA_TEST_PACKER"

func TestMain(m *testing.M) {
	if words := os.Getenv(asPacker); words != "" {
		fmt.Fprintln(os.Stderr, packer(strings.Split(words, "\n")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// packer is a packer until it is killed.
func packer(words []string) error {
	conn, err := bus.Connect(bus.Options{URL: words[0], User: "image-packer", KeyFile: words[1], Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	task, err := imagepacker.New(imagepacker.Config{Agent: words[2], Keep: 3}, run.Deps{Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Metrics: prometheus.NewRegistry(), Bus: conn, Data: words[3], Head: "head"})
	if err != nil {
		return err
	}
	return task.Run(context.Background())
}

// process is a packer in a process of its own.
type process struct {
	*exec.Cmd
	out strings.Builder
}

// process starts a packer and waits until it answers.
func (r *room) process() *process {
	r.Helper()
	agent := r.TempDir() + "/agent"
	must(r.T, os.WriteFile(agent, nil, 0o700))
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(os.Environ(), asPacker+"="+strings.Join([]string{r.srv.ClientURL(), r.srv.KeyFile("image-packer"), agent, r.data}, "\n"))
	p.Stderr = &p.out
	must(r.T, p.Start())
	r.Cleanup(p.kill)
	for ctx := r.within(); ; time.Sleep(10 * time.Millisecond) {
		_, err := bus.Request(ctx, r.conn, subject.Command("image-packer", "release", "list"), &imagepackerv1.ReleasesRequest{Name: "compute"}, &imagepackerv1.ReleasesReply{})
		if err == nil {
			return p
		}
		if ctx.Err() != nil {
			r.Fatalf("%v\n%s", err, p.out.String())
		}
	}
}

// kill ends the process as a power cut would, and waits for its end.
func (p *process) kill() {
	if p.ProcessState == nil {
		_ = p.Process.Kill() // it may have ended
		_ = p.Wait()
	}
}
