package redfish

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/luna-hpc/luna/services/power/internal/controller"
)

const user, password = "ladmin", "c0rrect-h0rse"

// bmc is a Redfish service of one system, as DSP0266 describes it.
type bmc struct {
	*httptest.Server
	mu       sync.Mutex
	power    string
	resets   []string
	allowed  []string
	light    map[string]any // the system's properties for it
	sessions map[string]bool
	systems  int
	// before is called with every request, and may answer it.
	before func(w http.ResponseWriter, r *http.Request) bool
}

// newBMC starts a service; start is that of TLS or of plain HTTP.
func newBMC(t *testing.T, start func(*httptest.Server)) *bmc {
	b := &bmc{power: "Off", systems: 1, sessions: map[string]bool{}, light: map[string]any{"LocationIndicatorActive": false},
		allowed: []string{"On", "ForceOff", "ForceRestart", "PowerCycle", "GracefulShutdown"}}
	b.Server = httptest.NewUnstartedServer(b)
	start(b.Server)
	t.Cleanup(b.Close)
	return b
}

func (b *bmc) port() int {
	u, _ := url.Parse(b.URL)
	port, _ := strconv.Atoi(u.Port())
	return port
}

func (b *bmc) controller() controller.Controller {
	return controller.Controller{Address: netip.MustParseAddr("127.0.0.1"), User: user, Password: password, Protocol: "redfish", Setup: "base"}
}

// failed answers with the error object of DSP0266, 8.6.
func failed(w http.ResponseWriter, code int, message string) {
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"error": {"code": "Base.1.18.GeneralError", "message": "A general error has occurred. See Resolution for information on how to resolve the error.",
		"@Message.ExtendedInfo": [{"@odata.type": "#Message.v1_2_0.Message", "MessageId": "Base.1.18.X", "Message": %q, "MessageArgs": [], "Severity": "Critical"}]}}`, message)
}

func (b *bmc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.before != nil && b.before(w, r) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case path == "/redfish/v1":
		fmt.Fprint(w, `{"@odata.id": "/redfish/v1/", "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot", "Id": "RootService", "Name": "Root Service", "RedfishVersion": "1.17.0",
			"Systems": {"@odata.id": "/redfish/v1/Systems"}, "Chassis": {"@odata.id": "/redfish/v1/Chassis"}, "SessionService": {"@odata.id": "/redfish/v1/SessionService"},
			"Links": {"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}}}`)
		return
	case path == "/redfish/v1/SessionService/Sessions" && r.Method == http.MethodPost:
		b.login(w, r)
		return
	case !b.sessions[r.Header.Get("X-Auth-Token")]:
		failed(w, http.StatusUnauthorized, "There is no valid session established with the implementation.")
		return
	}
	b.resource(w, r, path)
}

func (b *bmc) login(w http.ResponseWriter, r *http.Request) {
	var who struct{ UserName, Password string }
	if err := json.NewDecoder(r.Body).Decode(&who); err != nil || who.UserName != user || who.Password != password {
		failed(w, http.StatusUnauthorized, "The attempt to establish a connection with "+who.UserName+" and "+who.Password+" failed.")
		return
	}
	token := fmt.Sprint("token", len(b.sessions))
	b.sessions[token] = true
	w.Header().Set("X-Auth-Token", token)
	w.Header().Set("Location", b.URL+"/redfish/v1/SessionService/Sessions/"+token)
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"@odata.id": "/redfish/v1/SessionService/Sessions/%s", "@odata.type": "#Session.v1_7_0.Session", "Id": "%s", "Name": "User Session", "UserName": %q}`, token, token, user)
}

func (b *bmc) resource(w http.ResponseWriter, r *http.Request, path string) {
	system, isSystem := strings.CutPrefix(path, "/redfish/v1/Systems/")
	switch {
	case r.Method == http.MethodDelete:
		delete(b.sessions, r.Header.Get("X-Auth-Token"))
		w.WriteHeader(http.StatusNoContent)
	case path == "/redfish/v1/Systems":
		members := make([]map[string]string, b.systems)
		for i := range members {
			members[i] = map[string]string{"@odata.id": fmt.Sprintf("/redfish/v1/Systems/%d", i+1)}
		}
		b.send(w, map[string]any{"@odata.id": path, "@odata.type": "#ComputerSystemCollection.ComputerSystemCollection", "Name": "Computer System Collection",
			"Members@odata.count": len(members), "Members": members})
	case isSystem && r.Method == http.MethodGet:
		b.send(w, b.system(path, system))
	case isSystem && r.Method == http.MethodPatch:
		b.patch(w, r)
	case isSystem && strings.HasSuffix(path, "/Actions/ComputerSystem.Reset") && r.Method == http.MethodPost:
		b.reset(w, r)
	default:
		failed(w, http.StatusNotFound, "The requested resource of type named "+path+" was not found.")
	}
}

func (b *bmc) send(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) } // the client may be gone

func (b *bmc) system(path, id string) map[string]any {
	s := map[string]any{"@odata.id": path, "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem", "Id": id, "Name": "System", "SystemType": "Physical",
		"PowerState": b.power, "Status": map[string]string{"State": "Enabled", "Health": "OK"},
		"Actions": map[string]any{
			"#ComputerSystem.RemoveResourceBlock": map[string]any{"target": path + "/Actions/ComputerSystem.RemoveResourceBlock"},
			"#ComputerSystem.Reset":               map[string]any{"target": path + "/Actions/ComputerSystem.Reset", "ResetType@Redfish.AllowableValues": b.allowed},
		}}
	for k, v := range b.light {
		s[k] = v
	}
	return s
}

func (b *bmc) patch(w http.ResponseWriter, r *http.Request) {
	var change map[string]any
	if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
		failed(w, http.StatusBadRequest, "The request body is malformed.")
		return
	}
	for k, v := range change {
		if _, ok := b.light[k]; !ok {
			failed(w, http.StatusBadRequest, "The property "+k+" is not in the list of valid properties for the resource.")
			return
		}
		b.light[k] = v
	}
	w.WriteHeader(http.StatusNoContent)
}

func (b *bmc) reset(w http.ResponseWriter, r *http.Request) {
	var how struct{ ResetType string }
	_ = json.NewDecoder(r.Body).Decode(&how) // an empty type is refused below
	ok := false
	for _, a := range b.allowed {
		ok = ok || a == how.ResetType
	}
	if !ok {
		failed(w, http.StatusBadRequest, "The value "+how.ResetType+" for the parameter ResetType is not in the list of acceptable values.")
		return
	}
	b.resets = append(b.resets, how.ResetType)
	switch how.ResetType {
	case "On", "PowerCycle", "ForceRestart":
		b.power = "On"
	case "ForceOff":
		b.power = "Off"
	}
	w.WriteHeader(http.StatusNoContent)
}

// seen returns the state, the resets and how many sessions are open, and forgets the resets.
func (b *bmc) seen() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := fmt.Sprintf("%s %v %d", b.power, b.resets, len(b.sessions))
	b.resets = nil
	return s
}
