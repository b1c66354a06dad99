// Package metrics holds every collector of tokenkeeper: its name, help and labels.
//
// Counters and histograms are fed where the work is done. Gauges of an account are read from the cache at
// scrape, so a deleted account leaves no series behind.
package metrics
