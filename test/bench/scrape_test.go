package main

import "testing"

func TestSumOf(t *testing.T) {
	page := []byte(`# HELP apiserver_request_total Counter of apiserver requests.
apiserver_request_total{code="200",resource="secrets",verb="GET"} 17
apiserver_request_total{code="404",resource="secrets",verb="GET"} 2
apiserver_request_total{code="200",resource="secrets",verb="LIST"} 100
apiserver_request_total{code="200",resource="leases",verb="GET"} 1000
apiserver_request_total_of_another{resource="secrets",verb="GET"} 10000
`)
	if sum, err := sumOf(page, "apiserver_request_total", `resource="secrets"`, `verb="GET"`); err != nil || sum != 19 {
		t.Errorf("the sum is %v, %v; want 19", sum, err)
	}
	if _, err := sumOf([]byte("apiserver_request_total{} much\n"), "apiserver_request_total"); err == nil {
		t.Error("a value that is no number is read")
	}
}
