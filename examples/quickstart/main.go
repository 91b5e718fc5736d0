// Quickstart teaches the whole life of a connection: link, token, webhooks, reconnection, deletion.
//
//	go run ./examples/quickstart
//
// With nothing set it uses a fake Kombo in the same process. With KOMBO_API_KEY (and KOMBO_REGION, eu or us) set,
// it checks the key with the real Kombo and creates a link to open in a browser; with -token it exchanges the
// activation token at the end of the flow.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/usage"
)

const about = `Shows the whole life of a connection: link, token, webhooks, reconnection, deletion.

With nothing set it uses a fake Kombo. With KOMBO_API_KEY (and KOMBO_REGION, eu or
us) set, it checks the key with the real Kombo and creates a link to open.`

func main() {
	os.Exit(usage.Run("quickstart", os.Stderr, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		return run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	}))
}

func run(ctx context.Context, args []string, getenv func(string) string, output io.Writer) error {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	token := flags.String("token", "", "exchange this activation token of a real connection flow")
	if err := usage.Parse(flags, about, args, 0, output); err != nil {
		return err
	}
	out := &printer{output: output}
	apiKey := getenv("KOMBO_API_KEY")
	switch {
	case apiKey != "":
		var options []kombo.Option
		if region := getenv("KOMBO_REGION"); region != "" {
			options = append(options, kombo.WithRegion(kombo.Region(strings.ToLower(region))))
		}
		client, err := kombo.NewClient(apiKey, options...)
		if err != nil {
			return err
		}
		return realKombo(ctx, client, *token, out)
	case *token != "":
		return errors.New("-token needs KOMBO_API_KEY: the fake Kombo would not know the token")
	}
	return wholeLife(ctx, out)
}

// realKombo shows that the key works, and either makes a link or exchanges a token.
func realKombo(ctx context.Context, client *kombo.Client, token string, out *printer) error {
	key, err := client.CheckAPIKey(ctx)
	if err != nil {
		return err
	}
	out.step("API key", "works, for environment %s", key.EnvironmentID)

	if token != "" {
		integration, err := client.Connect.IntegrationByToken(ctx, token)
		if err != nil {
			return err
		}
		out.step("token exchanged", "integration %s of %s, setup %s",
			integration.ID, integration.EndUserOrganizationName, integration.SetupStatus)
		out.success("%s is connected: store the ID of the integration with the customer.", integration.EndUserOrganizationName)
		return nil
	}
	link, err := client.Connect.CreateLink(ctx, demoRequest())
	if err != nil {
		return err
	}
	// This is the only place where a link is printed whole: somebody has to open it.
	out.step("link", "open it within the hour: %s", link.URL)
	out.success("The key works. Open the link, connect a tool, and exchange the activation token with -token.")
	return nil
}

func demoRequest() kombo.CreateLinkRequest {
	return kombo.CreateLinkRequest{
		EndUserEmail:            "ada@acme.example",
		EndUserOrganizationName: "Acme, Inc.",
		EndUserOriginID:         "42",
		IntegrationCategory:     kombo.CategoryHRIS,
	}
}

// printer writes one numbered line for each step.
type printer struct {
	output io.Writer
	steps  int
}

func (p *printer) step(name, format string, args ...any) {
	p.steps++
	fmt.Fprintf(p.output, "%2d  %-22s %s\n", p.steps, name, fmt.Sprintf(format, args...))
}

// success writes the last line.
func (p *printer) success(format string, args ...any) {
	fmt.Fprintf(p.output, "\n"+format+"\n", args...)
}

// masked shows that there is a secret, but not which.
func masked(secret string) string {
	if before, token, found := strings.Cut(secret, "token="); found {
		return before + "token=" + masked(token)
	}
	if len(secret) < 12 {
		return "…"
	}
	return secret[:3] + "…"
}
