package main

import (
	"syscall"
)

// apart gives a child a process group of its own, and its death when this program dies without having stopped it.
// Linux ties that to the thread that starts the child; threads of Go programs live as long as the program, unless one
// is locked to a goroutine, which nothing here does.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
