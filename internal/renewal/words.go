package renewal

import "time"

// ClockTime is a moment as people read it, in UTC.
func ClockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Date is a day as people read it, in UTC.
func Date(t time.Time) string { return t.UTC().Format("2006-01-02") }
