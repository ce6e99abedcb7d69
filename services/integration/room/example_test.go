package room_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"github.com/luna-hpc/luna/services/integration/room"
)

// A node boots from the head until it can be reached; Ctrl-C takes everything down.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := boot(ctx, slog.Default()); err != nil {
		fmt.Println(err)
	}
}

func boot(ctx context.Context, log *slog.Logger) error {
	image, err := room.MakeImage(ctx, log)
	if err != nil {
		return err
	}
	r, err := room.Open(ctx, room.Options{Key: image.Key, Log: log})
	if err != nil {
		return err
	}
	defer r.Close()

	head := r.Command(ctx, "luna-head", "-data", r.Dir())
	if err := head.Start(); err != nil {
		return err
	}
	defer func() {
		_ = r.Close() // ends the head too
		_ = head.Wait()
	}()
	node, err := r.AddMachine(room.Machine{Name: "node001", MAC: "52:54:00:00:00:01", Disks: []int{4096}})
	if err != nil {
		return err
	}
	if err := node.Start(ctx); err != nil {
		return err
	}
	if err := node.WaitConsole(ctx, "login:"); err != nil {
		return err
	}
	kernel, err := r.SSH(ctx, "10.30.0.1", "uname -r")
	if err != nil {
		return err
	}
	fmt.Println("node001 runs", kernel)
	return nil
}
