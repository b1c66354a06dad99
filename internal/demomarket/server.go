package demomarket

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// SetBaseURL tells the server its own address, which is known only once it listens there.
func (s *Server) SetBaseURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = strings.TrimSuffix(url, "/")
}

// BaseURL is the address of the server as the client of r knows it.
func (s *Server) BaseURL(r *http.Request) string {
	s.mu.Lock()
	base := s.base
	s.mu.Unlock()
	if base != "" {
		return base
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// random returns a value of 256 random bits. Its alphabet holds characters that must be escaped in a form, so that a
// client which forgets to is found out.
func (s *Server) random() (string, error) {
	bits, err := s.randomBits()
	return base64.StdEncoding.EncodeToString(bits[:]), err
}

// randomBits returns 256 of them.
func (s *Server) randomBits() ([32]byte, error) {
	var bits [32]byte
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := io.ReadFull(s.rand, bits[:]); err != nil {
		return bits, fmt.Errorf("reading random bits: %w", err)
	}
	return bits, nil
}
