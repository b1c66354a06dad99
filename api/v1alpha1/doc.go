// Package v1alpha1 is the API that users of tokenkeeper write and read: the MarketplaceAccount and
// Marketplace kinds, every condition and reason, and the names of labels, annotations and Secret keys.
//
// It knows no client, no clock and no token: it imports nothing but apimachinery, so that other
// programs can depend on it cheaply.
//
// The rules in its markers write the empty string with double quotes: gofmt turns two single quotes in
// a comment into a typographic one, and the rule would no longer compile.
//
// +kubebuilder:object:generate=true
// +groupName=tokenkeeper.dev
package v1alpha1
