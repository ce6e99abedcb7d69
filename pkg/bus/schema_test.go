package bus

import (
	"testing"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

func TestSchema(t *testing.T) {
	got := schemaText((&inventoryv1.DiffRequest{}).ProtoReflect().Descriptor())
	if want := `{"additionalProperties":false,"properties":{"command_id":{"type":"string"},"revision":{"type":["integer","string"]},"to":{"type":["integer","string"]}},"type":"object"}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	set := schemaOf((&inventoryv1.BmcsetupAddRequest{}).ProtoReflect().Descriptor(), nil)["properties"].(map[string]any)
	if p := set["password"].(map[string]any); p["writeOnly"] != true || set["user"].(map[string]any)["writeOnly"] != nil {
		t.Errorf("%v", set)
	}
	job := schemaOf((&jobv1.Job{}).ProtoReflect().Descriptor(), nil)["properties"].(map[string]any)
	if names, _ := job["state"].(map[string]any)["enum"].([]string); len(names) < 2 {
		t.Errorf("%v", job["state"])
	}
	if results := job["results"].(map[string]any); results["type"] != "array" || results["items"].(map[string]any)["type"] != "object" {
		t.Errorf("%v", results)
	}
}
