// Package httpserver serves HTTP to peers that may be anybody, and bounds what they can make the process hold: connections, headers,
// time. A listener that is full closes a connection rather than refuse a newcomer, so that whoever fills it does not keep others out.
package httpserver
