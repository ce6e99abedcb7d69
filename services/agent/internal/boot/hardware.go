package boot

import (
	"context"
	"fmt"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/bmc"
	"github.com/luna-hpc/luna/services/agent/internal/hardware"
	"github.com/luna-hpc/luna/services/agent/internal/report"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// controller is what the BMC said of itself.
type controller struct {
	bmc *bootscript.Bmc
	err error
}

// askBMC asks the BMC what it is. It takes seconds, so the network comes up
// beside it; a BMC that takes longer is not waited for.
func askBMC(ctx context.Context) <-chan controller {
	const patience = 15 * time.Second
	answer := make(chan controller, 1)
	go func() {
		// It ends within its patience or with the boot process.
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		var c controller
		if bmc.LoadDriver(ctx); bmc.Present() {
			c.bmc, c.err = bmc.Look(ctx, bmc.Ipmitool)
		}
		answer <- c
	}()
	return answer
}

// hardware finds out what the machine is made of and tells the head. A node is
// installed also when that fails.
func (b *Boot) hardware(ctx context.Context, asked <-chan controller) {
	begin := time.Now()
	found := hardware.Read(b.system)
	c := <-asked
	found.Bmc = c.bmc
	values := map[string]string{
		"processors": fmt.Sprintf("%d sockets, %d cores, %d threads", found.CpuSockets, found.CpuCores, found.CpuThreads),
		"memory":     fmt.Sprintf("%d MiB", found.MemoryBytes>>20),
		"disks":      fmt.Sprint(len(found.Disks)), "cards": fmt.Sprint(len(found.Nics)),
	}
	if c.err != nil {
		values["bmc"] = c.err.Error()
		b.Log.Warn("the BMC does not say what it is", "err", c.err)
	}
	err := hardware.Save(b.Run, found)
	b.Report.Hardware(ctx, found)
	b.Report.Ended(ctx, "agent.hardware", time.Since(begin), report.Result{Tried: "/sys, /proc, ipmitool", Values: values}, err)
	b.about.know(func(a *about) { a.hardware = hardware.Lines(found) })
}
