package module

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
)

// Firmware returns the names of the firmware files that an unpacked module may load, as modinfo -F firmware does.
func Firmware(data []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	info := f.Section(".modinfo")
	if info == nil {
		return nil, nil
	}
	text, err := info.Data()
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	var names []string
	for field := range strings.SplitSeq(string(text), "\x00") {
		if name, ok := strings.CutPrefix(field, "firmware="); ok && name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// imports returns the symbols that a module takes from the kernel and other modules.
func imports(data []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	symbols, err := f.Symbols()
	if errors.Is(err, elf.ErrNoSymbols) {
		return nil, nil
	}
	var names []string
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF && s.Name != "" {
			names = append(names, s.Name)
		}
	}
	return names, err
}
