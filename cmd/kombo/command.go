package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/kombo-go/kombo"
)

// command is one command of the program.
type command struct {
	name string
	// arguments are the arguments of the usage line, such as "ID". Those in brackets are optional.
	arguments string
	summary   string
	// about is the rest of the help, in lines of at most 80 characters.
	about string
	// setup defines the flags, and returns the function that runs the command with them.
	setup func(*flag.FlagSet) runner
	// isArgument reports whether an argument that begins with a hyphen is no flag. It may be nil.
	isArgument func(string) bool
}

// runner runs a command. It returns when it is done, or soon after ctx ends.
type runner func(ctx context.Context, e *env, args []string) error

// commands returns the commands in the order of the help.
func commands() []command {
	return []command{
		sandboxCommand,
		checkCommand,
		linkCommand,
		relinkCommand,
		getCommand,
		enableCommand,
		disableCommand,
		syncCommand,
		deleteCommand,
		listCommand,
		sendCommand,
		verifyCommand,
		listenCommand,
		replayCommand,
	}
}

// dispatch runs the command that args name.
func dispatch(ctx context.Context, e *env, args []string) error {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	switch name {
	case "":
		printHelp(e.stderr)
		return &usageError{errors.New("give a command")}
	case "help", "-h", "-help", "--help":
		return help(e, args[1:])
	case "version", "-version", "--version":
		fmt.Fprintln(e.stdout, "kombo", version())
		return nil
	}
	c, err := find(name)
	if err != nil {
		return err
	}
	e.command = c.name
	return c.run(ctx, e, args[1:])
}

func find(name string) (command, error) {
	known := commands()
	i := slices.IndexFunc(known, func(c command) bool { return c.name == name })
	if i < 0 {
		return command{}, &usageError{fmt.Errorf("there is no command %q", name)}
	}
	return known[i], nil
}

func help(e *env, args []string) error {
	if len(args) == 0 {
		printHelp(e.stdout)
		return nil
	}
	c, err := find(args[0])
	if err == nil {
		flags, _ := c.flags(e)
		c.printHelp(e.stdout, flags)
	}
	return err
}

// version returns the version of the module, unless the program was built from a work tree.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		return info.Main.Version
	}
	return "v" + kombo.Version
}

func (c command) flags(e *env) (*flag.FlagSet, runner) {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&e.json, "json", false, "print JSON, also of an error")
	return flags, c.setup(flags)
}

func (c command) run(ctx context.Context, e *env, args []string) error {
	flags, runner := c.flags(e)
	arguments, err := c.parse(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		c.printHelp(e.stdout, flags)
		return nil
	}
	if err == nil {
		err = c.checkCount(arguments)
	}
	if err != nil {
		return &usageError{err}
	}
	return runner(ctx, e, arguments)
}

// parse returns the arguments that are no flags. Flags may come before, between and after them.
func (c command) parse(flags *flag.FlagSet, args []string) (arguments []string, err error) {
	if c.isArgument != nil {
		arguments = slices.Clone(args)
		arguments = slices.DeleteFunc(arguments, func(arg string) bool { return !c.isArgument(arg) })
		args = slices.DeleteFunc(slices.Clone(args), c.isArgument)
	}
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if parsed := len(args) - len(rest); parsed > 0 && args[parsed-1] == "--" {
			return append(arguments, rest...), nil
		}
		if len(rest) == 0 {
			break
		}
		arguments, args = append(arguments, rest[0]), rest[1:]
	}
	return arguments, nil
}

func (c command) checkCount(arguments []string) error {
	wanted := strings.Fields(c.arguments)
	required := len(wanted) - strings.Count(c.arguments, "[")
	switch {
	case len(arguments) > len(wanted):
		return fmt.Errorf("%q is one argument too many", arguments[len(wanted)])
	case len(arguments) < required:
		return errors.New("give " + strings.NewReplacer("[", "", "]", "").Replace(c.arguments))
	case slices.Contains(arguments, ""):
		return errors.New("an argument is empty")
	}
	return nil
}

func printHelp(w io.Writer) {
	fmt.Fprint(w, "Kombo works with Kombo Connect from the command line.\n\nUsage: kombo COMMAND [ARGUMENT...] [-FLAG...]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-8s  %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, `
"kombo help COMMAND" describes a command. Settings come from the environment:
KOMBO_API_KEY, KOMBO_REGION (eu or us), KOMBO_BASE_URL, KOMBO_WEBHOOK_SECRET.
Exit codes: 0 success, 1 failure, 2 wrong usage, 3 API key rejected, 4 no such
integration, 5 no response, 130 interrupted.
`)
}

func (c command) printHelp(w io.Writer, flags *flag.FlagSet) {
	usage := "kombo " + c.name
	if c.arguments != "" {
		usage += " " + c.arguments
	}
	fmt.Fprintf(w, "Usage: %s [-FLAG...]\n\n%s\n\n", usage, c.about)
	flags.VisitAll(func(f *flag.Flag) {
		placeholder, text := flag.UnquoteUsage(f)
		if !slices.Contains([]string{"", "0", "false"}, f.DefValue) {
			text += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(w, "  %-22s  %s\n", strings.TrimSpace("-"+f.Name+" "+strings.ToUpper(placeholder)), text)
	})
}
