package testenv

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Seed returns LUNA_SEED, or that of now, and logs it.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := number(t, "LUNA_SEED", uint64(time.Now().UnixNano()))
	t.Logf("LUNA_SEED=%d", seed)
	return seed
}

// Rand returns the random source of Seed.
func Rand(t testing.TB) *rand.Rand {
	t.Helper()
	return rand.New(rand.NewPCG(Seed(t), 0))
}

// Times returns n, multiplied by LUNA_SOAK.
func Times(t testing.TB, n int) int {
	t.Helper()
	return n * int(number(t, "LUNA_SOAK", 1))
}

func number(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
