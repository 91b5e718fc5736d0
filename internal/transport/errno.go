//go:build !plan9

package transport

import "syscall"

// isErrno reports whether target is for the system's error numbers.
func isErrno(target any) bool {
	_, ok := target.(*syscall.Errno)
	return ok
}
