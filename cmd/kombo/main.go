// Kombo works with Kombo Connect from the command line: it runs a fake Kombo, checks an API key, makes connection
// links, operates integrations, reads lists, and sends, verifies, receives and replays webhooks. It needs no project
// in Go:
//
//	go run github.com/kombo-go/kombo/cmd/kombo@latest sandbox
//
// The commands are
//
//	sandbox    run a fake Kombo with a dashboard
//	check      test the API key, the region and the network
//	link       make a connection link
//	relink     make a link to reconnect an integration
//	get        show an integration
//	enable     switch an integration on
//	disable    switch an integration off
//	sync       start a sync
//	delete     end an integration for good
//	list       read a list as JSON lines
//	send       post a signed event to a receiver of webhooks
//	verify     check the signature of a webhook, and why it is wrong
//	listen     receive, store and forward webhooks
//	replay     send stored webhooks again
//
// "kombo help COMMAND" describes one of them. Secrets come from the environment only, because other users of the
// machine can read the arguments of a program: KOMBO_API_KEY, KOMBO_REGION (eu or us), KOMBO_BASE_URL and
// KOMBO_WEBHOOK_SECRET. They are never printed.
//
// # Exit codes
//
//	0    success
//	1    failure, for example a webhook that is not valid or was not accepted
//	2    wrong usage: a flag, an argument or an environment variable; nothing was sent
//	3    Kombo rejects the API key, or the address that it is used from
//	4    Kombo does not know the integration
//	5    no response: no network, no such host, or a timeout
//	130  interrupted
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/kombo-go/kombo"
)

// The exit codes are documented above, and in the help.
const (
	exitOK             = 0
	exitFailure        = 1
	exitUsage          = 2
	exitAuthentication = 3
	exitNotFound       = 4
	exitNetwork        = 5
	exitInterrupted    = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, newEnv(), os.Args[1:]))
}

// run runs a command, and returns the exit code.
func run(ctx context.Context, e *env, args []string) int {
	err := dispatch(ctx, e, args)
	if err == nil {
		return exitOK
	}
	// Whatever the error of an interrupted command is, the interruption is the cause.
	if ctx.Err() != nil {
		err = errInterrupted
	}
	e.printError(err)
	return exitCode(err)
}

// errInterrupted is the error of a command that was interrupted before it was done.
var errInterrupted = errors.New("interrupted")

// usageError is a mistake of the caller, found before anything is sent.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

// reportedError is an error that the output of the command describes already.
type reportedError struct{ error }

func (e *reportedError) Unwrap() error { return e.error }

func exitCode(err error) int {
	kerr, _ := errors.AsType[*kombo.Error](err)
	_, usage := errors.AsType[*usageError](err)
	switch {
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case usage, kerr != nil && kerr.Attempts == 0 && errors.Is(err, kombo.ErrInvalidInput):
		return exitUsage
	case errors.Is(err, kombo.ErrAuthentication), errors.Is(err, kombo.ErrIPNotAllowed):
		return exitAuthentication
	case errors.Is(err, kombo.ErrIntegrationNotFound):
		return exitNotFound
	case errors.Is(err, kombo.ErrNetwork), errors.Is(err, errNoResponse):
		return exitNetwork
	}
	return exitFailure
}
