package report

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// letter is one thing that waits in the spool: a step, or what the machine is
// made of.
type letter struct {
	step     *bootscript.Report
	hardware *bootscript.Hardware
}

// spooled is a letter as it lies in the spool.
type spooled struct {
	Step     json.RawMessage `json:"step,omitempty"`
	Hardware json.RawMessage `json:"hardware,omitempty"`
}

func (l letter) encode() ([]byte, error) {
	var s spooled
	var err error
	if l.hardware != nil {
		s.Hardware, err = protojson.Marshal(l.hardware)
	} else {
		s.Step, err = protojson.Marshal(l.step)
	}
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return json.Marshal(s)
}

func decode(data []byte) (l letter, err error) {
	var s spooled
	if err := json.Unmarshal(data, &s); err != nil {
		return l, err
	}
	if s.Hardware != nil {
		l.hardware = &bootscript.Hardware{}
		return l, protojson.Unmarshal(s.Hardware, l.hardware)
	}
	l.step = &bootscript.Report{} // without bytes it is damaged too
	return l, protojson.Unmarshal(s.Step, l.step)
}

func (l letter) send(ctx context.Context, to Sender) error {
	if l.hardware != nil {
		return to.Hardware(ctx, l.hardware)
	}
	return to.Report(ctx, l.step)
}

// name is for messages.
func (l letter) name() string {
	if l.hardware != nil {
		return "hardware"
	}
	return l.step.GetName()
}
