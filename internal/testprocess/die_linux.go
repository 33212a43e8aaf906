package testprocess

import "syscall"

// DieWithParent has the kernel kill the child when a test binary ends without its cleanups, in a panic or a timeout.
func DieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
