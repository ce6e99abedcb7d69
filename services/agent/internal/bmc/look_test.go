package bmc

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// said is what ipmitool says to each of its commands; it fails for others.
type said map[string]string

func (s said) tool(_ context.Context, args ...string) (string, error) {
	text, ok := s[strings.Join(args, " ")]
	if !ok {
		return "", errors.New("exit status 1")
	}
	return text, nil
}

const (
	info = "Device ID                 : 32\nFirmware Revision         : 1.73\nManufacturer ID           : 674\nManufacturer Name         : DELL Inc\n" +
		"Additional Device Support :\n    Sensor Device\nAux Firmware Rev Info     : \n    0x00\n"
	lan = "Set in Progress         : Set Complete\nIP Address Source       : DHCP Address\nIP Address              : %\n" +
		"MAC Address             : 52:54:00:00:00:AA\nSNMP Community String   : public\n"
)

func TestLook(t *testing.T) {
	for name, c := range map[string]struct {
		said said
		want *bootscript.Bmc
	}{
		"with an address":    {said{"mc info": info, "lan print": strings.ReplaceAll(lan, "%", "10.50.0.1")}, &bootscript.Bmc{Address: "10.50.0.1", Mac: "52:54:00:00:00:aa", FirmwareVersion: "1.73", Manufacturer: "DELL Inc"}},
		"without an address": {said{"mc info": info, "lan print": strings.ReplaceAll(lan, "%", "0.0.0.0")}, &bootscript.Bmc{Mac: "52:54:00:00:00:aa", FirmwareVersion: "1.73", Manufacturer: "DELL Inc"}},
		"without a network":  {said{"mc info": info}, &bootscript.Bmc{FirmwareVersion: "1.73", Manufacturer: "DELL Inc"}},
	} {
		if got, err := Look(t.Context(), c.said.tool); err != nil || !proto.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := Look(t.Context(), said{}.tool); err == nil || got != nil {
		t.Errorf("a BMC that is silent: %v, %v", got, err)
	}
}
