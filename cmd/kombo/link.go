package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/kombo-go/kombo"
)

var linkCommand = command{
	name: "link", summary: "make a connection link",
	about: `Makes a link with which a customer connects a tool, and prints it. Whoever has
the link can use it: hand it to the customer only. It is valid for one hour, a
magic link for one year.`,
	setup: func(flags *flag.FlagSet) runner {
		var request kombo.CreateLinkRequest
		flags.StringVar(&request.EndUserEmail, "email", "", "the `address` of the person who connects; required")
		flags.StringVar(&request.EndUserOrganizationName, "org", "", "the `name` of that person's organization; required")
		flags.StringVar(&request.EndUserOriginID, "origin", "", "your own `id` of the customer")
		category := flags.String("category", "", "the `kind` of tool: hris (default), ats, assessment, lms")
		flags.StringVar(&request.IntegrationTool, "tool", "", "the one tool to connect, a `slug` such as personio")
		flags.StringVar(&request.RemoteEnvironment, "tool-env", "", "the environment `name` of the tool")
		flags.StringVar(&request.ScopeConfigID, "scope", "", "the `id` of the scope config")
		flags.BoolVar(&request.EnableFiltering, "filtering", false, "let the customer choose what is synced")
		flags.BoolVar(&request.EnableFieldMapping, "mapping", false, "let the customer map fields")
		flags.BoolVar(&request.EnableStaticIPs, "static-ips", false, "call the tool from fixed addresses, and print them")
		linkType, language := linkFlags(flags)
		return func(ctx context.Context, e *env, _ []string) error {
			switch {
			case request.EndUserEmail == "":
				return &usageError{errors.New("give the -email of the person who connects")}
			case request.EndUserOrganizationName == "":
				return &usageError{errors.New("give the name of the organization with -org")}
			}
			client, err := e.client()
			if err != nil {
				return err
			}
			request.IntegrationCategory = kombo.Category(strings.ToUpper(*category))
			request.LinkType, request.Language = linkType(), language()
			link, err := client.Connect.CreateLink(ctx, request)
			return e.printLink(link, err)
		}
	},
}

var relinkCommand = command{
	name: "relink", arguments: "ID", summary: "make a link to reconnect an integration",
	about: `Makes a link with which the customer enters new credentials for an integration,
and prints it. Whoever has the link can use it: hand it to the customer only. It
is valid for one hour, a magic link for one year.`,
	setup: func(flags *flag.FlagSet) runner {
		var request kombo.RelinkRequest
		flags.StringVar(&request.ScopeConfigID, "scope", "", "the `id` of the scope config to change to")
		linkType, language := linkFlags(flags)
		return func(ctx context.Context, e *env, args []string) error {
			client, err := e.client()
			if err != nil {
				return err
			}
			request.LinkType, request.Language = linkType(), language()
			link, err := client.Integrations.Relink(ctx, args[0], request)
			return e.printLink(link, err)
		}
	},
}

// linkFlags defines the flags that both kinds of link have.
func linkFlags(flags *flag.FlagSet) (linkType func() kombo.LinkType, language func() kombo.Language) {
	magic := flags.Bool("magic", false, "make a magic link, to send by e-mail")
	lang := flags.String("lang", "", "the `language` of the flow: en (default), de, fr, it, es")
	linkType = func() kombo.LinkType {
		if *magic {
			return kombo.LinkTypeMagicLink
		}
		return kombo.LinkTypeEmbedded
	}
	return linkType, func() kombo.Language { return kombo.Language(strings.ToLower(*lang)) }
}

// printLink prints a link, which is printed nowhere else.
func (e *env) printLink(link *kombo.Link, err error) error {
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(link)
	}
	fmt.Fprintln(e.stdout, printable(link.URL))
	for _, address := range link.StaticIPs {
		fmt.Fprintln(e.stdout, printable(address))
	}
	return nil
}
