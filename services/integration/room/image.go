package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Image is the test image: a Debian root file system, shared by all tests and never to be written to.
type Image struct {
	// Root is the root file system's folder.
	Root string
	// Key is the private key file that opens root's account, for [Options].
	Key string
}

// MakeImage returns the test image, made by deploy/room/make-image.sh when no run before has (two minutes, and
// Debian's mirror). It looks for the script from the working directory upwards. Settings choose another image than the
// usual one; they are the script's variables, such as LUNA_ROOM_NETWORK=networkd.
func MakeImage(ctx context.Context, log *slog.Logger, settings ...string) (Image, error) {
	script, err := findUp("deploy/room/make-image.sh")
	if err != nil {
		return Image{}, fmt.Errorf("make test image: %w", err)
	}
	log.Info("looking for the test image, or making it", "script", script)
	cmd := exec.CommandContext(ctx, script)
	cmd.Env = append(os.Environ(), settings...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // its namespace's processes die with it
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return Image{}, fmt.Errorf("make test image: %w: %s", errors.Join(err, ctx.Err()), lastLines(stderr.String(), 20))
	}
	dir := strings.TrimSpace(string(out))
	return Image{Root: filepath.Join(dir, "root"), Key: filepath.Join(dir, "id_ed25519")}, nil
}

func findUp(path string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, path)); err == nil {
			return filepath.Join(dir, path), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no %s above the working directory", path)
		}
		dir = up
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
