package main

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestKindOf(t *testing.T) {
	const account = "/apis/tokenkeeper.dev/v1alpha1/namespaces/bench/marketplaceaccounts/a"
	for _, test := range []struct{ method, path, want string }{
		{"GET", "/api/v1/namespaces/bench/secrets/a-grant", "read secrets"},
		{"GET", "/api/v1/secrets?limit=500", "read secrets"},
		{"GET", "/api/v1/secrets?watch=true", ""},
		{"GET", "/api/v1/namespaces/bench", "read namespaces"},
		{"POST", "/api/v1/namespaces/bench/secrets", "create secrets"},
		{"PUT", "/api/v1/namespaces/bench/secrets/a-grant", "update secrets"},
		{"PATCH", account + "/status", "patch marketplaceaccounts/status"},
		{"PATCH", account, "patch marketplaceaccounts"},
		{"POST", "/apis/events.k8s.io/v1/namespaces/bench/events", "create events"},
		{"PUT", "/apis/coordination.k8s.io/v1/namespaces/bench/leases/a", ""},
		{"GET", "/apis", ""},
		{"GET", "/api/v1", ""},
	} {
		if got, _ := kindOf(httptest.NewRequest(test.method, test.path, nil)); got != test.want {
			t.Errorf("%s %s is %q, want %q", test.method, test.path, got, test.want)
		}
	}
	counts := requests{"read secrets": 3, "update secrets": 7, "patch marketplaceaccounts/status": 2, "create events": 1}
	if reads, writes, events := counts.sum(); reads != 3 || writes != 9 || events != 1 {
		t.Errorf("the sum is %d reads, %d writes, %d events; want 3, 9, 1", reads, writes, events)
	}
}

func TestCounterCountsWholeRenewals(t *testing.T) {
	c := &counter{counts: requests{}, costs: map[string]requests{}}
	renewal := []string{"read secrets a-grant", "update secrets a-grant", "update secrets a-grant", "update secrets a-token", "patch marketplaceaccounts/status a"}
	note := func(requests ...string) {
		for _, r := range requests {
			at := strings.LastIndexByte(r, ' ')
			c.note(r[:at], r[at+1:])
		}
	}
	note(renewal...)
	c.begin()
	note(renewal[2:]...) // one that began before
	note(renewal...)
	note(renewal...)
	note(renewal[:2]...) // one that ends after
	counts, renewals := c.end()
	if reads, writes, _ := counts.sum(); renewals != 2 || reads != 2 || writes != 8 {
		t.Errorf("%d renewals had %d reads and %d writes; want 2, 2, 8", renewals, reads, writes)
	}
}
