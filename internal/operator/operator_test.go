package operator

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// TestKubernetesWaitsForAShutdown compares the manifest with what an operator may need that has answers to store.
func TestKubernetesWaitsForAShutdown(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "manager", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict(text, &deployment); err != nil {
		t.Fatal(err)
	}
	grace := deployment.Spec.Template.Spec.TerminationGracePeriodSeconds
	if grace == nil || time.Duration(*grace)*time.Second < shutdownTimeout+5*time.Second {
		t.Errorf("terminationGracePeriodSeconds is %v, but a shutdown may take %s", grace, shutdownTimeout)
	}
}
