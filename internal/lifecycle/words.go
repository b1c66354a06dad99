package lifecycle

import (
	"time"
)

func ClockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func Date(t time.Time) string { return t.UTC().Format("2006-01-02") }
