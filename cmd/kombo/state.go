package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/kombo-go/kombo/kombotest"
)

// stateFile keeps the integrations of a sandbox across restarts. One without a name keeps nothing.
type stateFile struct {
	name    string
	changed chan struct{}
	written []byte
}

type sandboxState struct {
	Integrations []kombotest.Integration `json:"integrations"`
}

func newStateFile(name string) *stateFile {
	return &stateFile{name: name, changed: make(chan struct{}, 1)}
}

// load returns what the file contains; a file that does not exist contains nothing.
func (f *stateFile) load() (loaded sandboxState, err error) {
	if f.name == "" {
		return loaded, nil
	}
	content, err := os.ReadFile(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return loaded, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &loaded)
	}
	if err != nil {
		return loaded, fmt.Errorf("-state %s: %w", f.name, err)
	}
	return loaded, nil
}

// notify wakes keep, because something may have changed. It does not wait.
func (f *stateFile) notify() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// keep writes the file after each change, until ctx ends.
func (f *stateFile) keep(ctx context.Context, server *kombotest.Server) error {
	for {
		select {
		case <-ctx.Done():
			return f.write(server.Integrations())
		case <-f.changed:
			if err := f.write(server.Integrations()); err != nil {
				return err
			}
		}
	}
}

func (f *stateFile) write(integrations []kombotest.Integration) error {
	content, err := json.MarshalIndent(sandboxState{integrations}, "", "  ")
	if err != nil || f.name == "" || bytes.Equal(content, f.written) {
		return err
	}
	// Whoever reads the file, or kills the sandbox, never finds half of it.
	temporary := f.name + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	if err := os.Rename(temporary, f.name); err != nil {
		return err
	}
	f.written = content
	return nil
}

// waitingListener accepts no connection before it is ready.
type waitingListener struct {
	net.Listener
	ready <-chan struct{}
}

func (l *waitingListener) Accept() (net.Conn, error) {
	<-l.ready
	return l.Listener.Accept()
}
