package boot

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/luna-hpc/luna/services/agent/internal/head"
)

// TestSecretsAreAskedForUntilTheyAreTold has a head that does not know them at
// first, and tells them once.
func TestSecretsAreAskedForUntilTheyAreTold(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Query().Get("step") != "secret" || r.Header.Get("Authorization") != "Bearer token" {
			t.Errorf("asked for %s", r.URL)
		}
		if asked != 2 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"bmc_password":"hush"}`)
	}))
	defer server.Close()
	u, err := url.Parse(server.URL + "/luna")
	if err != nil {
		t.Fatal(err)
	}
	var s secrets
	h := head.New(u, nil, "node001", "token")
	if _, err := s.get(t.Context(), h); err == nil {
		t.Error("nothing was told, and no error")
	}
	for range 2 {
		if told, err := s.get(t.Context(), h); err != nil || string(told) != `{"bmc_password":"hush"}` {
			t.Errorf("%s, %v", told, err)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}
