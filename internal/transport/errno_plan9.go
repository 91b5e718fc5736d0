package transport

import "syscall"

// systemError is the type of the system's errors.
type systemError = syscall.ErrorString
