package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
)

var getCommand = command{
	name: "get", arguments: "ID", summary: "show an integration",
	about: `Shows an integration: its tool, its state, whose it is, and what Kombo can read
and write. With -json it prints everything that Kombo returns.`,
	setup: func(*flag.FlagSet) runner { return get },
}

var enableCommand = command{
	name: "enable", arguments: "ID", summary: "switch an integration on",
	about: `Switches an integration on again. Its credentials and configuration were kept.`,
	setup: func(*flag.FlagSet) runner { return setEnabled(true) },
}

var disableCommand = command{
	name: "disable", arguments: "ID", summary: "switch an integration off",
	about: `Switches an integration off, which cancels its running syncs. Its credentials
and configuration are kept.`,
	setup: func(*flag.FlagSet) runner { return setEnabled(false) },
}

var syncCommand = command{
	name: "sync", arguments: "ID", summary: "start a sync",
	about: `Starts a sync of an integration, and prints its ID. Kombo syncs on its own
schedule: use this for exceptions.`,
	setup: func(flags *flag.FlagSet) runner {
		delta := flags.Bool("delta", false, "read only what has changed")
		return func(ctx context.Context, e *env, args []string) error {
			client, err := e.client()
			if err != nil {
				return err
			}
			syncType := kombo.SyncFull
			if *delta {
				syncType = kombo.SyncDelta
			}
			sync, err := client.Integrations.Sync(ctx, args[0], syncType)
			switch {
			case err != nil:
				return err
			case e.json:
				return e.printJSON(sync)
			case sync.AlreadyQueued:
				fmt.Fprintf(e.stdout, "%s was already queued (%s)\n", printable(sync.ID), printable(string(sync.Type)))
			default:
				fmt.Fprintf(e.stdout, "%s is queued (%s)\n", printable(sync.ID), printable(string(sync.Type)))
			}
			return nil
		}
	},
}

var deleteCommand = command{
	name: "delete", arguments: "ID", summary: "end an integration for good",
	about: `Deletes an integration, which cannot be undone. It shows whose integration it
is, and asks for the ID to be typed.`,
	setup: func(flags *flag.FlagSet) runner {
		yes := flags.Bool("yes", false, "do not ask")
		return func(ctx context.Context, e *env, args []string) error {
			id := args[0]
			client, err := e.client()
			if err != nil {
				return err
			}
			if !*yes {
				if err := e.confirmDelete(ctx, client, id); err != nil {
					return err
				}
			}
			if err := client.Integrations.Delete(ctx, id); err != nil {
				return err
			}
			if e.json {
				return e.printJSON(map[string]any{"id": id, "deleted": true})
			}
			fmt.Fprintf(e.stdout, "%s is deleted\n", printable(id))
			return nil
		}
	},
}

// confirmDelete returns an error unless the ID is typed.
func (e *env) confirmDelete(ctx context.Context, client *kombo.Client, id string) error {
	i, err := client.Integrations.Get(ctx, id)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "This deletes %s of %s (%s) for good.\nType the ID to delete it: ",
		printable(i.Tool.Label), printable(i.EndUser.OrganizationName), printable(string(i.Status)))
	typed, err := bufio.NewReader(io.LimitReader(e.input(ctx), 1<<16)).ReadString('\n')
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case strings.TrimSpace(typed) != id:
		return errors.New("that is not the ID; nothing was deleted")
	}
	return nil
}

func setEnabled(enabled bool) runner {
	return func(ctx context.Context, e *env, args []string) error {
		client, err := e.client()
		if err != nil {
			return err
		}
		if err := client.Integrations.SetEnabled(ctx, args[0], enabled); err != nil {
			return err
		}
		if e.json {
			return e.printJSON(map[string]any{"id": args[0], "enabled": enabled})
		}
		state := "disabled"
		if enabled {
			state = "enabled"
		}
		fmt.Fprintf(e.stdout, "%s is %s\n", printable(args[0]), state)
		return nil
	}
}

func get(ctx context.Context, e *env, args []string) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	if e.json { // all members, also those that the SDK does not know
		response, err := kombo.Call[json.RawMessage](ctx, client, kombo.Request{
			Path: "/integrations/{integration_id}", PathValues: []string{args[0]},
		})
		if err != nil {
			return err
		}
		return e.printJSON(response.Data)
	}
	i, err := client.Integrations.Get(ctx, args[0])
	if err != nil {
		return err
	}
	models, actions := 0, 0
	for _, model := range i.ReadModels {
		if model.IsAvailable {
			models++
		}
	}
	for _, action := range i.WriteActions {
		if action.IsAvailable {
			actions++
		}
	}
	expired := ""
	if i.DataExpiredAt != nil {
		expired = i.DataExpiredAt.Format(time.RFC3339)
	}
	for _, row := range [][2]string{
		{"ID", i.ID},
		{"Tool", i.Tool.Label + " (" + i.Tool.ID + ")"},
		{"Category", string(i.Category)},
		{"Status", string(i.Status)},
		{"Setup", string(i.SetupStatus)},
		{"Organization", i.EndUser.OrganizationName},
		{"E-mail", i.EndUser.CreatorEmail},
		{"Origin ID", i.EndUser.OriginID},
		{"Scope config", i.ScopeConfig.Name + " (" + i.ScopeConfig.ID + ")"},
		{"Created", i.CreatedAt.Format(time.RFC3339)},
		{"Data expired", expired},
		{"Read models", fmt.Sprintf("%d of %d available", models, len(i.ReadModels))},
		{"Write actions", fmt.Sprintf("%d of %d available", actions, len(i.WriteActions))},
	} {
		if row[1] == "" {
			continue
		}
		text := printable(row[1])
		if row[0] == "Status" {
			text = e.colored(stateColors[i.Status], text)
		}
		fmt.Fprintf(e.stdout, "%-13s  %s\n", row[0], text)
	}
	if i.Status == kombo.StateInvalid {
		fmt.Fprintln(e.stderr, `The credentials no longer work. "kombo relink ID" makes a link for the customer.`)
	}
	return nil
}

var stateColors = map[kombo.State]int{kombo.StateActive: green, kombo.StateInvalid: red, kombo.StateInactive: yellow}
