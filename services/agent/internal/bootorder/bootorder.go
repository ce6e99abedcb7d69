// Package bootorder keeps the entry that a UEFI machine was booted by first in its boot order: boot loaders
// that are installed put themselves there, and the machine would never ask the network again.
package bootorder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Dir is where efivarfs shows the firmware's variables.
const Dir = "/sys/firmware/efi/efivars"

// global is the vendor of the variables that the UEFI specification defines (UEFI 2.10, 3.3).
const global = "8be4df61-93ca-11d2-aa0d-00e098032b8c"

// attributes is the size of what efivarfs puts before each value, in bytes.
const attributes = 4

// Keep puts the entry of the present boot first in the boot order and tells
// whether it was not. A machine without UEFI, or whose firmware does not say
// what it booted, is left alone.
func Keep(dir string) (changed bool, err error) {
	_, current, err := read(dir, "BootCurrent")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	prefix, order, err := read(dir, "BootOrder")
	if err != nil {
		return false, err
	}
	if len(current) != 1 || (len(order) > 0 && order[0] == current[0]) {
		return false, nil
	}
	kept := append(current, slices.DeleteFunc(order, func(n uint16) bool { return n == current[0] })...)
	value := slices.Clone(prefix)
	for _, n := range kept {
		value = binary.LittleEndian.AppendUint16(value, n)
	}
	// One write, without truncation: efivarfs takes a variable whole.
	f, err := os.OpenFile(path(dir, "BootOrder"), os.O_WRONLY, 0)
	if err != nil {
		return false, fmt.Errorf("put the network first in the boot order: %w", err)
	}
	_, err = f.Write(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return false, fmt.Errorf("put the network first in the boot order: %w", err)
	}
	return true, nil
}

func path(dir, name string) string { return filepath.Join(dir, name+"-"+global) }

// read returns a variable's attributes, and its value as numbers of boot entries.
func read(dir, name string) (prefix []byte, entries []uint16, err error) {
	data, err := os.ReadFile(path(dir, name))
	if err != nil {
		return nil, nil, fmt.Errorf("read the firmware's variable: %w", err)
	}
	if len(data) < attributes || len(data)%2 != 0 {
		return nil, nil, fmt.Errorf("the firmware's variable %s has %d bytes", name, len(data))
	}
	for i := attributes; i < len(data); i += 2 {
		entries = append(entries, binary.LittleEndian.Uint16(data[i:]))
	}
	return data[:attributes], entries, nil
}
