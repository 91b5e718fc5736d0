package transport

import "syscall"

// isErrno reports whether target is for the system's errors, which are strings in Plan 9.
func isErrno(target any) bool {
	_, ok := target.(*syscall.ErrorString)
	return ok
}
