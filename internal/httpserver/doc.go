// Package httpserver serves HTTP to peers that may be anybody, and bounds how much they can make the process hold: connections, headers,
// time. A listener that is full closes a connection rather than refuse a newcomer, so that peers that fill it do not keep the rest out.
package httpserver
