// Package recall has the custody remember the values of Secrets that users wrote, but for their secrets, so that a process that starts need
// not read them while nothing has changed and no marketplace is asked. It is pure: values in, values out.
package recall
