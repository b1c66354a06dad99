package main

import (
	"testing"
	"time"
)

func TestFullest(t *testing.T) {
	even := func(n int) (moments []time.Time) {
		for i := range n {
			moments = append(moments, second(i))
		}
		return moments
	}
	for name, test := range map[string]struct {
		moments []time.Time
		want    float64
	}{
		"none":                  {nil, 0},
		"all at once":           {[]time.Time{second(5), second(5), second(5)}, 1},
		"evenly":                {even(101)[:100], 1},
		"half of them in a bit": {append(even(100), even(10)...), 2 * 10 / 11.0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fullest(test.moments, 9900*time.Millisecond); got < test.want-0.02 || got > test.want+0.02 {
				t.Errorf("the fullest is %.3f of the mean, want %.3f", got, test.want)
			}
		})
	}
}
