package main

import (
	"net"
	"strings"
	"testing"
)

func TestThePortalIsAnotherSiteThanTheMarketplace(t *testing.T) {
	p, err := newPortal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(p.address)
	if err != nil {
		t.Fatal(err)
	}
	if host != "127.0.0.1" || p.url != "http://localhost:"+port || strings.HasSuffix(p.url, ":0") {
		t.Errorf("it listens on %s and is found at %s", p.address, p.url)
	}
}
