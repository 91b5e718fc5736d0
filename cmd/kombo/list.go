package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
)

var listCommand = command{
	name: "list", arguments: "PATH", summary: "read a list as JSON lines",
	about: `Reads a list of Kombo's API, one item a line. Pages are fetched as needed. PATH
is the route, for example:

  kombo list /hris/employees -integration ID -updated-after 24h
  kombo list /ats/applications -integration ID -filter job_ids=J1,J2`,
	setup: func(flags *flag.FlagSet) runner {
		var request kombo.ListRequest
		flags.StringVar(&request.IntegrationID, "integration", "", "the `id` of the integration")
		flags.Func("updated-after", "changed since a `time`: RFC 3339, a date, or 24h", setTime(&request.UpdatedAfter, time.Now()))
		flags.BoolVar(&request.IncludeDeleted, "deleted", false, "also what was deleted")
		flags.Func("ids", "only these `ids` of Kombo, separated by commas", setList(&request.IDs))
		flags.Func("remote-ids", "only these `ids` of the tool, separated by commas", setList(&request.RemoteIDs))
		flags.Func("value", "fills the next {placeholder} of PATH (repeatable)", func(value string) error {
			request.PathValues = append(request.PathValues, value)
			return nil
		})
		flags.Func("filter", "a further parameter, `name=value` (repeatable)", func(text string) error {
			name, value, ok := strings.Cut(text, "=")
			if !ok || name == "" {
				return errors.New("not of the form name=value")
			}
			if request.Filters == nil {
				request.Filters = url.Values{}
			}
			request.Filters.Add(name, value)
			return nil
		})
		flags.IntVar(&request.PageSize, "page-size", 0, "the `number` of items in a page, at most 250")
		limit := flags.Int("limit", 0, "stop after a `number` of items")
		return func(ctx context.Context, e *env, args []string) error {
			if *limit < 0 {
				return &usageError{errors.New("-limit is negative")}
			}
			client, err := e.client()
			if err != nil {
				return err
			}
			request.Path = args[0]
			return e.list(ctx, client, request, *limit)
		}
	},
}

func (e *env) list(ctx context.Context, client *kombo.Client, request kombo.ListRequest, limit int) error {
	line := e.progress()
	defer line.end()
	begin, items := time.Now(), 0
	var compact bytes.Buffer
	for item, err := range kombo.List[json.RawMessage](ctx, client, request) {
		if err != nil {
			return err
		}
		compact.Reset()
		if err := json.Compact(&compact, item); err != nil {
			return err
		}
		compact.WriteByte('\n')
		if _, err := e.stdout.Write(compact.Bytes()); err != nil {
			return err
		}
		items++
		line.show(func() string { return fmt.Sprintf("%d items in %s", items, time.Since(begin).Round(time.Second)) })
		if items == limit {
			break
		}
	}
	return nil
}

// setTime returns the function of a flag that takes a time, a date, or how long ago it was.
func setTime(target *time.Time, now time.Time) func(string) error {
	return func(text string) error {
		if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
			*target = now.Add(-ago)
			return nil
		}
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if parsed, err := time.Parse(layout, text); err == nil {
				*target = parsed
				return nil
			}
		}
		return errors.New("not a time such as 2026-05-04T03:02:01Z, 2026-05-04 or 24h")
	}
}

// setList returns the function of a flag that takes several values, separated by commas.
func setList(target *[]string) func(string) error {
	return func(text string) error {
		for value := range strings.SplitSeq(text, ",") {
			if value == "" {
				return errors.New("a value is empty")
			}
			*target = append(*target, value)
		}
		return nil
	}
}
