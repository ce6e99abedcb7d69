package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/bmc"
	"github.com/luna-hpc/luna/services/agent/internal/report"
)

// bmc sets the management controller up. Its failure is a step, and ends the
// installation only when the head wants that.
func (t *tool) bmc(ctx context.Context, args []string) error {
	const step = "install.setupbmc"
	err := none(args)
	if err != nil {
		return t.failed(step, err)
	}
	config, err := bmc.Parse(t.in)
	if err != nil {
		return t.failed(step, err)
	}
	err = t.report.Step(ctx, step, fmt.Sprintf("ipmitool, user %s, address %s", config.User, config.Address),
		func(ctx context.Context) (report.Result, error) {
			done, err := t.setupBMC(ctx, config)
			values := map[string]string{"changed": strings.Join(done.Changed, "; ")}
			if len(done.Unknown) > 0 {
				values["unknown"] = strings.Join(done.Unknown, "; ")
			}
			return report.Result{Values: values}, err
		})
	if err != nil && !config.Required {
		t.log.Warn("the BMC is not set up; the installation goes on", "err", err)
		return nil
	}
	return t.failed(step, err)
}

func (t *tool) setupBMC(ctx context.Context, config bmc.Config) (bmc.Done, error) {
	if config.Missing != "" {
		return bmc.Done{}, errors.New(config.Missing)
	}
	var data json.RawMessage
	err := t.call(ctx, "secret", nil, func(event json.RawMessage) error { data = event; return nil })
	if err != nil {
		return bmc.Done{}, err
	}
	secret, err := bmc.ParseSecret(data)
	if err != nil {
		return bmc.Done{}, err
	}
	bmc.LoadDriver(ctx)
	return (&bmc.Setup{Config: config, Secret: secret, Tool: bmc.Ipmitool, Pause: 5 * time.Second}).Apply(ctx)
}
