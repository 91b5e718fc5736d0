package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/kombo-go/kombo"
)

// storedDelivery is a line of the file in which listen stores deliveries.
type storedDelivery struct {
	Time time.Time `json:"time"`
	// Type, EventID and IntegrationID are for people and for filters: the body has them, too.
	Type          string `json:"type"`
	EventID       string `json:"event_id"`
	IntegrationID string `json:"integration_id"`
	ContentType   string `json:"content_type,omitempty"`
	Signature     string `json:"signature"`
	// Body is the raw body, or BodyBase64 if it is not UTF-8, which a JSON string cannot contain.
	Body       string `json:"body,omitempty"`
	BodyBase64 []byte `json:"body_base64,omitempty"`
}

func newStoredDelivery(received time.Time, contentType, signature string, body []byte) storedDelivery {
	d := storedDelivery{
		Time: received.UTC(), ContentType: contentType, Signature: signature, IntegrationID: integrationOf(body),
	}
	d.EventID, d.Type = describeBody(body)
	if utf8.Valid(body) {
		d.Body = string(body)
	} else {
		d.BodyBase64 = body
	}
	return d
}

// raw returns the raw body.
func (d storedDelivery) raw() []byte {
	if d.BodyBase64 != nil {
		return d.BodyBase64
	}
	return []byte(d.Body)
}

// integrationOf returns the ID of the integration that a webhook is about, or "".
func integrationOf(body []byte) string {
	event, err := kombo.ParseEvent(body)
	if err != nil {
		return ""
	}
	switch e := event.(type) {
	case *kombo.IntegrationCreatedEvent:
		return e.Data.ID
	case *kombo.IntegrationDeletedEvent:
		return e.Data.ID
	case *kombo.IssueStatusChangedEvent:
		if e.Data.Integration != nil {
			return e.Data.Integration.ID
		}
	}
	var other struct {
		Data struct {
			IntegrationID string `json:"integration_id"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &other) // a type that has none
	return other.Data.IntegrationID
}

// store is a file of deliveries. A nil store keeps nothing.
type store struct {
	mutex sync.Mutex
	file  *os.File
	count int
}

// openStore opens a file to append to. Only its owner can read it, because events contain personal data.
func openStore(name string) (*store, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	// A program that was killed may have left half a line.
	if size, err := file.Seek(0, io.SeekEnd); err == nil && size > 0 {
		var last [1]byte
		if _, err := file.ReadAt(last[:], size-1); err == nil && last[0] != '\n' {
			_, _ = file.WriteString("\n")
		}
	}
	return &store{file: file}, nil
}

func (s *store) add(d storedDelivery) error {
	if s == nil {
		return nil
	}
	line, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return s.addLine(line)
}

// addLine adds a line of a store.
func (s *store) addLine(line []byte) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.count++
	_, err := s.file.Write(slices.Concat(line, []byte("\n")))
	return err
}

func (s *store) close() error {
	if s == nil {
		return nil
	}
	return s.file.Close()
}

// maxStoredLine is the size of the longest line: a body in which every byte is escaped, and the rest.
const maxStoredLine = 6*kombo.MaxWebhookBody + 64<<10

// storedLine is a line of a store.
type storedLine struct {
	number int
	text   []byte // valid until the next line
	storedDelivery
}

// storedLines reads a store line by line. A line that is not a delivery is an error; the next iteration continues after it.
func storedLines(r io.Reader) iter.Seq2[storedLine, error] {
	return func(yield func(storedLine, error) bool) {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(make([]byte, 0, 64<<10), maxStoredLine)
		number := 0
		for scanner.Scan() {
			number++
			line := storedLine{number: number, text: scanner.Bytes()}
			if len(line.text) == 0 {
				continue
			}
			err := json.Unmarshal(line.text, &line.storedDelivery)
			if err == nil && len(line.raw()) == 0 {
				err = errors.New("it has no body")
			}
			if err != nil {
				err = fmt.Errorf("line %d is not a stored delivery: %w", number, err)
			}
			if !yield(line, err) {
				return
			}
		}
		if err := scanner.Err(); err != nil {
			yield(storedLine{number: number + 1}, fmt.Errorf("line %d: %w", number+1, err))
		}
	}
}
