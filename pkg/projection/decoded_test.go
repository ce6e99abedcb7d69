package projection_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/luna-hpc/luna/pkg/projection"
)

// TestDecodedIsThatOfTheBytes: the same bytes are decoded once; other bytes, also old ones, are what they say.
func TestDecodedIsThatOfTheBytes(t *testing.T) {
	var d projection.Decoded[*string]
	calls := 0
	get := func(key, data string) string {
		t.Helper()
		buf := []byte(data)
		m, err := d.Of(key, buf, func(b []byte) (*string, error) {
			calls++
			s := string(b)
			return &s, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		clear(buf) // a state's bytes are gone with its transaction
		return *m
	}
	for i, c := range []struct {
		key, data string
		calls     int
	}{{"a", "1", 1}, {"a", "1", 1}, {"b", "1", 2}, {"a", "2", 3}, {"a", "1", 4}, {"b", "1", 4}} {
		if got := get(c.key, c.data); got != c.data || calls != c.calls {
			t.Errorf("%d: %s of %s decoded %d times, want %d", i, got, c.data, calls, c.calls)
		}
	}
	for i := range 10000 {
		get(fmt.Sprint(i), "x")
	}
	bad := errors.New("bad")
	for range 2 {
		if _, err := d.Of("c", []byte("y"), func([]byte) (*string, error) { return nil, bad }); !errors.Is(err, bad) {
			t.Errorf("%v", err)
		}
	}
}
