package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a program that is measured: the operator, or the floor.
type process struct{ *exec.Cmd }

// alive tells whether the process still runs.
func (p process) alive() error {
	state, err := p.stat()
	if err != nil || state[0] == "Z" {
		return errors.New("the program that is measured has ended")
	}
	return nil
}

// stat are the fields of /proc/<pid>/stat that follow the program's name, of which proc(5) calls the first the third.
func (p process) stat() ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		return nil, fmt.Errorf("looking at the process: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return nil, fmt.Errorf("looking at the process: %q is short", text)
	}
	return fields, nil
}

// cpu is how much processor time the process has used. The kernel counts in hundredths of a second (USER_HZ).
func (p process) cpu() (time.Duration, error) {
	fields, err := p.stat()
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("looking at the process: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// resident is the memory of the process in MiB, and peak the most that it ever was.
func (p process) resident() (now, peak float64, err error) {
	path := fmt.Sprintf("/proc/%d/status", p.Process.Pid)
	for key, value := range map[string]*float64{"VmRSS": &now, "VmHWM": &peak} {
		var kib float64
		if _, err := fmt.Sscanf(fromFile(path, key), "%f kB", &kib); err != nil {
			return 0, 0, fmt.Errorf("looking at the memory of the process: %w", err)
		}
		*value = kib / 1024
	}
	return now, peak, nil
}
