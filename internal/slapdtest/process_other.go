//go:build !linux

package slapdtest

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
