package vetting

import "slices"

// left are the names of the parts that were left out.
type left struct{ out []string }

func (l *left) leave(name string) {
	if !slices.Contains(l.out, name) {
		l.out = append(l.out, name)
	}
}

// keep returns of a list the last ones, and of these the ones that fit. It leaves the list as it is.
func keep[T any](l *left, where string, list []T, fits func(T) bool) []T {
	return keepLast(l, where, list, most, fits)
}

func keepLast[T any](l *left, where string, list []T, atMost int, fits func(T) bool) []T {
	if len(list) <= atMost && all(list, fits) {
		return list
	}
	l.leave(where)
	last := slices.Clone(list[max(0, len(list)-atMost):])
	return slices.DeleteFunc(last, func(item T) bool { return !fits(item) })
}
