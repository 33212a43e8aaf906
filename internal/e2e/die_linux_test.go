package e2e

import "syscall"

// dieWithParent has the kernel kill the child when this process ends without its cleanups, in a panic or a timeout.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
