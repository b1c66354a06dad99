// Package outgoing is the one place from which requests leave for marketplaces and issuers, and the rules that hold for
// every one of them: TLS outside this machine, no redirects, certificates of the system's authorities, and bounds on the
// time that an answer takes and on its headers. The environment names the proxy (HTTPS_PROXY, NO_PROXY) and further
// authorities (SSL_CERT_FILE, SSL_CERT_DIR).
//
//	client := outgoing.NewClient(outgoing.NewTransport(), 30*time.Second)
//
// The linter forbids another http.Client or http.Transport elsewhere in the operator.
package outgoing
