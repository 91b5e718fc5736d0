// Package usage gives the programs of this repository, which people run to learn, the same manners: -h prints the help on
// standard output and succeeds, wrong arguments print what is wrong on standard error and exit with 2, and other failures
// exit with 1.
package usage

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// Error is a mistake in the arguments.
type Error struct{ err error }

func (e *Error) Error() string { return e.err.Error() + " (-h prints the help)" }

func (e *Error) Unwrap() error { return e.err }

// Any is any number of arguments.
const Any = -1

// Parse parses the arguments of a program, which are flags only unless it takes a number of others. It prints the help
// if they ask for it, and returns flag.ErrHelp, or an *Error if they are wrong.
func Parse(flags *flag.FlagSet, about string, arguments []string, others int, output io.Writer) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(output, "%s\n\nUsage: %s [-FLAG...]\n", about, flags.Name())
		flags.SetOutput(output)
		flags.PrintDefaults()
		return err
	case err != nil:
	case others == Any:
	case flags.NArg() > others:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(others))
	case flags.NArg() < others:
		err = errors.New("an argument is missing")
	}
	if err != nil {
		return &Error{err}
	}
	return nil
}

// Listen listens on an address that a flag names. Its error names the flag, because another program may use the port.
func Listen(ctx context.Context, flagName, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with -%s (127.0.0.1:0 is any free port)", err, flagName)
	}
	return listener, nil
}

// Run runs a program until it is done or interrupted, and returns its exit code.
func Run(name string, stderr io.Writer, run func(context.Context) error) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	if _, ok := errors.AsType[*Error](err); ok {
		return 2
	}
	return 1
}

// Main is the main function of a program without flags.
func Main(name, about string, run func(ctx context.Context, output io.Writer) error) {
	os.Exit(Run(name, os.Stderr, func(ctx context.Context) error {
		flags := flag.NewFlagSet(name, flag.ContinueOnError)
		if err := Parse(flags, about, os.Args[1:], 0, os.Stdout); err != nil {
			return err
		}
		return run(ctx, os.Stdout)
	}))
}
