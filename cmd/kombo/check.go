package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
)

var checkCommand = command{
	name: "check", summary: "test the API key, the region and the network",
	about: `Checks whether KOMBO_API_KEY is accepted in KOMBO_REGION (default: eu), or by
the server at KOMBO_BASE_URL, and says what to do if it is not. If the region
rejects the key, the other region is tried.`,
	setup: func(*flag.FlagSet) runner { return check },
}

// finding is a line of the result of a check.
type finding struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Detail string `json:"detail"`
}

// The results of a check.
const (
	checkOK      = "ok"
	checkFailed  = "failed"
	checkUnknown = "unknown"
)

func check(ctx context.Context, e *env, _ []string) error {
	begin := time.Now()
	environment, err := e.checkKey(ctx)
	duration := time.Since(begin).Round(time.Millisecond)
	if _, called := errors.AsType[*kombo.Error](err); ctx.Err() != nil || err != nil && !called {
		return err
	}
	findings := []finding{
		{"network", checkOK, fmt.Sprintf("%s responds in %s", e.server(), duration)},
		{"region", checkOK, e.server()},
		{"key", checkOK, "accepted, for the environment " + printable(environment)},
	}
	network, region, key := &findings[0], &findings[1], &findings[2]
	switch {
	case err == nil:
	case errors.Is(err, kombo.ErrNetwork):
		*network = finding{"network", checkFailed, e.server() + " does not respond: check the address, DNS, HTTPS_PROXY and the firewall"}
		region.Result, key.Result, key.Detail = checkUnknown, checkUnknown, "not checked"
	case errors.Is(err, kombo.ErrIPNotAllowed):
		*key = finding{"key", checkFailed, "not allowed from this address: see the allow list in Kombo's dashboard"}
	case !errors.Is(err, kombo.ErrAuthentication):
		region.Result, key.Result, key.Detail = checkUnknown, checkUnknown, "not checked: the response is an error, see below"
	case e.getenv(varBaseURL) != "":
		region.Result = checkUnknown
		*key = finding{"key", checkFailed, "rejected: check " + varAPIKey + ", and whether it belongs to this server"}
	default:
		e.checkOtherRegion(ctx, region, key)
	}
	if printErr := e.printFindings(findings); printErr != nil {
		return printErr
	}
	return err
}

// checkKey returns the environment of the API key.
func (e *env) checkKey(ctx context.Context) (environment string, err error) {
	client, err := e.client(kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 2}), kombo.WithTimeout(15*time.Second))
	if err != nil {
		return "", err
	}
	info, err := client.CheckAPIKey(ctx)
	if err != nil {
		return "", err
	}
	return info.EnvironmentID, nil
}

// checkOtherRegion finds out whether a key that was rejected belongs to the other region.
func (e *env) checkOtherRegion(ctx context.Context, region, key *finding) {
	other := kombo.RegionUS
	if e.region() == kombo.RegionUS {
		other = kombo.RegionEU
	}
	elsewhere := *e
	elsewhere.getenv = func(name string) string {
		if name == varRegion {
			return string(other)
		}
		return e.getenv(name)
	}
	environment, err := elsewhere.checkKey(ctx)
	switch {
	case err == nil:
		*region = finding{"region", checkFailed, fmt.Sprintf("the key belongs to the region %s: set %s=%s", other, varRegion, other)}
		*key = finding{"key", checkOK, fmt.Sprintf("accepted by the region %s, for the environment %s", other, printable(environment))}
	case errors.Is(err, kombo.ErrAuthentication):
		*region = finding{"region", checkUnknown, fmt.Sprintf("the region %s rejects the key, too", other)}
		*key = finding{"key", checkFailed, "rejected: make a new one on the secrets page of Kombo's dashboard"}
	default:
		*region = finding{"region", checkUnknown, fmt.Sprintf("the region %s could not be tried", other)}
		*key = finding{"key", checkFailed, fmt.Sprintf("rejected by the region %s", e.region())}
	}
}

func (e *env) printFindings(findings []finding) error {
	if e.json {
		return e.printJSON(findings)
	}
	colors := map[string]int{checkOK: green, checkFailed: red, checkUnknown: yellow}
	for _, f := range findings {
		fmt.Fprintf(e.stdout, "%-7s  %s  %s\n", f.Name, e.colored(colors[f.Result], fmt.Sprintf("%-7s", f.Result)), f.Detail)
	}
	return nil
}

// server names the server of the environment. A base URL has no password: the client rejects one that has.
func (e *env) server() string {
	if baseURL := e.getenv(varBaseURL); baseURL != "" {
		return baseURL
	}
	return fmt.Sprintf("Kombo's region %s", e.region())
}

func (e *env) region() kombo.Region {
	return cmp.Or(kombo.Region(strings.ToLower(e.getenv(varRegion))), kombo.RegionEU)
}
