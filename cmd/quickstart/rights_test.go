package main

import (
	"testing"
	"testing/fstest"
)

func TestWithBindings(t *testing.T) {
	roles, err := loadManifests(fstest.MapFS{"role.yaml": {Data: []byte(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: keeper}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: keeper, namespace: system}
`)}}, "role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Namespace system (role.yaml)",
		"ClusterRole keeper (role.yaml)",
		"Role system/keeper (role.yaml)",
		"ClusterRoleBinding keeper (role.yaml)",
		"RoleBinding system/keeper (role.yaml)",
	}
	got := withBindings(roles)
	if len(got) != len(want) {
		t.Fatalf("there are %v, want %v", got, want)
	}
	for i := range want {
		if got[i].String() != want[i] {
			t.Errorf("object %d is %s, want %s", i, got[i], want[i])
		}
	}
	ref := got[4].object.Object["roleRef"].(map[string]any)
	subject := got[4].object.Object["subjects"].([]any)[0].(map[string]any)
	if ref["kind"] != "Role" || ref["name"] != "keeper" || subject["kind"] != "User" || subject["name"] != operatorUser {
		t.Errorf("%v is bound to %v", ref, subject)
	}
}
