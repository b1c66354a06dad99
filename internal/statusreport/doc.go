// Package statusreport writes the status of an account: in one patch, without the parts that the API server refuses, and later where the news
// can wait while many other writes are under way (docs/design/0002-status-backlog.md).
package statusreport
