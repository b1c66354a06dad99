package v1alpha1

import "time"

// Duration is a length of time as Go writes it, such as 90s, 12h or 1h30m; empty means not set. It is at
// least a second, because the API stores times by the second, and at most ten years.
//
// It is a string and not a metav1.Duration because a manifest may spell out an unset duration as "",
// and because an object that the API server holds must never fail to decode.
//
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule=`self == "" || (self.matches('^([0-9]{1,5}([.][0-9]{1,9})?h)?([0-9]{1,8}([.][0-9]{1,9})?m)?([0-9]{1,9}([.][0-9]{1,9})?s)?([0-9]{1,9}ms)?$') && duration(self) >= duration('1s') && duration(self) <= duration('87600h'))`,message="must be a duration from 1s to 87600h, such as 90s, 12h or 1h30m"
type Duration string

// DurationOf returns d as the API writes it.
func DurationOf(d time.Duration) Duration {
	return Duration(d.String())
}

// Or returns the length of time, or fallback when none is set.
func (d Duration) Or(fallback time.Duration) time.Duration {
	parsed, err := time.ParseDuration(string(d))
	if err != nil || parsed <= 0 {
		return fallback
	}
	return parsed
}
