package main

import (
	"context"
	"fmt"
	"net"
)

// portal is where the operator serves its pages for people.
type portal struct {
	address string // to listen on
	url     string // without a trailing slash
}

// newPortal takes a free port. Browsers take http://localhost for as secure as https, else they would not keep the
// portal's cookies, and for another site than the demo marketplace at 127.0.0.1, so that all is as it is between a portal
// and a real one.
func newPortal(ctx context.Context) (portal, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return portal{}, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return portal{}, fmt.Errorf("reading the portal's address: %w", err)
	}
	return portal{address: address, url: "http://localhost:" + port}, nil
}
