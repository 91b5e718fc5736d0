//go:build !plan9

package transport

import "syscall"

// systemError is the type of the system's errors.
type systemError = syscall.Errno
