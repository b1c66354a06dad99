package main

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestOrphaned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		gone := orphaned(func() int {
			if time.Since(begin) < time.Minute {
				return 42
			}
			return 1
		})
		<-gone
		if lived := time.Since(begin); lived < time.Minute || lived > time.Minute+2*time.Second {
			t.Errorf("noticed after %s", lived)
		}
	})
}
