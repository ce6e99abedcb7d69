package library

import (
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// expand replaces the loader's $ORIGIN (ld.so(8)) by the directory of the file that names it.
func expand(dir, at string) string {
	return strings.NewReplacer("$ORIGIN", "/"+at, "${ORIGIN}", "/"+at).Replace(dir)
}

// read returns what the loader reads of the file at path, nil when it is no ELF file.
func read(path string) (*object, error) {
	f, err := elf.Open(path)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	obj := &object{class: f.Class, machine: f.Machine}
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_INTERP:
			data, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
			if err != nil {
				return nil, err
			}
			obj.interp = strings.TrimRight(string(data), "\x00")
		case elf.PT_NOTE:
			data, err := io.ReadAll(io.LimitReader(p.Open(), 1<<20))
			if err != nil {
				return nil, err
			}
			if obj.dlopen, err = appendDlopen(obj.dlopen, data, f.ByteOrder, int(p.Align)); err != nil {
				return nil, err
			}
		}
	}
	if obj.needed, err = dynamic(f, elf.DT_NEEDED); err != nil {
		return nil, err
	}
	// DT_RPATH counts only without DT_RUNPATH.
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		paths, err := dynamic(f, tag)
		if err != nil {
			return nil, err
		}
		if len(paths) > 0 {
			obj.search = strings.Split(paths[0], ":")
			break
		}
	}
	return obj, nil
}

func dynamic(f *elf.File, tag elf.DynTag) ([]string, error) {
	values, err := f.DynString(tag)
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, fmt.Errorf("dynamic section: %w", err)
	}
	return values, nil
}

// noteDlopen is the type of the ELF note in which a program lists what it loads with dlopen
// (systemd.io/ELF_DLOPEN_METADATA).
const noteDlopen = 0x407c0c0a

// appendDlopen appends the libraries in a segment of notes that the program requires or recommends.
func appendDlopen(libs []string, data []byte, order binary.ByteOrder, align int) ([]string, error) {
	if align < 4 {
		align = 4
	}
	pad := func(n int) int { return (n + align - 1) / align * align }
	for len(data) >= 12 {
		nameLen, descLen, kind := int(order.Uint32(data)), int(order.Uint32(data[4:])), order.Uint32(data[8:])
		desc := pad(12 + nameLen)
		if nameLen < 0 || descLen < 0 || desc > len(data) || descLen > len(data)-desc {
			return libs, nil // not a note that we know: the loader ignores it too
		}
		if kind == noteDlopen {
			found, err := parseDlopen(data[desc : desc+descLen])
			if err != nil {
				return nil, err
			}
			libs = append(libs, found...)
		}
		data = data[min(pad(desc+descLen), len(data)):]
	}
	return libs, nil
}

func parseDlopen(text []byte) ([]string, error) {
	var features []struct {
		Soname   []string `json:"soname"`
		Priority string   `json:"priority"`
	}
	if err := json.Unmarshal([]byte(strings.TrimRight(string(text), "\x00")), &features); err != nil {
		return nil, fmt.Errorf("dlopen note: %w", err)
	}
	var libs []string
	for _, f := range features {
		if f.Priority == "required" || f.Priority == "recommended" || f.Priority == "" {
			libs = append(libs, f.Soname...)
		}
	}
	return libs, nil
}
