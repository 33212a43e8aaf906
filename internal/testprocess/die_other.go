//go:build !linux

package testprocess

import "syscall"

// DieWithParent does nothing here.
func DieWithParent() *syscall.SysProcAttr { return nil }
