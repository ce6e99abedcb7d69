package inventoryv1

import (
	"fmt"
	"regexp"
	"strings"
)

// DefaultDracutmodules are the dracut modules of a new image; who wants others has changed them.
const DefaultDracutmodules = "luna,-i18n,-plymouth"

// MaxKernopts is the longest text of kernel options in bytes: an x86 kernel
// takes a line of 2047, of which Luna's own words need some 600.
const MaxKernopts = 1400

var version = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]{0,126}$`)

// CheckKernver wants the version of a kernel as its files are named; "" is none.
func CheckKernver(s string) error {
	if s != "" && !version.MatchString(s) {
		return fmt.Errorf("kernver %q must be letters, digits and ._+~- as in the names of the image's kernels", s)
	}
	return nil
}

// CheckKernopts wants kernel options that boot loaders hand on as they are.
func CheckKernopts(s string) error {
	if len(s) > MaxKernopts {
		return fmt.Errorf("kernopts has %d bytes, more than %d", len(s), MaxKernopts)
	}
	return CheckWords("kernopts", s)
}

// CheckWords wants a line of printable ASCII in which iPXE sees nothing but words.
func CheckWords(what, s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("%s must be one line of printable ASCII characters", what)
	}
	if strings.Contains(s, "${") {
		return fmt.Errorf("%s must not hold ${: iPXE would expand it", what)
	}
	for w := range strings.FieldsSeq(s) {
		if w == "&&" || w == "||" || strings.HasPrefix(w, "#") {
			return fmt.Errorf("%s must not hold the word %q: it means something else to iPXE", what, w)
		}
	}
	return nil
}
